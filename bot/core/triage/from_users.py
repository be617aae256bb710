"""What real users' figures, outside monitors and changes say in a case."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bot.core.auth0_logs.events import FAILED_KINDS, RowKind
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import CUSTOM, FRESH_S, SignalState
from bot.core.signals.metric_threshold import QUOTA_ROWS
from bot.core.signals.probe_threshold import Reason
from bot.core.triage.context import (
    RECENTLY_ENDED_S,
    is_signal_failing,
    is_signal_healthy,
    join_names,
)
from bot.core.triage.verdict import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.measurement import ChangeMade, Group
    from bot.core.signals.metric_threshold import MetricState
    from bot.core.triage.context import TriageContext

CHANGE_BEFORE_S = 900.0
"""A change so shortly before the first failure is suspect …"""
CHANGE_AFTER_S = 120.0
"""… and one that was told so shortly after it, too: clocks and tellers are late."""
AFTER_ONSET = 0.75
"""Figures speak of now once this part of their span lies after the first failure."""
SURGE_FACTOR = 2.0
DOMINANT_SHARE = 0.4
"""A kind of row that is this part of all failed ones names the reason."""
CONCENTRATED_SHARE = 0.8
MIN_PLATFORM_ROWS = 2
VANISHED_SHARE = 0.3
"""Of the usual successes fewer are left."""
MIN_OTHER_SUCCESSES = 5
"""Successes elsewhere that show that not everything fails."""
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


def is_metric_firing(series: MetricState) -> bool:
    """Tell whether a series says that users fail."""
    return series.state is SignalState.FIRING


def collect_user_evidence(case: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield what is known of one tenant's real users."""
    state, rules = case.all_tenants.states[name], case.rules.tenants[name]
    of_kind = {
        kind: [n for n, limits in rules.metrics.items() if limits.kind is kind]
        for kind in MetricKind
    }
    bad = [n for n, series in state.metrics.items() if _is_user_failure(series)]
    alerting = [n for n, monitor in state.monitors.items() if monitor.firing]
    if bad or alerting:
        yield RuleMatch(
            _users_rule_id(case, name), {"tenant": name, "what": join_names([*bad, *alerting])}
        )
        yield from _collect_peer_user_evidence(case, name)
    if alerting:
        yield RuleMatch("monitor-says", {"names": join_names(alerting)})
    well = [n for n, series in state.metrics.items() if _is_metric_healthy(series, case)]
    counted = [n for n in well if n not in of_kind[MetricKind.ERRORS]]
    if (
        counted
        and not bad
        and any(is_signal_failing(state.probes[login]) for login in rules.logins)
    ):
        yield RuleMatch("users-ok", {"what": join_names(counted)})
    metrics = of_kind[MetricKind.METRICS]
    if any(n in bad for n in metrics) and (fine := [n for n in metrics if n in well]):
        yield RuleMatch("one-application", {"names": join_names(fine)})
    for series_name in metrics:
        yield from _collect_surge_evidence(series_name, state.metrics[series_name], case)
    for series_name in of_kind[MetricKind.LOGS]:
        yield from _collect_log_evidence(state.metrics[series_name], case, is_alone=not bad)
        yield from _collect_blame_evidence(state.metrics[series_name], rules.realms, case)
    for series_name in of_kind[MetricKind.ERRORS]:
        yield from _collect_error_evidence(state.metrics[series_name])


