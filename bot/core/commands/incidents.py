"""What people do with incidents: acknowledge, resolve, note, call a false alarm, escalate."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy, paging
from bot.core.incidents import notifications
from bot.core.incidents.sticky_resolve import ailing
from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.state.desk import DeskState
from bot.core.state.incident import Entry, EntryKind, Incident, IncidentState, Note
from bot.core.state.outbox import PageAction, Result
from bot.core.state.stimulus import Effect, IncidentChanged

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.request import Request
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import World

NOTE_LENGTH = 500
_NUMBER = re.compile(r"#?0*(\d+)\b\s*", re.ASCII)

Handled = tuple[DeskState, list[Effect], Result]


def meant(request: Request, state: DeskState) -> tuple[Incident | None, str]:
    """Return which incident is meant, and what was said of it.

    It is the one whose number is named, else that of the thread, else the only open one.
    """
    match = _NUMBER.match(request.argument)
    if match:
        numbers = {str(number): incident for number, incident in state.incidents.items()}
        return numbers.get(match[1]), request.argument[match.end() :]
    for incident in state.incidents.values():
        if request.thread_ts and incident.card and incident.card.ts == request.thread_ts:
            return incident, request.argument
    still_open = state.open_incidents
    return (still_open[0] if len(still_open) == 1 else None), request.argument


def handled(state: DeskState, request: Request, now: float, world: World, rules: Rules) -> Handled:
    """Do what a person wants done with an incident."""
    incident, text = meant(request, state)
    if incident is None:
        return state, [], Result(CommandOutcome.NO_SUCH)
    text = text.strip()[:NOTE_LENGTH]
    if request.verb is Verb.ESCALATE:
        return _escalate(state, incident, request, now, rules)
    if request.verb is Verb.RESOLVE:
        return _resolve(state, incident, request, text, now, world)
    act = _ACTS[request.verb]
    return _kept(state, incident, act(incident, request.user, text, now))


Act = tuple[CommandOutcome, Incident, list[Effect]]


def _kept(state: DeskState, before: Incident, act: Act) -> Handled:
    outcome, incident, effects = act
    result = Result(outcome, before.id)
    return (state.with_incident(incident) if incident is not before else state), effects, result


def _acknowledge(incident: Incident, user: str, text: str, now: float) -> Act:
    if not incident.is_open:
        return CommandOutcome.TOO_LATE, incident, []
    if incident.state is IncidentState.ACKNOWLEDGED:
        return CommandOutcome.ALREADY, incident, []
    after = replace(
        incident,
        state=IncidentState.ACKNOWLEDGED,
        acknowledged_by=user,
        acknowledged_at=now,
        mention_at=None,
        ladder=None,
    )
    after, effects = _noted(after, user, text, now, EntryKind.ACKNOWLEDGED)
    pages = [notifications.page(after, way, PageAction.ACKNOWLEDGE) for way in after.paged]
    return CommandOutcome.DONE, after, [IncidentChanged(after), *effects, *pages]


def _note(incident: Incident, user: str, text: str, now: float) -> Act:
    if not text:
        return CommandOutcome.INVALID, incident, []
    after, effects = _noted(incident, user, text, now, EntryKind.NOTE)
    return CommandOutcome.DONE, after, effects


def _false_alarm(incident: Incident, user: str, text: str, now: float) -> Act:
    """Mark it; the report counts it. What goes on is not ended by that."""
    if not text:
        return CommandOutcome.INVALID, incident, []
    if incident.false_alarm:
        return CommandOutcome.ALREADY, incident, []
    after = replace(incident, false_alarm=text)
    after, effects = _noted(after, user, text, now, EntryKind.FALSE_ALARM)
    return CommandOutcome.DONE, after, effects


def _noted(
    incident: Incident, user: str, text: str, now: float, kind: EntryKind
) -> tuple[Incident, list[Effect]]:
    """Keep what a person wrote, tell it in the thread, and bring the message up to date."""
    if text:
        incident = replace(incident, notes=(*incident.notes, Note(now, user, text)))
    incident, shown = notifications.edit(incident, now)
    incident, told = notifications.reply(incident, Entry(now, kind, by=user, text=text))
    return incident, [shown, told]


_ACTS: dict[Verb, Callable[[Incident, str, str, float], Act]] = {
    Verb.ACK: _acknowledge,
    Verb.NOTE: _note,
    Verb.FALSE_ALARM: _false_alarm,
}
VERBS = frozenset({*_ACTS, Verb.RESOLVE, Verb.ESCALATE})


def _resolve(
    state: DeskState, incident: Incident, request: Request, text: str, now: float, world: World
) -> Handled:
    """End it by hand. What still fails opens nothing new before it has been well."""
    if not incident.is_open:
        return state, [], Result(CommandOutcome.ALREADY, incident.id)
    notes = (*incident.notes, Note(now, request.user, text)) if text else incident.notes
    after = replace(incident, resolved_by=request.user, left=ailing(incident, world), notes=notes)
    after, effects = notifications.ended(after, now)
    return _kept(state, incident, (CommandOutcome.DONE, after, effects))


def _escalate(
    state: DeskState, incident: Incident, request: Request, now: float, rules: Rules
) -> Handled:
    if not incident.is_open:
        return state, [], Result(CommandOutcome.TOO_LATE, incident.id)
    shown, first = (
        notification_policy.unmuted(incident, now) if incident.is_muted else (incident, [])
    )
    after, called = paging.escalated(shown, state, now, rules, request.user)
    outcome = CommandOutcome.DONE if called else CommandOutcome.NOBODY
    return _kept(state, incident, (outcome, after, [*first, *called]))
