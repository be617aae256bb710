"""Evidence from real users' metrics, outside monitors and changes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bot.core.auth0_logs.events import FAILED_KINDS, RowKind
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import CUSTOM, FRESH_S, SignalState
from bot.core.signals.metric_threshold import QUOTA_ROWS
from bot.core.signals.probe_threshold import Reason
from bot.core.triage.context import RECENTLY_ENDED_S, is_signal_healthy
from bot.core.triage.verdict import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.core.model.measurement import ChangeMade, Group
    from bot.core.model.observation import EvidenceValue
    from bot.core.signals.metric_threshold import MetricState
    from bot.core.triage.context import TriageContext

CHANGE_BEFORE_S = 900.0
"""A change is suspect if it was made so shortly before the first failure …"""
CHANGE_AFTER_S = 120.0
"""… or so shortly after it: clocks differ, and changes are reported late."""
AFTER_ONSET = 0.75
"""Metrics describe the time after the first failure once this part of their span lies after it."""
SURGE_FACTOR = 2.0
DOMINANT_SHARE = 0.4
"""A kind of row that makes up this share of all failed rows names the cause."""
CONCENTRATED_SHARE = 0.8
MIN_PLATFORM_ROWS = 2
VANISHED_SHARE = 0.3
"""Below this share of the usual successes, successes are missing."""
MIN_OTHER_SUCCESSES = 5
"""So many successes elsewhere show that not everything fails."""
LOG_RULE_IDS = {
    RowKind.APP: "log-app",
    RowKind.UPSTREAM: "log-upstream",
    RowKind.PROVIDER: "log-provider",
    RowKind.TENANT: "log-tenant",
}
ERROR_RULE_IDS = {
    "callback_mismatch": "errors-app",
    "unknown_client": "errors-app",
    "code_reused": "errors-app",
    "provider_error": "errors-upstream",
    "unreachable": "errors-unreachable",
    "timeout": "errors-unreachable",
}


def collect_user_evidence(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield the evidence from one tenant's real users."""
    state, rules = context.all_tenants.states[name], context.rules.tenants[name]
    of_kind = {
        kind: [n for n, limits in rules.metrics.items() if limits.kind is kind]
        for kind in MetricKind
    }
    bad = [n for n, metric in state.metrics.items() if _is_user_failure(metric)]
    alerting = [n for n, monitor in state.monitors.items() if monitor.firing]
    if bad or alerting:
        logins = [state.probes[n] for n in {*rules.logins, CUSTOM} & state.probes.keys()]
        is_alone = all(is_signal_healthy(s, context.now) and not s.faults for s in logins)
        names = (*bad, *alerting)
        rule_id = "users-fail-alone" if is_alone else "users-fail"
        yield RuleMatch(rule_id, {"names": names})
        yield from _collect_peer_user_evidence(context, name)
    if alerting:
        yield RuleMatch("monitor-says", {"names": tuple(alerting)})
    healthy = [n for n, metric in state.metrics.items() if _is_metric_healthy(metric, context)]
    counted = [n for n in healthy if n not in of_kind[MetricKind.ERRORS]]
    if counted and not bad and any(login.is_failing for login in context.logins(name)):
        yield RuleMatch("users-ok", {"names": tuple(counted)})
    metrics = of_kind[MetricKind.METRICS]
    if any(n in bad for n in metrics) and (ok := [n for n in metrics if n in healthy]):
        yield RuleMatch("one-application", {"names": tuple(ok)})
    for metric_name in metrics:
        yield from _collect_surge_evidence(metric_name, state.metrics[metric_name], context)
    for metric_name in of_kind[MetricKind.LOGS]:
        log = state.metrics[metric_name]
        yield from _collect_log_evidence(log, context, is_alone=not bad)
        yield from _collect_blame_evidence(log, rules.realms, context)
    for metric_name in of_kind[MetricKind.ERRORS]:
        yield from _collect_error_evidence(state.metrics[metric_name])


