"""Random worlds with random acts of people, and what must hold of the calls in them.

`python -m tests.stories.call_worlds --worlds 200` plays more of them than the tests do.
"""

from __future__ import annotations

import json
import logging
import random
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from bot.simulator.reading import load_file
from bot.simulator.simulation import play_scenario

MIN = 60.0
DURATION_MIN = 80
CALL_WITHIN_S = 240.0
"""All logins of a tenant fail: so long after that there was a call at the latest …"""
BEFORE_S = 120.0
"""… or so long before."""
FLAPPING_WITHIN_S = 360.0
APART_S = 300.0
"""For the same knowledge there are no two calls within this time."""
ONE_STEP_S = 30.0
FOREVER = 1e6
NOTICED_S = 100.0
"""What changed so long before a call need not have been known by then."""
UNNOTICED_END_S = 200.0
"""A shorter healthy time need not end an incident."""
ASKED_FOR = frozenset({"unacknowledged", "handed_over"})
"""Reasons of calls that the policy's steps make, or that a person asks for."""
OUR_SIDE = frozenset({"network", "probe"})
TENANTS = {
    "prod": {"domain": "acme.us.auth0.com", "environment": "US-1"},
    "staging": {"domain": "acme-staging.us.auth0.com", "environment": "US-1"},
    "eu": {"domain": "acme.eu.auth0.com", "environment": "EU-1"},
}
PEOPLE = ("U0ANN", "U0BEN", "U0CLEO")
DOWN = ({"http": 503}, {"http": 502, "body": "html"}, {"hang": True}, {"connect": "refused"})
SHARES = {"third": 0.3, "half": 0.5, "most": 0.8}
"""Where most of the logins fail, people are called; that the others fail too is no news."""
ON_CALL = {"rotation": {"people": ["U0CHIEF", "U0NEXT"], "hand_over": "Mon 09:00"}}
STEPS = ({"after": "5m", "tell": "mention"}, {"after": "9m", "tell": "pager"})


@dataclass(frozen=True, slots=True)
class Span:
    """A tenant does so, in seconds from t=0."""

    since: float
    until: float
    how: str
    """`down`, a key of `SHARES`, or `slow`."""


@dataclass
class CallWorld:
    """One random world."""

    seed: int
    spans: dict[str, list[Span]] = field(default_factory=dict)
    scenario: dict[str, Any] = field(default_factory=dict)
    quiet: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """When nobody may be called for a tenant: in maintenance, and outside the hours of calls."""


