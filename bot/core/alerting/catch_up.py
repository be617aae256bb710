"""What the channels get once Slack is back: open incidents as they stand, the others together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.state import outbox
from bot.core.state.outbox import CatchUp, Delivery, Post
from bot.core.state.stimulus import DeskEffect, Send

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects

MISSED_AFTER_S = 300.0
"""An alert that Slack has not taken for so long need not be posted by itself once it is over."""
CATCH_UP_WAIT_S = outbox.SETTLE_S + outbox.SEARCH_AGAIN_S
"""So long does a channel's message wait for more: by then Slack was asked about all in doubt."""


def lane(channel: str) -> str:
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


def batch(first: Delivery, waiting: tuple[Delivery, ...]) -> list[Delivery]:
    """Return a channel's message with all that wait for it added, and those as sent."""
    body, batched = first.body, list[Delivery]()
    for other in waiting:
        is_waiting = other.status is outbox.DeliveryStatus.PENDING and other.tries == 0
        if not is_waiting or other.key == first.key:
            continue
        if isinstance(body, CatchUp) and isinstance(other.body, CatchUp):
            body = replace(body, incidents=(*body.incidents, *other.body.incidents))
            batched.append(outbox.mark_sent(other))
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
        Send(f"{key}.{place}", lane(channel), CatchUp((number,), channel), CATCH_UP_WAIT_S)
        for place, channel in enumerate(message.channels)
    ]
    message = replace(message, is_missed=True)
    return state.with_incident(replace(incident, message=message)), effects
