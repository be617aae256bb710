"""How long an acknowledgement holds: who has a critical incident is asked from time to time.

Without an answer people are called as at first, and the escalation starts from its first step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import calls
from bot.core.incidents import notifications
from bot.core.model.observation import Severity
from bot.core.oncall import CallReason
from bot.core.state.incident import Acknowledgement, Incident
from bot.core.state.stimulus import Send
from bot.core.state.timeline import DirectEntry, StillOnItEntry

if TYPE_CHECKING:
    from bot.core.alerting.paging import IncidentAndEffects
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.timeline import TimelineEntry

ANSWER_S = 900.0
"""Without an answer for so long an acknowledgement ends."""
APART_S = 300.0
"""Not so soon after people were called for a tenant that fails as well."""
MAX_WAIT_S = 4 * 3600.0
MAX_DOUBLINGS = 20
"""The wait for the next question doubles up to this, or stays as configured if that is longer."""


def due_at(incident: Incident, rules: Rules) -> float | None:
    """Return when whoever has an incident is asked next, or has no longer answered; None: never."""
    taken = incident.life.acknowledged
    if taken is None or rules.remind_after_s is None or incident.severity is not Severity.CRITICAL:
        return None
    if incident.notification.is_muted or incident.life.returning is not None:
        return None
    if taken.asked_at is not None:
        called_at = incident.notification.called_at or taken.asked_at
        return max(taken.asked_at + ANSWER_S, called_at + APART_S)
    doubled_s = rules.remind_after_s * 2.0 ** min(taken.answered, MAX_DOUBLINGS)
    wait_s = max(rules.remind_after_s, min(doubled_s, MAX_WAIT_S))
    return (taken.active_at or taken.at) + wait_s


def ask_or_expire(incident: Incident, now: float) -> IncidentAndEffects:
    """Ask whoever has an incident whether they are still on it; without an answer, call people."""
    taken = incident.life.acknowledged
    if taken is None:
        return incident, []
    if taken.asked_at is not None:
        return calls.await_call(incident, CallReason.EXPIRED, now), []
    asked = replace(taken, asked_at=now)
    incident = _with_acknowledgement(incident, asked)
    entry = StillOnItEntry(now, asked, now + ANSWER_S)
    direct = send_directly(incident, taken.by, entry)
    incident, reply = notifications.add_entry(incident, entry)
    return incident, [direct, reply]


def send_directly(incident: Incident, person: str, entry: TimelineEntry) -> Send:
    """Send a timeline entry to the person whom it concerns; the thread gets it as well."""
    key = f"{incident.id}:direct-entry:{incident.message.replies + 1}"
    return Send(key, f"direct:{incident.id}", DirectEntry(incident.id, person, entry))


def postpone(incident: Incident, by_s: float) -> Incident:
    """Put the question or its deadline off, while nobody is to be notified."""
    taken = incident.life.acknowledged
    if taken is None:
        return incident
    if taken.asked_at is not None:
        return _with_acknowledgement(incident, replace(taken, asked_at=taken.asked_at + by_s))
    active_at = (taken.active_at or taken.at) + by_s
    return _with_acknowledgement(incident, replace(taken, active_at=active_at))


def renew(incident: Incident, now: float, *, is_answer: bool = False) -> Incident:
    """Start the wait again: who has it is still on it. An answered question doubles the wait."""
    taken = incident.life.acknowledged
    if taken is None:
        return incident
    answered = taken.answered + (is_answer and taken.asked_at is not None)
    taken = replace(taken, active_at=now, asked_at=None, answered=answered)
    return _with_acknowledgement(incident, taken)


def note_activity(state: DeskState, user: str, now: float) -> DeskState:
    """Renew all that a person has acknowledged: they are active."""
    for incident in state.open_incidents:
        if incident.life.acknowledged_by == user:
            state = state.with_incident(renew(incident, now))
    return state


def _with_acknowledgement(incident: Incident, taken: Acknowledgement) -> Incident:
    return replace(incident, life=replace(incident.life, acknowledged=taken))