def draw_world(seed: int) -> CallWorld:
    """Draw tenants that fail in several ways and at several times, and what people do."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    names = draw.sample([*TENANTS], draw.choice([1, 1, 2, 3]))
    spans = {name: _draw_spans(draw) for name in names}
    if len(names) > 1 and draw.random() < 0.5:
        spans[names[1]] = [
            Span(one.since + draw.choice([0, 60, 500]), one.until, one.how)
            for one in spans[names[0]]
            if one.until - one.since > 10 * MIN
        ]
    bot: dict[str, Any] = {
        "slack": {"mention": "U0CHIEF"},
        "acknowledge": {"remind": draw.choice(["10m", "30m", "off"])},
        "notify": [{"name": "pager", "pagerduty": {"routing_key": "k" * 32}}],
    }
    if draw.random() < 0.6:
        bot |= {"oncall": {"rotation": {**ON_CALL["rotation"], "start": "2026-01-05"}}}
        bot |= {"escalation": {"critical": list(STEPS), "repeat": 1, "every": "10m"}}
    scenario = {
        "format": 1,
        "name": f"calls-{seed}",
        "about": "Tenants fail and recover, and people do things.",
        "start": "2026-03-02T10:00:00Z",
        "warmup": "10m",
        "duration": f"{DURATION_MIN}m",
        "seed": seed,
        "bot": bot,
        "tenants": {name: TENANTS[name] for name in names},
        "controls": ["neutral"],
        "timeline": [_entry(draw, name, span) for name in names for span in spans[name]],
        "people": _draw_acts(draw, names),
    }
    world = CallWorld(seed, spans, scenario)
    if draw.random() < 0.5:
        _draw_quiet(draw, world, names)
    return world


def _draw_quiet(draw: random.Random, world: CallWorld, names: list[str]) -> None:
    """Draw when nobody may be called: maintenance, hours, or never."""
    bot, name = world.scenario["bot"], draw.choice(names)
    since, lasts = draw.choice([0, 15, 30, 50]), draw.choice([10, 25])
    match draw.choice(["maintenance", "hours", "never"]):
        case "maintenance":
            once = f"2026-03-02 10:{since:02}"
            window = {"tenants": [name], "once": once, "lasts": f"{lasts}m", "reason": "upgrade"}
            bot["maintenance"] = [window]
            world.quiet[name] = [(since * MIN, (since + lasts) * MIN)]
        case "never":
            world.scenario["tenants"][name] = {**TENANTS[name], "calls": "never"}
            world.quiet[name] = [(-FOREVER, FOREVER)]
        case _:
            hours = {"begins": f"10:{since:02}", "ends": f"10:{min(since + lasts, 59):02}"}
            bot["oncall"] = {**bot.get("oncall", {}), "hours": hours}
            world.scenario["tenants"][name] = {**TENANTS[name], "calls": "hours"}
            ends = min(since + lasts, 59) * MIN
            world.quiet[name] = [(-FOREVER, since * MIN), (ends, FOREVER)]


def _draw_spans(draw: random.Random) -> list[Span]:
    spans: list[Span] = []
    at = draw.uniform(0, 15) * MIN
    is_flapping = draw.random() < 0.25
    while at < (DURATION_MIN - 10) * MIN:
        how = "down" if is_flapping else draw.choice(["down", "down", "slow", *SHARES])
        lasts = draw.uniform(3, 7) if is_flapping else draw.choice([4, 8, 15, 30])
        spans.append(Span(at, min(at + lasts * MIN, DURATION_MIN * MIN), how))
        is_followed = not is_flapping and draw.random() < 0.4
        gap = (
            0.0 if is_followed else draw.uniform(4, 8) if is_flapping else draw.choice([5, 12, 20])
        )
        at += (lasts + gap) * MIN
    return spans


def _entry(draw: random.Random, name: str, span: Span) -> dict[str, Any]:
    targets = [f"{name}.login", *draw.choice([[], [f"{name}.wellknown"]])]
    entry: dict[str, Any] = {"target": targets, "from": f"{span.since:.0f}s"}
    entry["to"] = f"{span.until:.0f}s"
    match span.how:
        case "slow":
            return {**entry, "is": {"latency": "4s"}}
        case "down":
            return {**entry, "is": draw.choice(DOWN)}
        case how:
            return {**entry, "share": SHARES[how], "is": {"http": 503}}


def _draw_acts(draw: random.Random, names: list[str]) -> list[dict[str, Any]]:
    acts = []
    for _ in range(draw.randint(0, 9)):
        number, span = draw.choice([1, 1, 1, 2, 3]), draw.choice(["3m", "10m", "25m"])
        words = draw.choice(
            [
                f"ack {number}",
                f"ack {number}",
                f"ack {number} take over",
                f"silence #{number} {span} known",
                f"silence {draw.choice(names)} {span} known",
                f"resolve {number} anyway",
                f"note {number} looking at it",
                f"hand-over {number}",
            ]
        )
        at = round(draw.uniform(0, DURATION_MIN) * 60)
        user = draw.choice(PEOPLE)
        acts.append({"at": f"{at}s", "user": user, "say": f"/auth0-check {words}"})
    return sorted(acts, key=lambda act: float(act["at"][:-1]))


def play_world(world: CallWorld) -> list[str]:
    """Play a world; return what is wrong about its calls."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{world.scenario['name']}.yml"
        file.write_text(json.dumps(world.scenario, indent=1))
        events: list[dict[str, Any]] = []
        play_scenario(load_file(file), world.seed, events.append, requests=False)
    return [
        *find_missing(world, events),
        *find_doubled(world, events),
        *find_unwanted(world, events),
    ]


def find_missing(world: CallWorld, events: list[dict[str, Any]]) -> list[str]:
    """Return the times in which all logins of a tenant failed, and nobody was called."""
    calls = [event for event in events if event["event"] == "call"]
    missing = []
    for name, spans in world.spans.items():
        for since, until in _down_times(spans):
            flaps = any(
                call["reason"] == "flapping" and name in call["tenants"]
                for call in calls
                if call["t"] <= since + FLAPPING_WITHIN_S
            )
            within_s = FLAPPING_WITHIN_S if flaps else CALL_WITHIN_S
            deadline = _end_of_exemption(world, events, name, (since, until), within_s) + within_s
            named_at = _incidents_of(events, name)
            is_called = any(
                since - BEFORE_S <= call["t"] <= deadline
                and named_at.get(call["incident"], deadline + 1.0) <= deadline
                for call in calls
            )
            if until >= deadline and not is_called and not _is_our_side(events, since, deadline):
                missing.append(f"{name} down {since:.0f}-{until:.0f}: no call by {deadline:.0f}")
    return missing


def _down_times(spans: list[Span]) -> list[tuple[float, float]]:
    """Return when all logins failed, with most of them before; short healthy times are left out."""
    times: list[tuple[float, float]] = []
    for before, span in pairwise([Span(0.0, 0.0, "slow"), *spans]):
        if span.how != "down":
            continue
        is_after_most = before.how == "most" and before.until == span.since
        since = before.since if is_after_most else span.since
        if times and since - times[-1][1] < UNNOTICED_END_S:
            since = times.pop()[0]
        times.append((since, span.until))
    return times


