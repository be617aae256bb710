"""One measured signal: what it usually says, and its threshold.

    kind     fires when, at two readings in a row with more and more failures,
    metrics  the share of failed calls is above its limit and three times its usual share
    errors   events come more often than their limit and several times their usual rate
    logs     the share of failed logins is too high (as above), successes are missing against what
             is usual at this time of day, or requests are refused for a rate limit

Figures that are too few to tell chance from change are not judged: neither good nor bad. Nor are
figures that are missing: silence never looks healthy.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import sqrt

from bot.core.auth0_logs.events import RowKind
from bot.core.model.measurement import Group, Measurement, MetricKind
from bot.core.model.observation import SignalState
from bot.core.signals.baseline import (
    HOURS,
    Baseline,
    expected_successes_at,
    update_hourly_baselines,
)
from bot.core.signals.probe_threshold import Reason

POOL_S = 120.0
"""Log rows come in short spans: so many seconds of them are judged together."""
RECOVER_COUNT = 3
"""Good readings in a row that end it."""
MIN_SIGMAS = 4.0
"""Standard deviations of a Poisson count between chance and change; and it takes two readings."""
BASELINE_FACTOR = 3.0
"""A share must be so many times the usual one."""
MIN_FAILURES = 5.0
"""Fewer failures than this are never judged bad."""
HEALTHY_PART = 0.6
"""Below this part of its limit a share is good again; in between it is neither."""
FIRST_DAY_MISSING = 0.85
"""Until every hour of a day was seen, an evening may look like an outage: more must be missing."""
GROWTH_FACTOR = 1.3
"""One bad moment stays in a window until it has left it. So the second bad reading must have so
many times as many failures as the first one, or come when that has left."""
QUOTA_ROWS = 4.0
"""Refusals for a rate limit in `POOL_S` that fire: one or two are a client's clumsy retry."""
RELEARN_AFTER_S = 3600.0
"""Successes that are missing for so long are the new usual: a weekend has begun."""
LOW_TRAFFIC_S = 1800.0
"""After so long without enough traffic to judge by, firing ends: nobody is there to fail."""
NO_REPORT_S = 600.0
"""After so long without a report of failures they are over."""


@dataclass(frozen=True, slots=True)
class MetricLimits:
    """One measured signal's numbers; see `config.sources` for their defaults and sources."""

    kind: MetricKind
    every_s: float = 30.0
    share: float = 0.05
    min_total: float = 20.0
    """In one reading."""
    per_minute: float = 10.0
    """Events."""
    times: float = 4.0
    """The usual rate of events."""
    missing: float = 0.5
    """The part of the usual successes that must be missing."""
    is_pushed: bool = False
    """Applications report to us when they have failures: their silence means nothing."""


@dataclass(frozen=True, slots=True)
class MetricReading:
    """How the threshold reads the figures of now."""

    reason: Reason | None = None
    """Why they are bad; None: they are not."""
    is_good: bool = False
    """Enough figures, and well within the limits."""
    failed: float = 0.0
    total: float | None = None
    span_s: float = 0.0
    expected_failures: float = 0.0
    """Of so many calls, or in so long a time, usually so many fail."""
    expected_successes: float | None = None
    """In so long a time usually so many succeed; None: not known yet."""

    @property
    def failed_share(self) -> float:
        """Part that failed; 0 where there is no total."""
        return self.failed / self.total if self.total else 0.0

    @property
    def is_significant(self) -> bool:
        """More fail than usual, and not by chance."""
        usually = self.expected_failures
        return self.failed >= max(MIN_FAILURES, usually + MIN_SIGMAS * sqrt(usually + 1))


