"""What real users' figures, outside monitors and changes say in a case."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bot.core.auth0_logs.events import FAILED_KINDS, RowKind
from bot.core.model.measurement import Kind
from bot.core.model.observation import CUSTOM, FRESH_S, SignalState
from bot.core.signals.metric_threshold import QUOTA_ROWS
from bot.core.signals.probe_threshold import Reason
from bot.core.triage.context import LATELY_S, fails, listed, works
from bot.core.triage.verdict import Clue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.measurement import ChangeMade, Group
    from bot.core.signals.metric_threshold import Series
    from bot.core.triage.context import Case

BEFORE_S = 900.0
"""A change so shortly before the first failure is suspect …"""
AFTER_S = 120.0
"""… and one that was told so shortly after it, too: clocks and tellers are late."""
AFTER_ONSET = 0.75
"""Figures speak of now once this part of their span lies after the first failure."""
SURGE = 2.0
DOMINANT = 0.4
"""A kind of row that is this part of all failed ones names the reason."""
CONCENTRATED = 0.8
PLATFORM_ROWS = 2
VANISHED = 0.3
"""Of the usual successes fewer are left."""
OTHERS = 5
"""Successes elsewhere that show that not everything fails."""
BLAMED = {
    RowKind.APP: "log-app",
    RowKind.UPSTREAM: "log-upstream",
    RowKind.PROVIDER: "log-provider",
    RowKind.TENANT: "log-tenant",
}
ERROR_ROWS = {
    "callback_mismatch": "errors-app",
    "unknown_client": "errors-app",
    "code_reused": "errors-app",
    "provider_error": "errors-upstream",
    "unreachable": "errors-unreachable",
    "timeout": "errors-unreachable",
}


def is_bad(series: Series) -> bool:
    """Tell whether a series says that users fail."""
    return series.state is SignalState.FIRING


def user_clues(case: Case, name: str) -> Iterator[Clue]:
    """Yield what is known of one tenant's real users."""
    state, rules = case.world.tenants[name], case.rules.tenants[name]
    of_kind = {
        kind: [n for n, limits in rules.series.items() if limits.kind is kind] for kind in Kind
    }
    bad = [n for n, series in state.series.items() if _says_users_fail(series)]
    alerting = [n for n, monitor in state.monitors.items() if monitor.firing]
    if bad or alerting:
        yield Clue(_users_row(case, name), {"tenant": name, "what": listed([*bad, *alerting])})
        yield from _elsewhere(case, name)
    if alerting:
        yield Clue("monitor-says", {"names": listed(alerting)})
    well = [n for n, series in state.series.items() if _is_well(series, case)]
    counted = [n for n in well if n not in of_kind[Kind.ERRORS]]
    if counted and not bad and any(fails(state.signals[login]) for login in rules.logins):
        yield Clue("users-ok", {"what": listed(counted)})
    metrics = of_kind[Kind.METRICS]
    if any(n in bad for n in metrics) and (fine := [n for n in metrics if n in well]):
        yield Clue("one-application", {"names": listed(fine)})
    for series_name in metrics:
        yield from _surge(series_name, state.series[series_name], case)
    for series_name in of_kind[Kind.LOGS]:
        yield from _log_clues(state.series[series_name], case, is_alone=not bad)
        yield from _blame(state.series[series_name], rules.realms, case)
    for series_name in of_kind[Kind.ERRORS]:
        yield from _error_clues(state.series[series_name])


def _elsewhere(case: Case, name: str) -> Iterator[Clue]:
    """Say whose users fail, too: two applications do not break in the same minutes."""
    here = case.environment(name)
    others = [
        other
        for other, state in case.world.tenants.items()
        if other != name
        and here is not None
        and case.environment(other) == here
        and any(_says_users_fail(series) for series in state.series.values())
    ]
    if others:
        yield Clue("users-fail-elsewhere", {"names": listed(others)})


def _says_users_fail(series: Series) -> bool:
    return is_bad(series) and series.reason in {Reason.SHARE, Reason.EVENTS}


def _users_row(case: Case, name: str) -> str:
    """Return whether users fail alone, or together with the synthetic login (even a little)."""
    state = case.world.tenants[name]
    names = {*case.rules.tenants[name].logins, CUSTOM} & state.signals.keys()
    logins = [state.signals[login] for login in names]
    is_well = all(works(signal, case.now) and not signal.faults for signal in logins)
    return "users-fail-alone" if is_well else "users-fail"


def _is_well(series: Series, case: Case) -> bool:
    """Tell whether figures of after the first failure are good."""
    if series.state is not SignalState.OK or not series.reading.is_good or series.missing:
        return False
    read_at = series.read_at or 0.0
    is_after = read_at - case.since >= AFTER_ONSET * series.reading.span_s
    return is_after and case.now - read_at < FRESH_S and not _ended_lately(series, case.now)


