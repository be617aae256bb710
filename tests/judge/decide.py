"""The labels of a world, computed: which other faults would show the same, and until when.

Each other kind of fault is drawn with the parameters of the true one, as far as it can have them,
and what the two would show is compared, source by source, by the information that tells them apart
(Kullback-Leibler divergence, in nats). From that and from how common each cause is follows how sure
somebody could be who sees everything and knows all families.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, log
from typing import TYPE_CHECKING

from tests.judge.families import FAMILIES
from tests.judge.fault import Draw, Fault, NotHere

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.judge.drawn import Drawn
    from tests.judge.families import Family
    from tests.judge.setup import Setup

PRIORS = {
    "auth0": 0.25,
    "tenant": 0.2,
    "app": 0.17,
    "probe": 0.14,
    "network": 0.12,
    "upstream": 0.12,
    "quota": 0.08,
}
"""How common causes are among outages that somebody is woken for. Families share their cause's."""
NOISE = 0.004
"""The share of requests that fails, or fails otherwise, on any day."""
USUAL_TYPOS = 0.07
"""Rows of wrong passwords, as a share of logins."""
MOST_NATS = 6.0
"""No source tells more than this: it may be wrong itself."""
DISCOUNT = 0.5
"""A drawn world shows less than the mean one, and sources are not independent."""
ALIKE = 0.15
"""Two faults are not told apart by shares that differ by less than this part of the greater one:
nobody knows how many of the users pass a component."""
COINCIDENCE = 0.03
"""A change of a kind that has nothing to do with the fault, in the quarter hour before it."""
SURE, LIKELY, POSSIBLE = 0.85, 0.6, 0.2
SEEN_NATS = 15.0
"""So much information sets a fault apart from a usual day: one false alarm in a million looks."""
MINUTES = (0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12, 15)
HORIZON_MIN = MINUTES[-1]
LATE_MIN = 1.0
"""Counts of users are known so much later."""
SETTLE_MIN = 5.0
"""A change in the volume of calls is believed after so long."""


@dataclass(frozen=True, slots=True)
class Label:
    """The truth of a world, as far as it can be known there."""

    cause: str
    accept: tuple[str, ...]
    decidable_min: float
    sure: float
    """How sure somebody who sees everything could be of the cause, at the end."""
    likely: tuple[tuple[str, float], ...]
    """The most probable causes at the end, for the table of what cannot be told."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one source tells two faults apart by."""

    source: str
    """A place, `metrics`, `log` or `tracker`."""
    per_min: float
    """Nats a minute."""
    is_counted: bool = False
    """Known later than the answer to a check."""

    def nats(self, minutes: float) -> float:
        """Return the information after some minutes."""
        return self.per_min * max(0.0, minutes - LATE_MIN if self.is_counted else minutes)


def _bernoulli(p: float, q: float) -> float:
    p, q = min(max(p, NOISE), 1 - NOISE), min(max(q, NOISE), 1 - NOISE)
    return p * log(p / q) + (1 - p) * log((1 - p) / (1 - q))


def _poisson(rate: float, other: float) -> float:
    rate, other = max(rate, 0.1), max(other, 0.1)
    return rate * log(rate / other) - rate + other


def _take_alike(mine: float, other: float) -> float:
    """Return the other share, or mine where the two are too near to tell faults apart."""
    return mine if abs(mine - other) <= ALIKE * max(mine, other) else other


def _place_nats(mine: tuple[str, float], other: tuple[str, float]) -> float:
    """Return the information of one request."""
    (answer, share), (answer_2, share_2) = mine, other
    if not share or not share_2 or answer == answer_2:
        return _bernoulli(share, _take_alike(share, share_2))
    rest = max(1 - share, NOISE)
    return share * log((share + NOISE) / NOISE) + rest * log(rest / max(1 - share_2, NOISE))


def _tries_min(place: str, share: float, answer: str) -> float:
    """Return how often a place is checked in a minute: again and again while it fails.

    Who is refused for a limit must not ask more often: every 20 seconds at the most.
    """
    usual = {"m2m": 0.3, "feed": 0.5}.get(place.rpartition(".")[2], 1.0)
    more = 2.0 if "429" in answer else 7.0
    return usual if "latency" in answer or place == "bot" else usual + more * min(1.0, 3 * share)


