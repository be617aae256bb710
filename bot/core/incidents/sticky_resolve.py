"""What a person resolved although it still failed: it opens nothing new before it has been well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents.lifecycle import firing_signals
from bot.core.state.incident import IncidentKind

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState
    from bot.core.state.incident import Incident
    from bot.core.state.stimulus import Tenants

STICKY_RESOLVE_S = 3600.0
"""What still fails so long after it was resolved by hand is told anew."""
NO_DATA = "blind"
"""Stands for a tenant that cannot be seen."""


def failing_signal_ids(incident: Incident, world: Tenants) -> tuple[str, ...]:
    """Return what still fails (`tenant.signal`) of an incident."""
    if incident.kind is IncidentKind.SOURCE_NO_DATA:
        return tuple(f"{trouble.tenant}.{trouble.signal}" for trouble in incident.problems)
    known = (name for name in incident.tenants if name in world.states)
    return tuple(each for name in known for each in sorted(_failing_at_tenant(world, name)))


def update_sticky_resolve(
    state: DeskState, tenant: str, now: float, world: Tenants
) -> tuple[DeskState, bool]:
    """Forget what is well again; tell whether a person left all that fires at a tenant."""
    fires = _failing_at_tenant(world, tenant)
    ails = fires | _no_data_at_tenant(world, tenant)
    for incident in state.incidents.values():
        still = tuple(
            one for one in incident.sticky_resolve if one in ails or not _belongs_to(one, tenant)
        )
        if still != incident.sticky_resolve:
            state = state.with_incident(replace(incident, sticky_resolve=still))
    return state, bool(fires) and is_sticky_resolved(state, fires, now)


def is_sticky_resolved(state: DeskState, ails: set[str], now: float) -> bool:
    """Tell whether people left all of this (`tenant.signal`) as it is, lately."""
    lately = (
        i for i in state.incidents.values() if now - (i.resolved_at or now) < STICKY_RESOLVE_S
    )
    return ails <= {one for incident in lately for one in incident.sticky_resolve}


def _failing_at_tenant(world: Tenants, tenant: str) -> set[str]:
    state = world.states[tenant]
    blind = {NO_DATA} if state.no_data_since is not None else set()
    return {f"{tenant}.{name}" for name in firing_signals(state) | blind}


def _no_data_at_tenant(world: Tenants, tenant: str) -> set[str]:
    series = world.states[tenant].metrics.items()
    return {f"{tenant}.{name}" for name, one in series if one.no_data_since is not None}


def _belongs_to(left: str, tenant: str) -> bool:
    return left.startswith(f"{tenant}.")
