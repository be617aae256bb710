"""Generates worlds from faults. Knows nothing of the bot: neither its rules nor its verdicts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from tests.judge.course import draw_course
from tests.judge.decide import PRIORS, Label, decide
from tests.judge.decoys import add_decoys
from tests.judge.drawn import Drawn
from tests.judge.families import FAMILIES
from tests.judge.fault import Draw, Fault, NotHere
from tests.judge.setup import draw_level, draw_setup
from tests.judge.write import World, Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.judge.families import Family
    from tests.judge.setup import Setup

ROUGH_SHARES = {"none": 0.09, "blip": 0.06}
"""How many worlds are of these causes; the others share the rest alike."""
WARMUP_MIN = 30
ENDS_IN_VIEW_MIN = 20.0
"""A fault that ends before this is played to its end."""
MOST_TRIES, TRIES_A_LEVEL = 400, 20
WHATS = {
    "setting": (
        "action deployed", "connection updated", "trigger bindings updated",
        "tenant settings updated",
    ),
    "client": ("client updated", "client secret rotated"),
    "deploy": ("deploy 4711", "release 12.3", "roll-out step 1 of 4"),
    "image": ("deploy 88",),
}  # fmt: skip
FITTING_TITLES = (
    "Increased error rate for logins",
    "Elevated errors for authentication",
    "Users may be unable to log in",
    "Errors on authentication requests",
)


@dataclass(frozen=True, slots=True)
class Generated:
    """A world, and what it was made from."""

    world: World
    family: str
    setup: Setup
    label: Label


def generate(count: int, seed: int, families: Iterable[str] | None = None) -> Iterator[Generated]:
    """Generate worlds; the same seed gives the same ones.

    Args:
        count: how many.
        seed: which ones.
        families: only of these; None: of all.
    """
    chosen = [FAMILIES[name] for name in families] if families else list(FAMILIES.values())
    by_cause: dict[str, list[Family]] = {}
    for family in chosen:
        by_cause.setdefault(family.cause, []).append(family)
    share = (1 - sum(ROUGH_SHARES.values())) / len(PRIORS)
    weights = [ROUGH_SHARES.get(cause, share) for cause in by_cause]
    for number in range(count):
        random = Random(f"{seed} {number}")  # noqa: S311 - a simulation
        cause = random.choices(list(by_cause), weights)[0]
        yield generate_one(random.choice(by_cause[cause]), random, f"{seed}-{number}")


def generate_one(family: Family, random: Random, key: str) -> Generated:
    """Generate one world of a family, in the first setup drawn that can show it."""
    level = draw_level(random)
    for number in range(MOST_TRIES):
        if number and number % TRIES_A_LEVEL == 0:
            level = draw_level(random)
        setup, draw = draw_setup(random, level), Draw(random)
        try:
            fault = family.show(setup, draw)
        except NotHere:
            continue
        found = _finish(family, fault, draw, setup, random, key)
        if found:
            return found
    raise RuntimeError(f"{family.name} is not to be seen in any setup")


def _finish(
    family: Family, fault: Fault, draw: Draw, setup: Setup, random: Random, key: str
) -> Generated | None:
    """Give a fault its course, changes, posts and label; None where nobody could see it."""
    ends_min = random.choice((18.0, 25.0, 60.0))
    course = draw_course(random, fault, ends_min)
    change = _draw_change(random, fault)
    is_posted = random.random() < fault.post
    post_min = round(random.uniform(3, 25), 1) if is_posted and fault.alert else None
    drawn = Drawn(family, fault, draw.drawn, setup, course, change, post_min)
    if fault.alert:
        label = decide(drawn)
        if label is None or label.decidable_min + 6 > ends_min:
            return None
        label = replace(label, decidable_min=course.in_step(label.decidable_min))
    else:
        as_good = "blip" if family.cause == "none" else "none"
        label = Label(family.cause, (as_good,), 0.0, 1.0, ())
    return Generated(_write(drawn, label, random, key), family.name, setup, label)


def _draw_change(random: Random, fault: Fault) -> str:
    """Draw the kind of change that comes before a fault; empty: none."""
    if not fault.alert:
        return ""
    for kind, share in fault.changes.items():
        if random.random() < share:
            return kind
    return random.choice(("setting", "deploy")) if random.random() < 2 * 0.03 else ""


def _write(drawn: Drawn, label: Label, random: Random, key: str) -> World:
    fault, setup, course, family = drawn.fault, drawn.setup, drawn.course, drawn.family
    last_min = max(label.decidable_min + 5, 14.0) if fault.alert else 22.0
    if course.steps[-1][1] < ENDS_IN_VIEW_MIN:
        last_min = max(last_min, course.steps[-1][1] + 4)
    writer = Writer(
        name=f"{family.name}-{key}",
        about=f"{family.about} ({course.name})",
        seed=random.randrange(1_000_000),
        warmup_min=0 if fault.begun else WARMUP_MIN,
        duration_min=round(last_min),
        start=_draw_start(random),
    )
    writer.set_up(setup)
    add_decoys(writer, random, setup, fault)
    writer.add_fault(fault, setup, course, random)
    if drawn.change:
        at = -round(random.uniform(0.5, 8), 1)
        writer.add_change(at, fault, setup, drawn.change, random.choice(WHATS[drawn.change]))
    if drawn.post_min is not None:
        hit = {place.split(".")[0] for place in fault.hits} | {tenant for tenant, _ in fault.calls}
        environments = {t.environment for t in setup.tenants if t.name in hit} or {"US-1"}
        writer.add_post(drawn.post_min, random.choice(FITTING_TITLES), sorted(environments))
    writer.answer(label, alert=fault.alert)
    return writer.world()


def _draw_start(random: Random) -> str:
    day = f"2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}"
    return f"{day}T{random.randint(0, 23):02}:{random.randint(0, 59):02}:00Z"
