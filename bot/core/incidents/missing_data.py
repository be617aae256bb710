"""Sources without data and feeds that cannot be read: reported, as that must never look healthy.

Nobody is paged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.incidents.grouping import keep_incident
from bot.core.incidents.recurrence import STICKY_RESOLVE_S, is_sticky_resolved
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import FEED, Cause, Scope, Severity, Target, Verdict
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    Resolution,
    reopen,
)
from bot.core.state.problem import NoDataProblem
from bot.core.state.stimulus import IncidentChanged
from bot.core.state.timeline import ReopenedEntry

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import DeskEffect
    from bot.core.state.tenant import SharedSignals, Tenants

REOPEN_WITHIN_S = 1800.0
"""A source that loses its data again so soon is the same incident."""
NOTHING_WRONG = Verdict(Cause.NONE, Scope.UNKNOWN, 1.0)
"""With logins: a source without data is no evidence for or against them."""


def evaluate_sources(
    state: DeskState, now: float, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    """Report which sources lost their data, and which have it again: one incident per kind."""
    effects: list[DeskEffect] = []
    covered = {name for incident in state.open_login_incidents for name in incident.tenants}
    covered |= {
        one.owner
        for incident in state.incidents.values()
        if incident.source is None and now - (incident.life.resolved_at or now) < STICKY_RESOLVE_S
        for one in incident.life.still_failing
    }
    # An alert of its own would be believed to go on: its figures are old.
    firing = {
        Target(name, signal)
        for name, each in tenants.states.items()
        for signal, metric in each.metrics.items()
        if metric.is_firing
    }
    for kind in (*MetricKind, None):
        silent = _find_silent(kind, state.shared, tenants, rules, now)
        incident = next((i for i in state.open_incidents if _is_about(i, kind)), None)
        changes: list[DeskEffect] = []
        if incident is not None:
            state, changes = keep_incident(state, _update_or_resolve(incident, silent, now, rules))
        # Not if more severe incidents say it as well, or people resolved it.
        elif silent and not (
            (covered.issuperset(_tenant_names(silent, rules)) and not firing & _targets(silent))
            or is_sticky_resolved(state, _targets(silent), now)
        ):
            state, changes = _open_or_reopen(state, kind, silent, now, rules)
        effects += changes
    return state, effects


def _is_about(incident: Incident, kind: MetricKind | None) -> bool:
    return incident.kind is IncidentKind.SOURCE_NO_DATA and incident.source is kind


def _find_silent(
    kind: MetricKind | None, shared: SharedSignals, tenants: Tenants, rules: Rules, now: float
) -> tuple[NoDataProblem, ...]:
    """Return the sources of a kind without data; of none, the feeds that cannot be read."""
    if kind is None:
        return tuple(
            NoDataProblem(FEED, name, feed.since or now, None, fault=feed.fault)
            for name, feed in shared.feeds.items()
            if feed.is_silent(now)
        )
    return tuple(
        NoDataProblem(name, signal, metric.no_data_since, kind, metric.no_data_reason)
        for name, state in tenants.states.items()
        for signal, metric in state.metrics.items()
        if metric.no_data_since is not None and rules.tenants[name].metrics[signal].kind is kind
    )


def _open_or_reopen(
    state: DeskState,
    kind: MetricKind | None,
    silent: tuple[NoDataProblem, ...],
    now: float,
    rules: Rules,
) -> StateAndEffects:
    for old in state.incidents.values():
        ended_at = old.life.resolved_at
        if _is_about(old, kind) and ended_at and now - ended_at < REOPEN_WITHIN_S:
            names = _tenant_names(silent, rules)
            again = replace(reopen(old, now), problems=silent, tenants=names)
            posts = [notifications.post_message(again)] if old.message.is_missed else []
            again, reply = notifications.add_entry(again, ReopenedEntry(now))
            again, edit = notifications.edit_message(again, now)
            return keep_incident(state, (again, [IncidentChanged(again), *posts, reply, edit]))
    incident = Incident(
        id=state.next_id,
        kind=IncidentKind.SOURCE_NO_DATA,
        severity=Severity.INFO,
        tenants=_tenant_names(silent, rules),
        since=min(problem.since for problem in silent),
        life=IncidentLife(now),
        verdict=NOTHING_WRONG,
        problems=silent,
        message=IncidentMessage(
            channel=rules.channels.home(_tenant_names(silent, rules)[0], Severity.INFO),
            updated_at=now,
        ),
        source=kind,
    )
    state = replace(state, next_id=incident.id + 1)
    post = notifications.post_message(incident)
    return keep_incident(state, (incident, [IncidentChanged(incident), post]))


def _update_or_resolve(
    incident: Incident, silent: tuple[NoDataProblem, ...], now: float, rules: Rules
) -> tuple[Incident, list[DeskEffect]]:
    if not silent:
        return notifications.resolve_incident(incident, Resolution(now))
    if [p.target for p in silent] == [p.target for p in incident.problems]:
        return incident, []
    after = replace(incident, problems=silent, tenants=_tenant_names(silent, rules))
    after, edit = notifications.edit_message(after, now)
    return after, [edit]


def _targets(silent: tuple[NoDataProblem, ...]) -> set[Target]:
    return {problem.target for problem in silent}


def _tenant_names(silent: tuple[NoDataProblem, ...], rules: Rules) -> tuple[str, ...]:
    """Return the tenants of sources; of a feed, those that it is about."""
    targets = _targets(silent)
    by_feed = (name for name, each in rules.tenants.items() if each.feed in targets)
    own = (problem.tenant for problem in silent if problem.tenant != FEED)
    return tuple(dict.fromkeys((*own, *by_feed)))
