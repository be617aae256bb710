"""Sentences about what others count: figures, what is usual, and silence. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import SignalState
from bot.core.signals.metric_threshold import (
    MetricLimits,
    MetricReading,
    MetricState,
    observe_metric,
)
from bot.core.signals.probe_threshold import Reason
from bot.slack.render.text import duration, escape, link, signal_name

if TYPE_CHECKING:
    from bot.core.model.measurement import Measurement
    from bot.core.signals.external_alerts import Monitor
    from bot.core.state.incident import Problem

SOURCE_NAMES = {
    MetricKind.METRICS: "Prometheus",
    MetricKind.ERRORS: "Sentry",
    MetricKind.LOGS: "The tenant's log",
}
MONITOR_NAMES = {"alertmanager": "Alertmanager", "pingdom": "Pingdom", "sentry": "Sentry's alerts"}
METRIC_NAMES = {
    MetricKind.METRICS: "calls to Auth0 of {name}",
    MetricKind.ERRORS: "errors of {name}",
    MetricKind.LOGS: "logins of users",
}


def metric_name(name: str, counted: MetricKind | None) -> str:
    """Say what a measured signal or a monitor is about."""
    return METRIC_NAMES[counted].format(name=name) if counted else MONITOR_NAMES.get(name, name)


def problem_line(trouble: Problem) -> str:
    """Say in one line what a measured signal or a monitor says now."""
    if trouble.reason is Reason.SLOW:
        return f"{signal_name(trouble.signal)} {_latency_text(trouble)}"
    name = metric_name(trouble.signal, trouble.source)
    if trouble.is_over:
        return f"{name}: well again"
    if trouble.source is None:
        more = f" and {trouble.failed - 1} more" if trouble.failed > 1 else ""
        return f"{name}: {link(trouble.link, escape(trouble.title, 150))}{more}"
    old = f" (no figures now: {escape(trouble.no_data_reason)})" if trouble.no_data_reason else ""
    seen = " · " + link(trouble.link, "see") if trouble.link else ""
    return f"{name}: {_counts_text(trouble)}{old}{seen}"


def _latency_text(trouble: Problem) -> str:
    if trouble.is_over:
        return "as fast as usual again"
    return f"is slow: {trouble.span_s:.1f} s, usually {trouble.baseline or 0:.1f} s"


def _counts_text(trouble: Problem) -> str:
    lasted = duration(trouble.span_s)
    usual = "" if trouble.baseline is None else f", usually {trouble.baseline:.0f}"
    if trouble.reason is Reason.SUCCESSES_MISSING:
        return f"{trouble.tries - trouble.failed} succeed in {lasted}{usual}"
    if trouble.reason is Reason.QUOTA:
        return f"requests are refused for a rate limit ({trouble.failed} rows in {lasted})"
    if not trouble.tries:
        return f"{trouble.failed} in {lasted}{usual}"
    share = trouble.failed / trouble.tries
    return f"{share:.0%} fail ({trouble.failed} of {trouble.tries} in {lasted}{usual})"


def metric_state_text(series: MetricState | None, now: float) -> str:
    """Say how a measured signal does, for the status of a tenant."""
    if series is None or (series.read_at is None and not series.no_data_reason):
        return "not read yet"
    if series.no_data_reason:
        since = series.begun_at if series.read_at is None else series.read_at
        return f"no figures for {duration(now - since)} ({escape(series.no_data_reason)})"
    well = {SignalState.FIRING: "failing", SignalState.PENDING: "suspect"}.get(series.state, "")
    few = "" if series.reading.is_good or well else " (too few to judge)"
    return f"{well}{': ' if well else ''}{_reading_text(series.reading)}{few}"


def monitor_state_text(monitor: Monitor) -> str:
    """Say how many alerts of a monitor go on."""
    return f"{len(monitor.alerts)} alert(s)" if monitor.alerts else "no alert"


def _reading_text(reading: MetricReading) -> str:
    if reading.total is None:
        return f"{reading.failed:.0f} in {duration(reading.span_s)}"
    return f"{reading.failed:.0f} of {reading.total:.0f} failed in {duration(reading.span_s)}"


def measurement_line(seen: Measurement, series: MetricState, limits: MetricLimits) -> str:
    """Say the raw figures of a measurement, and how the threshold reads them.

    Args:
        seen: the figures.
        series: what is known, with or without them.
        limits: the threshold.
    """
    if seen.no_data_reason:
        return f"no figures: {escape(seen.no_data_reason)}"
    before = tuple(one for one in series.recent if one.at < seen.at)
    reading = observe_metric(replace(series, recent=before), seen, limits)[0].reading
    parts = [_reading_text(reading), _baseline_text(reading, series)]
    parts.append(f"limit {_threshold_text(limits)}")
    own = f"{seen.own_rows} rows of our own" if seen.own_rows else ""
    groups = ", ".join(
        " ".join(filter(None, (g.kind, g.pattern.replace("_", " "), escape(g.connection, 60))))
        + f" {g.count}"
        for g in sorted(seen.groups, key=lambda g: -g.count)[:8]
    )
    return "; ".join(filter(None, [*parts, _judgement_text(reading), groups, own]))


def _baseline_text(reading: MetricReading, series: MetricState) -> str:
    if not series.baseline.is_known:
        return "what is usual is not known yet"
    successes = reading.expected_successes
    well = "" if successes is None else f", {successes:.0f} well"
    return f"usually {reading.expected_failures:.1f} failed{well}"


def _threshold_text(limits: MetricLimits) -> str:
    if limits.kind is MetricKind.ERRORS:
        return f"{limits.per_minute:g} a minute and {limits.times:g} times the usual"
    return f"{limits.share:.0%} of at least {limits.min_total:g}"


def _judgement_text(reading: MetricReading) -> str:
    if reading.reason:
        return f"read as bad: {reading.reason}"
    return "read as well" if reading.is_good else "not judged: too few, or close to the limit"
