"""A store that forgets with its process: for simulations, where nothing may cost time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.desk import REMEMBERED_S
from bot.ports import Snapshot

if TYPE_CHECKING:
    from bot.core.desk_state import DeskState
    from bot.core.incident import Incident
    from bot.core.outbox import Delivery
    from bot.core.request import Request
    from bot.core.tenant import TenantState
    from bot.ports import Change


class MemoryStore:
    """The `Store` port over plain dictionaries. Keeps the values themselves: they never change."""

    def __init__(self) -> None:
        self._tenants: dict[str, TenantState] = {}
        self._desk: DeskState | None = None
        self._incidents: dict[int, Incident] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._requests: dict[str, Request] = {}
        self._known: set[str] = set()

    async def load(self, now: float) -> Snapshot:
        """Return what was committed; incidents that ended long ago are left out."""
        recent = {
            number: incident
            for number, incident in self._incidents.items()
            if incident.resolved_at is None or incident.resolved_at > now - REMEMBERED_S
        }
        return Snapshot(
            tenants=dict(self._tenants),
            desk=replace(self._desk, incidents=recent) if self._desk else None,
            deliveries=dict(self._deliveries),
            requests=tuple(sorted(self._requests.values(), key=lambda r: (r.at, r.id))),
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
        for request in change.requests:
            if request.id not in self._known:
                self._known.add(request.id)
                self._requests[request.id] = request
        for request_id in change.handled:
            self._requests.pop(request_id, None)

    async def knows(self, request_id: str) -> bool:
        """Tell whether a request was committed before, handled or not."""
        return request_id in self._known
