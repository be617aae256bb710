"""Puts what is to be sent into the outbox, in the same commit as the state that decided it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.state import outbox
from bot.core.state.outbox import Delivery
from bot.core.state.stimulus import CallRefused, CallTaken, Delivered, MessageLost, Send

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.state.incident import Incident
    from bot.ports import Change

UNSENT = frozenset({outbox.DeliveryStatus.PENDING, outbox.DeliveryStatus.SENDING})


class OutboxWriter:
    """Adds deliveries to a change.

    Args:
        lane: returns the deliveries of a lane of the outbox.
    """

    def __init__(self, lane: Callable[[str], tuple[Delivery, ...]]) -> None:
        self._lane = lane
        self.label_until = 0.0
        """Until then whatever is sent may be a double, and says so."""

    def enqueue(self, change: Change, effect: Send, now: float) -> None:
        """Add a delivery at the end of its lane, unless the lane makes it superfluous."""
        lane, body = self._deliveries_in(change, effect.lane), effect.body
        if isinstance(body, outbox.Edit | outbox.DirectEdit) and any(
            each.body == body and each.status is outbox.DeliveryStatus.PENDING for each in lane
        ):
            return  # an edit that waits will show all that this one would
        change.deliveries[effect.key] = Delivery(
            effect.key,
            effect.lane,
            _next_seq(lane),
            body,
            created_at=now,
            due_at=now + effect.hold_s if effect.hold_s else 0.0,
            is_repeat=now < self.label_until,
            call=effect.call,
        )

    def finish_sending(
        self, change: Change, stimulus: Delivered | MessageLost | CallTaken | CallRefused
    ) -> None:
        """Finish the delivery that a stimulus is about, in the same commit as what follows."""
        if isinstance(stimulus, CallTaken | CallRefused):
            if stimulus.delivery.status is outbox.DeliveryStatus.SENDING:
                finish = outbox.mark_sent if isinstance(stimulus, CallTaken) else outbox.mark_dead
                change.deliveries[stimulus.delivery.key] = finish(stimulus.delivery)
            return
        lane = notifications.lane(stimulus.incident)
        finish = outbox.mark_sent if isinstance(stimulus, Delivered) else outbox.mark_dead
        for delivery in self._lane(lane):
            if delivery.status is outbox.DeliveryStatus.SENDING:
                change.deliveries[delivery.key] = finish(delivery)

    def requeue_replies(self, change: Change, incident: int, now: float) -> None:
        """Move the unsent replies to a lost message behind the message that is posted again."""
        name = notifications.lane(incident)
        replies = [
            d
            for d in self._lane(name)
            if isinstance(d.body, outbox.Reply) and d.status in UNSENT and not d.is_repeat
        ]
        first = _next_seq(self._deliveries_in(change, name))
        for seq, reply in enumerate(sorted(replies, key=lambda d: d.seq), start=first):
            change.deliveries[reply.key] = replace(outbox.requeue(reply, now), seq=seq)

    def miss_post(self, change: Change, incident: Incident) -> None:
        """Drop what waits for an incident that Slack missed; go on if it is open again."""
        for delivery in self._deliveries_in(change, notifications.lane(incident.id)):
            if delivery.status in UNSENT and incident.message.is_missed:
                change.deliveries[delivery.key] = outbox.mark_dead(delivery)
            elif delivery.status is outbox.DeliveryStatus.SENDING:
                change.deliveries[delivery.key] = outbox.requeue(delivery, 0.0)

    def _deliveries_in(self, change: Change, name: str) -> tuple[Delivery, ...]:
        return (*self._lane(name), *(d for d in change.deliveries.values() if d.lane == name))


def _next_seq(lane: tuple[Delivery, ...]) -> int:
    return max((delivery.seq for delivery in lane), default=0) + 1