def _collect_peer_user_evidence(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield at which tenants users fail too: two applications do not break in the same minutes."""
    here = context.environment(name)
    others = [
        other
        for other, state in context.all_tenants.states.items()
        if other != name
        and here is not None
        and context.environment(other) == here
        and any(_is_user_failure(metric) for metric in state.metrics.values())
    ]
    if others:
        yield RuleMatch("users-fail-elsewhere", {"names": tuple(others)})


def _is_user_failure(metric: MetricState) -> bool:
    return metric.is_firing and metric.reason in {Reason.SHARE, Reason.EVENTS}


def _is_metric_healthy(metric: MetricState, context: TriageContext) -> bool:
    """Tell whether a metric is good, and describes the time after the first failure."""
    read_at, ended_at = metric.read_at or 0.0, metric.ended_at
    return (
        metric.state is SignalState.OK
        and metric.reading.is_good
        and not metric.no_data_reason
        and read_at - context.since >= AFTER_ONSET * metric.reading.span_s
        and context.now - read_at < FRESH_S
        and (ended_at is None or context.now - ended_at >= RECENTLY_ENDED_S)
    )


def _is_stale(metric: MetricState, context: TriageContext) -> bool:
    return context.now - (metric.read_at or 0.0) > FRESH_S


def _collect_surge_evidence(
    name: str, metric: MetricState, context: TriageContext
) -> Iterator[RuleMatch]:
    total, baseline = metric.reading.total, metric.baseline
    if not total or not baseline.is_known or _is_stale(metric, context):
        return
    usual = baseline.total / baseline.seconds * metric.reading.span_s
    times = total / max(1.0, usual)
    if times >= SURGE_FACTOR:
        yield RuleMatch("traffic-surge", {"metric": name, "times": round(times, 1)})


def _collect_log_evidence(
    log: MetricState, context: TriageContext, *, is_alone: bool
) -> Iterator[RuleMatch]:
    if _is_stale(log, context):
        return
    kinds: Counter[str] = Counter()
    for group in log.groups:
        kinds[group.kind] += group.count
    successes = round((log.reading.total or 0.0) - log.reading.failed)
    usually = round(log.reading.expected_successes or 0.0)
    if log.is_firing and successes < VANISHED_SHARE * usually:
        rule_id = "log-no-success-alone" if is_alone else "log-no-success"
        yield RuleMatch(rule_id, {"successes": successes, "usual": usually})
    if kinds[RowKind.QUOTA] >= QUOTA_ROWS:
        yield RuleMatch("log-quota", {"rows": kinds[RowKind.QUOTA]})
    if kinds[RowKind.PLATFORM] >= MIN_PLATFORM_ROWS:
        yield RuleMatch("log-platform", {"rows": kinds[RowKind.PLATFORM]})


def _collect_blame_evidence(
    log: MetricState, realms: tuple[str, ...], context: TriageContext
) -> Iterator[RuleMatch]:
    """Yield what the failed logins of a log blame: one connection, or the most frequent kind."""
    if not log.reading.is_significant or _is_stale(log, context):
        return
    failed = [g for g in log.groups if g.kind in FAILED_KINDS and g.kind != RowKind.QUOTA]
    count = sum(group.count for group in failed)
    connection, hits = _most_frequent(failed, "connection")
    elsewhere = sum(
        g.count for g in log.groups if g.kind == RowKind.SUCCESS and g.connection != connection
    )
    is_concentrated = bool(connection) and hits >= CONCENTRATED_SHARE * count
    is_one_connection = is_concentrated and elsewhere >= MIN_OTHER_SUCCESSES
    if is_one_connection and connection in realms:
        yield RuleMatch("log-database", {"connection": connection})
        return  # a password login uses a database only, never a provider
    if is_one_connection:
        yield RuleMatch("log-one-connection", {"connection": connection})
    kind, hits = _most_frequent(failed, "kind")
    if kind not in LOG_RULE_IDS or (is_one_connection and kind == RowKind.APP):
        return
    if hits >= DOMINANT_SHARE * count:
        pattern, _ = _most_frequent([g for g in failed if g.kind == kind], "pattern")
        values: dict[str, EvidenceValue] = {"pattern": pattern, "rows": hits, "failures": count}
        yield RuleMatch(LOG_RULE_IDS[RowKind(kind)], values)


def _most_frequent(groups: Iterable[Group], field: str) -> tuple[str, int]:
    """Return the most frequent value of a field, and its count."""
    counts: Counter[str] = Counter()
    for group in groups:
        counts[getattr(group, field)] += group.count
    return counts.most_common(1)[0] if counts else ("", 0)


def _collect_error_evidence(metric: MetricState) -> Iterator[RuleMatch]:
    if not metric.is_firing or not metric.recent:
        return  # after a restart there are no measurements yet
    pattern, hits = _most_frequent(metric.recent[-1].groups, "pattern")
    if pattern in ERROR_RULE_IDS:
        yield RuleMatch(ERROR_RULE_IDS[pattern], {"pattern": pattern, "events": hits})


def collect_change_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    """Yield what was changed shortly before the first failure, the newest of each kind."""
    ours = suspect_changes(context, "")
    theirs = [change for name in context.tenants for change in suspect_changes(context, name)]
    if ours:
        yield RuleMatch("deploy-before", _change_values(ours[-1], context))
    if theirs:
        newest = theirs[-1]
        rule_id = "client-before" if newest.what.startswith("client") else "setting-before"
        yield RuleMatch(rule_id, {**_change_values(newest, context), "tenant": newest.tenant})


def suspect_changes(context: TriageContext, tenant: str) -> list[ChangeMade]:
    """Return the changes at a tenant, or (without one) of ours, shortly before the problem."""
    begin, end = context.since - CHANGE_BEFORE_S, context.since + CHANGE_AFTER_S
    return [c for c in context.shared.changes if c.tenant == tenant and begin <= c.at <= end]


def _change_values(change: ChangeMade, context: TriageContext) -> dict[str, EvidenceValue]:
    minutes = max(0, round((context.since - change.at) / 60))
    return {"minutes": minutes, "change": change.what, "app": change.app}
