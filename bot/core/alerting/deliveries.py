"""What becomes of what waits to be sent: joined, dropped, sent quietly; and what follows a call.

Only what Slack or a contact point took is said to be done. A way that reaches nobody is named in
the thread, and the next one is tried at once.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy, paging
from bot.core.incidents import notifications
from bot.core.model.observation import Severity
from bot.core.oncall import DM
from bot.core.state import outbox
from bot.core.state.desk import Refusal
from bot.core.state.incident import MESSAGE, Incident, IncidentState, MessageRef
from bot.core.state.outbox import (
    Answer,
    CatchUp,
    Delivery,
    DeliveryStatus,
    DirectMessage,
    Greeting,
    IncidentBody,
    NobodyReached,
    PagerAction,
    Paging,
    Post,
    Reply,
    mark_sent,
)
from bot.core.state.stimulus import (
    CallOverdue,
    CallRefused,
    CallTaken,
    Delivered,
    DeskEffect,
    MessageLost,
    Send,
)
from bot.core.state.timeline import (
    BatchedEntry,
    DirectEntry,
    NotifyingEntry,
    PagedEntry,
    StillOnItEntry,
    UnreachedEntry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.outbox import Call
    from bot.core.state.rules import Rules


def greet(state: DeskState, now: float, rules: Rules) -> StateAndEffects:
    """Say in each channel what is watched: once, and again if those tenants have changed."""
    of_channel: dict[str, tuple[str, ...]] = {}
    for name in sorted(rules.tenants):
        for channel in rules.channels.concerned((name,), Severity):
            of_channel[channel] = (*of_channel.get(channel, ()), name)
    effects: list[DeskEffect] = []
    for channel, names in of_channel.items():
        if state.greeted.get(channel) != names:
            body = Greeting(names, channel, is_first=channel not in state.greeted)
            effects.append(Send(f"greeting:{channel}:{now:.0f}", f"greeting:{channel}", body))
    return replace(state, greeted=of_channel), effects


def batch_replies(first: Delivery, lane: tuple[Delivery, ...]) -> list[Delivery]:
    """Return a reply with all waiting ones of its kind added, and those as sent."""
    if not isinstance(first.body, Reply) or not isinstance(first.body.entry, BatchedEntry):
        return [first]
    entry = first.body.entry
    tenants, batched = list(entry.tenants), list[Delivery]()
    for other in lane:
        is_waiting = other.status is DeliveryStatus.PENDING and other.tries == 0
        if other.key == first.key or not is_waiting or not isinstance(other.body, Reply):
            continue
        if isinstance(other.body.entry, type(entry)):
            tenants.extend(other.body.entry.tenants)
            batched.append(mark_sent(other))
    entry = replace(entry, tenants=tuple(dict.fromkeys(tenants)))
    return [replace(first, body=replace(first.body, entry=entry)), *batched]


def join_calls(first: Delivery, lane: tuple[Delivery, ...]) -> list[Delivery]:
    """Return a call for all who are called by what waits behind it, and that without a call.

    After an outage of Slack an incident mentions people once, and writes once to each person.
    """
    others = [
        d for d in lane if d.call and d.key != first.key and d.status is DeliveryStatus.PENDING
    ]
    if not first.call or not others:
        return [first]
    body = first.body
    if isinstance(body, DirectMessage):
        return [first, *(mark_sent(each) for each in others if each.body == body)]
    names = tuple(
        name
        for each in others
        if isinstance(each.body, Reply) and isinstance(each.body.entry, NotifyingEntry)
        for name in each.body.entry.mentioned
    )
    match body:
        case Post():
            body = replace(body, mentioned=tuple(dict.fromkeys((*body.mentioned, *names))))
        case Reply(entry=entry) if isinstance(entry, NotifyingEntry):
            names = tuple(dict.fromkeys((*entry.mentioned, *names)))
            body = replace(body, entry=replace(entry, mentioned=names))
    return [replace(first, body=body), *map(mute_call, others)]


def mute_call(delivery: Delivery) -> Delivery:
    """Return a message of the channel that says what it says, and calls nobody."""
    match delivery.body:
        case Post() as body:
            return replace(delivery, call=None, body=replace(body, is_quiet=True))
        case Reply(entry=entry) as body if isinstance(entry, NotifyingEntry):
            quiet = replace(body, entry=replace(entry, mentioned=()))
            return replace(delivery, call=None, body=quiet)
        case _:
            return delivery


MISSED_AFTER_S = 300.0
"""An alert that Slack has not taken for so long need not be posted by itself once it is over."""
CATCH_UP_WAIT_S = outbox.SETTLE_S + outbox.SEARCH_AGAIN_S
"""So long does a channel's message wait for more: by then Slack was asked about all in doubt."""


