"""All that is remembered beside the tenants' own states."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bot.core.incident import Incident, Kind
from bot.core.outside import Outside
from bot.core.run import RunInProgress
from bot.core.stimulus import Effect


@dataclass(frozen=True, slots=True)
class DeskState:
    """All that is remembered beside the tenants' own states."""

    incidents: dict[int, Incident] = field(default_factory=dict)
    next_id: int = 1
    outside: Outside = field(default_factory=Outside)
    due: dict[str, float] = field(default_factory=dict)
    """When each control and feed is looked at next, by the target's name."""
    asked_at: float = float("-1e9")
    """When the neutral hosts were last asked out of turn."""
    runs: dict[str, RunInProgress] = field(default_factory=dict)

    @property
    def open_incidents(self) -> list[Incident]:
        """All that are not resolved, oldest first."""
        return [incident for incident in self.incidents.values() if incident.is_open]

    @property
    def open_troubles(self) -> list[Incident]:
        """Those of them in which something fails, or we are blind."""
        return [i for i in self.open_incidents if i.kind is not Kind.SILENT]

    def with_incident(self, incident: Incident) -> DeskState:
        """Return it with an incident added or changed."""
        return replace(self, incidents={**self.incidents, incident.id: incident})


Stepped = tuple[DeskState, list[Effect]]
