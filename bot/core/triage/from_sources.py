"""Evidence from a tenant's log, metrics and error tracker: whom they blame, one by the other."""

from __future__ import annotations

from collections import Counter
from math import log, sqrt
from typing import TYPE_CHECKING

from bot.core.auth0_logs.events import FAILED_KINDS, PUSH, RowKind
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import SignalState, Stage
from bot.core.signals.metric_threshold import QUOTA_ROWS
from bot.core.triage.context import RuleMatch, is_signal_healthy, is_stale, is_user_failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.core.model.measurement import Group
    from bot.core.model.observation import EvidenceValue
    from bot.core.signals.metric_threshold import MetricReading, MetricState
    from bot.core.triage.context import TriageContext

SURGE_FACTOR = 2.0
DOMINANT_SHARE = 0.4
"""A kind of row that makes up this share of all failed rows names the cause."""
CONCENTRATED_SHARE = 0.8
"""A connection with this share of all failed rows is to blame, if others succeed."""
SEVERAL_CONNECTIONS, PART_OF_EACH = 3, 0.1
"""So many connections, each with this part of the failures, do not fail by themselves."""
ATTACK_FACTOR = 3.0
"""So many times as many wrong passwords as successes are an attack."""
MIN_PLATFORM_ROWS = 2
VANISHED_SHARE = 0.3
"""Below this share of the usual successes, successes are missing."""
MIN_OTHER_SUCCESSES = 5
"""So many successes elsewhere show that not everything fails."""
TELLING_SHARE = 0.05
FEW_LESS, FEWEST = 0.85, 30.0
"""From this part of the usual successes on, of at least so many, a log is as ever."""
CHANCE_SIGMAS = 2.0
"""So many standard deviations of a count are no chance."""
LEAST_USUAL = 0.3
"""So many failed rows are usual in a window of a log at least."""
SPOKEN, CERTAIN = 2.0, 6.0
"""From the first log-likelihood ratio on a few rows say something, from the second on all."""
MOST = 0.98
"""Some login always works, or is counted late."""
MOST_BY_ROWS = 1.6
"""So much the failed rows tell that a log lacks: one outage in five leaves none (the page where
users log in, the exchange of codes)."""
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
    "access_denied": "errors-tenant",
    "connection_off": "errors-tenant",
    "unreachable": "errors-unreachable",
    "timeout": "errors-unreachable",
}


