"""A metric's threshold, compared with its baseline.

    kind     fires when, at two readings in a row with more and more failures,
    metrics  the share of failed calls is above its limit and three times its usual share
    errors   events come more often than their limit and several times their usual rate
    logs     the share of failed logins is too high (as above), successes are missing against what
             is usual at this time of day, or requests are refused for a rate limit
    both     successes stay away: a fifth of what is usual at this hour of the week, or less

Beside that, `excess` adds up what is too small or too slow for one window.
Too little traffic to tell chance from change is neither good nor bad. Neither is missing data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

from bot.core.auth0_logs.events import FAILED_KINDS, RowKind
from bot.core.model.measurement import Group, Measurement, MetricKind
from bot.core.model.observation import HEALTH_BY_STATE, Health, SignalState
from bot.core.model.record import replace
from bot.core.signals.baseline import (
    HOURS,
    WEEK_HOURS,
    Baseline,
    Habit,
    expected_successes_at,
    learn_hour,
)
from bot.core.signals.excess import Excess, add_excess
from bot.core.signals.probe_threshold import Reason

POOL_S = 120.0
"""Log rows come in short spans; we evaluate this much of them together."""
RECOVER_COUNT = 3
"""This many good readings in a row end it."""
MIN_SIGMAS = 4.0
"""Standard deviations of a Poisson count between chance and change; and it takes two readings."""
BASELINE_FACTOR = 3.0
"""The share must be at least this many times the usual one."""
MIN_FAILURES = 5.0
"""Fewer failures than this are never bad."""
HEALTHY_PART = 0.6
"""Below this part of its limit a share is good again; in between it is neither good nor bad."""
FIRST_WEEK_MISSING = 0.85
"""Until each hour of the week has a baseline, an evening or a weekend may look like an outage."""
MAX_SURGE = 2.0
"""While more calls come than usual, more users are new to it and mistype: its limit grows, too."""
HABIT_SPREAD = 0.1
"""Relative standard deviation of an hour's traffic from what is usual then: evenings differ."""
GROWTH_FACTOR = 1.3
"""One bad moment stays in a window until the window has passed. So the second bad reading must have
this many times the failures of the first one, or come after that window."""
QUOTA_ROWS = 4.0
"""Refusals for a rate limit within `POOL_S` that fire: one or two are a client's clumsy retry."""
RELEARN_AFTER_S = 3600.0
"""Successes that are missing for longer are the new normal: a weekend has begun."""
LOW_TRAFFIC_S = 1800.0
"""Firing ends after this long without enough traffic: there are no users who could fail."""
NO_REPORT_S = 600.0
"""Reported failures end after this long without another report."""
LEAST_SHARE, LEAST_EVENTS_PER_S = 0.003, 0.005
"""So much fails at least while all is well."""
RATIO_OF_EVENTS = 2.5
"""Events come in bursts: they must be this many times the usual ones in the long run."""
LOG_PART = 0.5
DOWN_POINTS = 0.25
"""Users cannot log in if the failing share is this much above the usual one, …"""
DOWN_MIN_TOTAL, DOWN_MIN_FAILED = 50.0, 20.0
"""… in a reading with so many calls and failures, …"""
DOWN_READINGS = 2
"""… for so many readings in a row."""
AWAY_SHARE, AWAY_USUAL = 0.2, 30.0
"""Successes stay away if at most this share comes of what is usual, and at least so many are."""


@dataclass(frozen=True, slots=True)
class MetricLimits:
    """One metric's limits; see `config/settings_sources.py` for their defaults and sources."""

    kind: MetricKind
    every_s: float = 30.0
    share: float = 0.05
    min_total: float = 20.0
    """In one reading."""
    per_minute: float = 10.0
    """Events in a minute."""
    times: float = 4.0
    """Events must come at this many times their usual rate."""
    missing: float = 0.5
    """The share of the usual successes that must be missing."""
    is_pushed: bool = False
    """Applications send us their failures; if none arrive, that is normal."""


@dataclass(frozen=True)
class MetricReading:
    """The latest values, and what the threshold makes of them."""

    reason: Reason | None = None
    """Why they are bad; None: they are not bad."""
    is_good: bool = False
    """There is enough traffic, and it is well within the limits."""
    failed: float = 0.0
    total: float | None = None
    span_s: float = 0.0
    expected_failures: float = 0.0
    """How many usually fail of as many calls, or in the same time."""
    expected_successes: float | None = None
    """How many usually succeed in the same time; None: not known yet."""
    is_away: bool = False
    """Hardly any success comes, and nothing fails, against what a week has taught."""

    @property
    def failed_share(self) -> float:
        """The share that failed; 0 if there is no total."""
        return self.failed / self.total if self.total else 0.0

    def is_down(self, mistakes: float = 0.0) -> bool:
        """Tell whether far more calls fail than usual, without so many that are users' mistakes."""
        total, failed = self.total or 0.0, self.failed - mistakes
        return (
            total >= DOWN_MIN_TOTAL
            and failed >= DOWN_MIN_FAILED
            and failed >= self.expected_failures + DOWN_POINTS * total
        )

    @property
    def is_significant(self) -> bool:
        """Whether more fail than usual, and not by chance."""
        expected = self.expected_failures
        return self.failed >= max(MIN_FAILURES, expected + MIN_SIGMAS * sqrt(expected + 1))


