"""What waits in a lane of the outbox and is sent as one message."""

from __future__ import annotations

from dataclasses import replace

from bot.core.state.outbox import (
    Body,
    Delivery,
    DeliveryStatus,
    DirectEdit,
    DirectMessage,
    Edit,
    Post,
    Reply,
    mark_sent,
)
from bot.core.state.timeline import BatchedEntry, NotifyingEntry


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
