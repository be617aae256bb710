"""A store in memory, for simulations: it costs no time and ends with the process."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.state.desk import INCIDENT_RETENTION_S
from bot.core.state.outbox import DOUBLES_S
from bot.ports import Snapshot, Unfinished

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Delivery
    from bot.core.state.tenant import TenantState
    from bot.ports import Change, InboxItem


class MemoryStore:
    """The `Store` port over dictionaries. It keeps the values themselves: they are immutable."""

    def __init__(self) -> None:
        self._tenants: dict[str, TenantState] = {}
        self._desk: DeskState | None = None
        self._incidents: dict[int, Incident] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._inbox: dict[str, InboxItem] = {}
        self._known: set[str] = set()
        self._is_unsaved = False

    async def load(self, now: float) -> Snapshot:
        """Return what was committed, without incidents that ended long ago."""
        recent = {
            number: incident
            for number, incident in self._incidents.items()
            if incident.life.resolved_at is None
            or incident.life.resolved_at > now - INCIDENT_RETENTION_S
        }
        return Snapshot(
            tenants=dict(self._tenants),
            desk=replace(self._desk, incidents=recent) if self._desk else None,
            deliveries={
                key: delivery
                for key, delivery in self._deliveries.items()
                if not delivery.is_done or delivery.created_at > now - DOUBLES_S
            },
            inbox_items=tuple(sorted(self._inbox.values(), key=lambda r: (r.at, r.id))),
            was_unsaved=self._is_unsaved,
        )

    async def commit(self, change: Change) -> None:
        """Apply a change."""
        self._tenants.update(change.tenants)
        self._desk = change.desk or self._desk
        self._incidents.update(change.incidents)
        for key, delivery in change.deliveries.items():
            if delivery.is_done and not delivery.may_be_double:
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
        """Tell whether an inbox item with this id was committed before, handled or not."""
        return received_id in self._known

    async def read_unfinished(self) -> Unfinished:
        """Return the open incidents, and the deliveries that are not done."""
        still_open = tuple(each for each in self._incidents.values() if each.is_open)
        waiting = (each for each in self._deliveries.values() if not each.is_done)
        return Unfinished(still_open, tuple(waiting))

    async def read_past_incidents(self, after: int) -> tuple[Incident, ...]:
        """Return all resolved incidents after this number."""
        past = (each for each in self._incidents.values() if not each.is_open and each.id > after)
        return tuple(sorted(past, key=lambda each: each.id))

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        """Note it for the next engine."""
        self._is_unsaved = is_unsaved

    def may_send(self, *, is_urgent: bool) -> bool:  # noqa: ARG002 - the port has it
        """Nobody else has this memory."""
        return True
