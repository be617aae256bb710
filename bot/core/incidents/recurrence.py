"""What fails again or still: who resolved it, or knows that it comes and goes, is not called anew.

After a resolution by hand no new incident opens until that has recovered. Calls for what comes and
goes are damped.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from bot.core.model.observation import Target
from bot.core.state.incident import Damping, Incident, IncidentKind
from bot.core.state.problem import Impact
from bot.core.triage.context import measure_impact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

STICKY_RESOLVE_S = 3600.0
"""What still fails so long after a person resolved it opens a new incident."""
MOVING_S = 600.0
"""Signals that begin to fail so soon after that belong to the same outage."""
NO_DATA = "blind"
"""Stands in place of a signal for a tenant without data; old databases have this word."""


def find_failing(incident: Incident, tenants: Tenants) -> tuple[Target, ...]:
    """Return what still fails of an incident."""
    if incident.kind is IncidentKind.SOURCE_NO_DATA:
        return tuple(problem.target for problem in incident.problems)
    known = (name for name in incident.tenants if name in tenants.states)
    return tuple(each for name in known for each in sorted(_failing_at_tenant(tenants, name)))


def update_sticky_resolve(
    state: DeskState, tenant: str, now: float, tenants: Tenants, rules: Rules
) -> tuple[DeskState, bool]:
    """Forget what has recovered; tell whether a person resolved all that fires at a tenant.

    Other signals of the same outage move, and belong to it; what is worse than the person knew
    does not.
    """
    if not any(incident.life.still_failing for incident in state.incidents.values()):
        return state, False
    failing = _failing_at_tenant(tenants, tenant)
    metrics = tenants.states[tenant].metrics.items()
    ongoing = failing | {Target(tenant, n) for n, m in metrics if m.no_data_since is not None}
    impact, is_another = measure_impact(tenant, tenants, rules, is_certain=True), False
    for incident in state.incidents.values():
        resolution = incident.life.resolved
        if resolution is None:
            continue
        sticky = resolution.still_failing
        known = incident.notification.known
        still = tuple(one for one in sticky if one in ongoing or one.owner != tenant)
        if any(one.owner == tenant for one in still):
            if now - resolution.at < MOVING_S:
                still = tuple(dict.fromkeys((*still, *sorted(failing))))
            left = known.impacts.get(tenant, Impact.NONE) if known else Impact.NONE
            is_another |= impact.is_another_than(left)
        if still != sticky:
            life = replace(incident.life, resolved=replace(resolution, still_failing=still))
            state = state.with_incident(replace(incident, life=life))
    return state, bool(failing) and not is_another and is_sticky_resolved(state, failing, now)


def is_quiet_over(incident: Incident, now: float) -> bool:
    """Tell whether an incident was resolved by hand so long ago that it stays quiet no longer."""
    resolved_at = incident.life.resolved_at
    return resolved_at is not None and now - resolved_at >= STICKY_RESOLVE_S


def is_sticky_resolved(state: DeskState, failing: set[Target], now: float) -> bool:
    """Tell whether people resolved all of this within `STICKY_RESOLVE_S`."""
    sticky = {
        one
        for incident in state.incidents.values()
        if not is_quiet_over(incident, now)
        for one in incident.life.still_failing
    }
    return failing <= sticky


def _failing_at_tenant(tenants: Tenants, tenant: str) -> set[Target]:
    state = tenants.states[tenant]
    no_data = {NO_DATA} if state.no_data_since is not None else set()
    return {Target(tenant, name) for name in state.alerting_signals | no_data}


HOUR_S = 3600.0
MAX_RETURNS = ((3, HOUR_S), (4, 3 * HOUR_S))
"""So many returns within such a time: it comes and goes."""
DAMPED_CALL_EVERY_S = HOUR_S
MIN_GOOD_S = 1800.0
"""Damping is over after so long without a failure …"""
GOOD_FACTOR = 2.0
"""… and after so many times the longest time without one so far."""


def damp_if_flapping(
    incidents: Iterable[Incident], tenants: Iterable[str], now: float
) -> Damping | None:
    """Return the damping for tenants that fail again now, if they come and go.

    A return counts, in the same incident or as one of its own, if people were called for what it
    comes back from.
    """
    related = [
        incident
        for incident in incidents
        if incident.kind is IncidentKind.FAILING
        and incident.life.merged_into is None
        and incident.notification.called_at is not None
        and not {*tenants}.isdisjoint(incident.tenants)
        and (
            # Else the damping is over: it has not failed for long enough.
            incident.notification.damping is None
            or now - (incident.life.resolved_at or now) <= quiet_s(incident.notification.damping)
        )
    ]
    begins = sorted(at for i in related for at in (i.life.opened_at, *i.life.returned_at))
    longest_s = MAX_RETURNS[-1][1]
    returns = [b for a, b in pairwise((*begins, now)) if b - a <= longest_s and b > a]
    if not any(sum(now - at <= span_s for at in returns) >= count for count, span_s in MAX_RETURNS):
        return None
    ended = [span.until for i in related for span in i.life.past]
    ended += [i.life.resolved_at for i in related if i.life.resolved_at is not None]
    good = [at - max((e for e in ended if e < at), default=at) for at in returns]
    return Damping(now, max(good))


def quiet_s(damping: Damping | None) -> float:
    """Return how long it must not fail until the damping is over."""
    if damping is None:
        return 0.0
    return max(MIN_GOOD_S, GOOD_FACTOR * damping.longest_good_s)
