"""What is to be said, put into the outbox within the change that wants it said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core import outbox, telling
from bot.core.outbox import Delivery, is_superfluous

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.stimulus import Send
    from bot.ports import Change

UNSAID = frozenset({outbox.Status.PENDING, outbox.Status.SENDING})


class Outgoing:
    """Adds deliveries to a change.

    Args:
        lane: returns what a lane of the outbox holds now; None: nothing is ever said.
    """

    def __init__(self, lane: Callable[[str], tuple[Delivery, ...]] | None) -> None:
        self._lane = lane

    def enqueue(self, change: Change, effect: Send, now: float) -> None:
        """Say something after all that its lane still has to say."""
        if self._lane is None:
            return
        lane = self._all(change, effect.lane)
        if not is_superfluous(effect.body, lane):
            due_at = now + effect.hold_s if effect.hold_s else 0.0
            place = _next(lane)
            change.deliveries[effect.key] = Delivery(
                effect.key, effect.lane, place, effect.body, created_at=now, due_at=due_at
            )

    def end(self, change: Change, incident: int, ended: Callable[[Delivery], Delivery]) -> None:
        """End what is being sent for an incident in the same commit as what that does to it."""
        lane = self._lane(telling.lane(incident)) if self._lane else ()
        sending = [d for d in lane if d.status is outbox.Status.SENDING]
        change.deliveries.update({d.key: ended(d) for d in sending})

    def follow(self, change: Change, incident: int, now: float) -> None:
        """Let what was to be said in a lost message's thread follow the message posted anew."""
        name = telling.lane(incident)
        lane = self._lane(name) if self._lane else ()
        replies = [
            d
            for d in lane
            if isinstance(d.body, outbox.Reply) and d.status in UNSAID and not d.is_repeat
        ]
        first = _next(self._all(change, name))
        for place, reply in enumerate(sorted(replies, key=lambda d: d.seq), start=first):
            change.deliveries[reply.key] = replace(outbox.repeated(reply, now), seq=place)

    def _all(self, change: Change, name: str) -> tuple[Delivery, ...]:
        waiting = tuple(d for d in change.deliveries.values() if d.lane == name)
        return (*(self._lane(name) if self._lane else ()), *waiting)


def _next(lane: tuple[Delivery, ...]) -> int:
    return max((delivery.seq for delivery in lane), default=0) + 1
