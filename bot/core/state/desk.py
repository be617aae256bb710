"""The state that is shared by all tenants."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bot.core.model.access import AuditEntry
from bot.core.model.wall_clock import WEEK_S
from bot.core.oncall import OnCallSource, Override, Shift, Shifts
from bot.core.state.incident import Incident, IncidentKind
from bot.core.state.on_demand import OnDemandCheck
from bot.core.state.rules import Rules
from bot.core.state.shared import SharedSignals
from bot.core.state.silence import Silence
from bot.core.state.stimulus import DeskEffect
from bot.core.state.tenant import Tenants

INCIDENT_RETENTION_S = WEEK_S
"""How long a resolved incident stays in the state."""


AUDIT_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the last call did not reach somebody."""

    at: float
    error: str
    """A code, or the words of a contact point's service."""


@dataclass(frozen=True, slots=True)
class DeskState:
    """The state that is shared by all tenants."""

    incidents: dict[int, Incident] = field(default_factory=dict)
    next_id: int = 1
    shared: SharedSignals = field(default_factory=SharedSignals)
    controls_due: dict[str, float] = field(default_factory=dict)
    """When each control endpoint is probed next, by its name."""
    feeds_due: dict[str, float] = field(default_factory=dict)
    """When each status feed is polled next, by its name."""
    calendar_due: float | None = None
    corroborated_at: float = float("-1e9")
    """When the control endpoints were last probed out of turn."""
    evaluated_at: float = float("-1e9")
    """When all open incidents were last evaluated."""
    evaluate_at: float | None = None
    """When they are evaluated next, if that was deferred."""
    checks: dict[str, OnDemandCheck] = field(default_factory=dict)
    silences: dict[int, Silence] = field(default_factory=dict)
    """The active ones, and those that ended in the last seven days."""
    next_silence: int = 1
    overrides: tuple[Override, ...] = ()
    shifts: Shifts | None = None
    """The calendar as last read."""
    shift: Shift | None = None
    """The shift at the last step; its end is a hand-over."""
    audit: tuple[AuditEntry, ...] = ()
    """Recent actions of people, oldest first; the store has all of them."""
    report_at: float | None = None
    """When the next report is due."""
    reported_at: float | None = None
    """When the newest report was due."""
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """By the name of a contact point or the id of a person: it did not take the last call."""
    starts: tuple[float, ...] = ()
    """Recent starts of the process, without those that ended in good order."""

    @property
    def open_incidents(self) -> list[Incident]:
        """All unresolved incidents, oldest first."""
        return [incident for incident in self.incidents.values() if incident.is_open]

    @property
    def open_login_incidents(self) -> list[Incident]:
        """The open incidents in which a probe or a metric fails, or a tenant has no data."""
        kinds = {IncidentKind.FAILING, IncidentKind.NO_DATA}
        return [incident for incident in self.open_incidents if incident.kind in kinds]

    @property
    def active_silences(self) -> list[Silence]:
        """The silences that have not ended."""
        return [silence for silence in self.silences.values() if silence.ended_at is None]

    def on_call_source(self, rules: Rules) -> OnCallSource | None:
        """Return the source of who is on call; a calendar as last read."""
        return self.shifts if rules.calendar_every_s and self.shifts else rules.on_call

    def with_shift_over(self, now: float) -> DeskState:
        """End the remembered shift now, so that the next step determines it again."""
        return replace(self, shift=replace(self.shift, until=now)) if self.shift else self

    def with_audit_entry(self, entry: AuditEntry) -> DeskState:
        """Return the state with one more action of a person."""
        return replace(self, audit=(*self.audit, entry)[-AUDIT_SHOWN:])

    def with_incident(self, incident: Incident) -> DeskState:
        """Return the state with an incident added or replaced."""
        return replace(self, incidents={**self.incidents, incident.id: incident})


@dataclass(frozen=True, slots=True)
class BotState:
    """The whole state of the bot: what a step takes and returns."""

    tenants: Tenants
    desk: DeskState
    tenant_due: dict[str, float | None] = field(default_factory=dict)
    """When each tenant needs its next Tick; not saved, a start steps every tenant."""


StateAndEffects = tuple[DeskState, list[DeskEffect]]