def _volume_nats(mine: float, other: float) -> float:
    shift = abs(log(max(mine, 0.01) / max(other, 0.01)))
    return 0.0 if shift < 0.2 else (shift / 0.25) ** 2 / 2 / SETTLE_MIN


def compare(mine: Fault, other: Fault, setup: Setup, strength: float) -> list[Told]:
    """Return what each source tells two faults apart by."""
    return [
        told
        for told in (
            *_compare_places(mine, other, strength),
            *_compare_calls(mine, other, setup, strength),
            *_compare_logs(mine, other, setup, strength),
            *_compare_events(mine, other, strength),
        )
        if told.per_min
    ]


def _compare_places(mine: Fault, other: Fault, strength: float) -> Iterator[Told]:
    well = ("", 0.0)
    for place in {**mine.hits, **other.hits}:
        (answer, share), (answer_2, share_2) = (
            mine.hits.get(place, well),
            other.hits.get(place, well),
        )
        if not place.endswith(".logs") and (answer, share) != (answer_2, share_2):
            nats = _place_nats((answer, share * strength), (answer_2, share_2 * strength))
            yield Told(place, nats * _tries_min(place, share * strength, answer))


def _compare_calls(mine: Fault, other: Fault, setup: Setup, strength: float) -> Iterator[Told]:
    usually = (0.0, 1.0)
    for key in {**mine.calls, **other.calls}:
        (share, volume), (share_2, volume_2) = (
            each.calls.get(key, usually) for each in (mine, other)
        )
        if (share, volume) != (share_2, volume_2):
            tenant = setup.tenant(key[0])
            usual, calls = tenant.usual_failures, tenant.apps[key[1]] * volume
            share_2 = _take_alike(share, share_2)
            nats = _bernoulli(usual + share * strength, usual + share_2 * strength)
            yield Told("metrics", calls * nats, is_counted=True)
            yield Told("metrics", _volume_nats(volume, volume_2), is_counted=True)


def _compare_logs(mine: Fault, other: Fault, setup: Setup, strength: float) -> Iterator[Told]:
    hidden = {place.split(".")[0] for place in mine.hits if place.endswith(".logs")}
    for tenant in setup.tenants:
        if not tenant.logins or tenant.name in hidden:
            continue
        left, left_2 = (each.successes.get(tenant.name, 1.0) for each in (mine, other))
        if abs(log(max(left, 0.02) / max(left_2, 0.02))) > 0.2:
            nats = _poisson(left * tenant.logins, left_2 * tenant.logins)
            yield Told("log", nats, is_counted=True)
        rows, rows_2 = (each.rows.get(tenant.name, {}) for each in (mine, other))
        if rows == rows_2:
            continue
        for row in {**rows, **rows_2}:
            usual = USUAL_TYPOS * tenant.logins if row[0] == "fp" else 0.0
            rate = rows.get(row, 0.0)
            rate_2 = _take_alike(rate, rows_2.get(row, 0.0))
            nats = _poisson(rate * strength + usual, rate_2 * strength + usual)
            yield Told("log", nats, is_counted=True)


def _compare_events(mine: Fault, other: Fault, strength: float) -> Iterator[Told]:
    for name in {**mine.events, **other.events}:
        (title, rate), (title_2, rate_2) = (
            each.events.get(name, ("", 0.0)) for each in (mine, other)
        )
        is_alike = title == title_2 or not title or not title_2
        expected = rate_2 * strength + 1 if is_alike else 1.0
        yield Told("tracker", _poisson(rate * strength + 1, expected), is_counted=True)


def _change_nats(mine: Fault, other: Fault, change: str) -> float:
    """Return what a change before the fault, or none, tells."""

    def probability(fault: Fault) -> float:
        if change:
            return max(COINCIDENCE, fault.changes.get(change, 0.0))
        return 1 - min(0.95, sum(fault.changes.values())) - COINCIDENCE

    return log(probability(mine) / probability(other))


