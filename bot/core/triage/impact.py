"""Measures how badly tenants do, signal by signal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.signals.probe_threshold import has_met_threshold
from bot.core.state.known import Impact, Known
from bot.core.triage.context import DOWN_SHARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.signals.probe_threshold import ProbeLimits, ProbeState
    from bot.core.state.incident import Incident
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

MOST_SHARE = 0.8
"""From this share on nearly all logins fail. A window of 20 tries reaches it in a half outage about
once in 170 times."""


def measure_known(incident: Incident, tenants: Tenants, rules: Rules) -> Known:
    """Return what is known of an incident now; tenants that are well are left out."""
    impacts = {name: measure_impact(name, tenants, rules) for name in incident.tenants}
    return Known(incident.severity, {name: impact for name, impact in impacts.items() if impact})


def measure_impact(name: str, tenants: Tenants, rules: Rules) -> Impact:
    """Return how badly one tenant does: only failing logins are more than a part."""
    if name not in tenants.states or name not in rules.tenants:
        return Impact.NONE
    return max(_signal_impacts(name, tenants, rules), default=Impact.NONE)


def _signal_impacts(name: str, tenants: Tenants, rules: Rules) -> Iterator[Impact]:
    state, tenant = tenants.states[name], rules.tenants[name]
    for signal, probe in state.probes.items():
        impact = _probe_impact(probe, tenant.limits_of(signal))
        yield impact if signal in tenant.logins else min(impact, Impact.PART)
    if any(metric.is_firing for metric in state.metrics.values()):
        yield Impact.PART
    if any(monitor.firing for monitor in state.monitors.values()):
        yield Impact.PART


def _probe_impact(probe: ProbeState, limits: ProbeLimits) -> Impact:
    if not has_met_threshold(probe, limits):
        return Impact.SLOW if probe.latency.is_slow else Impact.NONE
    if len(probe.faults) == limits.window:
        return Impact.ALL
    if probe.failed_share >= MOST_SHARE:
        return Impact.MOST
    return Impact.DOWN if probe.failed_share >= DOWN_SHARE else Impact.PART


def is_unbroken(name: str, tenants: Tenants, rules: Rules, span_s: float, now: float) -> bool:
    """Tell whether every try of one of a tenant's logins failed for so long, up to now."""
    logins = (tenants.states[name].probes[login] for login in rules.tenants[name].logins)
    return any(
        login.since is not None
        and bool(login.tries)
        and login.tries[-1].fault is not None
        and now - max(login.since, login.last_ok_at or 0.0) >= span_s
        for login in logins
    )
