"""Stimulus -> step -> commit -> act: the one loop that everything goes through.

Nothing is decided here. The engine steps through a batch of stimuli, commits the new states and
the outbox together, and only then acts on the effects.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from bot.core import step
from bot.core.model.access import AuditEntry
from bot.core.model.measurement import Push
from bot.core.state import clock_shift, outbox
from bot.core.state.desk import BotState, DeskState, is_routine, is_tenant_saved
from bot.core.state.stimulus import (
    CallRefused,
    CallTaken,
    ClockCorrected,
    CommandReceived,
    Delivered,
    Effect,
    FeedPolled,
    Measured,
    MessageLost,
    Observed,
    PostMissed,
    Pushed,
    Send,
    Started,
    Stimulus,
    Stopped,
    Tick,
)
from bot.core.state.tenant import MINUTE_S, Tenants, TenantState
from bot.ports import Change, StoreError, View
from bot.runtime.outbox_writer import OutboxWriter
from bot.runtime.probe_runner import ProbeRunner

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from bot.core.state.rules import Rules
    from bot.ports import Clock, EffectListener, InboxItem, Prober, Store, Timer
    from bot.runtime.delivery import OutboxDelivery
    from bot.runtime.probe_runner import Lateness

log = logging.getLogger(__name__)
CATCH_UP_S = 1.0
"""How long a question waits for what was asked for before it; Slack's limit is 3 s."""
SAVE_LIMIT_S = 1.0
"""Real seconds after which a person's request is taken from memory: Slack's limit is 3 s."""
MAX_UNSAVED_IDS = 10_000
LATE_S = 5.0
"""Real seconds after which what is due counts as late."""
LABEL_S = 600.0
"""After a process that ran from memory, so long every message may be a double."""
HELD_S = 0.5
"""So long healthy results wait for more, to be committed together: a crash may lose these."""
FEW_TENANTS = 50
TICK_S = 1e-4
"""Real seconds for each tenant, if they are more than `FEW_TENANTS`: at least so far apart are two
ticks, so that with thousands of tenants many share one, and its commit."""
FIRST_PROBES_S = 0.04
"""For each tenant: over so many seconds, and a minute at most, the first probes after a start are
spread; those of `FEW_TENANTS` begin at once."""
HELD = Tick | Observed | Measured | FeedPolled
"""Stimuli that may be a routine's; all others are committed at once."""
Key = TypeVar("Key")
Value = TypeVar("Value")