@dataclass(frozen=True, slots=True)
class MetricState:
    """What is known of one measured signal."""

    state: SignalState = SignalState.OK
    since: float | None = None
    """The last good reading before this trouble, or the begin of the first span read as bad."""
    good_in_a_row: int = 0
    """Good readings in a row while it fires."""
    first_bad: tuple[float, float] = (0.0, 0.0)
    """When the first bad reading of this trouble was, and how many had failed."""
    recent: tuple[Measurement, ...] = ()
    """Of the last `POOL_S`, oldest first; at least the newest one that had figures."""
    reading: MetricReading = field(default_factory=MetricReading)
    reason: Reason | None = None
    """Why it fires or did."""
    baseline: Baseline = field(default_factory=Baseline)
    hourly_baselines: dict[int, Baseline] = field(default_factory=dict)
    """By hour of the day (UTC)."""
    begun_at: float = 0.0
    """When this process began to ask."""
    read_at: float | None = None
    """When it last had figures."""
    judged_at: float | None = None
    """When there were last enough of them."""
    good_at: float | None = None
    """When they were last good."""
    own_rows_at: float | None = None
    """When the log last had rows of our own logins."""
    no_data_reason: str = ""
    """Why there are no figures now; empty while there are."""
    no_data_since: float | None = None
    """Set once the silence has lasted so long that it is told."""
    ended_at: float | None = None

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups of the recent measurements, unsummed."""
        return tuple(group for seen in self.recent for group in seen.groups)


def observe_metric(
    series: MetricState, seen: Measurement, limits: MetricLimits, surge: float = 1.0
) -> tuple[MetricState, Reason | None]:
    """Take in figures, or their absence.

    `surge` is how many times the usual traffic there is: so many more errors are to be expected.
    Returns the series after it, and the reason if its state changed.
    """
    series = replace(series, no_data_reason=seen.no_data_reason)
    if seen.no_data_reason:
        return _handle_no_data(series, seen.at, limits)
    recent = tuple(s for s in series.recent if seen.at - s.at < POOL_S - 1)
    series = replace(series, recent=(*recent, seen), read_at=seen.at, no_data_since=None)
    reading = evaluate_metric(series, limits, surge)
    series = replace(series, reading=reading)
    series = _learn(series, seen, limits)
    if reading.reason:
        return _handle_bad(series, reading.reason, seen)
    if reading.is_good:
        return _handle_good(series, seen.at)
    if series.judged_at is not None and seen.at - series.judged_at > LOW_TRAFFIC_S:
        return _end(series, seen.at, Reason.LOW_TRAFFIC)
    return series, None


def _handle_no_data(
    series: MetricState, at: float, limits: MetricLimits
) -> tuple[MetricState, Reason | None]:
    """Silence changes nothing, but where only failures are told it ends what they told."""
    is_over = limits.is_pushed and at - (series.judged_at or at) > NO_REPORT_S
    if is_over and series.state is not SignalState.OK:
        return _end(series, at, Reason.LOW_TRAFFIC)
    return series, None


def evaluate_metric(series: MetricState, limits: MetricLimits, surge: float = 1.0) -> MetricReading:
    """Hold the newest figures against the limits and against what is usual."""
    newest = series.recent[-1]
    pooled = series.recent if limits.kind is MetricKind.LOGS else (newest,)
    failed = sum(s.failed for s in pooled)
    total = None if newest.total is None else sum(s.total or 0.0 for s in pooled)
    span_s = sum(s.span_s for s in pooled)
    usual = series.baseline
    if total is None:
        usually = usual.expected_failures(span_s) * surge
        events = MetricReading(failed=failed, span_s=span_s, expected_failures=usually)
        if not usual.is_known and not limits.is_pushed:
            return events
        return _evaluate_events(events, replace(limits, per_minute=limits.per_minute * surge))
    reading = MetricReading(
        failed=failed,
        total=total,
        span_s=span_s,
        expected_failures=total * usual.failed_share,
        expected_successes=expected_successes_at(usual, series.hourly_baselines, newest.at, span_s),
    )
    if limits.kind is MetricKind.LOGS:
        return _evaluate_log(reading, series, limits)
    return _evaluate_share(reading, limits)


def _evaluate_log(
    reading: MetricReading, series: MetricState, limits: MetricLimits
) -> MetricReading:
    if sum(g.count for g in series.groups if g.kind == RowKind.QUOTA) >= QUOTA_ROWS:
        return replace(reading, reason=Reason.QUOTA)
    by_share = _evaluate_share(reading, limits)
    if by_share.reason or not series.recent[-1].has_rows:  # the log itself may stand still
        return replace(by_share, is_good=False)
    if _has_missing_successes(reading, series.hourly_baselines, limits):
        return replace(reading, reason=Reason.SUCCESSES_MISSING)
    return replace(by_share, is_good=by_share.is_good and _has_enough_successes(reading, limits))


def _evaluate_events(reading: MetricReading, limits: MetricLimits) -> MetricReading:
    per_minute = reading.failed / reading.span_s * 60 if reading.span_s else 0.0
    usually = reading.expected_failures / reading.span_s * 60 if reading.span_s else 0.0
    limit = max(limits.per_minute, limits.times * usually)
    if per_minute >= limit and reading.is_significant:
        return replace(reading, reason=Reason.EVENTS)
    return replace(reading, is_good=per_minute < HEALTHY_PART * limit)


def _evaluate_share(reading: MetricReading, limits: MetricLimits) -> MetricReading:
    if (reading.total or 0.0) < limits.min_total:
        return reading
    usually = reading.expected_failures / (reading.total or 1.0)
    limit = max(limits.share, BASELINE_FACTOR * usually)
    if reading.failed_share >= min(limit, 1.0) and reading.is_significant:
        return replace(reading, reason=Reason.SHARE)
    return replace(reading, is_good=reading.failed_share < HEALTHY_PART * limit)


def _has_missing_successes(
    reading: MetricReading, hours: dict[int, Baseline], limits: MetricLimits
) -> bool:
    usual = reading.expected_successes
    if usual is None or reading.span_s < HEALTHY_PART * POOL_S:
        return False
    succeeded = (reading.total or 0.0) - reading.failed
    missing = limits.missing if len(hours) == HOURS else max(limits.missing, FIRST_DAY_MISSING)
    return succeeded <= (1 - missing) * usual and succeeded < usual - MIN_SIGMAS * sqrt(usual)


def _has_enough_successes(reading: MetricReading, limits: MetricLimits) -> bool:
    """Tell whether successes are well above the limit at which they are missing."""
    succeeded = (reading.total or 0.0) - reading.failed
    return succeeded >= (1 - HEALTHY_PART * limits.missing) * (reading.expected_successes or 0.0)


def _handle_bad(
    series: MetricState, reason: Reason, seen: Measurement
) -> tuple[MetricState, Reason | None]:
    series = replace(series, judged_at=seen.at, reason=reason)
    if series.state is SignalState.FIRING:
        return replace(series, good_in_a_row=0), None
    if series.state is SignalState.OK:
        since = max(series.good_at or 0.0, seen.at - seen.span_s)
        first = (seen.at, series.reading.failed)
        pending = replace(
            series, state=SignalState.PENDING, good_in_a_row=0, since=since, first_bad=first
        )
        return pending, reason
    if not _is_confirmed(series, reason, seen.at):
        return series, None
    return replace(series, state=SignalState.FIRING, good_in_a_row=0), reason


def _is_confirmed(series: MetricState, reason: Reason, at: float) -> bool:
    """Tell whether a further bad reading is more than an echo of the first one."""
    (first_at, failed), reading = series.first_bad, series.reading
    is_new = at - first_at >= reading.span_s - 1 or reading.failed >= GROWTH_FACTOR * failed
    return reason is Reason.SUCCESSES_MISSING or is_new


def _handle_good(series: MetricState, at: float) -> tuple[MetricState, Reason | None]:
    series = replace(series, judged_at=at, good_at=at)
    if series.state is SignalState.OK:
        return series, None
    if series.state is SignalState.PENDING:
        return replace(
            series, state=SignalState.OK, good_in_a_row=0, since=None
        ), Reason.SINGLE_FAILURES
    if series.good_in_a_row + 1 < RECOVER_COUNT:
        return replace(series, good_in_a_row=series.good_in_a_row + 1), None
    return _end(series, at, Reason.RECOVERED)


def _end(series: MetricState, at: float, reason: Reason) -> tuple[MetricState, Reason | None]:
    was_ok = series.state is SignalState.OK
    ended_at = at if series.state is SignalState.FIRING else series.ended_at
    series = replace(series, state=SignalState.OK, good_in_a_row=0, since=None, ended_at=ended_at)
    return series, None if was_ok else reason


def _is_worth_learning(series: MetricState, at: float) -> bool:
    """Tell whether the newest figures are worth learning from: those of bad times are not."""
    if series.state is SignalState.OK:
        return series.reading.reason is None
    return series.reason is Reason.SUCCESSES_MISSING and at - (series.since or at) > RELEARN_AFTER_S


def _learn(series: MetricState, seen: Measurement, limits: MetricLimits) -> MetricState:
    """Learn what is usual."""
    if limits.kind is MetricKind.LOGS:
        series = replace(
            series, hourly_baselines=update_hourly_baselines(series.hourly_baselines, seen)
        )
    if not _is_worth_learning(series, seen.at):
        return series
    span_s = seen.span_s if limits.kind is MetricKind.LOGS else min(seen.span_s, limits.every_s)
    part = span_s / seen.span_s if seen.span_s else 0.0
    failed, total = seen.failed * part, (seen.total or 0.0) * part
    return replace(series, baseline=series.baseline.with_recent_span(span_s, failed, total))