def _ended_lately(series: Series, now: float) -> bool:
    return series.ended_at is not None and now - series.ended_at < LATELY_S


def _surge(name: str, series: Series, case: Case) -> Iterator[Clue]:
    total, span_s = series.reading.total, series.reading.span_s
    usual = series.usual
    if not total or not usual.is_known or case.now - (series.read_at or 0.0) > FRESH_S:
        return
    times = total / max(1.0, usual.total / usual.seconds * span_s)
    if times >= SURGE:
        yield Clue("traffic-surge", {"names": name, "times": f"{times:.1f}"})


def _log_clues(series: Series, case: Case, *, is_alone: bool) -> Iterator[Clue]:
    if case.now - (series.read_at or 0.0) > FRESH_S:
        return
    kinds: Counter[str] = Counter()
    for group in series.groups:
        kinds[group.kind] += group.count
    seen = round((series.reading.total or 0.0) - series.reading.failed)
    usually = round(series.reading.usual_succeeded or 0.0)
    if is_bad(series) and seen < VANISHED * usually:
        row = "log-no-success-alone" if is_alone else "log-no-success"
        yield Clue(row, {"what": f"{seen}, usually {usually}"})
    if kinds[RowKind.QUOTA] >= QUOTA_ROWS:
        yield Clue("log-quota", {"what": f"{kinds[RowKind.QUOTA]} rows"})
    if kinds[RowKind.PLATFORM] >= PLATFORM_ROWS:
        yield Clue("log-platform", {"what": f"{kinds[RowKind.PLATFORM]} rows"})


def _blame(series: Series, realms: tuple[str, ...], case: Case) -> Iterator[Clue]:
    """Say whom the failed logins of a log blame: one connection, or a kind of their own."""
    if not series.reading.is_clearly_more or case.now - (series.read_at or 0.0) > FRESH_S:
        return
    groups = series.groups
    failed = [g for g in groups if g.kind in FAILED_KINDS and g.kind != RowKind.QUOTA]
    count = sum(group.count for group in failed)
    connection, hits = _most(failed, "connection")
    elsewhere = sum(
        g.count for g in groups if g.kind == RowKind.SUCCESS and g.connection != connection
    )
    is_one = bool(connection) and hits >= CONCENTRATED * count and elsewhere >= OTHERS
    if is_one:
        row = "log-database" if connection in realms else "log-one-connection"
        yield Clue(row, {"names": connection})
    if is_one and connection in realms:
        return  # a password login takes a database only, never a provider
    kind, hits = _most(failed, "kind")
    if hits >= DOMINANT * count and kind in BLAMED and not (is_one and kind == RowKind.APP):
        pattern, _ = _most([g for g in failed if g.kind == kind], "pattern")
        words = pattern.replace("_", " ") or "by type of row"
        yield Clue(BLAMED[RowKind(kind)], {"what": f"{words}, {hits} of {count} failures"})


def _most(groups: list[Group], field: str) -> tuple[str, int]:
    """Return the most frequent value of a field, and its count."""
    counts: Counter[str] = Counter()
    for group in groups:
        counts[getattr(group, field)] += group.count
    return counts.most_common(1)[0] if counts else ("", 0)


def _error_clues(series: Series) -> Iterator[Clue]:
    if not is_bad(series) or not series.recent:  # after a restart there are no figures yet
        return
    pattern, hits = _most(list(series.recent[-1].groups), "pattern")
    if pattern in ERROR_ROWS:
        words = pattern.replace("_", " ")
        yield Clue(ERROR_ROWS[pattern], {"what": f"{words}, {hits} events"})


def change_clues(case: Case) -> Iterator[Clue]:
    """Yield what was changed shortly before the first failure, the newest of each kind."""
    ours = suspect_changes(case, "")
    theirs = [change for name in case.tenants for change in suspect_changes(case, name)]
    if ours:
        yield Clue("deploy-before", _figures(ours[-1], case))
    if theirs:
        row = "client-before" if theirs[-1].what.startswith("client") else "setting-before"
        yield Clue(row, {**_figures(theirs[-1], case), "tenant": theirs[-1].tenant})


def suspect_changes(case: Case, tenant: str) -> list[ChangeMade]:
    """Return the changes at a tenant, or (without one) of ours, shortly before the trouble."""
    return [
        change
        for change in case.outside.changes
        if change.tenant == tenant and case.since - BEFORE_S <= change.at <= case.since + AFTER_S
    ]


def _figures(change: ChangeMade, case: Case) -> dict[str, str | int]:
    what = f"{change.what} ({change.app})" if change.app else change.what
    return {"minutes": max(0, round((case.since - change.at) / 60)), "what": what}
