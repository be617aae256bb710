"""The firing signals of an incident, with their numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.signals.probe_threshold import Reason
from bot.core.state.problem import AlertProblem, MetricProblem, ProbeProblem, Problem, SlowProblem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.measurement import MetricKind
    from bot.core.signals.external_alerts import Monitor
    from bot.core.signals.latency import LatencyBaseline
    from bot.core.signals.metric_threshold import MetricState
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.triage.context import TriageContext


def count_failing_signals(context: TriageContext) -> int:
    """Count the failing signals of all tenants: two are more than a fault of one probe."""
    return sum(
        sum(signal.is_failing for signal in state.probes.values())
        + sum(metric.is_firing for metric in state.metrics.values())
        + sum(bool(monitor.firing) for monitor in state.monitors.values())
        for state in context.all_tenants.states.values()
    )


def update_problems(before: tuple[Problem, ...], context: TriageContext) -> tuple[Problem, ...]:
    """Return the failing signals as they are now; those that are over stay listed."""
    firing = {p.target: p for name in context.tenants for p in _firing_problems(context, name)}
    known = {p.target: p for p in before}
    for target in known.keys() - firing.keys():
        over = replace(known[target], is_over=True)
        # A login that works is no longer stopped.
        known[target] = replace(over, is_stopped=False) if isinstance(over, ProbeProblem) else over
    return tuple({**known, **firing}.values())


def _firing_problems(context: TriageContext, name: str) -> Iterator[Problem]:
    state = context.all_tenants.states[name]
    for signal_name, signal in state.probes.items():
        if signal.is_failing:
            yield _probe_problem(name, signal_name, signal)
        elif signal.latency.is_slow:
            yield _slow_problem(name, signal_name, signal.latency)
    for signal_name, metric in state.metrics.items():
        if metric.is_firing:
            kind = context.rules.tenants[name].metrics[signal_name].kind
            yield _metric_problem(name, signal_name, metric, kind)
    for signal_name, monitor in state.monitors.items():
        if monitor.firing:
            yield _alert_problem(name, signal_name, monitor)


def _slow_problem(tenant: str, name: str, latency: LatencyBaseline) -> SlowProblem:
    return SlowProblem(
        tenant=tenant,
        signal=name,
        since=latency.since or 0.0,
        slow=sum(each > latency.limit_s for each in latency.recent),
        tries=len(latency.recent),
        latency_s=latency.recent_median_s,
        usual_s=latency.median_s,
    )


def _metric_problem(tenant: str, name: str, metric: MetricState, kind: MetricKind) -> MetricProblem:
    reading = metric.reading
    baseline = reading.expected_failures if metric.baseline.is_known else None
    if metric.reason is Reason.SUCCESSES_MISSING:
        baseline = reading.expected_successes
    return MetricProblem(
        tenant=tenant,
        signal=name,
        since=metric.since or 0.0,
        source=kind,
        reason=metric.reason,
        failed=round(reading.failed),
        total=round(reading.total or 0.0),
        span_s=reading.span_s,
        baseline=baseline,
        no_data_reason=metric.no_data_reason,
        link=metric.recent[-1].link if metric.recent else "",
    )


def _alert_problem(tenant: str, name: str, monitor: Monitor) -> AlertProblem:
    newest = monitor.firing[-1]
    return AlertProblem(
        tenant=tenant,
        signal=name,
        since=monitor.since or 0.0,
        alerts=len(monitor.firing),
        title=newest.title,
        link=newest.link,
    )


def _probe_problem(tenant: str, name: str, signal: ProbeState) -> ProbeProblem:
    return ProbeProblem(
        tenant=tenant,
        signal=name,
        since=signal.since or 0.0,
        failed=len(signal.faults),
        tries=len(signal.tries),
        fault=signal.most_frequent_fault,
        is_stopped=signal.is_stopped,
    )
