"""The part of a tenant's step that handles its start, metrics, and alerts of outside monitors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.measurement import ExternalAlert, Measurement, MetricKind
from bot.core.model.observation import FRESH_S, TOKEN_ENDPOINT, SignalState, Target
from bot.core.model.record import replace
from bot.core.signals import external_alerts
from bot.core.signals.external_alerts import Monitor
from bot.core.signals.metric_threshold import MetricLimits, MetricState, observe_metric
from bot.core.signals.probe_threshold import FIRING_INTERVAL_FACTOR, ProbeState, Reason
from bot.core.state.stimulus import (
    Measured,
    Pushed,
    QueryMetrics,
    SignalChanged,
    Started,
    TenantEffect,
    TenantReport,
)
from bot.core.state.tenant import HasData, LoginBudget

if TYPE_CHECKING:
    from bot.core.state.rules import TenantRules
    from bot.core.state.tenant import TenantState

NO_DATA_S = 300.0
"""A tenant without a usable observation, or a source without metrics, for so long has no data;
people are notified."""
ASK_USERS_EVERY_S, ASK_USERS_FOR_S = 8.0, 60.0
"""So often, and for so long after a first failure, users' counts are asked for."""
DOUBT_S = 300.0
"""So long after users began to fail the logins are repeated, to see whether they fail as well."""
EXPECTED_ROWS = 10.0
"""A log without any row, where at least so many were expected, has stalled."""

StepResult = tuple["TenantState", tuple[TenantEffect, ...]]


def handle_start(state: TenantState, started: Started, rules: TenantRules) -> StepResult:
    """Make every probe and source due; drop what is no longer configured.

    A login that was stopped is tried again only with other credentials.
    """
    now = started.at
    first_at = now + state.phase * started.first_s
    has_changed = state.fingerprints != rules.fingerprints
    old = {name: state.probes.get(name, ProbeState()) for name in rules.probes}
    probes = {n: replace(s, is_stopped=s.is_stopped and not has_changed) for n, s in old.items()}
    metrics = {
        name: replace(state.metrics.get(name, MetricState()), begun_at=now, read_at=None, recent=())
        for name in rules.metrics
    }
    probes_due = {name: None if probes[name].is_stopped else first_at for name in rules.probes}
    gap_s = 0.0 if state.last_data_at is None else now - state.last_data_at
    state = replace(
        state,
        probes=probes,
        due={
            **probes_due,
            **dict.fromkeys(rules.metrics, now),
            TOKEN_ENDPOINT: rules.next_light_check_at(now, state.phase),
        },
        budgets={name: state.budgets.get(name, LoginBudget()) for name in rules.logins},
        data=replace(state.data, last_at=now) if state.data else HasData(now),
        fingerprints=rules.fingerprints,
        metrics=metrics,
        monitors={n: m for n, m in state.monitors.items() if n in rules.monitors},
    )
    unobserved_s = gap_s if gap_s > NO_DATA_S else 0.0
    return state, (TenantReport(now, rules.name, unobserved_s=unobserved_s),)


def query_due_metrics(state: TenantState, now: float, rules: TenantRules) -> StepResult:
    """Query the sources that are due, and drop alerts of monitors that have expired."""
    effects: list[TenantEffect] = []
    due = dict(state.due)
    for name, limits in rules.metrics.items():
        if (due[name] or 0.0) <= now:
            effects.append(QueryMetrics(Target(rules.name, name)))
            due[name] = now + _query_interval_s(state, state.metrics[name], limits, now)
    monitors = {name: external_alerts.drop_expired(m, now) for name, m in state.monitors.items()}
    state, changes = _update_monitors(replace(state, due=due), monitors, now, rules)
    return state, (*effects, *changes)


def _query_interval_s(
    state: TenantState, metric: MetricState, limits: MetricLimits, now: float
) -> float:
    """Return how long to wait: a first bad reading is checked again in half the time.

    After the first failure of a probe, or of another metric, it is asked often, until it tells how
    users have done since.
    """
    begun = [probe.since for probe in state.probes.values()]
    begun += [other.since for other in state.metrics.values() if other is not metric]
    if any(since is not None and now - since < ASK_USERS_FOR_S for since in begun):
        return min(ASK_USERS_EVERY_S, limits.every_s)
    return limits.every_s / 2 if metric.state is SignalState.PENDING else limits.every_s


def ask_users_at_once(state: TenantState, now: float, rules: TenantRules) -> TenantState:
    """Bring the next queries forward, because something has just failed for the first time."""
    asked = {
        name: min(state.due[name] or now, now + min(ASK_USERS_EVERY_S, limits.every_s))
        for name, limits in rules.metrics.items()
    }
    return replace(state, due={**state.due, **asked})


def is_in_doubt(state: TenantState, now: float) -> bool:
    """Tell whether users have just begun to fail: then one login a minute tells too little."""
    begun = (each.since for each in state.metrics.values() if each.state is not SignalState.OK)
    return any(since is not None and now - since < DOUBT_S for since in begun)


def doubt_interval_s(state: TenantState, rules: TenantRules) -> float:
    """Return how often a login is repeated while its users fail: as often as if it failed itself.

    Two domains share the budget of one synthetic user.
    """
    is_firing = not any(each.state is SignalState.PENDING for each in state.metrics.values())
    domains = 2 if rules.custom_domain else 1
    factor = FIRING_INTERVAL_FACTOR if is_firing else 1.0
    return domains * factor * rules.limits.confirm_every_s