def catch_up_lane(channel: str) -> str:
    """Return the outbox lane of a channel's message."""
    return f"catch-up:{channel}"


def is_missed(
    delivery: Delivery, desk: DeskState, waiting: tuple[Delivery, ...], now: float
) -> bool:
    """Tell whether an incident that is over is to be posted in one message with others.

    Args:
        delivery: has certainly not arrived.
        desk: has the incidents.
        waiting: the lane of the channel's message.
        now: the time.
    """
    if not isinstance(delivery.body, Post) or now - delivery.created_at < MISSED_AFTER_S:
        return False
    incident = desk.incidents[delivery.body.incident]
    others = (
        other
        for other in desk.incidents.values()
        if other.id != incident.id
        and not (other.is_open or other.notification.is_muted)
        and not (other.message.ref or other.message.is_missed)
        and not {*other.message.channels}.isdisjoint(incident.message.channels)
    )
    return not incident.is_open and (any(others) or any(not one.is_done for one in waiting))


def batch_missed(first: Delivery, waiting: tuple[Delivery, ...]) -> list[Delivery]:
    """Return a channel's message with all that wait for it added, and those as sent."""
    body, batched = first.body, list[Delivery]()
    for other in waiting:
        is_waiting = other.status is DeliveryStatus.PENDING and other.tries == 0
        if not is_waiting or other.key == first.key:
            continue
        if isinstance(body, CatchUp) and isinstance(other.body, CatchUp):
            body = replace(body, incidents=(*body.incidents, *other.body.incidents))
            batched.append(mark_sent(other))
    return [replace(first, body=body), *batched]


def place_message(state: DeskState, stimulus: Delivered | MessageLost) -> StateAndEffects:
    """Remember where an incident's message is; post it again if Slack has lost it."""
    incident = state.incidents[stimulus.incident]
    if isinstance(stimulus, MessageLost):
        message = replace(incident.message, ref=None, posts=incident.message.posts + 1)
        incident = replace(incident, message=message)
        return state.with_incident(incident), [notifications.post_message(incident)]
    message = replace(incident.message, ref=MessageRef(stimulus.channel, stimulus.ts))
    detected_at = {MESSAGE: stimulus.at, **incident.history.detected_at}
    history = replace(incident.history, detected_at=detected_at)
    return state.with_incident(replace(incident, message=message, history=history)), []


def miss_post(state: DeskState, number: int) -> StateAndEffects:
    """Post an incident in the message of each channel that it concerns, unless it is open again."""
    incident = state.incidents[number]
    if incident.is_open or incident.message.ref is not None:
        return state, []
    message = incident.message
    key = f"{number}:catch-up:{message.posts}"
    effects: list[DeskEffect] = [
        Send(f"{key}.{place}", catch_up_lane(channel), CatchUp((number,), channel), CATCH_UP_WAIT_S)
        for place, channel in enumerate(message.channels)
    ]
    message = replace(message, is_missed=True)
    return state.with_incident(replace(incident, message=message)), effects


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
