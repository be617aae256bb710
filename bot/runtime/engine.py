"""Stimulus -> step -> commit -> act: the one loop that everything goes through.

Nothing is decided here. A batch of stimuli is stepped through, the new states and what is to be
said are committed together, and only then anything is done about it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core import step as desk_step
from bot.core.incidents import notifications
from bot.core.model.access import AuditEntry
from bot.core.model.measurement import Push
from bot.core.state import outbox
from bot.core.state.desk import DeskState
from bot.core.state.outbox import Delivery, is_superfluous
from bot.core.state.stimulus import (
    CheckRequested,
    CheckStarted,
    CommandReceived,
    Delivered,
    DeskStimulus,
    Effect,
    Measured,
    MessageLost,
    Observed,
    Pushed,
    RequestCheck,
    Send,
    Started,
    Stimulus,
    TenantReport,
    Tenants,
    TenantStimulus,
    Tick,
)
from bot.core.state.tenant import TenantState
from bot.core.tenant import step as tenant_step
from bot.ports import Change, StoreError, View
from bot.runtime.probe_runner import ProbeRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.state.rules import Rules
    from bot.ports import Clock, EffectListener, InboxItem, Prober, Store, Timer
    from bot.runtime.delivery import OutboxDelivery

UNSENT = frozenset({outbox.DeliveryStatus.PENDING, outbox.DeliveryStatus.SENDING})


class OutboxWriter:
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
        lane = self._deliveries_in(change, effect.lane)
        if not is_superfluous(effect.body, lane):
            due_at = now + effect.hold_s if effect.hold_s else 0.0
            place = _next_seq(lane)
            change.deliveries[effect.key] = Delivery(
                effect.key, effect.lane, place, effect.body, created_at=now, due_at=due_at
            )

    def finish_sending(
        self, change: Change, incident: int, finish: Callable[[Delivery], Delivery]
    ) -> None:
        """End what is being sent for an incident in the same commit as what that does to it."""
        lane = self._lane(notifications.lane(incident)) if self._lane else ()
        sending = [d for d in lane if d.status is outbox.DeliveryStatus.SENDING]
        change.deliveries.update({d.key: finish(d) for d in sending})

    def requeue_replies(self, change: Change, incident: int, now: float) -> None:
        """Let what was to be said in a lost message's thread follow the message posted anew."""
        name = notifications.lane(incident)
        lane = self._lane(name) if self._lane else ()
        replies = [
            d
            for d in lane
            if isinstance(d.body, outbox.Reply) and d.status in UNSENT and not d.is_repeat
        ]
        first = _next_seq(self._deliveries_in(change, name))
        for place, reply in enumerate(sorted(replies, key=lambda d: d.seq), start=first):
            change.deliveries[reply.key] = replace(outbox.requeue(reply, now), seq=place)

    def _deliveries_in(self, change: Change, name: str) -> tuple[Delivery, ...]:
        waiting = tuple(d for d in change.deliveries.values() if d.lane == name)
        return (*(self._lane(name) if self._lane else ()), *waiting)


def _next_seq(lane: tuple[Delivery, ...]) -> int:
    return max((delivery.seq for delivery in lane), default=0) + 1


log = logging.getLogger(__name__)