def _hasten_logins(state: TenantState, now: float, rules: TenantRules) -> TenantState:
    """Bring the logins that work forward."""
    soon = now + doubt_interval_s(state, rules)
    due = {
        name: min(at, soon)
        for name, at in state.due.items()
        if at is not None
        and name in state.probes
        and rules.limits_of(name).is_login
        and state.probes[name].state is SignalState.OK
    }
    return replace(state, due={**state.due, **due})


def handle_measurement(state: TenantState, stimulus: Measured, rules: TenantRules) -> StepResult:
    """Evaluate what a source counted."""
    measurement, now = stimulus.measurement, stimulus.at
    name = measurement.target.name
    before, limits = state.metrics.get(name), rules.metrics.get(name)
    if before is None or limits is None:
        return state, ()
    if measurement.own_rows:
        before = replace(before, own_rows_at=measurement.at)
    measurement = _detect_stalled_log(before, measurement, limits)
    is_alive = _is_source_alive(state, name, now, rules)
    if is_alive is not measurement.is_source_alive:
        measurement = replace(measurement, is_source_alive=is_alive)
    after, reason = observe_metric(before, measurement, limits, _surge(state, now))
    if after.no_data_reason and after.no_data_since is None and not limits.is_pushed:
        since = after.begun_at if after.read_at is None else after.read_at
        after = after if now - since < NO_DATA_S else replace(after, no_data_since=since)
    environment = stimulus.measurement.environment or state.environment
    state = replace(state, metrics={**state.metrics, name: after}, environment=environment)
    if after.state is SignalState.PENDING and before.state is SignalState.OK:
        wait_s = _query_interval_s(state, after, limits, now)
        due = min(state.due[name] or now, now + wait_s)
        # What one source says, the others may explain.
        state = _hasten_logins(ask_users_at_once(state, now, rules), now, rules)
        state = replace(state, due={**state.due, name: due})
    changes = (SignalChanged(rules.name, name, after.state, reason),) if reason else ()
    return state, (*changes, TenantReport(now, rules.name, changes))


def _is_source_alive(state: TenantState, name: str, now: float, rules: TenantRules) -> bool:
    """Tell whether another signal that the same source counts has calls now."""
    return any(
        rules.metrics[other].kind is rules.metrics[name].kind
        and bool(metric.reading.total)
        and now - (metric.read_at or 0.0) < FRESH_S
        for other, metric in state.metrics.items()
        if other != name and other in rules.metrics
    )


def _surge(state: TenantState, now: float) -> float:
    """Return by what factor the traffic exceeds its baseline, at least 1."""
    factors = [
        total / (metric.baseline.total / metric.baseline.seconds * metric.reading.span_s)
        for metric in state.metrics.values()
        if (total := metric.reading.total)
        and metric.baseline.is_known
        and metric.baseline.total
        and metric.reading.span_s
        and now - (metric.read_at or 0.0) < FRESH_S
    ]
    return max([1.0, *factors])


def _detect_stalled_log(
    metric: MetricState, measurement: Measurement, limits: MetricLimits
) -> Measurement:
    """Return the measurement, or "no data" if a log that should have rows has none at all.

    Auth0's log store may stand still while logins work (2018-09-14, EU: 4 h 47 min). Our own
    synthetic logins are the rows that must be there.
    """
    if limits.kind is not MetricKind.LOGS or measurement.no_data_reason or measurement.has_rows:
        return measurement
    now, own_rows_at = measurement.at, metric.own_rows_at
    since = max(
        (one.at for one in metric.recent if one.has_rows),
        default=min((one.at for one in metric.recent), default=now),
    )
    expected = metric.baseline.expected_successes(max(now - since, measurement.span_s))
    is_stalled = (
        expected >= EXPECTED_ROWS if own_rows_at is None else now - own_rows_at > NO_DATA_S / 2
    )
    return (
        Measurement(measurement.target, now, no_data_reason="no rows come")
        if is_stalled
        else measurement
    )


def handle_push(state: TenantState, stimulus: Pushed, rules: TenantRules) -> StepResult:
    """Record the alerts that outside monitors pushed for this tenant."""
    monitors = dict(state.monitors)
    for item in stimulus.push.items:
        if not isinstance(item, ExternalAlert) or item.target.owner != rules.name:
            continue
        if (name := item.target.name) in rules.monitors:
            before = monitors.get(name, Monitor())
            monitors[name] = external_alerts.record_alert(before, item, stimulus.at)
    return _update_monitors(state, monitors, stimulus.at, rules)


def _update_monitors(
    state: TenantState, monitors: dict[str, Monitor], now: float, rules: TenantRules
) -> StepResult:
    """Store the monitors, and report which of them changed their state."""
    if monitors == state.monitors:
        return state, ()
    changes = []
    for name, after in monitors.items():
        if after.state is not state.monitors.get(name, Monitor()).state:
            is_firing = after.state is SignalState.FIRING
            reason = Reason.EXTERNAL_ALERT if is_firing else Reason.RECOVERED
            changes.append(SignalChanged(rules.name, name, after.state, reason))
    state = replace(state, monitors=monitors)
    return state, (*changes, TenantReport(now, rules.name, tuple(changes)))
