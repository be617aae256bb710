"""The other loop: takes the outbox to Slack, each lane in order, nothing lost or doubled.

A try is committed before anything is sent. What was certainly refused is tried again; what may
have been said is first looked for in the channel (see `core.outbox`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from bot.core.alerting import paging
from bot.core.model.observation import Severity
from bot.core.state import outbox
from bot.core.state.incident import TimelineKind
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
from bot.core.state.stimulus import Delivered, MessageLost, PostOverdue, Stimulus
from bot.ports import Change, SlackDoubt, SlackRefused, StoreError, View
from bot.runtime.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.core.state.incident import MessageRef
    from bot.ports import Clock, Messenger, Store

log = logging.getLogger(__name__)

MESSAGE_LOST_ERRORS = frozenset(
    {
        "message_not_found",
        "cant_update_message",
        "edit_window_closed",
        "is_inactive",
        "cannot_reply_to_message",
        "thread_not_found",
    }
)
"""Slack will never let us edit this message again, or reply to it.

https://docs.slack.dev/reference/methods/chat.update and chat.postMessage (read 2026-11)
"""
TEMPORARY_ERRORS = frozenset({"ratelimited", "rate_limited", "unreachable", "internal_error"})
MESSAGE_GAP_S = 1.0
"""Slack takes about one new message a second and channel, in real time (Rate Limits, 2026-11)."""
EDIT_GAP_S = 1.2
"""Slack takes at least 50 edits a minute (tier 3, Rate Limits, 2026-11)."""
NOTIFYING_KINDS = frozenset({TimelineKind.MENTION, TimelineKind.PAGED})
POST_OVERDUE_S = 60.0
"""So old an alert that Slack does not take is told beyond it."""
IDLE_S = 3600.0


class OutboxDelivery:
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
        self.offer(outbox.recover(delivery, now) for delivery in deliveries)

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
                self._keep(outbox.mark_sending(delivery, now))
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

    def _keep(self, delivery: Delivery) -> None:
        lane = self._lanes[delivery.lane]
        lane[delivery.key] = delivery
        if all(d.is_done for d in lane.values()):
            del self._lanes[delivery.lane]

    async def _handle(self, delivery: Delivery) -> None:
        """Say it, or look whether it was said; whatever comes of it is kept."""
        is_doubt = delivery.status is DeliveryStatus.DOUBT
        try:
            after = await (self._settle if is_doubt else self._send)(delivery)
        except Exception:
            log.exception("cannot deliver %s", delivery.key)
            now = self._clock.now()
            after = (outbox.handle_failed_search if is_doubt else outbox.mark_doubt)(delivery, now)
        if after is not None:
            self._keep(after)
            await self._commit(after)
            self._changed.set()

    async def _send(self, delivery: Delivery) -> Delivery | None:
        """Say it; see `_sent` for what is returned."""
        is_answer = isinstance(delivery.body, Answer)
        if is_answer and self._clock.now() - delivery.created_at > outbox.ANSWER_LIFE_S:
            return outbox.mark_dead(delivery)
        await self._wait_for_rate_limit(delivery)
        if paging.is_needless(delivery, self._view().desk):
            return outbox.mark_dead(delivery)
        delivery, *along = outbox.batch_replies(delivery, self.lane(delivery.lane))
        delivery = outbox.mark_sending(delivery, self._clock.now())
        for each in (delivery, *along):
            self._keep(each)
        await self._commit(delivery, *along)
        card = self._message_ref(delivery)
        try:
            card = await self._messenger.send(delivery, self._view(), card)
        except SlackRefused as refusal:
            self._report_if_overdue(delivery)
            return self._handle_refusal(delivery, refusal, card)
        except SlackDoubt:
            self._report_if_overdue(delivery)
            log.warning("the answer to %s was lost; it may have been said", delivery.key)
            return outbox.mark_doubt(delivery, self._clock.now())
        return self._handle_sent(delivery, card)

    def _report_if_overdue(self, delivery: Delivery) -> None:
        """Let people be called beyond Slack where it does not take an alert."""
        now, body = self._clock.now(), delivery.body
        if isinstance(body, Post) and now - delivery.created_at >= POST_OVERDUE_S:
            self._submit(PostOverdue(now, body.incident))

    def _handle_sent(self, delivery: Delivery, card: MessageRef | None) -> Delivery | None:
        """Return what is to be kept; None: the engine keeps it, in one commit with its incident.

        Until then the lane waits: an edit that overtook it would hide, from a search after a
        crash, that the message was posted.
        """
        if not isinstance(delivery.body, Post) or card is None:
            return outbox.mark_sent(delivery)
        number = delivery.body.incident
        self._submit(Delivered(self._clock.now(), number, card.channel, card.ts, delivery.key))
        return None

    def _handle_refusal(
        self, delivery: Delivery, refusal: SlackRefused, card: MessageRef | None
    ) -> Delivery | None:
        """Return what is to be kept; None: the engine keeps it, in one commit with its incident."""
        log.warning("Slack refused %s: %s", delivery.key, refusal.error)
        now, body = self._clock.now(), delivery.body
        if refusal.retry_after_s is not None:
            return outbox.mark_refused(delivery, now, refusal.retry_after_s * self._clock.speed)
        if isinstance(body, Edit | Reply) and refusal.error in MESSAGE_LOST_ERRORS:
            if card is None:  # a new message is on its way
                return outbox.mark_dead(delivery)
            self._submit(MessageLost(now, body.incident))
            return None
        if (
            isinstance(body, Answer | DirectMessage | Paging)
            and refusal.error not in TEMPORARY_ERRORS
        ):
            return outbox.mark_dead(delivery)
        return outbox.mark_refused(delivery, now, None)

    async def _settle(self, delivery: Delivery) -> Delivery | None:
        """Look into the channel for something that may have been said."""
        now, card = self._clock.now(), self._message_ref(delivery)
        if isinstance(delivery.body, Post) and card is not None:
            return self._handle_sent(
                delivery, card
            )  # the incident was saved, and the delivery was not
        try:
            found = await self._messenger.find(delivery, card)
        except (SlackRefused, SlackDoubt):
            self._report_if_overdue(delivery)
            return outbox.handle_failed_search(delivery, now)
        return self._handle_sent(delivery, found) if found else outbox.requeue(delivery, now)

    def _message_ref(self, delivery: Delivery) -> MessageRef | None:
        """Return where the message of a delivery's incident stands."""
        if not isinstance(delivery.body, IncidentBody):
            return None
        return self._view().desk.incidents[delivery.body.incident].message

    async def _wait_for_rate_limit(self, delivery: Delivery) -> None:
        """Keep Slack's limits; who calls people goes first, then new incidents."""
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
                return 0 if entry.kind in NOTIFYING_KINDS else 2
            case _:
                return 2

    async def _commit(self, *deliveries: Delivery) -> None:
        try:
            await self._store.commit(Change(deliveries={d.key: d for d in deliveries}))
        except StoreError as error:
            log.debug("delivery of %s not saved: %s", deliveries[0].key, error)  # the engine tells
