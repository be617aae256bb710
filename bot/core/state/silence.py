"""Silences that people set, and maintenance windows by the wall clock of their zone.

The bot still evaluates a silenced incident, but notifies nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bot.core.model.command import SilenceRefusal
from bot.core.model.observation import Target
from bot.core.model.wall_clock import DAY_S, CronTime, RecurringTime, to_instant

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.incident import Incident

MAX_SILENCE_S = 30 * DAY_S
"""Something that should be silent for longer should not be monitored."""
REASON_LENGTH = 200
EVERYTHING = "all"


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence, active or ended."""

    id: int
    about: Target | int
    """Signals, where an empty part stands for any tenant or any signal; or an incident."""
    since: float
    until: float
    by: str
    """The id of the user who set it."""
    reason: str
    suppressed: int = 0
    """How many alerts it has hidden."""
    ended_by: str = ""
    """Who ended it by hand; empty: its time ended."""
    ended_at: float | None = None

    @property
    def words(self) -> str:
        """What it covers, as people type it: `#7`, `prod`, `login`, `prod.login` or `all`."""
        if isinstance(self.about, int):
            return f"#{self.about}"
        return ".".join(filter(None, self.about)) or EVERYTHING


def refuse_end(until: float, now: float) -> SilenceRefusal | None:
    """Return why a silence cannot last until then; None: it can."""
    if until <= now:
        return SilenceRefusal.PAST
    return SilenceRefusal.TOO_LONG if until - now > MAX_SILENCE_S else None


def covers(silence: Silence, incident: Incident) -> bool:
    """Tell whether a silence covers all parts of an incident."""
    return parts_within(silence.about, incident) == _parts(incident)


def find_covering(
    silences: Iterable[Silence], incident: Incident, now: float
) -> tuple[Silence, ...]:
    """Return the active silences that together hide an incident; none if a part is not covered."""
    covered = {
        silence: parts_within(silence.about, incident)
        for silence in silences
        if silence.ended_at is None and silence.since <= now < silence.until
    }
    if not covered:
        return ()
    if set[Target]().union(*covered.values()) != _parts(incident):
        return ()
    return tuple(silence for silence, parts in covered.items() if parts)


def preview_hidden(
    about: Target | int, incidents: Iterable[Incident], since: float
) -> tuple[int, ...]:
    """Return the incidents, open at any time since an instant, that a silence would have hidden."""
    return tuple(
        incident.id
        for incident in incidents
        if (incident.life.resolved_at is None or incident.life.resolved_at >= since)
        and parts_within(about, incident) == _parts(incident)
    )


def parts_within(about: Target | int, incident: Incident) -> set[Target]:
    """Return the parts of an incident that a silence covers."""
    if isinstance(about, int):
        return _parts(incident) if about == incident.id else set()
    owner, signal = about
    return {
        part for part in _parts(incident) if owner in {"", part.owner} and signal in {"", part.name}
    }


def _parts(incident: Incident) -> set[Target]:
    """Return what an incident alerts about: the problems that go on, or all if all have ended.

    A tenant without a problem (it has no data) is a part of its own, which no signal's name covers.
    """
    problems = [p for p in incident.problems if not p.is_over] or incident.problems
    bare = {*incident.tenants} - {problem.tenant for problem in incident.problems}
    parts = {p.target for p in problems} | {Target(name, "") for name in bare}
    return parts or {Target("", "")}


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """A time in which people work on tenants."""

    begins: RecurringTime | CronTime | datetime
    """A naive time for a window that does not recur."""
    span_s: float
    """By the wall clock: 02:00 to 04:00 is an hour longer or shorter when the clocks change."""
    zone: str
    tenants: tuple[str, ...] = ()
    """Empty: all."""
    reason: str = ""

    def bounds(self, now: float) -> list[tuple[float, float]]:
        """Return when it begins and ends: the last occurrence up to now, and the next."""
        if isinstance(self.begins, datetime):
            begins = [self.begins]
        else:
            near = (self.begins.last(now, self.zone), self.begins.next(now, self.zone))
            begins = [each.wall for each in near if each]
        span = timedelta(seconds=self.span_s)
        return [(to_instant(at, self.zone), to_instant(at + span, self.zone)) for at in begins]


def is_window_active(window: MaintenanceWindow, tenant: str, now: float) -> bool:
    """Tell whether a tenant is within a maintenance window now."""
    applies = not window.tenants or tenant in window.tenants
    return applies and any(begin <= now < end for begin, end in window.bounds(now))
