"""Sources that say nothing: told, since silence must never look healthy; nobody is alerted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications, sticky_resolve
from bot.core.incidents.grouping import keep_incident
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    Problem,
    TimelineEntry,
    TimelineKind,
    reopen,
)
from bot.core.state.outbox import Post
from bot.core.state.stimulus import IncidentChanged, Send

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import Effect, Tenants

REOPEN_WITHIN_S = 1800.0
"""A source that falls silent again so soon is the same incident."""
NOTHING_WRONG = Verdict(Cause.NONE, Scope.UNKNOWN, 1.0)
"""With logins: a silent source says nothing of them, for or against."""


def evaluate_sources(state: DeskState, now: float, world: Tenants, rules: Rules) -> StateAndEffects:
    """Tell which sources fell silent, and which speak again: one incident a kind of source."""
    effects: list[Effect] = []
    for kind in MetricKind:
        silent = _sources_without_data(kind, world, rules)
        incident = next((i for i in state.open_incidents if i.source is kind), None)
        if incident is not None:
            state, told = keep_incident(state, _update_or_resolve(incident, silent, now))
            effects += told
        elif (
            silent
            and not _has_graver_incident(state, silent)
            and not _is_sticky_resolved(state, silent, now)
        ):
            state, told = _open_or_reopen(state, kind, silent, now)
            effects += told
    return state, effects


def _sources_without_data(kind: MetricKind, world: Tenants, rules: Rules) -> tuple[Problem, ...]:
    return tuple(
        Problem(
            name,
            signal,
            series.no_data_since,
            failed=0,
            tries=0,
            source=kind,
            no_data_reason=series.no_data_reason,
        )
        for name, state in world.states.items()
        for signal, series in state.metrics.items()
        if series.no_data_since is not None and rules.tenants[name].metrics[signal].kind is kind
    )


def _has_graver_incident(state: DeskState, silent: tuple[Problem, ...]) -> bool:
    """Tell whether all of them have a graver incident, whose message says it as well."""
    troubled = {name for incident in state.open_login_incidents for name in incident.tenants}
    return {trouble.tenant for trouble in silent} <= troubled


def _is_sticky_resolved(state: DeskState, silent: tuple[Problem, ...], now: float) -> bool:
    return sticky_resolve.is_sticky_resolved(
        state, {f"{trouble.tenant}.{trouble.signal}" for trouble in silent}, now
    )


def _open_or_reopen(
    state: DeskState, kind: MetricKind, silent: tuple[Problem, ...], now: float
) -> StateAndEffects:
    for old in state.incidents.values():
        if old.source is kind and old.resolved_at and now - old.resolved_at < REOPEN_WITHIN_S:
            again = replace(reopen(old), problems=silent, tenants=_tenant_names(silent))
            again, told = notifications.add_entry(again, TimelineEntry(now, TimelineKind.REOPENED))
            again, shown = notifications.edit_message(again, now)
            return keep_incident(state, (again, [IncidentChanged(again), told, shown]))
    number = state.next_id
    incident = Incident(
        id=number,
        kind=IncidentKind.SOURCE_NO_DATA,
        severity=Severity.INFO,
        tenants=_tenant_names(silent),
        since=min(trouble.since for trouble in silent),
        opened_at=now,
        verdict=NOTHING_WRONG,
        problems=silent,
        message_updated_at=now,
        source=kind,
    )
    state = replace(state, next_id=number + 1)
    post = Send(f"{number}:post:1", notifications.lane(number), Post(number))
    return keep_incident(state, (incident, [IncidentChanged(incident), post]))


def _update_or_resolve(
    incident: Incident, silent: tuple[Problem, ...], now: float
) -> tuple[Incident, list[Effect]]:
    if not silent:
        return notifications.resolve_incident(incident, now)
    if [(t.tenant, t.signal) for t in silent] == [(t.tenant, t.signal) for t in incident.problems]:
        return incident, []
    after, shown = notifications.edit_message(
        replace(incident, problems=silent, tenants=_tenant_names(silent)), now
    )
    return after, [shown]


def _tenant_names(silent: tuple[Problem, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(trouble.tenant for trouble in silent))
