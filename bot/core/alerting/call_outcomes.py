"""What follows once a call was taken, or turned out to reach nobody.

Only what Slack or a contact point took is said to be done. A way that reaches nobody is named in
the thread, and the next one is tried at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy, paging
from bot.core.incidents import notifications
from bot.core.oncall import DM
from bot.core.state.desk import DeskState, Refusal
from bot.core.state.incident import Incident, IncidentState
from bot.core.state.outbox import (
    Answer,
    DirectMessage,
    IncidentBody,
    NobodyReached,
    PagerAction,
    Paging,
    Post,
    Reply,
)
from bot.core.state.stimulus import CallOverdue, CallRefused, CallTaken, DeskEffect, Send
from bot.core.state.timeline import (
    DirectEntry,
    NotifyingEntry,
    PagedEntry,
    StillOnItEntry,
    UnreachedEntry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.desk import StateAndEffects
    from bot.core.state.outbox import Call, Delivery
    from bot.core.state.rules import Rules

NO_ANSWER = "no_answer"
"""The error of a contact point that has not taken a page in time."""


ANSWER_LIFE_S = 1800.0
"""We answer no request later than this: Slack's response_url is valid for 30 minutes."""
PAGE_UPDATE_LIFE_S = 6 * 3600.0
"""A contact point learns of an acknowledgement or an end no later than this after it."""

SAID_S = 60.0
"""Within this time the thread says once why somebody cannot be reached, by whatever way."""


def note_calls(state: DeskState, effects: Iterable[DeskEffect]) -> DeskState:
    """Note which calls are on their way."""
    for effect in effects:
        if isinstance(effect, Send) and (call := effect.call):
            incident = state.incidents[call.incident]
            awaited = {**incident.notification.awaited_until, effect.key: call.overdue_at}
            state = _with_notification(state, incident, awaited_until=awaited)
    return state


def people_of(delivery: Delivery, incident: Incident) -> tuple[str, ...]:
    """Return who is mentioned or written to by a call in Slack."""
    match delivery.body:
        case Post(mentioned=others, is_quiet=is_quiet):
            own = incident.notification.mentioned
            return () if is_quiet else tuple(dict.fromkeys((*own, *others)))
        case Reply(entry=entry) if isinstance(entry, NotifyingEntry):
            return entry.mentioned
        case DirectMessage(person=person):
            return (person,)
        case _:
            return ()


def is_expired(delivery: Delivery, now: float) -> bool:
    """Tell whether it is too late to send something. That never holds for what calls people."""
    match delivery.body:
        case Answer():
            life_s = ANSWER_LIFE_S
        case Paging(action=PagerAction.ACKNOWLEDGE | PagerAction.RESOLVE):
            life_s = PAGE_UPDATE_LIFE_S
        case _:
            return False
    return now - delivery.created_at > life_s


def is_needless(delivery: Delivery, state: DeskState) -> bool:
    """Tell whether it calls or asks a person for what was acknowledged or resolved since then."""
    match delivery.body:
        case NobodyReached(incident=number):
            incident = state.incidents[number]
            is_taken = incident.state is not IncidentState.OPEN
            return is_taken or incident.notification.nobody_at is None
        case DirectMessage() | Paging(action=PagerAction.TRIGGER):
            return is_call_needless(delivery, state)
        case (
            DirectEntry(incident=number, entry=StillOnItEntry())
            | Reply(incident=number, entry=StillOnItEntry())
        ):
            incident = state.incidents[number]
            asked = incident.life.acknowledged
            return not incident.is_open or asked is None or asked.asked_at is None
        case _:
            return False


def is_call_needless(delivery: Delivery, state: DeskState) -> bool:
    """Tell whether what a message calls people for was acknowledged, or resolved, since then."""
    if not isinstance(delivery.body, IncidentBody):
        return False
    incident = state.incidents[delivery.body.incident]
    taken = incident.life.acknowledged
    return not incident.is_open or (taken is not None and delivery.created_at < taken.at)


def handle(
    state: DeskState, stimulus: CallTaken | CallRefused | CallOverdue, rules: Rules
) -> StateAndEffects:
    """Handle what became of a call."""
    call = stimulus.call if isinstance(stimulus, CallOverdue) else stimulus.delivery.call
    if call is None or call.incident not in state.incidents:
        return state, []
    match stimulus:
        case CallTaken():
            return _handle_taken(state, stimulus, call, rules)
        case CallRefused():
            return _handle_refused(state, stimulus, call, rules)
        case CallOverdue(at=now, contact_point=""):
            return notification_policy.call_beyond_slack(state, call, now, rules)
        case CallOverdue(at=now, contact_point=name):
            entry = UnreachedEntry(now, name, NO_ANSWER)
            incident, reply = notifications.add_entry(state.incidents[call.incident], entry)
            state, effects = _try_next(state.with_incident(incident), call, now, rules)
            return state, [reply, *effects]