@dataclass(frozen=True)
class MetricState:
    """What is remembered of one metric."""

    state: SignalState = SignalState.OK
    since: float | None = None
    """The last good reading before this problem, or the start of the first bad span."""
    good_in_a_row: int = 0
    """Good readings in a row while it fires."""
    down_in_a_row: int = 0
    """Readings in a row that show that users cannot log in."""
    first_bad: tuple[float, float] = (0.0, 0.0)
    """When the first bad reading of this problem was, and how many had failed."""
    recent: tuple[Measurement, ...] = ()
    """Those of the last `POOL_S`, oldest first; at least the newest one with data."""
    reading: MetricReading = field(default_factory=MetricReading)
    reason: Reason | None = None
    """Why it fires, or fired last."""
    excess: Excess = field(default_factory=Excess)
    """What fails beyond the usual, over a longer time than one reading."""
    baseline: Baseline = field(default_factory=Baseline)
    hourly_baselines: dict[int, Baseline] = field(default_factory=dict)
    """By hour of the day (UTC)."""
    weekly_baselines: dict[int, Baseline] = field(default_factory=dict)
    """By hour of the week (UTC)."""
    begun_at: float = 0.0
    """When this process began to query it."""
    read_at: float | None = None
    """When it last had data."""
    judged_at: float | None = None
    """When a reading was last good or bad."""
    good_at: float | None = None
    """When a reading was last good."""
    own_rows_at: float | None = None
    """When the log last had rows of our own logins."""
    no_data_reason: str = ""
    """Why there is no data now; empty while there is."""
    no_data_since: float | None = None
    """Set once there has been no data for so long that we notify people."""
    ended_at: float | None = None
    good_since: float | None = None
    """Where the span of the first good reading began that ended the last problem, or may end it."""

    @property
    def health(self) -> Health:
        """What is wrong with it."""
        return HEALTH_BY_STATE[self.state]

    @property
    def is_firing(self) -> bool:
        """Whether it shows that users fail."""
        return self.state is SignalState.FIRING

    @property
    def habit(self) -> Habit:
        """What is usual at each hour."""
        return Habit(self.hourly_baselines, self.weekly_baselines)

    @property
    def groups(self) -> tuple[Group, ...]:
        """All groups of the recent measurements, unsummed."""
        return tuple(group for measurement in self.recent for group in measurement.groups)


def observe_metric(
    metric: MetricState, latest: Measurement, limits: MetricLimits, surge: float = 1.0
) -> tuple[MetricState, Reason | None]:
    """Add one measurement, with or without data.

    `surge` is how many times the usual traffic there is: we expect as many times the usual errors.
    Returns the new state, and the reason if `state` changed.
    """
    at, known_until = latest.at, latest.at if metric.read_at is None else metric.read_at
    if latest.no_data_reason:
        metric = replace(metric, no_data_reason=latest.no_data_reason)
        # No data changes nothing, but where only failures are reported it means that they ended.
        is_over = limits.is_pushed and at - (metric.judged_at or at) > NO_REPORT_S
        is_end = is_over and metric.state is not SignalState.OK
        return _end(metric, at, Reason.LOW_TRAFFIC) if is_end else (metric, None)
    recent = (*(m for m in metric.recent if at - m.at < POOL_S - 1), latest)
    metric = replace(metric, recent=recent, read_at=at, no_data_reason="", no_data_since=None)
    reading = evaluate_metric(metric, limits, surge)
    excess = _add_up(metric, latest, limits, surge)
    if excess.is_firing and reading.reason is None:
        by_count = Reason.EVENTS if reading.total is None else Reason.SHARE
        reading = replace(reading, reason=by_count, is_good=False)
    is_down = metric.baseline.is_known and (reading.is_down() or reading.is_away)
    down = metric.down_in_a_row + 1 if is_down else 0
    metric = replace(metric, excess=excess, reading=reading, down_in_a_row=down)
    metric = _learn(metric, latest, limits)
    if reading.reason:
        return _handle_bad(metric, reading.reason, latest)
    if reading.is_good:
        return _handle_good(metric, at, known_until)
    if metric.judged_at is not None and at - metric.judged_at > LOW_TRAFFIC_S:
        return _end(metric, at, Reason.LOW_TRAFFIC)
    return metric, None