def _end_of_exemption(
    world: CallWorld,
    events: list[dict[str, Any]],
    name: str,
    down: tuple[float, float],
    within_s: float,
) -> float:
    """Return until when nobody had to be called: for a silence, or since somebody knows of it.

    Whoever acknowledges or resolves an incident of the tenant while it is down knows of it, if it
    is before the call was due.
    """
    since, until = down
    numbers = _incidents_of(events, name)
    end = _end_of_quiet(world, name, since)
    for act in sorted(world.scenario["people"], key=lambda one: float(one["at"][:-1])):
        at, (verb, *words) = float(act["at"][:-1]), act["say"].split()[1:]
        what = words[0].lstrip("#")
        is_about_it = what.isdecimal() and numbers.get(int(what), at + 1) <= at
        if verb == "silence" and (words[0] == name or (is_about_it and since <= at)):
            silent_until = at + float(words[1][:-1]) * MIN
            if at <= end + CALL_WITHIN_S and silent_until > end:
                end = silent_until
        elif verb in {"ack", "resolve"} and is_about_it and since <= at <= end + within_s:
            end = until + 1.0
        end = _end_of_quiet(world, name, end)
    return end


def _end_of_quiet(world: CallWorld, name: str, at: float) -> float:
    """Return when people may be called for a tenant, if they were due from an instant on."""
    for since, until in world.quiet.get(name, ()):
        if since <= at + CALL_WITHIN_S and until > at:
            at = until
    return at


def _incidents_of(events: list[dict[str, Any]], name: str) -> dict[int, float]:
    """Return the incidents that name a tenant, and since when each does."""
    numbers: dict[int, float] = {}
    for event in events:
        if event["event"] == "incident" and name in event["tenants"]:
            numbers.setdefault(event["incident"], event["t"])
    return numbers


def _is_our_side(events: list[dict[str, Any]], since: float, until: float) -> bool:
    verdicts = [event for event in events if event["event"] == "verdict"]
    return any(v["cause"] in OUR_SIDE and since <= v["t"] <= until for v in verdicts)


def find_unwanted(world: CallWorld, events: list[dict[str, Any]]) -> list[str]:
    """Return the calls for tenants of which none may call at that time."""
    return [
        f"{call['reason']} at {call['t']:.0f} for {call['tenants']}"
        for call in events
        if call["event"] == "call"
        and all(
            any(since <= call["t"] < until for since, until in world.quiet.get(name, ()))
            for name in call["tenants"]
        )
    ]


def find_doubled(world: CallWorld, events: list[dict[str, Any]]) -> list[str]:
    """Return the calls that came soon after another one, though nothing had changed."""
    calls = [e for e in events if e["event"] == "call" and e["reason"] not in ASKED_FOR]
    doubled = []
    for first, second in pairwise(calls):
        is_one_step = (
            second["t"] - first["t"] <= ONE_STEP_S and first["incident"] == second["incident"]
        )
        is_other = not {*first["tenants"]} & {*second["tenants"]}
        joined = {*second["tenants"]} - {*first["tenants"]}
        changes = {
            edge
            for name in second["tenants"]
            for span in world.spans.get(name, ())
            for edge in (span.since, span.until)
        }
        has_changed = any(first["t"] - NOTICED_S < edge <= second["t"] for edge in changes)
        has_ended = any(
            event["event"] == "incident"
            and event["state"] == "resolved"
            and first["t"] < event["t"] < second["t"]
            for event in events
        )
        is_soon = second["t"] - first["t"] < APART_S
        if is_soon and not (is_one_step or is_other or joined or has_changed or has_ended):
            doubled.append(f"{second['reason']} at {second['t']:.0f}, {first['t']:.0f} before")
    return doubled


def _play_seed(seed: int) -> tuple[int, list[str]]:
    logging.disable(logging.CRITICAL)
    return seed, play_world(draw_world(seed))


@click.command()
@click.option("--worlds", default=100, help="How many.")
@click.option("--first", default=1, help="The first one's seed.")
@click.option("--workers", default=2, help="Processes that play.")
def main(worlds: int, first: int, workers: int) -> None:
    """Play random worlds, and print what is wrong about their calls."""
    wrong = 0
    with ProcessPoolExecutor(workers) as pool:
        for seed, faults in pool.map(_play_seed, range(first, first + worlds)):
            wrong += bool(faults)
            for fault in faults:
                click.echo(f"{seed}: {fault}")
    click.echo(f"{worlds - wrong} of {worlds} worlds are right")


if __name__ == "__main__":
    main()
