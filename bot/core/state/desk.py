"""All that is remembered beside the tenants' own states."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bot.core.model.access import AuditEntry
from bot.core.model.wall_clock import WEEK_S
from bot.core.oncall.schedule import OnCallSource, Override, Shift, Shifts
from bot.core.state.incident import Incident, IncidentKind
from bot.core.state.on_demand import OnDemandCheck
from bot.core.state.rules import Rules
from bot.core.state.shared import SharedSignals
from bot.core.state.silence import Silence
from bot.core.state.stimulus import Effect

INCIDENT_RETENTION_S = WEEK_S
"""How long an incident that is over is kept at hand."""


@dataclass(frozen=True, slots=True)
class DeskState:
    """All that is remembered beside the tenants' own states."""

    incidents: dict[int, Incident] = field(default_factory=dict)
    next_id: int = 1
    shared: SharedSignals = field(default_factory=SharedSignals)
    due: dict[str, float] = field(default_factory=dict)
    """When each control and feed is looked at next, by the target's name."""
    corroborated_at: float = float("-1e9")
    """When the neutral hosts were last asked out of turn."""
    evaluated_at: float = float("-1e9")
    """When all open incidents were last looked at again."""
    evaluate_at: float | None = None
    """When that is done next, where it was put off."""
    checks: dict[str, OnDemandCheck] = field(default_factory=dict)
    silences: dict[int, Silence] = field(default_factory=dict)
    """Those that run, and those that ended in the last seven days."""
    next_silence: int = 1
    overrides: tuple[Override, ...] = ()
    shifts: Shifts | None = None
    """What the calendar said when it was last read."""
    shift: Shift | None = None
    """Whose turn it was at the last step; its end is a hand-over."""
    audit: tuple[AuditEntry, ...] = ()
    """What people did lately, oldest first; all of it is in the store."""
    report_at: float | None = None
    """When the next report is due."""

    @property
    def open_incidents(self) -> list[Incident]:
        """All that are not resolved, oldest first."""
        return [incident for incident in self.incidents.values() if incident.is_open]

    @property
    def open_login_incidents(self) -> list[Incident]:
        """Those of them in which something fails, or we are blind."""
        return [i for i in self.open_incidents if i.kind is not IncidentKind.SOURCE_NO_DATA]

    @property
    def active_silences(self) -> list[Silence]:
        """Those that did not end."""
        return [silence for silence in self.silences.values() if silence.ended_at is None]

    def on_call_source(self, rules: Rules) -> OnCallSource | None:
        """Return where it stands who is on call; of a calendar, as it was last read."""
        return self.shifts if rules.calendar_every_s and self.shifts else rules.on_call

    def with_shift_over(self, now: float) -> DeskState:
        """Return it with whose turn it is to be found out anew."""
        return replace(self, shift=replace(self.shift, until=now)) if self.shift else self

    def with_incident(self, incident: Incident) -> DeskState:
        """Return it with an incident added or changed."""
        return replace(self, incidents={**self.incidents, incident.id: incident})


StateAndEffects = tuple[DeskState, list[Effect]]