def _handle_taken(
    state: DeskState, stimulus: CallTaken, call: Call, rules: Rules
) -> StateAndEffects:
    now, delivery = stimulus.at, stimulus.delivery
    if delivery.key not in state.incidents[call.incident].notification.awaited_until:
        return state, []
    state = _forget(state, call, delivery.key)
    incident = state.incidents[call.incident]
    people = people_of(delivery, incident)
    unreached = {name: error for name, error in stimulus.unreached.items() if name in people}
    reached = {name for name in people if name not in unreached}
    effects: list[DeskEffect] = []
    match delivery.body:
        case Paging(contact_point=name):
            reached = {name}
            entry = PagedEntry(now, contact_points=(name,), by=call.by)
            incident, reply = notifications.add_entry(incident, entry)
            effects.append(reply)
        case DirectMessage(person=person):
            incident, effects = _keep_direct_message(incident, stimulus)
            if reached:
                entry = PagedEntry(now, (person,), (DM,), call.by)
                incident, reply = notifications.add_entry(incident, entry)
                effects.append(reply)
    for error in dict.fromkeys(unreached.values()):
        names = tuple(name for name in people if unreached.get(name) == error)
        failed = UnreachedEntry(now, "", error, names)
        incident, reply = notifications.add_entry(incident, failed)
        effects.append(reply)
    refusals = {name: one for name, one in state.refusals.items() if name not in reached}
    refusals |= {name: Refusal(now, error) for name, error in unreached.items()}
    state = replace(state.with_incident(incident), refusals=refusals)
    if reached:
        return _with_notification(state, incident, reached_at=now, nobody_at=None), effects
    if not people:
        return state, effects
    state, more = _try_next(state, call, now, rules)
    return state, [*effects, *more]


def _keep_direct_message(
    incident: Incident, stimulus: CallTaken
) -> tuple[Incident, list[DeskEffect]]:
    """Remember where a direct message is; what happened while it was sent is still to be shown."""
    if stimulus.message is None:
        return incident, []
    kept = (*incident.notification.direct_messages, stimulus.message)
    incident = replace(incident, notification=replace(incident.notification, direct_messages=kept))
    is_news = incident.state is not IncidentState.OPEN
    return incident, [*notifications.edit_direct_messages(incident)] if is_news else []


def _handle_refused(
    state: DeskState, stimulus: CallRefused, call: Call, rules: Rules
) -> StateAndEffects:
    now, delivery = stimulus.at, stimulus.delivery
    until = state.incidents[call.incident].notification.awaited_until.get(delivery.key, now)
    state = _forget(state, call, delivery.key)
    match delivery.body:
        case Paging(contact_point=name, action=PagerAction.TRIGGER):
            entry = UnreachedEntry(now, name, stimulus.error)
        case DirectMessage(person=name):
            entry = UnreachedEntry(now, "", stimulus.error, (name,))
        case _:
            return state, []
    before, said = state.refusals.get(name), []
    if before is None or before.error != stimulus.error or now - before.at > SAID_S:
        incident, reply = notifications.add_entry(state.incidents[call.incident], entry)
        state, said = state.with_incident(incident), [reply]
    refusals = {**state.refusals, name: Refusal(now, stimulus.error)}
    state = replace(state, refusals=refusals)
    if until <= now:  # other ways were tried when it was overdue, or some recipients have it
        return state, [*said]
    state, effects = _try_next(state, call, now, rules)
    return state, [*said, *effects]


def _try_next(state: DeskState, call: Call, now: float, rules: Rules) -> StateAndEffects:
    incident = notification_policy.find_incident_to_call(state, call, now, rules)
    if incident is None:
        return state, []
    after, effects = paging.try_next(incident, call, state, now, rules)
    return state.with_incident(after), effects


def _forget(state: DeskState, call: Call, key: str) -> DeskState:
    """Wait no longer for a call."""
    incident = state.incidents[call.incident]
    awaited = {k: at for k, at in incident.notification.awaited_until.items() if k != key}
    return _with_notification(state, incident, awaited_until=awaited)


def _with_notification(state: DeskState, incident: Incident, **changes: object) -> DeskState:
    notification = replace(incident.notification, **changes)  # type: ignore[arg-type]  # its own fields
    return state.with_incident(replace(incident, notification=notification))
