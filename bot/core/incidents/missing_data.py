"""Sources that say nothing: told, since silence must never look healthy; nobody is alerted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications, sticky_resolve
from bot.core.incidents.grouping import kept
from bot.core.model.measurement import Kind
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.state.incident import Entry, EntryKind, Incident, Trouble, reopened
from bot.core.state.incident import Kind as IncidentKind
from bot.core.state.outbox import Post
from bot.core.state.stimulus import IncidentChanged, Send

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, Stepped
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import Effect, World

AGAIN_S = 1800.0
"""A source that falls silent again so soon is the same incident."""
NOTHING_WRONG = Verdict(Cause.NONE, Scope.UNKNOWN, 1.0)
"""With logins: a silent source says nothing of them, for or against."""


def reviewed(state: DeskState, now: float, world: World, rules: Rules) -> Stepped:
    """Tell which sources fell silent, and which speak again: one incident a kind of source."""
    effects: list[Effect] = []
    for kind in Kind:
        silent = _silent(kind, world, rules)
        incident = next((i for i in state.open_incidents if i.source is kind), None)
        if incident is not None:
            state, told = kept(state, _goes_on(incident, silent, now))
            effects += told
        elif silent and not _is_minor(state, silent) and not _is_left(state, silent, now):
            state, told = _begins(state, kind, silent, now)
            effects += told
    return state, effects


def _silent(kind: Kind, world: World, rules: Rules) -> tuple[Trouble, ...]:
    return tuple(
        Trouble(
            name,
            signal,
            series.silent_since,
            failed=0,
            tries=0,
            counted=kind,
            missing=series.missing,
        )
        for name, state in world.tenants.items()
        for signal, series in state.series.items()
        if series.silent_since is not None and rules.tenants[name].series[signal].kind is kind
    )


def _is_minor(state: DeskState, silent: tuple[Trouble, ...]) -> bool:
    """Tell whether all of them have a graver incident, whose message says it as well."""
    troubled = {name for incident in state.open_troubles for name in incident.tenants}
    return {trouble.tenant for trouble in silent} <= troubled


def _is_left(state: DeskState, silent: tuple[Trouble, ...], now: float) -> bool:
    return sticky_resolve.is_left(
        state, {f"{trouble.tenant}.{trouble.signal}" for trouble in silent}, now
    )


def _begins(state: DeskState, kind: Kind, silent: tuple[Trouble, ...], now: float) -> Stepped:
    for old in state.incidents.values():
        if old.source is kind and old.resolved_at and now - old.resolved_at < AGAIN_S:
            again = replace(reopened(old), troubles=silent, tenants=_tenants(silent))
            again, told = notifications.reply(again, Entry(now, EntryKind.REOPENED))
            again, shown = notifications.edit(again, now)
            return kept(state, (again, [IncidentChanged(again), told, shown]))
    number = state.next_id
    incident = Incident(
        id=number,
        kind=IncidentKind.SILENT,
        severity=Severity.INFO,
        tenants=_tenants(silent),
        since=min(trouble.since for trouble in silent),
        opened_at=now,
        verdict=NOTHING_WRONG,
        troubles=silent,
        shown_at=now,
        source=kind,
    )
    state = replace(state, next_id=number + 1)
    post = Send(f"{number}:post:1", notifications.lane(number), Post(number))
    return kept(state, (incident, [IncidentChanged(incident), post]))


def _goes_on(
    incident: Incident, silent: tuple[Trouble, ...], now: float
) -> tuple[Incident, list[Effect]]:
    if not silent:
        return notifications.ended(incident, now)
    if [(t.tenant, t.signal) for t in silent] == [(t.tenant, t.signal) for t in incident.troubles]:
        return incident, []
    after, shown = notifications.edit(
        replace(incident, troubles=silent, tenants=_tenants(silent)), now
    )
    return after, [shown]


def _tenants(silent: tuple[Trouble, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(trouble.tenant for trouble in silent))
