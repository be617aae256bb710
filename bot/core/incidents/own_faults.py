"""What is wrong with the bot itself, its host or its sources: incidents that say nothing of logins.

Of the bot and its host there is one a kind, for as long as it lasts. Sources without data are
reported, since "no data" must never look healthy; nobody is paged.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.incidents.grouping import keep_incident
from bot.core.incidents.recurrence import STICKY_RESOLVE_S, is_sticky_resolved
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.oncall import AwaitingMention, CallReason, EscalationState
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    NotificationState,
    OwnFault,
    OwnFaultKind,
    Resolution,
    reopen,
)
from bot.core.state.outbox import Call
from bot.core.state.problem import NoDataProblem
from bot.core.state.stimulus import ClockCorrected, IncidentChanged, OwnFaultSeen, Stopped
from bot.core.state.timeline import ReopenedEntry

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import DeskEffect
    from bot.core.state.tenant import Tenants

SEVERITIES = {
    OwnFaultKind.CLOCK: Severity.WARNING,
    OwnFaultKind.CLOCK_CORRECTED: Severity.INFO,
    OwnFaultKind.STORE: Severity.WARNING,
    OwnFaultKind.CRASH_LOOP: Severity.CRITICAL,
}
CRASHES = 6
"""So many starts that followed a crash …"""
CRASH_WINDOW_S = 900.0
"""… within this time are a crash loop. Kubernetes, which waits longer from crash to crash, gets
there in eight minutes."""
CRASH_FREE_S = 600.0
"""It is over once the process has run for so long."""


def handle(state: DeskState, stimulus: OwnFaultSeen | Stopped | ClockCorrected) -> StateAndEffects:
    """Open an incident about a fault, or resolve it; forget a start that was no crash's."""
    now = stimulus.at
    match stimulus:
        case Stopped():
            return replace(state, starts=state.starts[:-1]), []
        case ClockCorrected(by_s=by_s):
            fault = OwnFault(OwnFaultKind.CLOCK_CORRECTED, ahead_s=-by_s)
            return _open(state.with_shift_over(now), fault, now, resolution=Resolution(now))
        case OwnFaultSeen(fault=fault, is_over=True):
            return resolve(state, fault.kind, now)
        case OwnFaultSeen(fault=fault):
            return _open(state, fault, now)


def _open(
    state: DeskState, fault: OwnFault, now: float, resolution: Resolution | None = None
) -> StateAndEffects:
    """Open an incident; with a resolution it is over already, and only informs people."""
    if _find_open(state, fault.kind) is not None:
        return state, []
    severity = SEVERITIES[fault.kind]
    is_critical = severity is Severity.CRITICAL
    incident = Incident(
        id=state.next_id,
        kind=IncidentKind.OWN_FAULT,
        severity=severity,
        tenants=(),
        since=now,
        verdict=Verdict(Cause.NETWORK, Scope.UNKNOWN, 1.0),
        life=IncidentLife(opened_at=now, resolved=resolution),
        notification=NotificationState(
            escalation=AwaitingMention(now) if is_critical else EscalationState(now)
        ),
        message=IncidentMessage(updated_at=now),
        own_fault=fault,
    )
    state = replace(state, next_id=incident.id + 1)
    call = Call(incident.id, CallReason.BEGUN, now) if is_critical else None
    post = notifications.post_message(incident, call)
    return keep_incident(state, (incident, [IncidentChanged(incident), post]))


def count_start(state: DeskState, now: float) -> StateAndEffects:
    """Count a start of the process; report a crash loop."""
    starts = (*(at for at in state.starts if now - at < CRASH_WINDOW_S), now)
    state = replace(state, starts=starts)
    crashes = len(starts) - 1
    if crashes < CRASHES:
        return state, []
    detail = f"{crashes} crashes within {CRASH_WINDOW_S / 60:.0f} minutes."
    return _open(state, OwnFault(OwnFaultKind.CRASH_LOOP, detail), now)


