"""Who is on call, and who is notified next while nobody acknowledges.

Everything is computed from the configuration, the calendar and the overrides: there is no counter
that a restart could lose. Due times of an escalation are in the incident's state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import time
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.model.wall_clock import WEEKDAYS, RecurringTime, wall_clock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import date

MENTION, DM, NEXT = "mention", "dm", "next"
"""The contacts of a step, beside the names of contact points."""


class CallReason(StrEnum):
    """Why people are called: what a mention, a direct message or a page is about."""

    BEGUN = "begun"
    WORSE = "worse"
    WIDER = "wider"
    """More tenants fail."""
    BACK = "back"
    FLAPPING = "flapping"
    UNACKNOWLEDGED = "unacknowledged"
    """A step of the escalation: nobody has acknowledged it."""
    EXPIRED = "expired"
    """Whoever acknowledged it has not answered."""
    HANDED_OVER = "handed_over"
    CORRECTED = "corrected"
    """What people were told to do has changed."""
    CANNOT_CHECK = "cannot_check"


class CallsWhen(StrEnum):
    """When an incident of a tenant may call people."""

    ALWAYS = "always"
    NEVER = "never"
    HOURS = "hours"
    """In the hours in which people work."""


@dataclass(frozen=True, slots=True)
class CallHours:
    """The hours in which people work, by the clocks of a time zone; they end before midnight."""

    weekdays: tuple[str, ...] = WEEKDAYS[:5]
    begins: time = time(9)
    ends: time = time(18)
    zone: str = "UTC"

    def are_now(self, now: float) -> bool:
        """Tell whether people work now."""
        wall = wall_clock(now, self.zone)
        is_workday = WEEKDAYS[wall.weekday()] in self.weekdays
        return is_workday and self.begins <= wall.time() < self.ends


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """One step of an escalation."""

    after_s: float
    """Seconds after the first mention."""
    contact: str
    """`mention`, `dm`, `next`, or the name of a contact point."""


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """The steps while nobody acknowledges; the first mention is not one of them."""

    steps: tuple[EscalationStep, ...] = ()
    repeat: int = 0
    """How often the steps start again after the last one …"""
    every_s: float = 900.0
    """… and how long after it."""

    def due_at(self, state: EscalationState) -> float | None:
        """Return when the next step is due; None: no step is left."""
        if state.step < len(self.steps):
            return state.started_at + self.steps[state.step].after_s
        if not self.steps or state.round >= self.repeat:
            return None
        return state.started_at + self.steps[-1].after_s + self.every_s

    def skip_wait(self, state: EscalationState, now: float) -> EscalationState | None:
        """Return the escalation with its next step due now; None: this round has no more."""
        if state.step >= len(self.steps):
            return None
        begun_at = now - self.steps[state.step].after_s
        return replace(state, started_at=min(state.started_at, begun_at))

    def advance(
        self, state: EscalationState, now: float
    ) -> tuple[EscalationState, tuple[EscalationStep, ...]]:
        """Return the escalation after all steps that are due, and those steps.

        After a long stop of the process, overdue steps are taken once, not once a round.
        """
        due: list[EscalationStep] = []
        while (at := self.due_at(state)) is not None and at <= now:
            if state.step >= len(self.steps):
                if due:  # the pause before the next round starts only now
                    state = replace(state, started_at=now - self.steps[-1].after_s)
                    break
                state = EscalationState(started_at=now, round=state.round + 1)
                continue
            due.append(self.steps[state.step])
            state = replace(state, step=state.step + 1)
        return state, tuple(due)


@dataclass(frozen=True, slots=True)
class EscalationState:
    """How far an escalation has come."""

    started_at: float
    """When this round started."""
    step: int = 0
    """The next step."""
    round: int = 0
    notified: tuple[str, ...] = ()
    """The ids of the people who were notified."""


@dataclass(frozen=True, slots=True)
class AwaitingMention:
    """People are to be called at an instant; then the escalation starts from its first step."""

    at: float
    begun: EscalationState | None = None
    """How far an escalation had come while the incident was less severe."""
    reason: CallReason = CallReason.BEGUN


def begun_escalation(
    escalation: AwaitingMention | EscalationState | None,
) -> EscalationState | None:
    """Return how far an escalation has come, whether it goes on or waits for the first mention."""
    return escalation.begun if isinstance(escalation, AwaitingMention) else escalation


@dataclass(frozen=True, slots=True)
class Shift:
    """One person is on call from `since` to `until`."""

    person: str
    """A Slack user's id; empty if we know none for the person in the calendar."""
    since: float
    until: float
    name: str = ""
    """The calendar's name for a person without an id: foreign text."""


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody takes over for a while. A later override takes precedence."""

    person: str
    since: float
    until: float
    by: str
    """Who entered it."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """People take turns, with a hand-over at the same wall-clock time of each day or week."""

    people: tuple[str, ...]
    """Slack user ids; a person may appear more than once."""
    hand_over: RecurringTime
    zone: str
    start: date
    """The first person's turn begins with the first hand-over on or after this day."""

    def list_shifts(self, now: float) -> tuple[Shift, ...]:
        """Return the current shift, and as many more as it takes to include everybody."""
        shifts = []
        begin = self.hand_over.last(now, self.zone)
        for _ in range(len(self.people) + 1):
            end = self.hand_over.next(begin.at, self.zone)
            turn = (begin.day - self.start).days // self.hand_over.period_days
            shifts.append(Shift(self.people[turn % len(self.people)], begin.at, end.at))
            begin = end
        return tuple(shifts)