def _collect_peer_user_evidence(case: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Say whose users fail, too: two applications do not break in the same minutes."""
    here = case.environment(name)
    others = [
        other
        for other, state in case.all_tenants.states.items()
        if other != name
        and here is not None
        and case.environment(other) == here
        and any(_is_user_failure(series) for series in state.metrics.values())
    ]
    if others:
        yield RuleMatch("users-fail-elsewhere", {"names": join_names(others)})


def _is_user_failure(series: MetricState) -> bool:
    return is_metric_firing(series) and series.reason in {Reason.SHARE, Reason.EVENTS}


def _users_rule_id(case: TriageContext, name: str) -> str:
    """Return whether users fail alone, or together with the synthetic login (even a little)."""
    state = case.all_tenants.states[name]
    names = {*case.rules.tenants[name].logins, CUSTOM} & state.probes.keys()
    logins = [state.probes[login] for login in names]
    is_well = all(is_signal_healthy(signal, case.now) and not signal.faults for signal in logins)
    return "users-fail-alone" if is_well else "users-fail"


def _is_metric_healthy(series: MetricState, case: TriageContext) -> bool:
    """Tell whether figures of after the first failure are good."""
    if series.state is not SignalState.OK or not series.reading.is_good or series.no_data_reason:
        return False
    read_at = series.read_at or 0.0
    is_after = read_at - case.since >= AFTER_ONSET * series.reading.span_s
    return is_after and case.now - read_at < FRESH_S and not _has_just_recovered(series, case.now)


def _has_just_recovered(series: MetricState, now: float) -> bool:
    return series.ended_at is not None and now - series.ended_at < RECENTLY_ENDED_S


def _collect_surge_evidence(
    name: str, series: MetricState, case: TriageContext
) -> Iterator[RuleMatch]:
    total, span_s = series.reading.total, series.reading.span_s
    usual = series.baseline
    if not total or not usual.is_known or case.now - (series.read_at or 0.0) > FRESH_S:
        return
    times = total / max(1.0, usual.total / usual.seconds * span_s)
    if times >= SURGE_FACTOR:
        yield RuleMatch("traffic-surge", {"names": name, "times": f"{times:.1f}"})


def _collect_log_evidence(
    series: MetricState, case: TriageContext, *, is_alone: bool
) -> Iterator[RuleMatch]:
    if case.now - (series.read_at or 0.0) > FRESH_S:
        return
    kinds: Counter[str] = Counter()
    for group in series.groups:
        kinds[group.kind] += group.count
    seen = round((series.reading.total or 0.0) - series.reading.failed)
    usually = round(series.reading.expected_successes or 0.0)
    if is_metric_firing(series) and seen < VANISHED_SHARE * usually:
        row = "log-no-success-alone" if is_alone else "log-no-success"
        yield RuleMatch(row, {"what": f"{seen}, usually {usually}"})
    if kinds[RowKind.QUOTA] >= QUOTA_ROWS:
        yield RuleMatch("log-quota", {"what": f"{kinds[RowKind.QUOTA]} rows"})
    if kinds[RowKind.PLATFORM] >= MIN_PLATFORM_ROWS:
        yield RuleMatch("log-platform", {"what": f"{kinds[RowKind.PLATFORM]} rows"})


def _collect_blame_evidence(
    series: MetricState, realms: tuple[str, ...], case: TriageContext
) -> Iterator[RuleMatch]:
    """Say whom the failed logins of a log blame: one connection, or a kind of their own."""
    if not series.reading.is_significant or case.now - (series.read_at or 0.0) > FRESH_S:
        return
    groups = series.groups
    failed = [g for g in groups if g.kind in FAILED_KINDS and g.kind != RowKind.QUOTA]
    count = sum(group.count for group in failed)
    connection, hits = _most_frequent(failed, "connection")
    elsewhere = sum(
        g.count for g in groups if g.kind == RowKind.SUCCESS and g.connection != connection
    )
    is_one = (
        bool(connection) and hits >= CONCENTRATED_SHARE * count and elsewhere >= MIN_OTHER_SUCCESSES
    )
    if is_one:
        row = "log-database" if connection in realms else "log-one-connection"
        yield RuleMatch(row, {"names": connection})
    if is_one and connection in realms:
        return  # a password login takes a database only, never a provider
    kind, hits = _most_frequent(failed, "kind")
    if (
        hits >= DOMINANT_SHARE * count
        and kind in LOG_RULE_IDS
        and not (is_one and kind == RowKind.APP)
    ):
        pattern, _ = _most_frequent([g for g in failed if g.kind == kind], "pattern")
        words = pattern.replace("_", " ") or "by type of row"
        yield RuleMatch(
            LOG_RULE_IDS[RowKind(kind)], {"what": f"{words}, {hits} of {count} failures"}
        )


def _most_frequent(groups: list[Group], field: str) -> tuple[str, int]:
    """Return the most frequent value of a field, and its count."""
    counts: Counter[str] = Counter()
    for group in groups:
        counts[getattr(group, field)] += group.count
    return counts.most_common(1)[0] if counts else ("", 0)


def _collect_error_evidence(series: MetricState) -> Iterator[RuleMatch]:
    if (
        not is_metric_firing(series) or not series.recent
    ):  # after a restart there are no figures yet
        return
    pattern, hits = _most_frequent(list(series.recent[-1].groups), "pattern")
    if pattern in ERROR_RULE_IDS:
        words = pattern.replace("_", " ")
        yield RuleMatch(ERROR_RULE_IDS[pattern], {"what": f"{words}, {hits} events"})


def collect_change_evidence(case: TriageContext) -> Iterator[RuleMatch]:
    """Yield what was changed shortly before the first failure, the newest of each kind."""
    ours = suspect_changes(case, "")
    theirs = [change for name in case.tenants for change in suspect_changes(case, name)]
    if ours:
        yield RuleMatch("deploy-before", _change_values(ours[-1], case))
    if theirs:
        row = "client-before" if theirs[-1].what.startswith("client") else "setting-before"
        yield RuleMatch(row, {**_change_values(theirs[-1], case), "tenant": theirs[-1].tenant})


def suspect_changes(case: TriageContext, tenant: str) -> list[ChangeMade]:
    """Return the changes at a tenant, or (without one) of ours, shortly before the trouble."""
    return [
        change
        for change in case.shared.changes
        if change.tenant == tenant
        and case.since - CHANGE_BEFORE_S <= change.at <= case.since + CHANGE_AFTER_S
    ]


def _change_values(change: ChangeMade, case: TriageContext) -> dict[str, str | int]:
    what = f"{change.what} ({change.app})" if change.app else change.what
    return {"minutes": max(0, round((case.since - change.at) / 60)), "what": what}