def crash_loop_due_at(state: DeskState) -> float | None:
    """Return when a crash loop counts as over; None: there is none."""
    if _find_open(state, OwnFaultKind.CRASH_LOOP) is None:
        return None
    return max(state.starts, default=0.0) + CRASH_FREE_S


def resolve(state: DeskState, kind: OwnFaultKind, now: float) -> StateAndEffects:
    """Resolve the incident about a fault, if there is one."""
    known = _find_open(state, kind)
    if known is None:
        return state, []
    return keep_incident(state, notifications.resolve_incident(known, Resolution(now)))


def _find_open(state: DeskState, kind: OwnFaultKind) -> Incident | None:
    faults = (i for i in state.open_incidents if i.own_fault and i.own_fault.kind is kind)
    return next(faults, None)


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
    for kind in MetricKind:
        silent = _sources_without_data(kind, tenants, rules)
        incident = next((i for i in state.open_incidents if i.source is kind), None)
        changes: list[DeskEffect] = []
        if incident is not None:
            state, changes = keep_incident(state, _update_or_resolve(incident, silent, now))
        # Not if more severe incidents say it as well, or people resolved it.
        elif silent and not (
            covered.issuperset(_tenant_names(silent))
            or is_sticky_resolved(state, {problem.target for problem in silent}, now)
        ):
            state, changes = _open_or_reopen(state, kind, silent, now, rules)
        effects += changes
    return state, effects


def _sources_without_data(
    kind: MetricKind, tenants: Tenants, rules: Rules
) -> tuple[NoDataProblem, ...]:
    return tuple(
        NoDataProblem(name, signal, metric.no_data_since, kind, metric.no_data_reason)
        for name, state in tenants.states.items()
        for signal, metric in state.metrics.items()
        if metric.no_data_since is not None and rules.tenants[name].metrics[signal].kind is kind
    )


def _open_or_reopen(
    state: DeskState,
    kind: MetricKind,
    silent: tuple[NoDataProblem, ...],
    now: float,
    rules: Rules,
) -> StateAndEffects:
    for old in state.incidents.values():
        ended_at = old.life.resolved_at
        if old.source is kind and ended_at and now - ended_at < REOPEN_WITHIN_S:
            again = replace(reopen(old, now), problems=silent, tenants=_tenant_names(silent))
            posts = [notifications.post_message(again)] if old.message.is_missed else []
            again, reply = notifications.add_entry(again, ReopenedEntry(now))
            again, edit = notifications.edit_message(again, now)
            return keep_incident(state, (again, [IncidentChanged(again), *posts, reply, edit]))
    incident = Incident(
        id=state.next_id,
        kind=IncidentKind.SOURCE_NO_DATA,
        severity=Severity.INFO,
        tenants=_tenant_names(silent),
        since=min(problem.since for problem in silent),
        life=IncidentLife(now),
        verdict=NOTHING_WRONG,
        problems=silent,
        message=IncidentMessage(
            channel=rules.channels.home(silent[0].tenant, Severity.INFO), updated_at=now
        ),
        source=kind,
    )
    state = replace(state, next_id=incident.id + 1)
    post = notifications.post_message(incident)
    return keep_incident(state, (incident, [IncidentChanged(incident), post]))


def _update_or_resolve(
    incident: Incident, silent: tuple[NoDataProblem, ...], now: float
) -> tuple[Incident, list[DeskEffect]]:
    if not silent:
        return notifications.resolve_incident(incident, Resolution(now))
    if [p.target for p in silent] == [p.target for p in incident.problems]:
        return incident, []
    after = replace(incident, problems=silent, tenants=_tenant_names(silent))
    after, edit = notifications.edit_message(after, now)
    return after, [edit]


def _tenant_names(silent: tuple[NoDataProblem, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(problem.tenant for problem in silent))