def collect_source_evidence(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield whom a tenant's sources blame, each by itself and one against the other."""
    state, rules = context.all_tenants.states[name], context.rules.tenants[name]
    bad = [n for n, metric in state.metrics.items() if is_user_failure(metric)]
    is_failing = bool(bad) or any(login.is_failing for login in context.logins(name))
    for n, limits in rules.metrics.items():
        metric = state.metrics[n]
        if limits.kind is MetricKind.METRICS:
            yield from _collect_surge_evidence(n, metric, context)
            continue
        clarity = _clarity_of(metric, is_failing=is_failing)
        if limits.kind is MetricKind.LOGS:
            yield from _collect_log_evidence(metric, context, clarity, is_alone=not bad)
            yield from _collect_blame_evidence(metric, _own_realms(context, name), context, clarity)
        elif clarity:
            yield from _collect_error_evidence(metric, context, clarity)
    if any(rules.metrics[n].kind is MetricKind.METRICS for n in bad):
        yield from _collect_log_beside_metrics_evidence(context, name)


def _clarity_of(metric: MetricState, *, is_failing: bool) -> float:
    """Return how clearly a log or a tracker says whom it blames, 0 (not at all) to 1.

    Where logins are known to fail, a few unusual rows explain it: they need not be so many that
    they would show by themselves that something fails.
    """
    reading = metric.reading
    if metric.is_firing or reading.is_significant or metric.excess.is_certain:
        return 1.0
    if not is_failing:
        return 0.0
    failed, usual = reading.failed, max(reading.expected_failures, LEAST_USUAL)
    now = failed * log(failed / usual) - (failed - usual) if failed > usual else 0.0
    ratio = max(now, metric.excess.score)
    return round(min(1.0, ratio / CERTAIN), 2) if ratio >= SPOKEN else 0.0


def _own_realms(context: TriageContext, name: str) -> tuple[str, ...] | None:
    """Return the connections of our own logins; None: whatever the log blames, ours fails with it.

    A password login that OAuth refuses, and the log's one failing connection, are one failure.
    """
    faults = (login.most_frequent_fault for login in context.logins(name) if login.is_failing)
    is_answered = any(fault and fault.stage is Stage.OAUTH for fault in faults)
    realms = context.rules.tenants[name].realms
    return None if is_answered and not realms else realms


def blames_application(metric: MetricState) -> bool:
    """Tell whether the failures of a log are requests that an application of ours sent wrong."""
    failed = [g for g in metric.groups if g.kind in FAILED_KINDS]
    count = sum(group.count for group in failed)
    wrong = sum(group.count for group in failed if group.kind == RowKind.APP)
    return wrong >= CONCENTRATED_SHARE * max(count, MIN_OTHER_SUCCESSES)


def _collect_surge_evidence(
    name: str, metric: MetricState, context: TriageContext
) -> Iterator[RuleMatch]:
    total, baseline = metric.reading.total, metric.baseline
    if not total or not baseline.is_known or is_stale(metric, context):
        return
    usual = baseline.total / baseline.seconds * metric.reading.span_s
    times = total / max(1.0, usual)
    if times >= SURGE_FACTOR:
        yield RuleMatch("traffic-surge", {"metric": name, "times": round(times, 1)})


def _collect_log_evidence(
    log_: MetricState, context: TriageContext, clarity: float, *, is_alone: bool
) -> Iterator[RuleMatch]:
    if is_stale(log_, context):
        return
    kinds: Counter[str] = Counter()
    for group in log_.groups:
        kinds[group.kind] += group.count
    successes = round((log_.reading.total or 0.0) - log_.reading.failed)
    usually = round(log_.reading.expected_successes or 0.0)
    if log_.is_firing and successes < VANISHED_SHARE * usually:
        rule_id = "log-no-success-alone" if is_alone else "log-no-success"
        yield RuleMatch(rule_id, {"successes": successes, "usual": usually})
    if kinds[RowKind.QUOTA] >= QUOTA_ROWS or (kinds[RowKind.QUOTA] > 1 and clarity):
        strength = round(min(1.0, kinds[RowKind.QUOTA] / QUOTA_ROWS), 2)
        yield RuleMatch("log-quota", {"rows": kinds[RowKind.QUOTA]}, strength)
    if kinds[RowKind.PLATFORM] >= MIN_PLATFORM_ROWS:
        yield RuleMatch("log-platform", {"rows": kinds[RowKind.PLATFORM]})
    refused = kinds[RowKind.USER] + kinds[RowKind.PROTECTION]
    if kinds[RowKind.PROTECTION] >= QUOTA_ROWS and refused >= ATTACK_FACTOR * max(
        successes, FEWEST
    ):
        yield RuleMatch("log-attack", {"rows": refused, "successes": successes})


def _collect_blame_evidence(
    log_: MetricState, realms: tuple[str, ...] | None, context: TriageContext, clarity: float
) -> Iterator[RuleMatch]:
    """Yield what the failed logins of a log blame: one connection, or the most frequent kind."""
    is_slow = log_.excess.score >= SPOKEN and not log_.reading.is_significant
    if is_stale(log_, context) or not clarity:
        return
    rows = log_.excess.groups if is_slow else log_.groups
    failed = [g for g in rows if g.kind in FAILED_KINDS and g.kind != RowKind.QUOTA]
    count = sum(group.count for group in failed)
    named = (g for g in failed if g.connection and g.kind != RowKind.TENANT)
    several = tuple(n for n, rows in _count_by(named, "connection") if rows >= PART_OF_EACH * count)
    is_several = len(several) >= SEVERAL_CONNECTIONS
    if is_several:
        yield RuleMatch("log-several-connections", {"names": several}, clarity)
    connection, hits = _most_frequent(failed, "connection")
    elsewhere = sum(
        g.count for g in log_.groups if g.kind == RowKind.SUCCESS and g.connection != connection
    )
    is_concentrated = bool(connection) and hits >= CONCENTRATED_SHARE * count
    is_one_connection = is_concentrated and elsewhere >= MIN_OTHER_SUCCESSES
    is_ours = is_concentrated if realms is None else is_one_connection and connection in realms
    if is_ours and not is_several:
        yield RuleMatch("log-database", {"connection": connection}, clarity)
        return  # a password login uses a database only, never a provider
    if is_one_connection:
        yield RuleMatch("log-one-connection", {"connection": connection}, clarity)
    kind, hits = _most_frequent(failed, "kind")
    if kind not in LOG_RULE_IDS or (is_one_connection and kind == RowKind.APP):
        return
    if hits >= DOMINANT_SHARE * count:
        pattern, _ = _most_frequent([g for g in failed if g.kind == kind], "pattern")
        values: dict[str, EvidenceValue] = {
            "pattern": pattern,
            "rows": hits,
            "failures": count,
            "connection": connection if is_one_connection else "",
        }
        rule_id = "log-push" if pattern == PUSH else LOG_RULE_IDS[RowKind(kind)]
        yield RuleMatch(rule_id, values, clarity)


def _count_by(groups: Iterable[Group], field: str) -> list[tuple[str, int]]:
    """Count by a field, the most frequent value first."""
    counts: Counter[str] = Counter()
    for group in groups:
        counts[getattr(group, field)] += group.count
    return counts.most_common()


def _most_frequent(groups: Iterable[Group], field: str) -> tuple[str, int]:
    """Return the most frequent value of a field, and its count."""
    return next(iter(_count_by(groups, field)), ("", 0))


def _collect_error_evidence(
    metric: MetricState, context: TriageContext, clarity: float
) -> Iterator[RuleMatch]:
    pattern, hits = _most_frequent_error(metric)
    if pattern in ERROR_RULE_IDS:
        is_alone = pattern == "unreachable" and _is_cut_off(context)
        rule_id = "errors-unreachable-alone" if is_alone else ERROR_RULE_IDS[pattern]
        yield RuleMatch(rule_id, {"pattern": pattern, "events": hits}, clarity)


def _most_frequent_error(metric: MetricState) -> tuple[str, int]:
    """Return a tracker's most frequent pattern now; after a restart there is none yet."""
    return _most_frequent(metric.recent[-1].groups, "pattern") if metric.recent else ("", 0)


def have_applications_no_way_out(context: TriageContext) -> bool:
    """Tell whether some tracker says that applications get no connection, while we get through."""
    by_limits = (
        (limits, context.all_tenants.states[name].metrics[n])
        for name, rules in context.rules.tenants.items()
        for n, limits in rules.metrics.items()
    )
    return any(
        limits.kind is MetricKind.ERRORS
        and _most_frequent_error(metric)[0] == "unreachable"
        and bool(_clarity_of(metric, is_failing=True))
        for limits, metric in by_limits
    ) and _is_cut_off(context)


def _is_cut_off(context: TriageContext) -> bool:
    """Tell whether applications' calls fail while we get through, and people do in the logs.

    A browser that fetches nothing looks alike in the tracker, but not in an application's counts.
    """
    states, tenants = context.all_tenants.states, context.rules.tenants
    failing = [
        name
        for name, rules in tenants.items()
        if any(
            limits.kind is MetricKind.METRICS and is_user_failure(states[name].metrics[n])
            for n, limits in rules.metrics.items()
        )
    ]
    logs = [
        states[name].metrics[n].reading
        for name in failing
        for n, limits in tenants[name].metrics.items()
        if limits.kind is MetricKind.LOGS
    ]
    return (
        bool(failing)
        and all(is_signal_healthy(p, context.now) for n in failing for p in context.logins(n))
        and not any(map(_is_missing_many, logs))
    )


def _is_missing_many(log_: MetricReading) -> bool:
    """Tell whether a log has fewer successes than usual, and more so than by chance."""
    expected = log_.expected_successes or 0.0
    missing = expected - ((log_.total or 0.0) - log_.failed)
    return missing > max((1 - FEW_LESS) * expected, CHANCE_SIGMAS * sqrt(expected))


def _collect_log_beside_metrics_evidence(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield what a log says of logins that an application counts as failed.

    What fails on its way through Auth0 lacks there as a success, and mostly leaves a failed row.
    """
    states, tenants = context.all_tenants.states, context.rules.tenants
    elsewhere = [
        other
        for other, state in states.items()
        for n, metric in state.metrics.items()
        if other != name
        and tenants[other].metrics[n].kind is MetricKind.LOGS
        and not is_stale(metric, context)
        and metric.reading.is_significant
        and blames_application(metric)
    ]
    if elsewhere:
        yield RuleMatch("log-elsewhere", {"names": tuple(elsewhere)})
    failing = [m for m in states[name].metrics.values() if is_user_failure(m)]
    worst = max(failing, key=lambda metric: metric.reading.failed_share, default=None)
    if worst is None or worst.reading.failed_share < TELLING_SHARE:
        return  # so few failures would not be missed among the successes
    for n, limits in tenants[name].metrics.items():
        log_, reading = states[name].metrics[n], states[name].metrics[n].reading
        expected = reading.expected_successes or 0.0
        if limits.kind is not MetricKind.LOGS or is_stale(log_, context) or expected < FEWEST:
            continue
        successes = (reading.total or 0.0) - reading.failed
        is_as_ever = log_.state is SignalState.OK and successes >= FEW_LESS * expected
        gone = expected * _share_by(log_, worst, context)
        usual = max(reading.expected_failures, LEAST_USUAL)
        by_successes = successes * log(expected / (expected - gone)) - gone
        by_rows = gone - reading.failed * log(1 + gone / usual)
        ratio = by_successes + min(by_rows, MOST_BY_ROWS)
        if is_as_ever and ratio >= SPOKEN:
            values: dict[str, EvidenceValue] = {
                "successes": round(successes),
                "usual": round(expected),
            }
            yield RuleMatch("log-as-ever", values, round(min(1.0, ratio / CERTAIN), 2))


def _share_by(log_: MetricState, metric: MetricState, context: TriageContext) -> float:
    """Return the share of successes that a log would lack if what a metric counts had failed there.

    It knows of less time since the first failure if it was read before the metric.
    """
    since_log, since_metric = ((m.read_at or 0.0) - context.since for m in (log_, metric))
    known = min(max(since_log / since_metric, 0.0), 1.0) if since_metric > 0 else 0.0
    return known * min(metric.reading.failed_share, MOST)
