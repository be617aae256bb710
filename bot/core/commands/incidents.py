"""Commands about incidents: acknowledge, hand over, resolve, note, false alarm, escalate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from bot.core.alerting import acknowledgements, calls, notification_policy, paging
from bot.core.incidents import notifications
from bot.core.incidents.recurrence import find_failing
from bot.core.model.access import CommandOutcome
from bot.core.model.command import (
    Acknowledge,
    AddNote,
    Escalate,
    HandOver,
    MarkFalseAlarm,
    Resolve,
)
from bot.core.oncall import CallReason
from bot.core.state.desk import DeskState
from bot.core.state.incident import Acknowledgement, Incident, Note, Resolution
from bot.core.state.outbox import AnswerResult, PagerAction
from bot.core.state.problem import Impact
from bot.core.state.stimulus import DeskEffect, IncidentChanged
from bot.core.state.timeline import AcknowledgedEntry, FalseAlarmEntry, NoteEntry

if TYPE_CHECKING:
    from bot.core.model.command import IncidentCommand
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

CommandResult = tuple[DeskState, list[DeskEffect], AnswerResult]


def handle_incident_command(  # noqa: C901, PLR0912 - one case a command
    state: DeskState,
    command: IncidentCommand,
    user: str,
    now: float,
    *,
    tenants: Tenants,
    rules: Rules,
) -> CommandResult:
    """Carry out a command about an incident, if the bot still knows that incident."""
    incident = state.incidents.get(command.incident)
    if incident is None:
        return state, [], AnswerResult(CommandOutcome.NO_SUCH)
    match command:
        case Acknowledge():
            done = _acknowledge(incident, command, user, now, tenants=tenants, rules=rules)
        case HandOver():
            done = _hand_over(incident, user, now)
        case AddNote(text=text):
            done = CommandOutcome.DONE, *_record_entry(incident, NoteEntry(now, user, text))
        case MarkFalseAlarm() if incident.false_alarm:
            done = CommandOutcome.ALREADY, incident, []
        case MarkFalseAlarm(reason=text):  # for the report; that does not resolve it
            marked = replace(incident, false_alarm=text)
            done = CommandOutcome.DONE, *_record_entry(marked, FalseAlarmEntry(now, user, text))
        case Resolve():
            done = _resolve(incident, command, user, now, tenants=tenants, rules=rules)
        case Escalate():
            return _escalate(state, incident, user, now, rules)
        case _:
            assert_never(command)
    outcome, after, effects = done
    state = state.with_incident(after) if after is not incident else state
    return state, effects, AnswerResult(outcome, incident.id)


IncidentOutcome = tuple[CommandOutcome, Incident, list[DeskEffect]]


def _acknowledge(
    incident: Incident,
    command: Acknowledge,
    user: str,
    now: float,
    *,
    tenants: Tenants,
    rules: Rules,
) -> IncidentOutcome:
    if not incident.is_open:
        return CommandOutcome.TOO_LATE, incident, []
    had_by, text = incident.life.acknowledged_by, command.note
    if had_by == user:
        incident = acknowledgements.renew(incident, now, is_answer=True)
        if not text:
            return CommandOutcome.ALREADY, incident, []
        return CommandOutcome.ALREADY, *_record_entry(incident, NoteEntry(now, user, text))
    if had_by and had_by != command.take_over_from:
        return CommandOutcome.ALREADY, incident, []
    incident = calls.bind(incident, tenants, rules)
    known = incident.notification.known
    impact = known.worst if known else Impact.NONE
    after = replace(
        incident,
        life=replace(incident.life, acknowledged=Acknowledgement(user, now, impact)),
        notification=replace(incident.notification, escalation=None),
    )
    entry = AcknowledgedEntry(now, user, text, had_by)
    news = [acknowledgements.send_directly(after, had_by, entry)] if had_by else []
    after, effects = _record_entry(after, entry)
    pages = notifications.update_pages(after, PagerAction.ACKNOWLEDGE)
    return CommandOutcome.DONE, after, [IncidentChanged(after), *effects, *news, *pages]


def _hand_over(incident: Incident, user: str, now: float) -> IncidentOutcome:
    """End one's own acknowledgement; people are called at once."""
    if not incident.is_open:
        return CommandOutcome.TOO_LATE, incident, []
    if incident.life.acknowledged_by != user:
        return CommandOutcome.ALREADY, incident, []
    after = calls.await_call(incident, CallReason.HANDED_OVER, now)
    after, edit = notifications.edit_message(after, now)
    return CommandOutcome.DONE, after, [IncidentChanged(after), edit]


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


def _resolve(
    incident: Incident,
    command: Resolve,
    user: str,
    now: float,
    *,
    tenants: Tenants,
    rules: Rules,
) -> IncidentOutcome:
    """Resolve an incident by hand. What still fails opens no new one until it has recovered."""
    if not incident.is_open:
        return CommandOutcome.ALREADY, incident, []
    still_failing = find_failing(incident, tenants)
    if still_failing and not command.is_confirmed:
        return CommandOutcome.UNCONFIRMED, incident, []
    incident, text = calls.bind(incident, tenants, rules), command.note
    notes = (*incident.notes, Note(now, user, text)) if text else incident.notes
    resolution = Resolution(now, user, still_failing)
    after, effects = notifications.resolve_incident(replace(incident, notes=notes), resolution)
    return CommandOutcome.DONE, after, effects


def _escalate(
    state: DeskState, incident: Incident, user: str, now: float, rules: Rules
) -> CommandResult:
    if not incident.is_open:
        return state, [], AnswerResult(CommandOutcome.TOO_LATE, incident.id)
    after, effects = (
        notification_policy.unmute(incident, now, rules)
        if incident.notification.is_muted
        else (incident, [])
    )
    after, pages = paging.escalate_now(after, state, now, rules, user)
    outcome = CommandOutcome.DONE if pages else CommandOutcome.NOBODY
    result = AnswerResult(outcome, incident.id, called=paging.list_called(pages))
    return state.with_incident(after), [*effects, *pages], result