class Engine:
    """Owns the states; nothing else changes them.

    Args:
        rules: what the configuration fixes.
        clock: the only time.
        prober: probes targets and queries sources.
        store: where the states are committed.
        timer: wakes the engine when something is due.
        listener: gets every effect.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        clock: Clock,
        prober: Prober,
        store: Store,
        timer: Timer,
        listener: EffectListener,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._store = store
        self._timer = timer
        self._listener = listener
        tenants = Tenants({name: TenantState() for name in rules.tenants})
        self._state = self._saved = BotState(tenants, DeskState())
        self._delivery: OutboxDelivery | None = None
        self._outbox_writer = OutboxWriter(lambda _: ())
        self._stimuli: asyncio.Queue[Stimulus | None] = asyncio.Queue()
        """None: what was held is to be committed."""
        self._held: asyncio.TimerHandle | None = None
        self._change = Change()
        self._accepting: set[str] = set()
        self._probe_runner = ProbeRunner(clock, prober, self.submit)
        self._is_tick_queued = False
        self._ticked_at = float("-inf")
        self.batches = 0
        """How many batches of stimuli it has processed."""
        self.is_new = False
        """Once it is loaded: whether the database had nothing in it."""
        self._is_loaded = self._is_processing = False
        self._unsaved_ids: dict[str, None] = {}
        """Of items that were taken from memory, the oldest first."""

    def attach(self, delivery: OutboxDelivery) -> None:
        """Set what delivers to Slack. Without it the engine sends nothing."""
        self._delivery = delivery
        self._outbox_writer = OutboxWriter(delivery.lane)

    def view(self) -> View:
        """Return the current state, for messages and answers."""
        return View(self._clock.now(), self._rules, self._state.tenants, self._state.desk)

    async def accept(self, item: InboxItem) -> bool:
        """Commit a request or a push, or take it from memory; see the `Inbox` port."""
        if item.id in self._accepting:
            return False
        self._accepting.add(item.id)
        is_known = item.id in self._unsaved_ids
        saving = asyncio.create_task(self._save_item(item, is_handled=is_known))
        saving.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout(SAVE_LIMIT_S):
                is_new = await asyncio.shield(saving) and not is_known
        except (StoreError, TimeoutError) as error:
            is_new = not is_known
            self._unsaved_ids[item.id] = None
            if len(self._unsaved_ids) > MAX_UNSAVED_IDS:
                del self._unsaved_ids[next(iter(self._unsaved_ids))]
            if isinstance(item, Push):
                if is_new:
                    self.submit(_to_stimulus(item, self._clock.now()))
                raise StoreError(str(error) or "not saved in time") from error
        finally:
            self._accepting.discard(item.id)
        if is_new:
            self.submit(_to_stimulus(item, self._clock.now()))
        return is_new

    async def _save_item(self, item: InboxItem, *, is_handled: bool) -> bool:
        """Commit an item. Returns False for one that was committed before."""
        if await self._store.has_received(item.id):
            return False
        handled_ids = [item.id] if is_handled else []
        await self._store.commit(Change(inbox_items=[item], handled_ids=handled_ids))
        return True

    def submit(self, stimulus: Stimulus) -> None:
        """Put a stimulus into the queue."""
        self._stimuli.put_nowait(stimulus)

    def correct_clock(self, by_s: float) -> None:
        """Move all that is known in time, after the clock was corrected by so much."""
        if self._delivery:
            self._delivery.shift(by_s)
        self.submit(ClockCorrected(self._clock.now(), by_s))

    async def catch_up(self) -> None:
        """Wait until all that was submitted has been stepped, but not for long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CATCH_UP_S):
                await self._stimuli.join()

    async def note_stop(self) -> None:
        """Commit that the process ends in good order. Called when nothing else runs any more."""
        self._step(Stopped(self._clock.now()))
        await self._commit()

    async def run(self) -> None:
        """Go on from what was committed. Never ends, but may be started again.

        Raises StoreError if it cannot be read.
        """
        await self.load()
        self._timer.start(self._wake)
        self._is_tick_queued = False
        self._wake()
        try:
            while True:
                await self._process_batch()
        finally:
            await self._probe_runner.stop()

    @property
    def has_work(self) -> bool:
        """Whether something waits to be processed, or should have been woken for."""
        due = step.due_at(self._state, self._rules)
        is_late = due is not None and due < self._clock.now() - LATE_S * self._clock.speed
        return is_late or not self._stimuli.empty() or self._is_processing

    @property
    def finished_checks(self) -> Counter[str]:
        """How many checks have ended, by what was checked; see `ProbeRunner.finished`."""
        return self._probe_runner.finished

    def take_lateness(self) -> Lateness:
        """Return how late routine probes were since the last call."""
        return self._probe_runner.take_lateness()

    def restart_checks(self) -> None:
        """Cancel all checks that run: they get nowhere."""
        self._probe_runner.restart()
        self._wake()

    async def load(self) -> None:
        """Read what was committed, once. Raises StoreError."""
        if self._is_loaded:
            return
        self._is_loaded = True
        now = self._clock.now()
        before = await self._store.load(now)
        count = len(self._rules.tenants)
        tenants = Tenants(
            {
                name: replace(before.tenants.get(name) or TenantState(), phase=place / count)
                for place, name in enumerate(self._rules.tenants)
            }
        )
        self._state = self._saved = BotState(tenants, before.desk or DeskState())
        self.is_new = before.desk is None
        deliveries = list(before.deliveries.values())
        if (ahead_s := clock_shift.seconds_ahead(self._state, now)) > 1.0:
            log.warning("the saved state is %.0f s ahead of this host's clock: moved", ahead_s)
            self._state = clock_shift.shift(self._state, -ahead_s)
            deliveries = [clock_shift.shift(each, -ahead_s) for each in deliveries]
        if before.was_unsaved:
            log.warning("the process before could not save its state: messages may be doubles")
            self._outbox_writer.label_until = now + LABEL_S
            deliveries = [replace(each, is_repeat=True) for each in deliveries]
        if self._delivery:
            self._delivery.offer(outbox.recover(each, now) for each in deliveries)
        first_s = min(MINUTE_S, count * FIRST_PROBES_S) if count > FEW_TENANTS else 0.0
        self.submit(Started(now, first_s))
        for item in before.inbox_items:
            self.submit(_to_stimulus(item, now))

    def _wake(self) -> None:
        if not self._is_tick_queued:
            self._is_tick_queued = True
            self.submit(Tick(self._clock.now()))

    def _wake_when_due(self) -> None:
        """Set the timer for the next tick; see `TICK_S`."""
        due, count = step.due_at(self._state, self._rules), len(self._rules.tenants)
        if due is None or self._is_tick_queued:
            return
        # Not by the clock's time, which may be corrected.
        wait_s = self._ticked_at + TICK_S * count - asyncio.get_running_loop().time()
        if wait_s > 0.0 and count > FEW_TENANTS:
            due = max(due, self._clock.now() + wait_s * self._clock.speed)
        self._timer.wake_at(due)

    async def _process_batch(self) -> None:
        """Take all that waits, step through it, commit it, act on it."""
        stimuli = [await self._stimuli.get()]
        self._is_processing = True
        while not self._stimuli.empty():
            stimuli.append(self._stimuli.get_nowait())
        effects: list[tuple[float, Effect]] = []
        for stimulus in (each for each in stimuli if each):
            try:
                effects += [(stimulus.at, effect) for effect in self._step(stimulus)]
            except Exception:  # a step that raises has changed nothing: it is pure
                log.exception("cannot handle %s", type(stimulus).__name__)
        for _ in stimuli:
            self._stimuli.task_done()
        if not self._may_wait(stimuli):
            await self._commit()
        for at, effect in effects:
            self._listener.listen(at, effect)
            self._probe_runner.launch(effect)
        self._wake_when_due()
        self.batches += 1
        self._is_processing = False

    def _step(self, stimulus: Stimulus) -> list[Effect]:  # noqa: C901 - one case a stimulus
        """Step, and put what must be committed with the new state into the change."""
        change = self._change
        match stimulus:
            case Started() | Tick():
                self._is_tick_queued = False
                self._ticked_at = asyncio.get_running_loop().time()
            case Pushed(push=item) | CommandReceived(request=item):
                change.handled_ids.append(item.id)
            case Delivered() | MessageLost() | CallTaken() | CallRefused():
                self._outbox_writer.finish_sending(change, stimulus)
        self._state, effects = step.step(self._state, stimulus, self._rules)
        for effect in effects:
            if isinstance(effect, AuditEntry):
                change.audit_entries.append(effect)
            elif isinstance(effect, Send) and self._delivery:
                self._outbox_writer.enqueue(change, effect, stimulus.at)
        if isinstance(stimulus, PostMissed):
            self._outbox_writer.miss_post(change, self._state.desk.incidents[stimulus.incident])
        if isinstance(stimulus, MessageLost):
            self._outbox_writer.requeue_replies(change, stimulus.incident, stimulus.at)
        return effects

    def _may_wait(self, stimuli: list[Stimulus | None]) -> bool:
        """Tell whether a commit may wait for more that is routine; see `HELD_S`."""
        change = self._change
        has_more = change.deliveries or change.handled_ids or change.audit_entries
        if has_more or not all(isinstance(each, HELD) for each in stimuli):
            return False
        before, after = self._saved, self._state
        names = _changed(before.tenants.states, after.tenants.states)
        if not is_routine(before, after, names):
            return False
        if after.desk.is_saved_as(before.desk) and not _to_save(names, before.tenants.states):
            self._saved = after
        elif self._held is None:
            wait_s = HELD_S / self._clock.speed
            loop = asyncio.get_running_loop()
            self._held = loop.call_later(wait_s, self._stimuli.put_nowait, None)
        return True

    async def _commit(self) -> None:
        """Commit all that changed since the last commit, then offer the deliveries.

        If the commit fails, the engine goes on from memory: an alert without a record is better
        than none. The next commit tries again, with lists of its own: the failed one may still be
        read. Deliveries commit their own progress.
        """
        if self._held:
            self._held.cancel()
            self._held = None
        before, after, change = self._saved, self._state, self._change
        changed = _changed(before.tenants.states, after.tenants.states)
        change.tenants = _to_save(changed, before.tenants.states)
        change.desk = None
        if not after.desk.is_saved_as(before.desk):  # a start begins with new samples
            shared = replace(after.desk.shared, samples={})
            change.desk = replace(after.desk, shared=shared)
        change.incidents = _changed(before.desk.incidents, after.desk.incidents)
        try:
            await self._store.commit(change)
        except StoreError:
            entries, handled = [*change.audit_entries], [*change.handled_ids]
            self._change = Change(audit_entries=entries, handled_ids=handled)
        else:
            self._saved, self._change = after, Change()
        if self._delivery:
            self._delivery.offer(change.deliveries.values())


def _changed(before: dict[Key, Value], after: dict[Key, Value]) -> dict[Key, Value]:
    if before is after:
        return {}
    return {key: value for key, value in after.items() if before.get(key) is not value}


def _to_save(
    changed: Mapping[str, TenantState], before: Mapping[str, TenantState]
) -> dict[str, TenantState]:
    """Leave out the tenants of which a start would learn nothing new."""
    return {
        name: state
        for name, state in changed.items()
        if name not in before or not is_tenant_saved(state, before[name])
    }


def _to_stimulus(item: InboxItem, now: float) -> CommandReceived | Pushed:
    return Pushed(now, item) if isinstance(item, Push) else CommandReceived(now, item)
