"""Sentences about what others count: figures, what is usual, and silence. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.measurement import Kind
from bot.core.model.observation import SignalState
from bot.core.signals.metric_threshold import Reading, Series, SeriesLimits, observe
from bot.core.signals.probe_threshold import Reason
from bot.slack.render.text import escaped, link, signal_name, span

if TYPE_CHECKING:
    from bot.core.model.measurement import Measurement
    from bot.core.signals.external_alerts import Monitor
    from bot.core.state.incident import Trouble

SOURCES = {
    Kind.METRICS: "Prometheus",
    Kind.ERRORS: "Sentry",
    Kind.LOGS: "The tenant's log",
}
MONITORS = {"alertmanager": "Alertmanager", "pingdom": "Pingdom", "sentry": "Sentry's alerts"}
COUNTED = {
    Kind.METRICS: "calls to Auth0 of {name}",
    Kind.ERRORS: "errors of {name}",
    Kind.LOGS: "logins of users",
}


def measured_name(name: str, counted: Kind | None) -> str:
    """Say what a measured signal or a monitor is about."""
    return COUNTED[counted].format(name=name) if counted else MONITORS.get(name, name)


def trouble_line(trouble: Trouble) -> str:
    """Say in one line what a measured signal or a monitor says now."""
    if trouble.reason is Reason.SLOW:
        return f"{signal_name(trouble.signal)} {_slow(trouble)}"
    name = measured_name(trouble.signal, trouble.counted)
    if trouble.is_over:
        return f"{name}: well again"
    if trouble.counted is None:
        more = f" and {trouble.failed - 1} more" if trouble.failed > 1 else ""
        return f"{name}: {link(trouble.link, escaped(trouble.said, 150))}{more}"
    old = f" (no figures now: {escaped(trouble.missing)})" if trouble.missing else ""
    seen = " · " + link(trouble.link, "see") if trouble.link else ""
    return f"{name}: {_figures(trouble)}{old}{seen}"


def _slow(trouble: Trouble) -> str:
    if trouble.is_over:
        return "as fast as usual again"
    return f"is slow: {trouble.span_s:.1f} s, usually {trouble.usual or 0:.1f} s"


def _figures(trouble: Trouble) -> str:
    lasted = span(trouble.span_s)
    usual = "" if trouble.usual is None else f", usually {trouble.usual:.0f}"
    if trouble.reason is Reason.MISSING:
        return f"{trouble.tries - trouble.failed} succeed in {lasted}{usual}"
    if trouble.reason is Reason.QUOTA:
        return f"requests are refused for a rate limit ({trouble.failed} rows in {lasted})"
    if not trouble.tries:
        return f"{trouble.failed} in {lasted}{usual}"
    share = trouble.failed / trouble.tries
    return f"{share:.0%} fail ({trouble.failed} of {trouble.tries} in {lasted}{usual})"


def series_state(series: Series | None, now: float) -> str:
    """Say how a measured signal does, for the status of a tenant."""
    if series is None or (series.read_at is None and not series.missing):
        return "not read yet"
    if series.missing:
        since = series.begun_at if series.read_at is None else series.read_at
        return f"no figures for {span(now - since)} ({escaped(series.missing)})"
    well = {SignalState.FIRING: "failing", SignalState.PENDING: "suspect"}.get(series.state, "")
    few = "" if series.reading.is_good or well else " (too few to judge)"
    return f"{well}{': ' if well else ''}{_read(series.reading)}{few}"


def monitor_state(monitor: Monitor) -> str:
    """Say how many alerts of a monitor go on."""
    return f"{len(monitor.claims)} alert(s)" if monitor.claims else "no alert"


def _read(reading: Reading) -> str:
    if reading.total is None:
        return f"{reading.failed:.0f} in {span(reading.span_s)}"
    return f"{reading.failed:.0f} of {reading.total:.0f} failed in {span(reading.span_s)}"


def measured_line(seen: Measurement, series: Series, limits: SeriesLimits) -> str:
    """Say the raw figures of a measurement, and how the threshold reads them.

    Args:
        seen: the figures.
        series: what is known, with or without them.
        limits: the threshold.
    """
    if seen.missing:
        return f"no figures: {escaped(seen.missing)}"
    before = tuple(one for one in series.recent if one.at < seen.at)
    reading = observe(replace(series, recent=before), seen, limits)[0].reading
    parts = [_read(reading), _usually(reading, series)]
    parts.append(f"limit {_limit(limits)}")
    own = f"{seen.own} rows of our own" if seen.own else ""
    groups = ", ".join(
        " ".join(filter(None, (g.kind, g.pattern.replace("_", " "), escaped(g.connection, 60))))
        + f" {g.count}"
        for g in sorted(seen.groups, key=lambda g: -g.count)[:8]
    )
    return "; ".join(filter(None, [*parts, _verdict(reading), groups, own]))


def _usually(reading: Reading, series: Series) -> str:
    if not series.usual.is_known:
        return "what is usual is not known yet"
    successes = reading.usual_succeeded
    well = "" if successes is None else f", {successes:.0f} well"
    return f"usually {reading.usual_failed:.1f} failed{well}"


def _limit(limits: SeriesLimits) -> str:
    if limits.kind is Kind.ERRORS:
        return f"{limits.per_minute:g} a minute and {limits.times:g} times the usual"
    return f"{limits.share:.0%} of at least {limits.min_total:g}"


def _verdict(reading: Reading) -> str:
    if reading.reason:
        return f"read as bad: {reading.reason}"
    return "read as well" if reading.is_good else "not judged: too few, or close to the limit"
