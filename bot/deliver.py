"""The other loop: takes the outbox to Slack, each lane in order, nothing lost or doubled.

A try is committed before anything is sent. What was certainly refused is tried again; what may
have been said is first looked for in the channel (see `core.outbox`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from bot.core import outbox
from bot.core.outbox import Answer, Delivery, Edit, Post, Reply, Status
from bot.core.stimulus import CardLost, Delivered, Stimulus
from bot.ports import Change, SlackDoubt, SlackRefused, StoreError, View

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.core.incident import Card
    from bot.ports import Clock, Messenger, Store

log = logging.getLogger(__name__)

CARD_LOST = frozenset(
    {"message_not_found", "cant_update_message", "edit_window_closed", "is_inactive"}
)
"""Slack will never let us edit this message again (chat.update, read 2026-11)."""
TEMPORARY = frozenset({"ratelimited", "rate_limited", "unreachable", "internal_error"})
MESSAGE_GAP_S = 1.0
"""Slack takes about one new message a second and channel, in real time (Rate Limits, 2026-11)."""
IDLE_S = 3600.0


class Deliver:
    """Delivers what the engine offers.

    Args:
        clock: paces retries; Slack's own limits are kept in real time.
        store: each step is committed there.
        messenger: says it.
        view: gives what is known at the moment of saying.
        tell: takes what came of it back to the engine.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        store: Store,
        messenger: Messenger,
        view: Callable[[], View],
        tell: Callable[[Stimulus], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._messenger = messenger
        self._view = view
        self._tell = tell
        self._lanes: dict[str, dict[str, Delivery]] = {}
        self._cards: dict[int, Card] = {}
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_message_at = 0.0

    @property
    def depth(self) -> int:
        """How much waits to be said."""
        return sum(not d.is_done for lane in self._lanes.values() for d in lane.values())

    @property
    def waiting_s(self) -> float:
        """For how long the oldest message waits, in seconds of the clock."""
        lanes = self._lanes.values()
        begun = [d.created_at for lane in lanes for d in lane.values() if not d.is_done]
        return self._clock.now() - min(begun) if begun else 0.0

    def resume(self, deliveries: Iterable[Delivery]) -> None:
        """Go on with what an earlier process left."""
        now = self._clock.now()
        self.offer(outbox.recovered(delivery, now) for delivery in deliveries)

    def offer(self, deliveries: Iterable[Delivery]) -> None:
        """Take in deliveries that were committed."""
        for delivery in deliveries:
            self._lanes.setdefault(delivery.lane, {})[delivery.key] = delivery
        self._changed.set()

    def lane(self, name: str) -> tuple[Delivery, ...]:
        """Return what a lane holds, done or not."""
        return tuple(self._lanes.get(name, {}).values())

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            while True:
                self._changed.clear()
                self._start_due()
                await self._until_due()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_due(self) -> None:
        now = self._clock.now()
        for lane in self._lanes.values():
            delivery = outbox.next_of(tuple(lane.values()), now)
            if delivery is not None:
                self._keep(outbox.started(delivery, now))
                task = asyncio.get_running_loop().create_task(self._handle(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _until_due(self) -> None:
        """Wait until something changed or the next delivery is due."""
        now = self._clock.now()
        waiting = [
            d.due_at - now
            for lane in self._lanes.values()
            for d in lane.values()
            if d.status in {Status.PENDING, Status.DOUBT} and d.due_at > now
        ]
        span_s = min(waiting, default=IDLE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(span_s / self._clock.speed):
                await self._changed.wait()

    def _keep(self, delivery: Delivery) -> None:
        lane = self._lanes[delivery.lane]
        lane[delivery.key] = delivery
        if all(d.is_done for d in lane.values()):
            # An incident's lane goes on later: only its highest place must be remembered.
            last = max(lane.values(), key=lambda d: d.seq)
            self._lanes[delivery.lane] = {last.key: last}

    async def _handle(self, delivery: Delivery) -> None:
        """Say it, or look whether it was said; whatever comes of it is kept."""
        try:
            if delivery.status is Status.DOUBT:
                after = await self._settled(delivery)
            else:
                after = await self._said(outbox.started(delivery, self._clock.now()))
        except Exception:
            log.exception("cannot deliver %s", delivery.key)
            after = outbox.refused(delivery, self._clock.now(), outbox.BACKOFF_S[-1])
        self._keep(after)
        if not (isinstance(after.body, Post) and after.status is Status.SENT):
            await self._commit(after)  # a sent post is committed by the engine, with its incident
        self._changed.set()

    async def _said(self, delivery: Delivery) -> Delivery:
        now = self._clock.now()
        is_answer = isinstance(delivery.body, Answer)
        if is_answer and now - delivery.created_at > outbox.ANSWER_LIFE_S:
            return outbox.dead(delivery)
        await self._commit(delivery)
        await self._paced(delivery)
        try:
            card = await self._messenger.send(delivery, self._view(), self._card(delivery))
        except SlackRefused as refusal:
            return self._refused(delivery, refusal)
        except SlackDoubt:
            log.warning("the answer to %s was lost; it may have been said", delivery.key)
            return outbox.doubted(delivery, self._clock.now())
        return self._sent(delivery, card)

    def _sent(self, delivery: Delivery, card: Card | None) -> Delivery:
        after = outbox.sent(delivery)
        if isinstance(delivery.body, Post) and card is not None:
            number = delivery.body.incident
            self._cards[number] = card
            self._keep(after)
            self._tell(Delivered(self._clock.now(), number, card.channel, card.ts, delivery.key))
        return after

    def _refused(self, delivery: Delivery, refusal: SlackRefused) -> Delivery:
        log.warning("Slack refused %s: %s", delivery.key, refusal.error)
        now, body = self._clock.now(), delivery.body
        if refusal.retry_after_s is not None:
            return outbox.refused(delivery, now, refusal.retry_after_s * self._clock.speed)
        if refusal.error in CARD_LOST and isinstance(body, Edit):
            self._cards.pop(body.incident, None)
            self._tell(CardLost(now, body.incident))
            return outbox.dead(delivery)
        if isinstance(body, Answer) and refusal.error not in TEMPORARY:
            return outbox.dead(delivery)
        if isinstance(body, Reply) and refusal.error in {"thread_not_found", "message_not_found"}:
            return outbox.dead(delivery)
        return outbox.refused(delivery, now, None)

    async def _settled(self, delivery: Delivery) -> Delivery:
        """Look into the channel for something that may have been said."""
        now = self._clock.now()
        try:
            card = await self._messenger.find(delivery, self._card(delivery))
        except (SlackRefused, SlackDoubt):
            return outbox.unsettled(delivery, now)
        if card is None:
            return outbox.repeated(delivery, now)
        return self._sent(delivery, card)

    def _card(self, delivery: Delivery) -> Card | None:
        """Return where the message stands that a delivery edits or replies to."""
        if isinstance(delivery.body, Edit | Reply):
            number = delivery.body.incident
            return self._cards.get(number) or self._view().desk.incidents[number].card
        return None

    async def _paced(self, delivery: Delivery) -> None:
        """Keep Slack's one new message a second."""
        if not isinstance(delivery.body, Post | Reply):
            return
        now = self._clock.now()
        start = max(now, self._next_message_at)
        self._next_message_at = start + MESSAGE_GAP_S * self._clock.speed
        if start > now:
            await self._clock.sleep(start - now)

    async def _commit(self, delivery: Delivery) -> None:
        try:
            await self._store.commit(Change(deliveries={delivery.key: delivery}))
        except StoreError:
            log.exception("delivery of %s not saved", delivery.key)