def alternatives(drawn: Drawn) -> dict[str, Fault]:
    """Return what each other family would show that repeats a draw as far as it can.

    Where the fault itself knows no share, the other one has the share that is to be seen.
    """
    seen = {
        "share": [share for _, share in drawn.fault.hits.values()],
        "user_share": [share for share, _ in drawn.fault.calls.values()],
    }
    like = {name: max(shares) for name, shares in seen.items() if shares} | drawn.parameters
    found = {}
    for name, family in FAMILIES.items():
        if family.cause in PRIORS and family is not drawn.family:
            try:
                found[name] = family.show(drawn.setup, Draw(None, like))
            except NotHere:
                continue
    return found


@cache
def _prior(family: Family) -> float:
    cause = sum(each.odds for each in FAMILIES.values() if each.cause == family.cause)
    return log(PRIORS[family.cause] * family.odds / cause)


def decide(drawn: Drawn) -> Label | None:
    """Return the label of a world, or None where nobody could see in time that anything fails."""
    fault, setup, true = drawn.fault, drawn.setup, drawn.family
    strengths = {minutes: drawn.course.strength(minutes) for minutes in MINUTES}
    others = alternatives(drawn)
    by_strength = {
        strength: {name: compare(fault, other, setup, strength) for name, other in others.items()}
        for strength in set(strengths.values())
    }
    seen = {strength: compare(fault, Fault(), setup, strength) for strength in by_strength}
    before = {
        name: _prior(FAMILIES[name]) - _change_nats(fault, other, drawn.change)
        for name, other in others.items()
    }
    course = []
    for minutes in MINUTES:
        odds = {true.name: _prior(true)}
        for name, told in by_strength[strengths[minutes]].items():
            nats = sum(min(MOST_NATS, each.nats(minutes)) for each in told)
            posted = drawn.post_min is not None and minutes >= drawn.post_min
            post = log(fault.post / others[name].post) if posted else 0.0
            odds[name] = before[name] - DISCOUNT * nats - post
        course.append((minutes, _shares(odds)))
    seen_min = next(
        (m for m in MINUTES if sum(t.nats(m) for t in seen[strengths[m]]) >= SEEN_NATS), None
    )
    if seen_min is None:
        return None
    detected_min = drawn.course.passed(_slowest_min(fault))
    return _label(true.cause, course, max(seen_min * 1.5, detected_min))


def _shares(odds: dict[str, float]) -> dict[str, float]:
    """Return how probable each cause is."""
    best = max(odds.values())
    shares: dict[str, float] = {}
    for name, value in odds.items():
        cause = FAMILIES[name].cause
        shares[cause] = shares.get(cause, 0.0) + exp(value - best)
    total = sum(shares.values())
    return {cause: share / total for cause, share in shares.items()}


def _slowest_min(fault: Fault) -> float:
    """Return how long a careful detector needs at full strength.

    That is several failures, two windows of counts, or a volume that is believed.
    """
    answers = [answer for answer, _ in fault.hits.values()]
    if any("clock" in answer for answer in answers):
        return 7.0
    if any("latency" in answer for answer in answers):
        return 7.0
    if fault.hits:
        return 8.0 if all(place.endswith(".m2m") for place in fault.hits) else 2.0
    return 4.0 if any(share for share, _ in fault.calls.values()) else SETTLE_MIN


def _label(cause: str, course: list[tuple[float, dict[str, float]]], seen_min: float) -> Label:
    end = course[-1][1]
    sure = end.get(cause, 0.0)
    likely = tuple(sorted(end.items(), key=lambda each: -each[1])[:4])
    if sure < LIKELY:
        accept = [c for c, share in likely if share >= POSSIBLE or c == cause]
        accept += [cause] if cause not in accept else []
        return Label("unclear", tuple(accept), seen_min + 1, sure, likely)
    accept = [c for c, share in likely if c != cause and share >= POSSIBLE]
    if sure < SURE:
        accept.append("unclear")
    enough = min(SURE, 0.95 * sure)
    told_min = next(
        minutes
        for place, (minutes, _) in enumerate(course)
        if all(shares.get(cause, 0.0) >= enough for _, shares in course[place:])
    )
    return Label(cause, tuple(accept), max(told_min, seen_min), sure, likely)
