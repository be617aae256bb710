"""The signals of an incident that are in trouble, in figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Problem
from bot.core.triage.context import is_signal_failing, most_frequent_fault
from bot.core.triage.from_users import is_metric_firing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.measurement import MetricKind
    from bot.core.signals.external_alerts import Monitor
    from bot.core.signals.latency import LatencyBaseline
    from bot.core.signals.metric_threshold import MetricState
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.triage.context import TriageContext


def count_failing_signals(case: TriageContext) -> int:
    """Count the signals in trouble, over all tenants: two are more than one probe's whim."""
    return sum(
        sum(is_signal_failing(signal) for signal in state.probes.values())
        + sum(is_metric_firing(series) for series in state.metrics.values())
        + sum(bool(monitor.firing) for monitor in state.monitors.values())
        for state in case.all_tenants.states.values()
    )


def update_problems(before: tuple[Problem, ...], case: TriageContext) -> tuple[Problem, ...]:
    """Return the signals in trouble, in figures; those that were and are over stay listed."""
    now_firing = {
        (t.tenant, t.signal): t for name in case.tenants for t in _firing_problems(case, name)
    }
    over = {
        (t.tenant, t.signal): replace(t, is_over=True, is_stopped=False)
        for t in before
        if (t.tenant, t.signal) not in now_firing
    }
    known = [(t.tenant, t.signal) for t in before]
    order = dict.fromkeys((*known, *now_firing))
    return tuple({**over, **now_firing}[key] for key in order)


def _firing_problems(case: TriageContext, name: str) -> Iterator[Problem]:
    state = case.all_tenants.states[name]
    for signal_name, signal in state.probes.items():
        if is_signal_failing(signal):
            yield _probe_problem(name, signal_name, signal)
        elif signal.latency.is_slow:
            yield _latency_problem(name, signal_name, signal.latency)
    for signal_name, series in state.metrics.items():
        if is_metric_firing(series):
            counted = case.rules.tenants[name].metrics[signal_name].kind
            yield _metric_problem(name, signal_name, series, counted)
    for signal_name, monitor in state.monitors.items():
        if monitor.firing:
            yield _external_alert_problem(name, signal_name, monitor)


def _latency_problem(tenant: str, name: str, tempo: LatencyBaseline) -> Problem:
    return Problem(
        tenant=tenant,
        signal=name,
        since=tempo.since or 0.0,
        failed=sum(each > tempo.limit_s for each in tempo.recent),
        tries=len(tempo.recent),
        reason=Reason.SLOW,
        baseline=tempo.median_s,
        span_s=tempo.recent_median_s,
    )


def _metric_problem(tenant: str, name: str, series: MetricState, counted: MetricKind) -> Problem:
    reading = series.reading
    usual = reading.expected_failures if series.baseline.is_known else None
    return Problem(
        tenant=tenant,
        signal=name,
        since=series.since or 0.0,
        failed=round(reading.failed),
        tries=round(reading.total or 0.0),
        source=counted,
        reason=series.reason,
        baseline=reading.expected_successes if series.reason is Reason.SUCCESSES_MISSING else usual,
        span_s=reading.span_s,
        no_data_reason=series.no_data_reason,
        link=series.recent[-1].link if series.recent else "",
    )


def _external_alert_problem(tenant: str, name: str, monitor: Monitor) -> Problem:
    newest = monitor.firing[-1]
    return Problem(
        tenant=tenant,
        signal=name,
        since=monitor.since or 0.0,
        failed=len(monitor.firing),
        tries=0,
        reason=Reason.EXTERNAL_ALERT,
        title=newest.title,
        link=newest.link,
    )


def _probe_problem(tenant: str, name: str, signal: ProbeState) -> Problem:
    return Problem(
        tenant=tenant,
        signal=name,
        since=signal.since or 0.0,
        failed=len(signal.faults),
        tries=len(signal.tries),
        fault=most_frequent_fault(signal),
        is_stopped=signal.is_stopped,
    )
