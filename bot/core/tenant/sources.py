"""The part of a tenant's step that is about others' figures and what outside monitors say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.measurement import ExternalAlert, Measurement, MetricKind
from bot.core.model.observation import FRESH_S, SignalState, Target
from bot.core.signals import external_alerts
from bot.core.signals.external_alerts import Monitor
from bot.core.signals.metric_threshold import MetricLimits, MetricState, observe_metric
from bot.core.signals.probe_threshold import Reason
from bot.core.state.stimulus import (
    Effect,
    Measured,
    Pushed,
    QueryMetrics,
    SignalChanged,
    TenantReport,
)

if TYPE_CHECKING:
    from bot.core.state.rules import TenantRules
    from bot.core.state.tenant import TenantState

NO_DATA_S = 300.0
"""A source that had no figures for so long is told."""
EXPECTED_ROWS = 10.0
"""A log that says nothing at all while so many rows were to be expected does not work."""

StepResult = tuple["TenantState", tuple[Effect, ...]]


def start_metrics(state: TenantState, now: float, rules: TenantRules) -> TenantState:
    """Begin to ask every source; what is no longer configured is forgotten."""
    series = {name: state.metrics.get(name, MetricState()) for name in rules.metrics}
    fresh = {n: replace(s, begun_at=now, read_at=None, recent=()) for n, s in series.items()}
    monitors = {n: m for n, m in state.monitors.items() if n in rules.monitors}
    due = {**state.due, **dict.fromkeys(rules.metrics, now)}
    return replace(state, metrics=fresh, monitors=monitors, due=due)


def query_due_metrics(state: TenantState, now: float, rules: TenantRules) -> StepResult:
    """Ask the sources that are due, and drop what monitors said too long ago."""
    effects: list[Effect] = []
    due = dict(state.due)
    for name, limits in rules.metrics.items():
        if (due[name] or 0.0) <= now:
            effects.append(QueryMetrics(Target(rules.name, name)))
            due[name] = now + _query_interval_s(state.metrics[name], limits)
    state, told = _with_monitors(
        replace(state, due=due),
        {name: external_alerts.drop_expired(m, now) for name, m in state.monitors.items()},
        now,
        rules,
    )
    return state, (*effects, *told)


def _query_interval_s(series: MetricState, limits: MetricLimits) -> float:
    """Return how long to wait: a first bad reading is soon looked at again."""
    return limits.every_s / 2 if series.state is SignalState.PENDING else limits.every_s


def handle_measurement(state: TenantState, stimulus: Measured, rules: TenantRules) -> StepResult:
    """Take in what a source counted."""
    seen, now = stimulus.measurement, stimulus.at
    name = seen.target.name
    before, limits = state.metrics.get(name), rules.metrics.get(name)
    if before is None or limits is None:
        return state, ()
    before = replace(before, own_rows_at=seen.at) if seen.own_rows else before
    after, reason = observe_metric(
        before, _detect_stalled_log(before, seen, limits), limits, _surge(state, now)
    )
    after = _with_no_data_since(after, now, limits)
    due = state.due
    if after.state is SignalState.PENDING and before.state is SignalState.OK:
        due = {**due, name: min(due[name] or now, now + _query_interval_s(after, limits))}
    environment = seen.environment or state.environment
    state = replace(state, metrics={**state.metrics, name: after}, due=due, environment=environment)
    changes = (SignalChanged(rules.name, name, after.state, reason),) if reason else ()
    return state, (*changes, TenantReport(now, rules.name, changes))


def _surge(state: TenantState, now: float) -> float:
    """Return how many times the usual traffic there is, by the figures that know; 1 at least."""
    times = [
        total / (series.baseline.total / series.baseline.seconds * series.reading.span_s)
        for series in state.metrics.values()
        if (total := series.reading.total)
        and series.baseline.is_known
        and series.baseline.total
        and series.reading.span_s
        and now - (series.read_at or 0.0) < FRESH_S
    ]
    return max([1.0, *times])


def _detect_stalled_log(
    series: MetricState, seen: Measurement, limits: MetricLimits
) -> Measurement:
    """Return the figures, or their absence where a log that should have rows has none at all.

    Auth0's log store may stand still while logins work (2018-09-14, EU: 4 h 47 min); our own
    synthetic logins are the rows that must be there.
    """
    if limits.kind is not MetricKind.LOGS or seen.no_data_reason or seen.has_rows:
        return seen
    had_own = series.own_rows_at is not None and seen.at - series.own_rows_at > NO_DATA_S / 2
    read = [s.at for s in series.recent]
    rows = [s.at for s in series.recent if s.has_rows]
    since = max(rows, default=min(read, default=seen.at))
    expected = series.baseline.expected_successes(max(seen.at - since, seen.span_s))
    if had_own or (series.own_rows_at is None and expected >= EXPECTED_ROWS):
        return Measurement(seen.target, seen.at, no_data_reason="no rows come")
    return seen


def _with_no_data_since(after: MetricState, now: float, limits: MetricLimits) -> MetricState:
    """Note a silence that has lasted so long that it is to be told."""
    if limits.is_pushed or not after.no_data_reason or after.no_data_since is not None:
        return after
    since = after.begun_at if after.read_at is None else after.read_at
    return after if now - since < NO_DATA_S else replace(after, no_data_since=since)


def handle_push(state: TenantState, stimulus: Pushed, rules: TenantRules) -> StepResult:
    """Take in what outside monitors said of this tenant."""
    claims = [
        item
        for item in stimulus.push.items
        if isinstance(item, ExternalAlert)
        and item.target.owner == rules.name
        and item.target.name in rules.monitors
    ]
    monitors = dict(state.monitors)
    for claim in claims:
        name = claim.target.name
        monitors[name] = external_alerts.record_alert(
            monitors.get(name, Monitor()), claim, stimulus.at
        )
    return _with_monitors(state, monitors, stimulus.at, rules)


def _with_monitors(
    state: TenantState, monitors: dict[str, Monitor], now: float, rules: TenantRules
) -> StepResult:
    """Keep what monitors say, and tell which of them changed."""
    if monitors == state.monitors:
        return state, ()
    changes = []
    for name, after in monitors.items():
        before = state.monitors.get(name, Monitor())
        if after.state is not before.state:
            is_firing = after.state is SignalState.FIRING
            reason = Reason.EXTERNAL_ALERT if is_firing else Reason.RECOVERED
            changes.append(SignalChanged(rules.name, name, after.state, reason))
    state = replace(state, monitors=monitors)
    return state, (*changes, TenantReport(now, rules.name, tuple(changes)))


def next_expiry_at(state: TenantState) -> float | None:
    """Return when the next thing that a monitor said expires."""
    dues = (external_alerts.next_expiry_at(m) for m in state.monitors.values())
    return min((due for due in dues if due is not None), default=None)
