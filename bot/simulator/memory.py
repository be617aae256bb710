"""A store that forgets with its process: for simulations, where nothing may cost time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.state.desk import INCIDENT_RETENTION_S
from bot.ports import Snapshot

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Delivery
    from bot.core.state.tenant import TenantState
    from bot.ports import Change, InboxItem


class MemoryStore:
    """The `Store` port over plain dictionaries. Keeps the values themselves: they never change."""

    def __init__(self) -> None:
        self._tenants: dict[str, TenantState] = {}
        self._desk: DeskState | None = None
        self._incidents: dict[int, Incident] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._inbox: dict[str, InboxItem] = {}
        self._known: set[str] = set()

    async def load(self, now: float) -> Snapshot:
        """Return what was committed; incidents that ended long ago are left out."""
        recent = {
            number: incident
            for number, incident in self._incidents.items()
            if incident.resolved_at is None or incident.resolved_at > now - INCIDENT_RETENTION_S
        }
        return Snapshot(
            tenants=dict(self._tenants),
            desk=replace(self._desk, incidents=recent) if self._desk else None,
            deliveries=dict(self._deliveries),
            inbox_items=tuple(sorted(self._inbox.values(), key=lambda r: (r.at, r.id))),
        )

    async def commit(self, change: Change) -> None:
        """Take over a change."""
        self._tenants.update(change.tenants)
        self._desk = change.desk or self._desk
        self._incidents.update(change.incidents)
        for key, delivery in change.deliveries.items():
            if delivery.is_done:
                self._deliveries.pop(key, None)
            else:
                self._deliveries[key] = delivery
        for received in change.inbox_items:
            if received.id not in self._known:
                self._known.add(received.id)
                self._inbox[received.id] = received
        for received_id in change.handled_ids:
            self._inbox.pop(received_id, None)

    async def has_received(self, received_id: str) -> bool:
        """Tell whether something with this id was committed before, handled or not."""
        return received_id in self._known
