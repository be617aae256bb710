"""Sentences about metrics and outside monitors: counts, baseline, no data. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from bot.core.model.measurement import MONITORS, SENTRY, MetricKind
from bot.core.model.observation import SignalState
from bot.core.signals.metric_threshold import (
    MetricLimits,
    MetricReading,
    MetricState,
    observe_metric,
)
from bot.core.signals.probe_threshold import Reason
from bot.core.state.problem import (
    AlertProblem,
    MetricProblem,
    NoDataProblem,
    ProbeProblem,
    Problem,
    SlowProblem,
)
from bot.slack.render.text import duration, escape, foreign_link, link, quote, signal_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from bot.core.model.measurement import Measurement

SOURCE_NAMES = {
    MetricKind.METRICS: "Prometheus",
    MetricKind.ERRORS: "Sentry",
    MetricKind.LOGS: "the tenant's log",
}
MONITOR_NAMES = {name: name.capitalize() for name in MONITORS} | {SENTRY: "Sentry's alerts"}
"""Sentry counts errors as well, under its plain name."""
METRIC_NAMES = {
    MetricKind.METRICS: "{name}'s calls to Auth0",
    MetricKind.ERRORS: "{name}'s errors",
    MetricKind.LOGS: "logins of users",
}


def metric_name(name: str, kind: MetricKind | None) -> str:
    """Name a metric, or without a kind a monitor."""
    return METRIC_NAMES[kind].format(name=name) if kind else MONITOR_NAMES.get(name, name)


def problem_name(problem: Problem) -> str:
    """Name the signal that fails."""
    match problem:
        case ProbeProblem() | SlowProblem() | NoDataProblem():
            return signal_name(problem.signal)
        case MetricProblem():
            return metric_name(problem.signal, problem.source)
        case AlertProblem():
            return metric_name(problem.signal, None)
        case _:
            assert_never(problem)


def problem_line(
    problem: SlowProblem | MetricProblem | AlertProblem, link_hosts: Collection[str]
) -> str:
    """Say in one line what a metric, a monitor or a slow login shows now."""
    name = problem_name(problem)
    match problem:
        case SlowProblem(is_over=True):
            return f"{name} as fast as usual again"
        case SlowProblem():
            return f"{name} is slow: {problem.latency_s:.1f} s, usually {problem.usual_s:.1f} s"
        case MetricProblem(is_over=True) | AlertProblem(is_over=True):
            return f"{name}: fine again"
        case AlertProblem():
            more = f" and {problem.alerts - 1} more" if problem.alerts > 1 else ""
            said = f"{name}: {quote(problem.title, 150)}{more}"
            return " · ".join(filter(None, (said, foreign_link(problem.link, link_hosts))))
        case MetricProblem():
            missing = problem.no_data_reason
            old = f" (no data now: {escape(missing)})" if missing else ""
            see = " · " + link(problem.link, "open it") if problem.link else ""
            return f"{name}: {_counts_text(problem)}{old}{see}"
        case _:
            assert_never(problem)


def _counts_text(problem: MetricProblem) -> str:
    span = duration(problem.span_s)
    verb = "succeed" if problem.reason is Reason.SUCCESSES_MISSING else "fail"
    what = f" {verb}" if problem.total else ""
    usual = "" if problem.baseline is None else f"; usually {problem.baseline:.0f}{what}"
    if problem.reason is Reason.SUCCESSES_MISSING:
        return f"{problem.total - problem.failed} succeed in {span}{usual}"
    if problem.reason is Reason.QUOTA:
        return f"requests are refused for a rate limit ({problem.failed} rows in {span})"
    if not problem.total:
        return f"{problem.failed} in {span}{usual}"
    share = problem.failed / problem.total
    return f"{share:.0%} fail ({problem.failed} of {problem.total} in {span}{usual})"


def metric_state_text(state: MetricState | None, now: float) -> str:
    """Say how a metric is, for the status of a tenant."""
    if state is None or (state.read_at is None and not state.no_data_reason):
        return "not read yet"
    if state.no_data_reason:
        since = state.begun_at if state.read_at is None else state.read_at
        return f"no data for {duration(now - since)} ({escape(state.no_data_reason)})"
    label = {SignalState.FIRING: "failing: ", SignalState.PENDING: "suspect: "}.get(state.state, "")
    few = "too few to judge" if _can_be_judged(state) else "what is usual is not known yet"
    few = "" if state.reading.is_good or label else f" ({few})"
    return f"{label}{_reading_text(state.reading)}{few}"


def _can_be_judged(state: MetricState) -> bool:
    """Tell whether more of it would be bad: events mean nothing without what is usual."""
    return state.reading.total is not None or state.baseline.is_known


def _reading_text(reading: MetricReading) -> str:
    if reading.total is None:
        return f"{reading.failed:.0f} in {duration(reading.span_s)}"
    return f"{reading.failed:.0f} of {reading.total:.0f} failed in {duration(reading.span_s)}"


def measurement_line(measurement: Measurement, state: MetricState, limits: MetricLimits) -> str:
    """Say the raw counts of a measurement, and how the threshold judges them.

    Args:
        measurement: the counts.
        state: what is known of the metric, with or without this measurement.
        limits: the threshold.
    """
    if measurement.no_data_reason:
        return f"no data: {escape(measurement.no_data_reason)}"
    before = tuple(one for one in state.recent if one.at < measurement.at)
    after = observe_metric(replace(state, recent=before), measurement, limits)[0]
    reading = after.reading
    usual = "what is usual is not known yet"
    if state.baseline.is_known:
        usual = f"usually {reading.expected_failures:.1f} failed"
        if reading.expected_successes is not None:
            usual += f", {reading.expected_successes:.0f} well"
    limit = f"limit {limits.share:.0%} of at least {limits.min_total:g}"
    if limits.kind is MetricKind.ERRORS:
        limit = f"limit {limits.per_minute:g} a minute and {limits.times:g} times the usual"
    if reading.reason:
        judgement = f"read as bad: {reading.reason}"
    elif reading.is_good:
        judgement = "read as fine"
    else:
        judgement = "not judged: it takes what is usual"
        if _can_be_judged(after):
            judgement = "not judged: too few, or close to the limit"
    groups = ", ".join(
        " ".join(filter(None, (g.kind, g.pattern.replace("_", " "), escape(g.connection, 60))))
        + f" {g.count}"
        for g in sorted(measurement.groups, key=lambda g: -g.count)[:8]
    )
    own = f"{measurement.own_rows} rows of our own" if measurement.own_rows else ""
    parts = (_reading_text(reading), usual, limit, judgement, groups, own)
    return "; ".join(filter(None, parts))
