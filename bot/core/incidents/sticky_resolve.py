"""What a person resolved although it still failed: it opens nothing new before it has been well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents.lifecycle import firing
from bot.core.state.incident import Kind

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState
    from bot.core.state.incident import Incident
    from bot.core.state.stimulus import World

LEFT_S = 3600.0
"""What still fails so long after it was resolved by hand is told anew."""
BLIND = "blind"
"""Stands for a tenant that cannot be seen."""


def ailing(incident: Incident, world: World) -> tuple[str, ...]:
    """Return what still fails (`tenant.signal`) of an incident."""
    if incident.kind is Kind.SILENT:
        return tuple(f"{trouble.tenant}.{trouble.signal}" for trouble in incident.troubles)
    known = (name for name in incident.tenants if name in world.tenants)
    return tuple(each for name in known for each in sorted(_failing(world, name)))


def looked_after(state: DeskState, tenant: str, now: float, world: World) -> tuple[DeskState, bool]:
    """Forget what is well again; tell whether a person left all that fires at a tenant."""
    fires = _failing(world, tenant)
    ails = fires | _silent(world, tenant)
    for incident in state.incidents.values():
        still = tuple(one for one in incident.left if one in ails or not _is_of(one, tenant))
        if still != incident.left:
            state = state.with_incident(replace(incident, left=still))
    return state, bool(fires) and is_left(state, fires, now)


def is_left(state: DeskState, ails: set[str], now: float) -> bool:
    """Tell whether people left all of this (`tenant.signal`) as it is, lately."""
    lately = (i for i in state.incidents.values() if now - (i.resolved_at or now) < LEFT_S)
    return ails <= {one for incident in lately for one in incident.left}


def _failing(world: World, tenant: str) -> set[str]:
    state = world.tenants[tenant]
    blind = {BLIND} if state.blind_since is not None else set()
    return {f"{tenant}.{name}" for name in firing(state) | blind}


def _silent(world: World, tenant: str) -> set[str]:
    series = world.tenants[tenant].series.items()
    return {f"{tenant}.{name}" for name, one in series if one.silent_since is not None}


def _is_of(left: str, tenant: str) -> bool:
    return left.startswith(f"{tenant}.")
