"""Silences that people set, and maintenance windows by the wall clock of their zone.

A silenced incident goes on being judged; only nobody is notified of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.model.observation import Target
from bot.core.model.wall_clock import DAY_S, RecurringTime, to_instant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.incident import Incident

MAX_SILENCE_S = 30 * DAY_S
"""What is to be silent for longer should not be watched."""
REASON_LENGTH = 200
EVERYTHING = "all"


class SilenceScope(StrEnum):
    """What a silence is over."""

    TENANT = "tenant"
    SIGNAL = "signal"
    INCIDENT = "incident"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence, running or ended."""

    id: int
    scope: SilenceScope
    name: str
    """A tenant, `signal` of any tenant or `tenant.signal`, an incident's number; of all: empty."""
    since: float
    until: float
    by: str
    """Whose it is: a user's id."""
    reason: str
    suppressed: int = 0
    """Alerts that it has hidden."""
    ended_by: str = ""
    """Who ended it by hand; empty: it ended by its time."""
    ended_at: float | None = None

    def is_active(self, now: float) -> bool:
        """Tell whether it mutes at this instant."""
        return self.ended_at is None and self.since <= now < self.until


class SilenceRefusal(StrEnum):
    """Why a silence cannot be set as it was asked for."""

    NO_SUCH = "no_such"
    NO_TIME = "no_time"
    PAST = "past"
    TOO_LONG = "too_long"
    NO_REASON = "no_reason"


@dataclass(frozen=True, slots=True)
class SilenceRequest:
    """A silence that can be set."""

    scope: SilenceScope
    name: str
    until: float
    reason: str
    """What the person wrote, at most 200 characters."""


def covers(silence: Silence, incident: Incident) -> bool:
    """Tell whether all of an incident lies within a silence."""
    return _is_hidden(silence.scope, silence.name, incident)


def is_touched(silence: Silence, incident: Incident) -> bool:
    """Tell whether some of an incident lies within a silence."""
    return bool(_parts_within(silence.scope, silence.name, incident))


def find_covering(
    silences: Iterable[Silence], incident: Incident, now: float
) -> tuple[Silence, ...]:
    """Return the silences that together hide an incident; none where a part lies outside."""
    held = {s: _parts_within(s.scope, s.name, incident) for s in silences if s.is_active(now)}
    if not held:
        return ()
    if set[Target]().union(*held.values()) != _parts(incident):
        return ()
    return tuple(silence for silence, parts in held.items() if parts)


def preview_hidden(
    over: SilenceScope, name: str, incidents: Iterable[Incident], since: float
) -> tuple[int, ...]:
    """Return the incidents, open at any time since an instant, that a silence would have hidden."""
    return tuple(
        incident.id
        for incident in incidents
        if (incident.resolved_at is None or incident.resolved_at >= since)
        and _is_hidden(over, name, incident)
    )


def _is_hidden(over: SilenceScope, name: str, incident: Incident) -> bool:
    return _parts_within(over, name, incident) == _parts(incident)


def _parts_within(over: SilenceScope, name: str, incident: Incident) -> set[Target]:
    """Return the parts of an incident that lie within a silence."""
    parts = _parts(incident)
    match over:
        case SilenceScope.ALL:
            return parts
        case SilenceScope.INCIDENT:
            return parts if name == str(incident.id) else set()
        case SilenceScope.TENANT:
            return {part for part in parts if name == part.owner}
        case SilenceScope.SIGNAL:
            return {part for part in parts if name in (part.name, str(part))}


def _parts(incident: Incident) -> set[Target]:
    """Return what an incident alerts of: the troubles that go on; of one that is over, all.

    A tenant without any (we are blind there) is a part of its own, which no signal's name means.
    """
    troubles = [t for t in incident.problems if not t.is_over] or incident.problems
    bare = {*incident.tenants} - {trouble.tenant for trouble in incident.problems}
    parts = {Target(t.tenant, t.signal) for t in troubles} | {Target(name, "") for name in bare}
    return parts or {Target("", "")}


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A time in which we work on tenants ourselves."""

    begins: RecurringTime | datetime
    """A naive time for one that comes once."""
    span_s: float
    """By the wall clock: 02:00 to 04:00 is an hour longer or shorter when the clocks are changed.
    Not longer than it takes to recur."""
    zone: str
    tenants: tuple[str, ...] = ()
    """Empty: all."""
    reason: str = ""

    def bounds(self, now: float) -> list[tuple[float, float]]:
        """Return when it begins and ends: the last time up to now, and the next."""
        if isinstance(self.begins, datetime):
            begins = [self.begins]
        else:
            near = (self.begins.last(now, self.zone), self.begins.next(now, self.zone))
            begins = [datetime.combine(each.day, self.begins.at) for each in near]
        span = timedelta(seconds=self.span_s)
        return [(to_instant(at, self.zone), to_instant(at + span, self.zone)) for at in begins]


def is_in_maintenance(window: MaintenanceWindow, tenant: str, now: float) -> bool:
    """Tell whether a tenant is being worked on."""
    is_meant = not window.tenants or tenant in window.tenants
    return is_meant and any(begin <= now < end for begin, end in window.bounds(now))


def next_window_change(windows: Iterable[MaintenanceWindow], now: float) -> float | None:
    """Return when the next window begins or ends."""
    changes = (at for window in windows for bounds in window.bounds(now) for at in bounds)
    return min((at for at in changes if at > now), default=None)
