"""What is wrong with the bot itself or its host: one incident a kind, for as long as it lasts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.incidents.grouping import keep_incident
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
)
from bot.core.state.outbox import Call
from bot.core.state.stimulus import ClockCorrected, IncidentChanged, OwnFaultSeen, Stopped

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects

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