def _add_up(metric: MetricState, latest: Measurement, limits: MetricLimits, surge: float) -> Excess:
    """Add up what fails beyond the usual; when many come, more are new to it and mistype."""
    baseline = metric.baseline
    if not baseline.is_known or limits.is_pushed:
        return Excess(counted_at=latest.at)
    if latest.total is None:
        usual = max(baseline.expected_failures(1.0), LEAST_EVENTS_PER_S)
        limit = (limits.per_minute / 60 * surge, RATIO_OF_EVENTS * surge)
        return add_excess(metric.excess, latest, usual, limit)
    usual = max(baseline.failed_share, LEAST_SHARE)
    failed = [g for g in latest.groups if g.kind in FAILED_KINDS]
    part = LOG_PART if limits.kind is MetricKind.LOGS else 1.0  # its failures are nobody's mistakes
    limit = (part * limits.share * surge, BASELINE_FACTOR * surge)
    return add_excess(metric.excess, latest, usual, limit, failed)


def evaluate_metric(metric: MetricState, limits: MetricLimits, surge: float = 1.0) -> MetricReading:
    """Compare the latest values with the limits and with the baseline."""
    newest, baseline = metric.recent[-1], metric.baseline
    pooled = metric.recent if limits.kind is MetricKind.LOGS else (newest,)
    failed = sum(m.failed for m in pooled)
    total = None if newest.total is None else sum(m.total or 0.0 for m in pooled)
    span_s = sum(m.span_s for m in pooled)
    if total is None:
        expected = baseline.expected_failures(span_s) * surge
        reading = MetricReading(failed=failed, span_s=span_s, expected_failures=expected)
        if not baseline.is_known and not limits.is_pushed:
            return reading
        per_minute = failed / span_s * 60 if span_s else 0.0
        expected_per_minute = expected / span_s * 60 if span_s else 0.0
        limit = max(limits.per_minute * surge, limits.times * expected_per_minute)
        if per_minute >= limit and reading.is_significant:
            return replace(reading, reason=Reason.EVENTS)
        return replace(reading, is_good=per_minute < HEALTHY_PART * limit)
    share = max(baseline.failed_share, metric.habit.in_this_hour(newest.at).failed_share)
    reading = MetricReading(
        failed=failed,
        total=total,
        span_s=span_s,
        expected_failures=total * share,
        expected_successes=expected_successes_at(baseline, metric.habit, newest.at, span_s),
    )
    if limits.kind is MetricKind.LOGS:
        return _evaluate_log(reading, metric, limits)
    limits = replace(limits, share=limits.share * min(surge, MAX_SURGE))
    by_share = _evaluate_share(reading, limits)
    is_calm = not by_share.reason and (total > 0 or newest.is_source_alive)
    return (_find_away(reading, metric) if is_calm else None) or by_share


def _find_away(reading: MetricReading, metric: MetricState) -> MetricReading | None:
    """Return the reading if hardly any success comes of what the last hour and a week taught."""
    week = metric.habit.in_this_hour(metric.recent[-1].at)
    if not week.is_known or reading.span_s < HEALTHY_PART * POOL_S:
        return None
    usual = min(week.expected_successes(reading.span_s), reading.expected_successes or 0.0)
    succeeded = (reading.total or 0.0) - reading.failed
    if usual < AWAY_USUAL or succeeded > AWAY_SHARE * usual:
        return None
    return replace(reading, reason=Reason.SUCCESSES_MISSING, is_away=True)


def _evaluate_log(
    reading: MetricReading, metric: MetricState, limits: MetricLimits
) -> MetricReading:
    if sum(g.count for g in metric.groups if g.kind == RowKind.QUOTA) >= QUOTA_ROWS:
        return replace(reading, reason=Reason.QUOTA)
    by_share = _evaluate_share(reading, limits)
    if by_share.reason or not metric.recent[-1].has_rows:  # the log itself may have stopped
        return replace(by_share, is_good=False)
    if away := _find_away(reading, metric):
        return away
    if _has_missing_successes(reading, metric.habit, limits):
        return replace(reading, reason=Reason.SUCCESSES_MISSING)
    # Good only if successes are well above the limit below which they count as missing.
    enough = (1 - HEALTHY_PART * limits.missing) * (reading.expected_successes or 0.0)
    succeeded = (reading.total or 0.0) - reading.failed
    return replace(by_share, is_good=by_share.is_good and succeeded >= enough)


