"""What waits in the outbox and goes out as one message; what channels get when Slack is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.model.observation import Severity
from bot.core.state import outbox
from bot.core.state.outbox import (
    Body,
    CatchUp,
    Delivery,
    DeliveryStatus,
    DirectEdit,
    DirectMessage,
    Edit,
    Greeting,
    Post,
    Reply,
    mark_sent,
)
from bot.core.state.stimulus import DeskEffect, Send
from bot.core.state.timeline import BatchedEntry, NotifyingEntry

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects
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


def is_superfluous(body: Body, lane: tuple[Delivery, ...]) -> bool:
    """Tell whether a waiting edit of this lane will show all that a new one would."""
    return isinstance(body, Edit | DirectEdit) and any(
        d.body == body and d.status is DeliveryStatus.PENDING for d in lane
    )


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


def post_again(state: DeskState, number: int) -> StateAndEffects:
    """Post an incident's message again: Slack has lost it."""
    incident = state.incidents[number]
    message = replace(incident.message, ref=None, posts=incident.message.posts + 1)
    incident = replace(incident, message=message)
    return state.with_incident(incident), [notifications.post_message(incident)]


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