@dataclass(frozen=True, slots=True)
class UserGroup:
    """A Slack user group: we mention the group and know no individual person."""

    id: str

    def list_shifts(self, _now: float) -> tuple[Shift, ...]:
        """Return nothing."""
        return ()


@dataclass(frozen=True, slots=True)
class Shifts:
    """The shifts of a calendar as last read."""

    at: float
    """When it was read."""
    shifts: tuple[Shift, ...] = ()
    fault: str = ""
    """Why later polls failed; empty: none failed."""

    def list_shifts(self, _now: float) -> tuple[Shift, ...]:
        """Return all, sorted so that of overlapping shifts the one that begins last counts.

        An entry that names nobody we know, as a holiday or a meeting, takes no shift away.
        """
        return tuple(
            sorted(self.shifts, key=lambda each: (bool(each.person), each.since, -each.until))
        )


OnCallSource = Rotation | UserGroup | Shifts


def current_shift(source: OnCallSource, overrides: Iterable[Override], now: float) -> Shift | None:
    """Return the current shift, from its start to its end in one piece. None: nobody is known."""
    return _shift_at(_rank_shifts(source, overrides, now), now)


def next_shift_to_notify(
    source: OnCallSource, overrides: Iterable[Override], now: float, *, notified: Collection[str]
) -> Shift | None:
    """Return the next shift of a person with a Slack id who was not notified yet."""
    later = later_shifts(source, overrides, now)
    return next((each for each in later if each.person and each.person not in notified), None)


def later_shifts(
    source: OnCallSource, overrides: Iterable[Override], now: float
) -> Iterator[Shift]:
    """Yield the shifts after the current one; of a rotation, one round of them."""
    ranked = _rank_shifts(source, overrides, now)
    current = _shift_at(ranked, now)
    after = current.until if current else now
    edges = {edge for shift in ranked for edge in (shift.since, shift.until)}
    for edge in sorted(edge for edge in edges if edge >= after):
        shift = _shift_at(ranked, edge)
        if shift and shift.since == edge:
            yield shift


def _rank_shifts(source: OnCallSource, overrides: Iterable[Override], now: float) -> list[Shift]:
    """Return all relevant shifts in rising precedence."""
    taken_over = (Shift(o.person, o.since, o.until) for o in overrides if o.since < o.until)
    return [*source.list_shifts(now), *taken_over]


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
