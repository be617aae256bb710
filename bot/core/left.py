"""What a person resolved although it still failed: it opens nothing new before it has been well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.review import firing

if TYPE_CHECKING:
    from bot.core.desk_state import DeskState
    from bot.core.stimulus import World

LEFT_S = 3600.0
"""What still fails so long after it was resolved by hand is told anew."""


def looked_after(state: DeskState, tenant: str, now: float, world: World) -> tuple[DeskState, bool]:
    """Forget what is well again; tell whether a person left all that fires at a tenant."""
    fires = {f"{tenant}.{name}" for name in firing(world.tenants[tenant])}
    known: set[str] = set()
    for incident in state.incidents.values():
        if not incident.left:
            continue
        still = tuple(one for one in incident.left if one in fires or not _is_of(one, tenant))
        if still != incident.left:
            state = state.with_incident(replace(incident, left=still))
        if now - (incident.resolved_at or now) < LEFT_S:
            known |= set(still)
    return state, bool(fires) and fires <= known


def _is_of(left: str, tenant: str) -> bool:
    return left.startswith(f"{tenant}.")
