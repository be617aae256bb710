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
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from bot.core.alerting import deliveries
from bot.core.incidents import notifications
from bot.core.state import clock_shift, outbox
from bot.core.state.outbox import (
    Answer,
    CatchUp,
    Delivery,
    DeliveryStatus,
    DirectBody,
    Edit,
    IncidentBody,
    Paging,
    Post,
    Reply,
)
from bot.core.state.stimulus import (
    CallOverdue,
    CallRefused,
    CallTaken,
    Delivered,
    MessageLost,
    PostMissed,
    Stimulus,
)
from bot.ports import CallFailed, Change, Doubt, Reason, Refused, StoreError, View
from bot.runtime.rate_limits import URGENT, PersonLimit, RateLimits, limit_of, priority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.core.state.incident import MessageRef
    from bot.ports import Clock, Messenger, Store

Order = tuple[int, float]
log = logging.getLogger(__name__)

SHARES, SHARES_SPAN_S = 5, 60.0
"""A person may share so many answers in so many seconds; further ones only they see."""
IDLE_S = 3600.0
LATE_S = 5.0
"""Real seconds after which what is due counts as late."""
MAY_SEND_EVERY_S = 0.2
SEND_LIMIT_S = 120.0
"""Real seconds for one try, which may take several calls; each call has a shorter time-out."""


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
        self._next: dict[str, Delivery] = {}
        """The delivery to handle next, by lane."""
        self._waiting: list[tuple[float, int, Delivery]] = []
        """Heap of these by when they are due; one that is no longer the next is passed over."""
        self._ready: defaultdict[tuple[str, float], list[tuple[Order, int, Delivery]]]
        self._ready = defaultdict(list)
        """Heaps of those that are due, by the limit for which they wait."""
        self._calls: dict[str, Delivery] = {}
        """Calls that nobody has taken and that the engine does not know to be overdue, by key."""
        self._deadlines: list[tuple[float, str]] = []
        """Heap of their deadlines and keys; a call that is no longer open is passed over."""
        self._count = count()
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._limits = RateLimits()
        self._shares = PersonLimit(SHARES, SHARES_SPAN_S)
        self.repeated: dict[int, Delivery] = {}
        """The posts that may be there twice, by incident."""

    @property
    def depth(self) -> int:
        """The number of deliveries that are not done."""
        return sum(not d.is_done for lane in self._lanes.values() for d in lane.values())

    @property
    def is_late(self) -> bool:
        """Whether something is due that was not taken up: `run` does not turn."""
        late = self._clock.now() - LATE_S * self._clock.speed
        return bool(self._waiting) and self._waiting[0][0] < late

    @property
    def waiting_s(self) -> float:
        """For how long the oldest delivery has waited, in seconds of the clock."""
        lanes = self._lanes.values()
        created = [d.created_at for lane in lanes for d in lane.values() if not d.is_done]
        return self._clock.now() - min(created) if created else 0.0

    def offer(self, deliveries: Iterable[Delivery]) -> None:
        """Take over deliveries: those of the engine were committed."""
        for delivery in deliveries:
            is_new = delivery.key not in self._lanes.get(delivery.lane, {})
            self._put(self._limit_share(delivery) if is_new else delivery)
            if is_new and delivery.call and not delivery.is_done:
                self._calls[delivery.key] = delivery
                heappush(self._deadlines, (delivery.call.overdue_at, delivery.key))
        self._changed.set()

    def update_soon(self, incident: int) -> None:
        """Update an incident's message, unless something waits that does: it may be deleted."""
        now, lane = self._clock.now(), notifications.lane(incident)
        if not self.lane(lane):
            key = f"{incident}:gone:{now:.3f}"
            self.offer([Delivery(key, lane, 1, Edit(incident), created_at=now)])

    def _limit_share(self, delivery: Delivery) -> Delivery:
        """Answer a person alone who shares too much: nobody is to flood the channel."""
        body = delivery.body
        if not isinstance(body, Answer) or not body.is_shared or delivery.tries:
            return delivery
        if self._shares.allow(body.request.user):
            return delivery
        return replace(delivery, body=replace(body, is_share_refused=True))

    def shift(self, by_s: float) -> None:
        """Move all instants: the clock was corrected."""
        self._waiting.clear()
        self._ready.clear()
        for lane in tuple(self._lanes.values()):
            for delivery in tuple(lane.values()):
                self._put(clock_shift.shift(delivery, by_s))
        self._calls = clock_shift.shift(self._calls, by_s)
        calls = ((each.call, key) for key, each in self._calls.items())
        self._deadlines = [(call.overdue_at, key) for call, key in calls if call]
        heapify(self._deadlines)
        self._changed.set()

    def lane(self, name: str) -> tuple[Delivery, ...]:
        """Return the deliveries of a lane, done or not."""
        return tuple(self._lanes.get(name, {}).values())

    async def run(self) -> None:
        """Deliver. Never ends."""
        try:
            while True:
                self._changed.clear()
                self._report_overdue_calls()
                wait_s = self._start_due()
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._changed.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _report_overdue_calls(self) -> None:
        """Let the engine try other ways, however far these deliveries have come."""
        now = self._clock.now()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, key = heappop(self._deadlines)
            if (overdue := self._calls.pop(key, None)) and overdue.call:
                body = overdue.body
                name = body.contact_point if isinstance(body, Paging) else ""
                self._submit(CallOverdue(now, overdue.call, name))

    def _start_due(self) -> float:
        """Start what is due and allowed; return after how many real seconds to look again.

        Of all that waits for one limit the most urgent goes first, whatever lane it is in.
        """
        now = self._clock.now()
        while self._waiting and self._waiting[0][0] <= now:
            _, number, delivery = heappop(self._waiting)
            limit = None if delivery.status is DeliveryStatus.DOUBT else limit_of(delivery)
            if limit is not None:
                order = (priority(delivery), delivery.created_at)
                heappush(self._ready[limit], (order, number, delivery))
            elif self._next.get(delivery.lane) is delivery:
                self._start(delivery)
        heads = (heap[0][0] for heap in (self._waiting, self._deadlines) if heap)
        waits = [IDLE_S, *((at - now) / self._clock.speed for at in heads)]
        for (name, gap_s), ready in self._ready.items():
            while ready and self._next.get(ready[0][-1].lane) is not ready[0][-1]:
                heappop(ready)
            if ready:
                delivery = ready[0][-1]
                is_urgent = priority(delivery) <= URGENT
                wait_s = self._limits.take_turn(name, gap_s, is_urgent=is_urgent)
                if not wait_s:
                    self._start(delivery)
                waits.append(wait_s or gap_s)
        return min(waits)

    def _start(self, delivery: Delivery) -> None:
        is_ahead = outbox.is_ahead(delivery, self.lane(delivery.lane))
        if is_ahead and deliveries.is_call_needless(delivery, self._view().desk):
            self._changed.set()
            self._put(replace(deliveries.mute_call(delivery), call=None))
            return
        self._put(outbox.mark_sending(delivery, self._clock.now()))
        task = asyncio.get_running_loop().create_task(self._handle(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _put(self, delivery: Delivery) -> None:
        """Put a delivery into its lane, and work out what is next there."""
        name, lane = delivery.lane, self._lanes.setdefault(delivery.lane, {})
        lane[delivery.key] = delivery
        if delivery.is_done:
            self._calls.pop(delivery.key, None)
        if isinstance(delivery.body, Post) and delivery.may_be_double:
            self.repeated[delivery.body.incident] = delivery
        if found := outbox.next_delivery(lane.values()):
            self._next[name], due_at = found
            heappush(self._waiting, (due_at, next(self._count), self._next[name]))
        else:
            self._next.pop(name, None)
        if all(d.is_done for d in lane.values()):
            del self._lanes[name]

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
            self._put(after)
            await self._commit(after)
            self._changed.set()

    async def _send(self, delivery: Delivery) -> Delivery | None:
        """Send it; see `_handle_sent` for what is returned."""
        now, desk, body = self._clock.now(), self._view().desk, delivery.body
        if is_expired := deliveries.is_expired(delivery, now):
            log.warning("%s is given up: it is too late now", _describe(delivery))
        if is_expired or deliveries.is_needless(delivery, desk):
            return outbox.mark_dead(delivery)
        if isinstance(body, Post) and deliveries.is_missed(
            delivery, desk, self.lane(deliveries.catch_up_lane(body.channel)), now
        ):
            self._submit(PostMissed(now, body.incident))
            return None
        delivery, *batched = self._batch(delivery)
        delivery = outbox.mark_sending(delivery, self._clock.now())
        for each in (delivery, *batched):
            self._put(each)
        await self._commit(delivery, *batched)
        can_wait = isinstance(body, Edit | Reply) and not delivery.call
        while not self._store.may_send(is_urgent=not can_wait):
            await self._clock.sleep(MAY_SEND_EVERY_S)
        message = self._message_ref(delivery)
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                message = await self._messenger.send(delivery, self._view(), message)
        except Refused as refusal:
            return self._handle_refusal(delivery, refusal, message)
        except (Doubt, TimeoutError) as doubt:
            return self._handle_doubt(delivery, doubt)
        return await self._handle_sent(delivery, message)

    def _batch(self, delivery: Delivery) -> list[Delivery]:
        """Return a delivery as it is to be sent, with what waits and becomes part of it."""
        lane = self.lane(delivery.lane)
        if isinstance(delivery.body, CatchUp):
            return deliveries.batch_missed(delivery, lane)
        if not delivery.call:
            return deliveries.batch_replies(delivery, lane)
        if deliveries.is_call_needless(delivery, self._view().desk):
            return [deliveries.mute_call(delivery)]
        return deliveries.join_calls(delivery, lane)

    def _handle_doubt(self, delivery: Delivery, doubt: Doubt | TimeoutError) -> Delivery:
        """Return a delivery that may have arrived: that is looked up before it is sent again."""
        doubtful = outbox.mark_doubt(delivery, self._clock.now())
        if isinstance(doubt, TimeoutError):
            log.warning("%s was not sent in time; it may have been", _describe(delivery))
            return doubtful
        line = "the answer of %s to %s was lost; it may have been delivered"
        log.warning(line, doubt.system, _describe(delivery))
        if doubt.has_reached and self._calls.pop(delivery.key, None) is not None:
            self._submit(CallTaken(self._clock.now(), doubtful))
        return doubtful

    async def _handle_sent(self, delivery: Delivery, message: MessageRef | None) -> Delivery | None:
        """Return the delivery to commit; None: the engine commits it together with its incident.

        Until then the lane waits: after a crash an edit that overtook the post would hide from a
        search that the message was posted.
        """
        self._calls.pop(delivery.key, None)
        if limit := limit_of(delivery):
            self._limits.release(limit[0])
        now, body = self._clock.now(), delivery.body
        if isinstance(body, Post) and message is not None:
            self._submit(Delivered(now, body.incident, message.channel, message.ts, delivery.key))
        elif not delivery.call:
            return outbox.mark_sent(delivery)
        if call := delivery.call:
            incident = self._view().desk.incidents[call.incident]
            people = deliveries.people_of(delivery, incident)
            unreached = await self._messenger.find_unreached(people, now) if people else {}
            taken = replace(delivery, status=DeliveryStatus.SENDING)  # it may have been in doubt
            self._submit(CallTaken(self._clock.now(), taken, message, unreached))
        return None

    def _handle_refusal(
        self, delivery: Delivery, refusal: Refused, message: MessageRef | None
    ) -> Delivery | None:
        """Return the delivery to commit; None: the engine commits it together with its incident."""
        log.warning("%s", refusal.describe(_describe(delivery)))
        now, body = self._clock.now(), delivery.body
        if refusal.retry_after_s is not None:
            if limit := limit_of(delivery):
                self._limits.hold(limit[0], refusal.retry_after_s)
            wait_s = min(refusal.retry_after_s, outbox.MAX_RETRY_AFTER_S)
            return outbox.mark_refused(delivery, now, wait_s * self._clock.speed)
        if isinstance(body, Edit | Reply) and refusal.reason is Reason.MESSAGE_LOST:
            if message is None:  # a new message is being posted
                return self._give_up(delivery, refusal.code)
            self._submit(MessageLost(now, body.incident))
            return None
        is_final = refusal.reason in {Reason.MESSAGE_LOST, Reason.REJECTED}
        if is_final and isinstance(body, Answer | DirectBody | Paging):
            return self._give_up(delivery, refusal.code)
        return outbox.mark_refused(delivery, now, None)

    def _give_up(self, delivery: Delivery, error: str) -> Delivery | None:
        """Return it as dead; None: it is a call, which the engine first makes in another way."""
        if not delivery.call:
            return outbox.mark_dead(delivery)
        self._calls.pop(delivery.key, None)
        self._submit(CallRefused(self._clock.now(), delivery, error))
        return None

    async def _settle(self, delivery: Delivery) -> Delivery | None:
        """Search the channel for something that may have arrived."""
        now, message = self._clock.now(), self._message_ref(delivery)
        if isinstance(delivery.body, Post) and message is not None:
            # The incident was committed, and the delivery was not.
            return await self._handle_sent(delivery, message)
        try:
            async with asyncio.timeout(SEND_LIMIT_S):
                found = await self._messenger.find(delivery, message)
        except (TimeoutError, CallFailed) as failure:
            is_pointless = isinstance(failure, Refused) and failure.reason is Reason.REJECTED
            return outbox.handle_failed_search(delivery, now, is_pointless=is_pointless)
        if found is not None:
            return await self._handle_sent(delivery, found)
        return outbox.requeue(replace(delivery, is_repeat=False), now)

    def _message_ref(self, delivery: Delivery) -> MessageRef | None:
        """Return the Slack message of the delivery's incident, once it has one."""
        if not isinstance(delivery.body, IncidentBody):
            return None
        return self._view().desk.incidents[delivery.body.incident].message.ref

    async def _commit(self, *deliveries: Delivery) -> None:
        try:
            await self._store.commit(Change(deliveries={d.key: d for d in deliveries}))
        except StoreError as error:
            log.debug("delivery of %s not saved: %s", deliveries[0].key, error)


def _describe(delivery: Delivery) -> str:
    body = delivery.body
    point = f" (contact point {body.contact_point})" if isinstance(body, Paging) else ""
    return delivery.key + point