def _evaluate_share(reading: MetricReading, limits: MetricLimits) -> MetricReading:
    if (reading.total or 0.0) < limits.min_total:
        return reading
    expected_share = reading.expected_failures / (reading.total or 1.0)
    limit = max(limits.share, BASELINE_FACTOR * expected_share)
    if reading.failed_share >= min(limit, 1.0) and reading.is_significant:
        return replace(reading, reason=Reason.SHARE)
    return replace(reading, is_good=reading.failed_share < HEALTHY_PART * limit)


def _has_missing_successes(reading: MetricReading, habit: Habit, limits: MetricLimits) -> bool:
    expected = reading.expected_successes
    if expected is None or reading.span_s < HEALTHY_PART * POOL_S:
        return False
    succeeded = (reading.total or 0.0) - reading.failed
    missing = max(limits.missing, 0.0 if habit.is_week_known else FIRST_WEEK_MISSING)
    chance = MIN_SIGMAS * sqrt(expected + (HABIT_SPREAD * expected) ** 2)
    return succeeded <= (1 - missing) * expected and succeeded < expected - chance


def _handle_bad(
    metric: MetricState, reason: Reason, latest: Measurement
) -> tuple[MetricState, Reason | None]:
    at, reading = latest.at, metric.reading
    metric = replace(metric, judged_at=at, reason=reason)
    if metric.state is SignalState.FIRING:
        return replace(metric, good_in_a_row=0), None
    if metric.state is SignalState.OK:
        since = max(metric.good_at or 0.0, at - latest.span_s)
        if metric.excess.is_firing:
            since = min(since, metric.excess.since or since)
        metric = replace(metric, good_in_a_row=0, since=since, first_bad=(at, reading.failed))
        return replace(metric, state=SignalState.PENDING), reason
    first_at, failed = metric.first_bad
    is_more = at - first_at >= reading.span_s - 1 or reading.failed >= GROWTH_FACTOR * failed
    is_clear = reason is Reason.SUCCESSES_MISSING or metric.excess.is_firing
    if not is_clear and not is_more:
        return metric, None
    return replace(metric, state=SignalState.FIRING, good_in_a_row=0), reason


def _handle_good(
    metric: MetricState, at: float, known_until: float
) -> tuple[MetricState, Reason | None]:
    """Count a good reading; `known_until` is when the figures before it ended.

    A time without figures is none in which users are known to have failed.
    """
    metric = replace(metric, judged_at=at, good_at=at)
    if metric.state is SignalState.OK:
        return metric, None
    if metric.state is SignalState.PENDING:
        return _end(metric, at, Reason.SINGLE_FAILURES)
    if metric.good_in_a_row == 0:
        good_since = min(at - metric.reading.span_s, known_until)
        metric = replace(metric, good_since=max(metric.since or 0.0, good_since))
    if metric.good_in_a_row + 1 < RECOVER_COUNT:
        return replace(metric, good_in_a_row=metric.good_in_a_row + 1), None
    return _end(metric, at, Reason.RECOVERED)


def _end(metric: MetricState, at: float, reason: Reason) -> tuple[MetricState, Reason | None]:
    was_ok = metric.state is SignalState.OK
    ended_at = at if metric.state is SignalState.FIRING else metric.ended_at
    metric = replace(metric, state=SignalState.OK, good_in_a_row=0, since=None, ended_at=ended_at)
    return metric, None if was_ok else reason


def _learn(metric: MetricState, latest: Measurement, limits: MetricLimits) -> MetricState:
    failed, total, span_s, at = latest.failed, latest.total or 0.0, latest.span_s, latest.at
    days, weeks, reason = metric.hourly_baselines, metric.weekly_baselines, metric.reading.reason
    if limits.kind is MetricKind.LOGS:
        # Bad times count here: else we would never learn a steep evening that looks like an outage.
        days = learn_hour(days, at, (span_s, failed, total), HOURS)
    else:
        span_s = min(span_s, limits.every_s)
    part = span_s / latest.span_s if latest.span_s else 0.0
    counted = span_s, failed * part, total * part
    if latest.total is not None and reason in {None, Reason.SUCCESSES_MISSING}:
        weeks = learn_hour(weeks, at, counted, WEEK_HOURS)
    is_normal = reason is None
    if metric.state is not SignalState.OK:
        has_lasted = at - (metric.since or at) > RELEARN_AFTER_S and not metric.reading.is_away
        is_normal = metric.reason is Reason.SUCCESSES_MISSING and has_lasted
    baseline = metric.baseline.with_span(*counted) if is_normal else metric.baseline
    return replace(metric, hourly_baselines=days, weekly_baselines=weeks, baseline=baseline)
