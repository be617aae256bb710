"""Measures how badly tenants do, signal by signal."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bot.core.auth0_logs.events import RowKind
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import SignalState
from bot.core.signals.metric_threshold import DOWN_READINGS
from bot.core.signals.probe_threshold import has_met_threshold
from bot.core.state.problem import Impact, Known
from bot.core.triage.context import DOWN_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.signals.probe_threshold import ProbeLimits, ProbeState
    from bot.core.state.incident import Incident
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

MISTAKES = frozenset({RowKind.USER, RowKind.PROTECTION})
"""Rows of users' own mistakes, and of attacks."""
MOST_SHARE, MOST_OF_WINDOW = 0.8, 0.7
"""From this share on nearly all logins fail: of a few tries, and of a whole window. Of a half
outage one window of 20 tries in 17 shows that many."""


MANY_MINUTES, MANY_TRIES, HALF_SHARE = 10, 40, 0.6
"""Of a half outage one in ten shows a greater share in so many tries."""


def measure_known(
    incident: Incident, tenants: Tenants, rules: Rules, *, is_certain: bool = False
) -> Known:
    """Return what is known of an incident now; tenants that are well are left out.

    What was known is measured generously. What is worse than that must be certain: a few tries
    after a lucky run are no sign that half of the logins fail where fewer did.
    """
    impacts = {
        name: measure_impact(name, tenants, rules, is_certain=is_certain)
        for name in incident.tenants
    }
    return Known(incident.severity, {name: impact for name, impact in impacts.items() if impact})


def measure_impact(
    name: str, tenants: Tenants, rules: Rules, *, is_certain: bool = False
) -> Impact:
    """Return how badly one tenant does: more than a part only if logins fail, or users do."""
    if name not in tenants.states or name not in rules.tenants:
        return Impact.NONE
    # In a storm each step asks this of hundreds of tenants, of which it has changed one.
    measured, limits = tenants.states[name].measured, rules.tenants[name]
    by, impact = measured.get(f"impact {is_certain}", (None, None))
    if by is limits and isinstance(impact, Impact):
        return impact
    found = _signal_impacts(name, tenants, rules, is_certain=is_certain)
    impact = max(found, default=Impact.NONE)
    measured[f"impact {is_certain}"] = limits, impact
    return impact


def _signal_impacts(
    name: str, tenants: Tenants, rules: Rules, *, is_certain: bool
) -> Iterator[Impact]:
    state, tenant = tenants.states[name], rules.tenants[name]
    for signal, probe in state.probes.items():
        impact = _probe_impact(probe, tenant.limits_of(signal), is_certain=is_certain)
        yield impact if signal in tenant.logins else min(impact, Impact.PART)
    if any(metric.is_firing for metric in state.metrics.values()):
        yield Impact.DOWN if are_users_down(name, tenants, rules) else Impact.PART
    if any(monitor.firing for monitor in state.monitors.values()):
        yield Impact.PART


def are_users_down(name: str, tenants: Tenants, rules: Rules) -> bool:
    """Tell whether real users cannot log in, whatever the synthetic login says.

    An application cannot tell its users' own mistakes and what attack protection refused; the
    tenant's log can, and so many of its failures are left out.
    """
    metrics, limits = tenants.states[name].metrics, rules.tenants[name].metrics
    mistakes_per_s = 0.0
    for signal, metric in metrics.items():
        if limits[signal].kind is MetricKind.LOGS and not metric.no_data_reason:
            mistakes = sum(group.count for group in metric.groups if group.kind in MISTAKES)
            mistakes_per_s += mistakes / (sum(each.span_s for each in metric.recent) or 1.0)
    return any(
        metric.is_firing
        and metric.down_in_a_row >= DOWN_READINGS
        and (
            metric.reading.is_away
            or metric.reading.is_down(
                0.0
                if limits[signal].kind is MetricKind.LOGS  # it has left them out
                else mistakes_per_s * metric.reading.span_s
            )
        )
        for signal, metric in metrics.items()
    )


def _probe_impact(probe: ProbeState, limits: ProbeLimits, *, is_certain: bool) -> Impact:
    if not has_met_threshold(probe, limits):
        return Impact.SLOW if probe.latency.is_slow else Impact.NONE
    is_whole = len(probe.tries) == limits.window
    if len(probe.faults) == limits.window:
        return Impact.ALL
    if probe.failed_share >= (MOST_OF_WINDOW if is_whole else MOST_SHARE):
        return Impact.MOST
    if is_certain:
        is_down = is_whole and len(probe.faults) >= DOWN_SHARE * limits.window
    else:
        is_down = probe.failed_share >= DOWN_SHARE
    return Impact.DOWN if is_down else Impact.PART


def is_mixed(name: str, tenants: Tenants, rules: Rules) -> bool:
    """Tell whether the last try of one of a tenant's failing logins succeeded."""
    logins = (tenants.states[name].probes[login] for login in rules.tenants[name].logins)
    return any(login.tries and login.tries[-1].fault is None for login in logins)


def are_logins_well(name: str, tenants: Tenants, rules: Rules) -> bool:
    """Tell whether a tenant can be checked, and none of its logins has a problem."""
    state = tenants.states[name]
    logins = (state.probes[login] for login in rules.tenants[name].logins)
    return state.no_data_since is None and all(each.state is SignalState.OK for each in logins)


def is_about_half(name: str, tenants: Tenants, rules: Rules) -> bool:
    """Tell whether of a tenant's many logins of the last minutes about half failed, or fewer.

    An outage of all that just ends is no such thing: a failure must have followed a success.
    """
    minutes = tenants.states[name].recent_logins[-MANY_MINUTES:]
    tries = sum(minute.tries for minute in minutes)
    failed = sum(minute.failed for minute in minutes)
    logins = (tenants.states[name].probes[login] for login in rules.tenants[name].logins)
    is_to_and_fro = any(
        earlier.fault is None and later.fault is not None
        for login in logins
        for earlier, later in pairwise(login.tries)
    )
    return is_to_and_fro and tries >= MANY_TRIES and failed <= HALF_SHARE * tries


def unbroken_since(name: str, tenants: Tenants, rules: Rules) -> float | None:
    """Return since when every try of one of a tenant's logins has failed; None: of none."""
    logins = (tenants.states[name].probes[login] for login in rules.tenants[name].logins)
    begins = (
        max(login.since, login.last_ok_at or 0.0)
        for login in logins
        if login.since is not None and login.tries and login.tries[-1].fault is not None
    )
    return min(begins, default=None)
