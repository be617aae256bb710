"""Commands about incidents: acknowledge, resolve, note, false alarm, escalate."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy, paging
from bot.core.incidents import notifications
from bot.core.incidents.sticky_resolve import find_failing
from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident, IncidentState, Note
from bot.core.state.outbox import AnswerResult, PagerAction
from bot.core.state.stimulus import DeskEffect, IncidentChanged
from bot.core.state.timeline import AcknowledgedEntry, FalseAlarmEntry, NoteEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.request import Request
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

NOTE_LENGTH = 500
_INCIDENT_NUMBER = re.compile(r"#?0*(\d+)\b\s*", re.ASCII)

CommandResult = tuple[DeskState, list[DeskEffect], AnswerResult]


def find_incident(request: Request, state: DeskState) -> tuple[Incident | None, str]:
    """Return which incident is meant, and the rest of the text.

    It is the incident whose number is given, else that of the thread, else the only open one.
    """
    match = _INCIDENT_NUMBER.match(request.argument)
    if match:
        numbers = {str(number): incident for number, incident in state.incidents.items()}
        return numbers.get(match[1]), request.argument[match.end() :]
    for incident in state.incidents.values():
        ref = incident.message.ref
        if request.thread_ts and ref and ref.ts == request.thread_ts:
            return incident, request.argument
    still_open = state.open_incidents
    return (still_open[0] if len(still_open) == 1 else None), request.argument


def handle_incident_command(
    state: DeskState, request: Request, now: float, tenants: Tenants, rules: Rules
) -> CommandResult:
    """Carry out a command about an incident."""
    incident, text = find_incident(request, state)
    if incident is None:
        return state, [], AnswerResult(CommandOutcome.NO_SUCH)
    text = text.strip()[:NOTE_LENGTH]
    if request.verb is Verb.ESCALATE:
        return _escalate(state, incident, request, now, rules)
    if request.verb is Verb.RESOLVE:
        return _resolve(state, incident, request, text, now, tenants)
    done = _HANDLERS[request.verb](incident, request.user, text, now)
    return _to_command_result(state, incident, done)


IncidentOutcome = tuple[CommandOutcome, Incident, list[DeskEffect]]


def _to_command_result(state: DeskState, before: Incident, done: IncidentOutcome) -> CommandResult:
    outcome, incident, effects = done
    result = AnswerResult(outcome, before.id)
    return (state.with_incident(incident) if incident is not before else state), effects, result


def _acknowledge(incident: Incident, user: str, text: str, now: float) -> IncidentOutcome:
    if not incident.is_open:
        return CommandOutcome.TOO_LATE, incident, []
    if incident.state is IncidentState.ACKNOWLEDGED:
        return CommandOutcome.ALREADY, incident, []
    after = replace(
        incident,
        state=IncidentState.ACKNOWLEDGED,
        acknowledged_by=user,
        acknowledged_at=now,
        escalation=None,
    )
    after, effects = _record_entry(after, AcknowledgedEntry(now, user, text))
    pages = notifications.update_pages(after, PagerAction.ACKNOWLEDGE)
    return CommandOutcome.DONE, after, [IncidentChanged(after), *effects, *pages]


def _add_note(incident: Incident, user: str, text: str, now: float) -> IncidentOutcome:
    if not text:
        return CommandOutcome.INVALID, incident, []
    after, effects = _record_entry(incident, NoteEntry(now, user, text))
    return CommandOutcome.DONE, after, effects


def _mark_false_alarm(incident: Incident, user: str, text: str, now: float) -> IncidentOutcome:
    """Mark an incident for the report. That does not resolve it."""
    if not text:
        return CommandOutcome.INVALID, incident, []
    if incident.false_alarm:
        return CommandOutcome.ALREADY, incident, []
    after = replace(incident, false_alarm=text)
    after, effects = _record_entry(after, FalseAlarmEntry(now, user, text))
    return CommandOutcome.DONE, after, effects


def _record_entry(
    incident: Incident, entry: AcknowledgedEntry | NoteEntry | FalseAlarmEntry
) -> tuple[Incident, list[DeskEffect]]:
    """Record what a person wrote in the notes and in the thread, and update the message."""
    if entry.text:
        note = Note(entry.at, entry.by, entry.text)
        incident = replace(incident, notes=(*incident.notes, note))
    incident, edit = notifications.edit_message(incident, entry.at)
    incident, reply = notifications.add_entry(incident, entry)
    return incident, [edit, reply]


_HANDLERS: dict[Verb, Callable[[Incident, str, str, float], IncidentOutcome]] = {
    Verb.ACK: _acknowledge,
    Verb.NOTE: _add_note,
    Verb.FALSE_ALARM: _mark_false_alarm,
}
INCIDENT_VERBS = frozenset({*_HANDLERS, Verb.RESOLVE, Verb.ESCALATE})


def _resolve(
    state: DeskState, incident: Incident, request: Request, text: str, now: float, tenants: Tenants
) -> CommandResult:
    """Resolve an incident by hand. What still fails opens no new one until it has recovered."""
    if not incident.is_open:
        return state, [], AnswerResult(CommandOutcome.ALREADY, incident.id)
    notes = (*incident.notes, Note(now, request.user, text)) if text else incident.notes
    after = replace(
        incident,
        resolved_by=request.user,
        sticky_resolve=find_failing(incident, tenants),
        notes=notes,
    )
    after, effects = notifications.resolve_incident(after, now)
    return _to_command_result(state, incident, (CommandOutcome.DONE, after, effects))


def _escalate(
    state: DeskState, incident: Incident, request: Request, now: float, rules: Rules
) -> CommandResult:
    if not incident.is_open:
        return state, [], AnswerResult(CommandOutcome.TOO_LATE, incident.id)
    after, effects = (
        notification_policy.unmute(incident, now) if incident.is_muted else (incident, [])
    )
    after, pages = paging.escalate_now(after, state, now, rules, request.user)
    outcome = CommandOutcome.DONE if pages else CommandOutcome.NOBODY
    return _to_command_result(state, incident, (outcome, after, [*effects, *pages]))