class Engine:
    """Owns the states, and everything that changes them.

    Args:
        rules: what is fixed.
        clock: the only time.
        prober: looks at targets and reads feeds.
        store: keeps the states.
        waker: wakes us when something is due.
        journal: is told every effect.
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
        self._tenants = Tenants({name: TenantState() for name in rules.tenants})
        self._desk = DeskState()
        self._delivery: OutboxDelivery | None = None
        self._outbox_writer = OutboxWriter(None)
        self._due_by_tenant: dict[str, float | None] = {}
        self._stimuli: asyncio.Queue[Stimulus] = asyncio.Queue()
        self._change = Change()
        self._accepting: set[str] = set()
        self._probe_runner = ProbeRunner(clock, prober, self.submit)
        self._is_tick_queued = False
        self._save_error = ""

    def attach(self, delivery: OutboxDelivery) -> None:
        """Set what delivers to Slack. Without it nothing is said."""
        self._delivery = delivery
        self._outbox_writer = OutboxWriter(delivery.lane)

    def view(self) -> View:
        """Return what is known now, to make messages of."""
        return View(self._clock.now(), self._rules, self._tenants, self._desk)

    async def accept(self, received: InboxItem) -> bool:
        """Commit what came in from outside; see the `Inbox` port."""
        if received.id in self._accepting:
            return False
        self._accepting.add(received.id)
        try:
            if await self._store.has_received(received.id):
                return False
            await self._store.commit(Change(inbox_items=[received]))
        finally:
            self._accepting.discard(received.id)
        self._stimuli.put_nowait(_to_stimulus(received, self._clock.now()))
        return True

    def submit(self, stimulus: Stimulus) -> None:
        """Put a stimulus into the queue."""
        self._stimuli.put_nowait(stimulus)

    async def run(self) -> None:
        """Go on from what was committed, for ever. Raises StoreError if it cannot be read."""
        await self._load()
        self._timer.start(self._wake)
        self._wake()
        try:
            while True:
                await self._process_batch()
        finally:
            await self._probe_runner.stop()

    async def _load(self) -> None:
        now = self._clock.now()
        before = await self._store.load(now)
        known = {name: before.tenants.get(name) for name in self._rules.tenants}
        count = len(known)
        self._tenants = Tenants(
            {
                name: replace(state or TenantState(), phase=place / count)
                for place, (name, state) in enumerate(known.items())
            }
        )
        self._desk = before.desk or DeskState()
        if self._delivery:
            self._delivery.resume(before.deliveries.values())
        self.submit(Started(now))
        for received in before.inbox_items:
            self.submit(_to_stimulus(received, now))

    def _wake(self) -> None:
        if not self._is_tick_queued:
            self._is_tick_queued = True
            self.submit(Tick(self._clock.now()))

    async def _process_batch(self) -> None:
        """Take all that waits, step through it, commit it, act on it."""
        stimuli = [await self._stimuli.get()]
        while not self._stimuli.empty():
            stimuli.append(self._stimuli.get_nowait())
        effects: list[tuple[float, Effect]] = []
        for stimulus in stimuli:
            effects += [(stimulus.at, effect) for effect in self._try_step(stimulus)]
        await self._commit()
        for at, effect in effects:
            self._listener.listen(at, effect)
            self._probe_runner.launch(effect)
        self._schedule_wake()

    async def _commit(self) -> None:
        """Commit, then say what is to be said.

        If the commit fails we go on from memory: an alert without a record beats silence. States
        stay in the change for the next attempt; deliveries commit their own progress.
        """
        change = self._change
        try:
            await self._store.commit(change)
        except StoreError as error:
            self._log_save_error(str(error))
            self._change = replace(change, deliveries={})
        else:
            self._save_error = ""
            self._change = Change()
        if self._delivery:
            self._delivery.offer(change.deliveries.values())

    def _log_save_error(self, error: str) -> None:
        """Log it once: the disk that is full may be the log's own."""
        if error != self._save_error:
            log.error("state not saved; going on from memory: %s", error)
        self._save_error = error

    def _try_step(self, stimulus: Stimulus) -> list[Effect]:
        """Step through one stimulus. A step that raises changed nothing: it is pure."""
        try:
            return self._route(stimulus)
        except Exception:
            log.exception("cannot handle %s", type(stimulus).__name__)
            return []

    def _route(self, stimulus: Stimulus) -> list[Effect]:
        """Give a stimulus to the partitions that it concerns."""
        match stimulus:
            case Tick() | Started():
                self._is_tick_queued = False
                effects = [
                    e for n in self._due_tenants(stimulus) for e in self._step_tenant(n, stimulus)
                ]
                return effects + self._step_desk(stimulus)
            case Observed() | Measured() | Pushed():
                effects = [
                    e
                    for n in self._affected_tenants(stimulus)
                    for e in self._step_tenant(n, stimulus)
                ]
                return effects + self._step_desk(stimulus)
            case CheckRequested():
                raise TypeError("only the desk sends a tenant on a run")
            case CommandReceived():
                self._change.handled_ids.append(stimulus.request.id)
            case Delivered():
                self._outbox_writer.finish_sending(
                    self._change, stimulus.incident, outbox.mark_sent
                )
            case MessageLost():
                self._outbox_writer.finish_sending(
                    self._change, stimulus.incident, outbox.mark_dead
                )
                effects = self._step_desk(stimulus)
                self._outbox_writer.requeue_replies(self._change, stimulus.incident, stimulus.at)
                return effects
        return self._step_desk(stimulus)

    def _affected_tenants(self, stimulus: Observed | Measured | Pushed) -> list[str]:
        """Name the tenants that something that was seen or told may concern."""
        if isinstance(stimulus, Pushed):
            self._change.handled_ids.append(stimulus.push.id)
            return list(self._tenants.states)
        seen = stimulus.observation if isinstance(stimulus, Observed) else stimulus.measurement
        return [seen.target.owner] if seen.target.owner in self._tenants.states else []

    def _due_tenants(self, stimulus: Tick | Started) -> list[str]:
        if isinstance(stimulus, Started):
            return list(self._tenants.states)
        return [
            n for n, due in self._due_by_tenant.items() if due is not None and due <= stimulus.at
        ]

    def _step_tenant(self, name: str, stimulus: TenantStimulus) -> list[Effect]:
        before = self._tenants.states[name]
        state, effects = tenant_step.step(before, stimulus, self._rules.tenants[name])
        if state is not before:
            self._tenants = Tenants({**self._tenants.states, name: state})
            self._change.tenants[name] = state
            self._due_by_tenant[name] = tenant_step.due_at(state)
        followed: list[Effect] = []
        for effect in effects:
            followed.append(effect)
            if isinstance(effect, TenantReport | CheckStarted):
                followed += self._step_desk(effect)
        return followed

    def _step_desk(self, stimulus: DeskStimulus) -> list[Effect]:
        before = self._desk
        self._desk, effects = desk_step.step(before, stimulus, self._tenants, self._rules)
        self._record_desk_change(before)
        followed: list[Effect] = []
        for effect in effects:
            followed.append(effect)
            if isinstance(effect, AuditEntry):
                self._change.audit_entries.append(effect)
            elif isinstance(effect, Send):
                self._outbox_writer.enqueue(self._change, effect, stimulus.at)
            elif isinstance(effect, RequestCheck):
                run = CheckRequested(stimulus.at, effect.request_id, effect.signal)
                followed += self._step_tenant(effect.tenant, run)
        return followed

    def _record_desk_change(self, before: DeskState) -> None:
        after = self._desk
        if after is before:
            return
        self._change.desk = after
        if after.incidents is not before.incidents:
            for number, incident in after.incidents.items():
                if before.incidents.get(number) is not incident:
                    self._change.incidents[number] = incident

    def _schedule_wake(self) -> None:
        dues = (*self._due_by_tenant.values(), desk_step.due_at(self._desk, self._rules))
        due = min((at for at in dues if at is not None), default=None)
        if due is not None and not self._is_tick_queued:
            self._timer.wake_at(due)


def _to_stimulus(received: InboxItem, now: float) -> CommandReceived | Pushed:
    return Pushed(now, received) if isinstance(received, Push) else CommandReceived(now, received)
