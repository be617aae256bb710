"""Delivers the outbox, each lane in order, with nothing lost or doubled.

Each attempt is committed before anything is sent. What was certainly refused is sent again; what
may have arrived is first searched for in the channel (see `bot.core.state.outbox`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import catch_up, paging
from bot.core.model.observation import Severity
from bot.core.state import outbox
from bot.core.state.outbox import (
    Answer,
    ChannelBody,
    Delivery,
    DeliveryStatus,
    DirectMessage,
    Edit,
    IncidentBody,
    Paging,
    Post,
    Reply,
)
from bot.core.state.stimulus import Delivered, MessageLost, PostMissed, PostOverdue, Stimulus
from bot.core.state.timeline import NotifyingEntry
from bot.ports import CallFailed, Change, Doubt, Reason, Refused, StoreError, View
from bot.runtime.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.core.state.incident import MessageRef
    from bot.ports import Clock, Messenger, Store

log = logging.getLogger(__name__)

MESSAGE_GAP_S = 1.0
"""Slack accepts about one new message a second and channel, in real time (Rate Limits, 2026-11)."""
EDIT_GAP_S = 1.2
"""Slack accepts at least 50 edits a minute (tier 3, Rate Limits, 2026-11)."""
POST_OVERDUE_S = 60.0
"""The age, in seconds, at which an alert that Slack does not accept goes to pagers instead."""
IDLE_S = 3600.0


class OutboxDelivery:
    """Delivers what the engine offers.

    Args:
        clock: times the retries; Slack's own limits are in real time.
        store: where each attempt and its outcome are committed.
        messenger: sends.
        view: returns the state at the moment of sending.
        submit: takes the outcome back to the engine.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        store: Store,
        messenger: Messenger,
        view: Callable[[], View],
        submit: Callable[[Stimulus], None],
    ) -> None:
        self._clock = clock
        self._store = store
        self._messenger = messenger
        self._view = view
        self._submit = submit
        self._lanes: dict[str, dict[str, Delivery]] = {}
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._message_limiter = RateLimiter(MESSAGE_GAP_S)
        self._direct_limiters: defaultdict[str, RateLimiter] = defaultdict(
            lambda: RateLimiter(MESSAGE_GAP_S)
        )
        self._edit_limiter = RateLimiter(EDIT_GAP_S)

    @property
    def depth(self) -> int:
        """The number of deliveries that are not done."""
        return sum(not d.is_done for lane in self._lanes.values() for d in lane.values())

    @property
    def waiting_s(self) -> float:
        """For how long the oldest delivery has waited, in seconds of the clock."""
        lanes = self._lanes.values()
        created = [d.created_at for lane in lanes for d in lane.values() if not d.is_done]
        return self._clock.now() - min(created) if created else 0.0

    def resume(self, deliveries: Iterable[Delivery]) -> None:
        """Go on with the deliveries of an earlier process."""
        now = self._clock.now()
        self.offer(outbox.recover(delivery, now) for delivery in deliveries)

    def offer(self, deliveries: Iterable[Delivery]) -> None:
        """Take over deliveries that were committed."""
        for delivery in deliveries:
            self._lanes.setdefault(delivery.lane, {})[delivery.key] = delivery
        self._changed.set()

    def lane(self, name: str) -> tuple[Delivery, ...]:
        """Return the deliveries of a lane, done or not."""
        return tuple(self._lanes.get(name, {}).values())

    async def run(self) -> None:
        """Deliver. Never ends."""
        try:
            while True:
                self._changed.clear()
                self._start_due()
                await self._wait_until_due()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start_due(self) -> None:
        now = self._clock.now()
        for lane in self._lanes.values():
            delivery = outbox.next_delivery(tuple(lane.values()), now)
            if delivery is not None:
                self._update(outbox.mark_sending(delivery, now))
                task = asyncio.get_running_loop().create_task(self._handle(delivery))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _wait_until_due(self) -> None:
        """Wait until something changed or the next delivery is due."""
        now = self._clock.now()
        waiting = [
            d.due_at - now
            for lane in self._lanes.values()
            for d in lane.values()
            if d.status in {DeliveryStatus.PENDING, DeliveryStatus.DOUBT} and d.due_at > now
        ]
        span_s = min(waiting, default=IDLE_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(span_s / self._clock.speed):
                await self._changed.wait()

    def _update(self, delivery: Delivery) -> None:
        lane = self._lanes[delivery.lane]
        lane[delivery.key] = delivery
        if all(d.is_done for d in lane.values()):
            del self._lanes[delivery.lane]

    async def _handle(self, delivery: Delivery) -> None:
        """Send it, or search whether it arrived, and commit the outcome."""
        is_doubt = delivery.status is DeliveryStatus.DOUBT
        try:
            after = await (self._settle if is_doubt else self._send)(delivery)
        except Exception:
            log.exception("cannot deliver %s", delivery.key)
            now = self._clock.now()
            after = (outbox.handle_failed_search if is_doubt else outbox.mark_doubt)(delivery, now)
        if after is not None:
            self._update(after)
            await self._commit(after)
            self._changed.set()

    async def _send(self, delivery: Delivery) -> Delivery | None:
        """Send it; see `_handle_sent` for what is returned."""
        is_answer = isinstance(delivery.body, Answer)
        if is_answer and self._clock.now() - delivery.created_at > outbox.ANSWER_LIFE_S:
            return outbox.mark_dead(delivery)
        await self._wait_for_rate_limit(delivery)
        now, desk, body = self._clock.now(), self._view().desk, delivery.body
        if paging.is_needless(delivery, desk):
            return outbox.mark_dead(delivery)
        if isinstance(body, Post) and catch_up.is_missed(
            delivery, desk, self.lane(catch_up.lane(body.channel)), now
        ):
            self._submit(PostMissed(now, body.incident))
            return None
        delivery, *batched = outbox.batch(delivery, self.lane(delivery.lane))
        delivery = outbox.mark_sending(delivery, self._clock.now())
        for each in (delivery, *batched):
            self._update(each)
        await self._commit(delivery, *batched)
        message = self._message_ref(delivery)
        try:
            message = await self._messenger.send(delivery, self._view(), message)
        except Refused as refusal:
            self._report_if_overdue(delivery)
            return self._handle_refusal(delivery, refusal, message)
        except Doubt as doubt:
            self._report_if_overdue(delivery)
            line = "the answer of %s to %s was lost; it may have been delivered"
            log.warning(line, doubt.system, _describe(delivery))
            return outbox.mark_doubt(delivery, self._clock.now())
        return self._handle_sent(delivery, message)

    def _report_if_overdue(self, delivery: Delivery) -> None:
        """Let the engine page people where Slack has not accepted an alert for too long."""
        now, body = self._clock.now(), delivery.body
        if isinstance(body, Post) and now - delivery.created_at >= POST_OVERDUE_S:
            self._submit(PostOverdue(now, body.incident))

    def _handle_sent(self, delivery: Delivery, message: MessageRef | None) -> Delivery | None:
        """Return the delivery to commit; None: the engine commits it together with its incident.

        Until then the lane waits: after a crash an edit that overtook the post would hide from a
        search that the message was posted.
        """
        if not isinstance(delivery.body, Post) or message is None:
            return outbox.mark_sent(delivery)
        now, number = self._clock.now(), delivery.body.incident
        self._submit(Delivered(now, number, message.channel, message.ts, delivery.key))
        return None

    def _handle_refusal(
        self, delivery: Delivery, refusal: Refused, message: MessageRef | None
    ) -> Delivery | None:
        """Return the delivery to commit; None: the engine commits it together with its incident."""
        log.warning("%s refused %s: %s", refusal.system, _describe(delivery), refusal.code)
        now, body = self._clock.now(), delivery.body
        if refusal.retry_after_s is not None:
            return outbox.mark_refused(delivery, now, refusal.retry_after_s * self._clock.speed)
        if isinstance(body, Edit | Reply) and refusal.reason is Reason.MESSAGE_LOST:
            if message is None:  # a new message is being posted
                return outbox.mark_dead(delivery)
            self._submit(MessageLost(now, body.incident))
            return None
        is_final = refusal.reason in {Reason.MESSAGE_LOST, Reason.REJECTED}
        if is_final and isinstance(body, Answer | DirectMessage | Paging):
            return outbox.mark_dead(delivery)
        return outbox.mark_refused(delivery, now, None)

    async def _settle(self, delivery: Delivery) -> Delivery | None:
        """Search the channel for something that may have arrived."""
        now, message = self._clock.now(), self._message_ref(delivery)
        if isinstance(delivery.body, Post) and message is not None:
            # The incident was committed, and the delivery was not.
            return self._handle_sent(delivery, message)
        try:
            found = await self._messenger.find(delivery, message)
        except CallFailed:
            self._report_if_overdue(delivery)
            return outbox.handle_failed_search(delivery, now)
        if found is not None:
            return self._handle_sent(delivery, found)
        return outbox.requeue(replace(delivery, is_repeat=False), now)

    def _message_ref(self, delivery: Delivery) -> MessageRef | None:
        """Return the Slack message of the delivery's incident, once it has one."""
        if not isinstance(delivery.body, IncidentBody):
            return None
        return self._view().desk.incidents[delivery.body.incident].message.ref

    async def _wait_for_rate_limit(self, delivery: Delivery) -> None:
        """Keep Slack's limits; what notifies people goes first, then new incidents."""
        match delivery.body:
            case Paging():
                pass
            case Answer(request=request):
                if request.share:
                    await self._message_limiter.acquire()
            case DirectMessage(person=person):
                await self._direct_limiters[person].acquire()
            case Edit():
                await self._edit_limiter.acquire()
            case body:
                await self._message_limiter.acquire(self._priority(body))

    def _priority(self, body: Post | Reply | ChannelBody) -> int:
        match body:
            case Post(incident=number):
                severity = self._view().desk.incidents[number].severity
                return 0 if severity is Severity.CRITICAL else 1
            case Reply(entry=entry):
                return 0 if isinstance(entry, NotifyingEntry) else 2
            case _:
                return 2

    async def _commit(self, *deliveries: Delivery) -> None:
        try:
            await self._store.commit(Change(deliveries={d.key: d for d in deliveries}))
        except StoreError as error:
            # Only for debugging: the engine logs that the store fails.
            log.debug("delivery of %s not saved: %s", deliveries[0].key, error)


def _describe(delivery: Delivery) -> str:
    body = delivery.body
    point = f" (contact point {body.contact_point})" if isinstance(body, Paging) else ""
    return delivery.key + point
