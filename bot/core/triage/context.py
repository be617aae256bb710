"""What triage judges: some tenants and the state of everything now, and how badly each does."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import log
from typing import TYPE_CHECKING

from bot.core.auth0_logs.events import RowKind
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import (
    FRESH_S,
    EvidenceValue,
    SignalState,
)
from bot.core.signals.metric_threshold import DOWN_READINGS
from bot.core.signals.probe_threshold import Reason, has_met_threshold
from bot.core.state.problem import Impact, Known
from bot.core.state.silence import is_window_active

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.observation import Fault
    from bot.core.signals.metric_threshold import MetricState
    from bot.core.signals.probe_threshold import ProbeLimits, ProbeState
    from bot.core.state.incident import Incident
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import SharedSignals, Tenants

DOWN_SHARE = 0.5
"""From this share of failed logins on, logins count as down, below as degraded."""
CALM_TRIES = 2
"""So many good answers in a row of each failing probe: it pauses, or it ends."""
RECENTLY_ENDED_S = 600.0
"""How long a problem that ended still counts as evidence at other tenants."""


@dataclass(frozen=True)
class TriageContext:
    """What triage judges: the tenants in question, and the state of everything now."""

    tenants: tuple[str, ...]
    all_tenants: Tenants
    shared: SharedSignals
    rules: Rules
    now: float
    since: float
    """When the first failing request began."""
    silenced: frozenset[str] = frozenset()
    """Tenants that people have silenced."""

    @cached_property
    def members(self) -> frozenset[str]:
        """The tenants in question, to look a name up: in a storm they are hundreds."""
        return frozenset(self.tenants)

    @cached_property
    def found_kinds(self) -> dict[str, set[str]]:
        """By tenant, in which ways it fails, once `failure_kinds` was asked."""
        return {}

    def is_worked_on(self, tenant: str) -> bool:
        """Tell whether people work on a tenant, so that its failures may be theirs."""
        windows = self.rules.maintenance_windows
        is_in_window = any(is_window_active(window, tenant, self.now) for window in windows)
        return tenant in self.silenced or is_in_window

    def environment(self, tenant: str) -> str | None:
        """Return a tenant's environment, if it is known."""
        return self.all_tenants.environment(tenant, self.rules)

    def logins(self, tenant: str) -> list[ProbeState]:
        """Return the signals of a tenant's logins by its canonical domain."""
        probes = self.all_tenants.states[tenant].probes
        return [probes[login] for login in self.rules.tenants[tenant].logins]


def is_signal_healthy(signal: ProbeState, now: float) -> bool:
    """Tell whether a signal is known to be healthy now, and has been for a while.

    Slow answers are no sign of health.
    """
    return (
        signal.state is SignalState.OK
        and signal.last_ok_at is not None
        and now - signal.last_ok_at < FRESH_S
        and not has_just_recovered(signal, now)
        and not signal.latency.is_slowing
    )


def has_just_recovered(signal: ProbeState, now: float) -> bool:
    """In a partial outage a signal comes and goes; that must not turn the verdict each time."""
    return signal.ended_at is not None and now - signal.ended_at < RECENTLY_ENDED_S


def find_fault(signal: ProbeState, context: TriageContext) -> Fault | None:
    """Return the fault by which a signal fails, or failed a moment ago, in this problem.

    In a partial outage it comes and goes; and what recovers first failed all the same.
    """
    if signal.faults:
        return signal.most_frequent_fault
    has_failed = has_just_recovered(signal, context.now) and (signal.ended_at or 0) > context.since
    return signal.last_fault if has_failed else None


def has_failed(signal: ProbeState, context: TriageContext) -> bool:
    """Tell whether a signal fails, or did a moment ago in this problem; once is not enough."""
    return signal.is_failing or (not signal.faults and find_fault(signal, context) is not None)


def weigh_successes(count: float, share: float) -> float:
    """Return how much likelier so many successes are where nothing fails than where a share does.

    One success proves little where only a part of the requests fails.
    """
    return -count * log(1 - min(share, MOST_FAILING))


SPOKEN = 1.5
"""From this log-likelihood ratio on successes, or answers of a control endpoint, say something."""
MOST_FAILING = 0.99


def is_down(context: TriageContext, tenant: str) -> bool:
    """Tell whether most of a tenant's logins fail, and not only a part."""
    logins = context.logins(tenant)
    return any(login.is_failing and login.failed_share >= DOWN_SHARE for login in logins)


def is_calm(context: TriageContext) -> bool:
    """Tell whether all that failed works just now: it pauses, or it ends, one thing before another.

    What is still bad then only waits for its next try.
    """
    states = [context.all_tenants.states[name] for name in context.tenants]
    probes = [probe for state in states for probe in state.probes.values()]
    slow = [probe.latency for probe in probes if probe.latency.is_slow]
    return not (
        any(p.is_failing and p.successes_in_a_row < CALM_TRIES for p in probes)
        or any(each > s.limit_s for s in slow for each in s.recent[-CALM_TRIES:])
        or any(m.is_firing and m.reading.reason for s in states for m in s.metrics.values())
        or any(monitor.firing for state in states for monitor in state.monitors.values())
    )


def is_user_failure(metric: MetricState) -> bool:
    """Tell whether a metric shows that users fail, not that they stay away."""
    return metric.is_firing and metric.reason in {Reason.SHARE, Reason.EVENTS}


def is_stale(metric: MetricState, context: TriageContext) -> bool:
    """Tell whether the newest counts of a metric are too old to tell of now."""
    return context.now - (metric.read_at or 0.0) > FRESH_S


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that matches, with its values. None of them is text from outside."""

    rule_id: str
    values: dict[str, EvidenceValue] = field(default_factory=dict)
    strength: float = 1.0
    """How much there is of it, above 0 to 1: counts may say it clearly or hardly."""


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
