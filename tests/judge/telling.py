"""Which source tells which causes apart, from the generator's worlds: docs/how-it-decides.md."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from tests.judge.course import Course
from tests.judge.decide import DISCOUNT, PRIORS, alternatives, compare
from tests.judge.drawn import Drawn
from tests.judge.families import FAMILIES
from tests.judge.fault import Draw, NotHere
from tests.judge.play import ROOT
from tests.judge.setup import Setup, Tenant, draw_level, draw_setup

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "how-it-decides.md"
BEGIN, END = "<!-- made by `python -m tests.judge table` -->", "<!-- end of the made part -->"
TOLD_NATS = 3.0
"""Twenty to one."""
AFTER_MIN = 10.0
DRAWS = 60
OFTEN = 0.15
"""A source tells a pair apart that it decides in at least this share of the open worlds."""
FEWEST = 5
"""Open worlds of a pair, below which nothing is said."""
POOREST = Setup((Tenant("prod", "alder.us.auth0.com", "US-1"),), ())
SOURCES = (
    "the login itself",
    "discovery and keys",
    "machine token",
    "custom domain",
    "second tenant, same environment",
    "tenant in another environment",
    "control endpoint",
    "reaching the status page",
    "application metrics",
    "tenant log",
    "error tracker",
)
STEADY = Course("steady", ((0.0, 60.0, 1.0),))
Pair = tuple[str, str]


def name_source(source: str, drawn: Drawn) -> str:
    """Name what a place, or a kind of counts, is to somebody who configures sources."""
    counts = {"metrics": "application metrics", "log": "tenant log", "tracker": "error tracker"}
    owner, _, kind = source.partition(".")
    if source in counts:
        return counts[source]
    if owner in {"control", "feed", "bot"}:
        return "control endpoint" if owner == "control" else "reaching the status page"
    kinds = {"m2m": "machine token", "custom": "custom domain"}
    first = drawn.setup.tenant(str(drawn.parameters.get("tenant", drawn.setup.tenants[0].name)))
    if owner != first.name:
        is_near = drawn.setup.tenant(owner).environment == first.environment
        return SOURCES[4] if is_near else SOURCES[5]
    return kinds.get(kind, "discovery and keys" if kind == "wellknown" else "the login itself")


def tell_apart(drawn: Drawn) -> Iterator[tuple[Pair, dict[str, float]]]:
    """Yield, for each fault that it may be confused with, the nats of each source."""
    for name, other in alternatives(drawn).items():
        cause = FAMILIES[name].cause
        if cause != drawn.family.cause:
            nats: Counter[str] = Counter()
            for told in compare(drawn.fault, other, drawn.setup, 1.0):
                nats[name_source(told.source, drawn)] += DISCOUNT * told.nats(AFTER_MIN)  # type: ignore[assignment]
            first, second = sorted((drawn.family.cause, cause))
            yield (first, second), dict(nats)


def draw_worlds() -> Iterator[Drawn]:
    """Draw faults of all families in all kinds of setups."""
    for name, family in FAMILIES.items():
        if family.cause in PRIORS:
            for number in range(DRAWS):
                random = Random(f"{name} {number}")  # noqa: S311 - a simulation
                setup, draw = draw_setup(random, draw_level(random)), Draw(random)
                try:
                    fault = family.show(setup, draw)
                except NotHere:
                    continue
                yield Drawn(family, fault, draw.drawn, setup, STEADY, "", None)


def count_told() -> dict[str, dict[Pair, float]]:
    """Return for each source which share of the worlds it decides that all others leave open."""
    told: Counter[tuple[str, Pair]] = Counter()
    left_open: Counter[tuple[str, Pair]] = Counter()
    for drawn in draw_worlds():
        there = _sources_of(drawn.setup)
        for pair, nats in tell_apart(drawn):
            for source in there:
                if sum(nats.values()) - nats.get(source, 0.0) < TOLD_NATS:
                    left_open[source, pair] += 1
                    told[source, pair] += nats.get(source, 0.0) >= TOLD_NATS
    return {
        source: {
            pair: told[source, pair] / n
            for (named, pair), n in left_open.items()
            if named == source and n >= FEWEST
        }
        for source in SOURCES[2:]
    }


def _sources_of(setup: Setup) -> set[str]:
    return {*setup.sources, "reaching the status page"}


def find_alike() -> dict[Pair, list[tuple[str, str]]]:
    """Return the families that show the same with the poorest set of sources, by causes."""
    alike: dict[Pair, set[tuple[str, str]]] = {}
    for name, family in FAMILIES.items():
        draw = Draw(None, {"share": 1.0})
        try:
            fault = family.show(POOREST, draw)
        except NotHere:
            continue
        drawn = Drawn(family, fault, draw.drawn, POOREST, STEADY, "", None)
        for other, other_fault in alternatives(drawn).items():
            pair = tuple(sorted((family.cause, FAMILIES[other].cause)))
            nats = sum(t.nats(AFTER_MIN) for t in compare(fault, other_fault, POOREST, 1.0))
            if pair[0] != pair[1] and family.cause in PRIORS and DISCOUNT * nats < TOLD_NATS:
                both = (name, other) if family.cause == pair[0] else (other, name)
                alike.setdefault((pair[0], pair[1]), set()).add(both)
    return {pair: sorted(both) for pair, both in sorted(alike.items())}


def make_tables() -> str:
    """Return the part of the page that is made from worlds."""
    shares = count_told()
    lines = ["| source | decides, where all other sources leave it open |", "|---|---|"]
    for source, pairs in shares.items():
        good = sorted(pair for pair, share in pairs.items() if share >= OFTEN)
        lines.append(f"| {source} | {', '.join(' / '.join(pair) for pair in good) or 'nothing'} |")
    lines += ["", "| with one tenant and nothing else | for example | what tells them apart |"]
    lines.append("|---|---|---|")
    for pair, both in find_alike().items():
        best = sorted(SOURCES[2:], key=lambda s: -shares[s].get(pair, 0.0))
        cure = [s for s in best if shares[s].get(pair, 0.0) >= OFTEN][:3]
        abouts = [FAMILIES[name].about.rstrip(".") for name in both[0]]
        example = f"{abouts[0]}; {abouts[1][:1].lower()}{abouts[1][1:]}"
        lines.append(f"| {' / '.join(pair)} | {example} | {', '.join(cure) or 'nothing alone'} |")
    return "\n".join(lines)


def write_page() -> None:
    """Replace the part of the page that is made."""
    made = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    tables = f"{BEGIN}\n{make_tables()}\n{END}"
    PAGE.write_text(made.sub(lambda _: tables, PAGE.read_text()))
