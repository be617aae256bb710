"""Who is on call: from a rotation, a user group or a calendar, and from what people swapped.

All is reckoned from the configuration, the calendar and the overrides: no counter that a restart
could lose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.core.model.wall_clock import RecurringTime

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import date


@dataclass(frozen=True, slots=True)
class Shift:
    """One person is on call from `since` to `until`."""

    person: str
    """A Slack user's id; empty where the calendar's person has none that we know."""
    since: float
    until: float
    name: str = ""
    """As the calendar calls a person without an id: foreign text."""


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody takes over for a while. What was entered later counts more."""

    person: str
    since: float
    until: float
    by: str
    """Who entered it."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """People take turns, at the same wall-clock time of each day or week."""

    people: tuple[str, ...]
    """Slack user ids; somebody may stand in it more than once."""
    hand_over: RecurringTime
    zone: str
    start: date
    """With the first hand-over from this day on it is the first person's turn."""

    def list_shifts(self, now: float) -> tuple[Shift, ...]:
        """Return the shift of this moment, and as many more as it takes to see everybody."""
        found = []
        begin = self.hand_over.last(now, self.zone)
        for _ in range(len(self.people) + 1):
            end = self.hand_over.next(begin.at, self.zone)
            turn = (begin.day - self.start).days // self.hand_over.period_days
            found.append(Shift(self.people[turn % len(self.people)], begin.at, end.at))
            begin = end
        return tuple(found)


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A Slack user group: whoever is in it is mentioned, nobody in particular is known."""

    id: str

    def list_shifts(self, _now: float) -> tuple[Shift, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class Shifts:
    """What a calendar said when it was last read."""

    at: float
    """When that was."""
    shifts: tuple[Shift, ...] = ()
    fault: str = ""
    """Why it could not be read since; empty: it could."""

    def list_shifts(self, _now: float) -> tuple[Shift, ...]:
        """Return all. Where some overlap, what began last counts: an exception within a rule."""
        return tuple(sorted(self.shifts, key=lambda each: (each.since, -each.until)))

    def with_reading(self, reading: Shifts) -> Shifts:
        """Return the newer reading; one that failed leaves the shifts as they were."""
        return replace(self, fault=reading.fault) if reading.fault else reading


OnCallSource = Rotation | UserGroup | Shifts


def current_shift(source: OnCallSource, overrides: Iterable[Override], now: float) -> Shift | None:
    """Return who is on call, from when and until when in one piece. None: nobody that we know."""
    return _shift_at(_rank_shifts(source, overrides, now), now)


def next_shift(source: OnCallSource, overrides: Iterable[Override], now: float) -> Shift | None:
    """Return the shift that follows. None: there is none that we know."""
    return next(_later_shifts(_rank_shifts(source, overrides, now), now), None)


def next_shift_to_notify(
    source: OnCallSource, overrides: Iterable[Override], now: float, *, notified: Collection[str]
) -> Shift | None:
    """Return the next shift of somebody who has a Slack id and is not among those told already."""
    later = _later_shifts(_rank_shifts(source, overrides, now), now)
    return next((each for each in later if each.person and each.person not in notified), None)


def _rank_shifts(source: OnCallSource, overrides: Iterable[Override], now: float) -> list[Shift]:
    """Return all shifts that matter, the one that counts most last."""
    swapped = (Shift(each.person, each.since, each.until) for each in overrides)
    return [*source.list_shifts(now), *(each for each in swapped if each.since < each.until)]


def _shift_at(ranked: list[Shift], now: float) -> Shift | None:
    stronger: list[Shift] = []
    for shift in reversed(ranked):
        if shift.since <= now < shift.until:
            ended = (other.until for other in stronger if other.until <= now)
            to_come = (other.since for other in stronger if other.since > now)
            since, until = max((shift.since, *ended)), min((shift.until, *to_come))
            return replace(shift, since=since, until=until)
        stronger.append(shift)
    return None


def _later_shifts(ranked: list[Shift], now: float) -> Iterator[Shift]:
    """Yield the shifts after the present one; of a rotation, one round of them."""
    current = _shift_at(ranked, now)
    after = current.until if current else now
    edges = {edge for shift in ranked for edge in (shift.since, shift.until)}
    for edge in sorted(edge for edge in edges if edge >= after):
        shift = _shift_at(ranked, edge)
        if shift and shift.since == edge:
            yield shift
