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
from bot.core.model.access import Audited
from bot.core.model.measurement import Push
from bot.core.state import outbox
from bot.core.state.desk import DeskState
from bot.core.state.outbox import Delivery, is_superfluous
from bot.core.state.stimulus import (
    Asked,
    CardLost,
    Delivered,
    DeskStimulus,
    Effect,
    Finding,
    Measured,
    Observed,
    Pushed,
    Run,
    Running,
    RunNow,
    Send,
    Started,
    Stimulus,
    TenantStimulus,
    Tick,
    World,
)
from bot.core.state.tenant import TenantState
from bot.core.tenant import step as tenant_step
from bot.ports import Change, StoreError, View
from bot.runtime.probe_runner import Looks

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.state.rules import Rules
    from bot.ports import Clock, Journal, Prober, Received, Store, Waker
    from bot.runtime.delivery import Deliver

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
        lane = self._lane(notifications.lane(incident)) if self._lane else ()
        sending = [d for d in lane if d.status is outbox.Status.SENDING]
        change.deliveries.update({d.key: ended(d) for d in sending})

    def follow(self, change: Change, incident: int, now: float) -> None:
        """Let what was to be said in a lost message's thread follow the message posted anew."""
        name = notifications.lane(incident)
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
        waker: Waker,
        journal: Journal,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._store = store
        self._waker = waker
        self._journal = journal
        self._world = World({name: TenantState() for name in rules.tenants})
        self._desk = DeskState()
        self._deliver: Deliver | None = None
        self._outgoing = Outgoing(None)
        self._dues: dict[str, float | None] = {}
        self._stimuli: asyncio.Queue[Stimulus] = asyncio.Queue()
        self._change = Change()
        self._accepting: set[str] = set()
        self._looks = Looks(clock, prober, self.tell)
        self._is_awake = False
        self._unsaved = ""

    def attach(self, deliver: Deliver) -> None:
        """Set what delivers to Slack. Without it nothing is said."""
        self._deliver = deliver
        self._outgoing = Outgoing(deliver.lane)

    def view(self) -> View:
        """Return what is known now, to make messages of."""
        return View(self._clock.now(), self._rules, self._world, self._desk)

    async def accept(self, received: Received) -> bool:
        """Commit what came in from outside; see the `Inbox` port."""
        if received.id in self._accepting:
            return False
        self._accepting.add(received.id)
        try:
            if await self._store.knows(received.id):
                return False
            await self._store.commit(Change(received=[received]))
        finally:
            self._accepting.discard(received.id)
        self._stimuli.put_nowait(_told(received, self._clock.now()))
        return True

    def tell(self, stimulus: Stimulus) -> None:
        """Put a stimulus into the queue."""
        self._stimuli.put_nowait(stimulus)

    async def run(self) -> None:
        """Go on from what was committed, for ever. Raises StoreError if it cannot be read."""
        await self._load()
        self._waker.start(self._wake)
        self._wake()
        try:
            while True:
                await self._turn()
        finally:
            await self._looks.stop()

    async def _load(self) -> None:
        now = self._clock.now()
        before = await self._store.load(now)
        known = {name: before.tenants.get(name) for name in self._rules.tenants}
        count = len(known)
        self._world = World(
            {
                name: replace(state or TenantState(), phase=place / count)
                for place, (name, state) in enumerate(known.items())
            }
        )
        self._desk = before.desk or DeskState()
        if self._deliver:
            self._deliver.resume(before.deliveries.values())
        self.tell(Started(now))
        for received in before.received:
            self.tell(_told(received, now))

    def _wake(self) -> None:
        if not self._is_awake:
            self._is_awake = True
            self.tell(Tick(self._clock.now()))

    async def _turn(self) -> None:
        """Take all that waits, step through it, commit it, act on it."""
        stimuli = [await self._stimuli.get()]
        while not self._stimuli.empty():
            stimuli.append(self._stimuli.get_nowait())
        effects: list[tuple[float, Effect]] = []
        for stimulus in stimuli:
            effects += [(stimulus.at, effect) for effect in self._stepped(stimulus)]
        await self._commit()
        for at, effect in effects:
            self._journal.note(at, effect)
            self._looks.launch(effect)
        self._wake_later()

    async def _commit(self) -> None:
        """Commit, then say what is to be said.

        If the commit fails we go on from memory: an alert without a record beats silence. States
        stay in the change for the next attempt; deliveries commit their own progress.
        """
        change = self._change
        try:
            await self._store.commit(change)
        except StoreError as error:
            self._tell_unsaved(str(error))
            self._change = replace(change, deliveries={})
        else:
            self._unsaved = ""
            self._change = Change()
        if self._deliver:
            self._deliver.offer(change.deliveries.values())

    def _tell_unsaved(self, error: str) -> None:
        """Log it once: the disk that is full may be the log's own."""
        if error != self._unsaved:
            log.error("state not saved; going on from memory: %s", error)
        self._unsaved = error

    def _stepped(self, stimulus: Stimulus) -> list[Effect]:
        """Step through one stimulus. A step that raises changed nothing: it is pure."""
        try:
            return self._routed(stimulus)
        except Exception:
            log.exception("cannot handle %s", type(stimulus).__name__)
            return []

    def _routed(self, stimulus: Stimulus) -> list[Effect]:
        """Give a stimulus to the partitions that it concerns."""
        match stimulus:
            case Tick() | Started():
                self._is_awake = False
                effects = [e for n in self._due(stimulus) for e in self._tenant_step(n, stimulus)]
                return effects + self._desk_step(stimulus)
            case Observed() | Measured() | Pushed():
                effects = [
                    e for n in self._concerned(stimulus) for e in self._tenant_step(n, stimulus)
                ]
                return effects + self._desk_step(stimulus)
            case RunNow():
                raise TypeError("only the desk sends a tenant on a run")
            case Asked():
                self._change.handled.append(stimulus.request.id)
            case Delivered():
                self._outgoing.end(self._change, stimulus.incident, outbox.sent)
            case CardLost():
                self._outgoing.end(self._change, stimulus.incident, outbox.dead)
                effects = self._desk_step(stimulus)
                self._outgoing.follow(self._change, stimulus.incident, stimulus.at)
                return effects
        return self._desk_step(stimulus)

    def _concerned(self, stimulus: Observed | Measured | Pushed) -> list[str]:
        """Name the tenants that something that was seen or told may concern."""
        if isinstance(stimulus, Pushed):
            self._change.handled.append(stimulus.push.id)
            return list(self._world.tenants)
        seen = stimulus.seen if isinstance(stimulus, Observed) else stimulus.measurement
        return [seen.target.owner] if seen.target.owner in self._world.tenants else []

    def _due(self, stimulus: Tick | Started) -> list[str]:
        if isinstance(stimulus, Started):
            return list(self._world.tenants)
        return [n for n, due in self._dues.items() if due is not None and due <= stimulus.at]

    def _tenant_step(self, name: str, stimulus: TenantStimulus) -> list[Effect]:
        before = self._world.tenants[name]
        state, effects = tenant_step.step(before, stimulus, self._rules.tenants[name])
        if state is not before:
            self._world = World({**self._world.tenants, name: state})
            self._change.tenants[name] = state
            self._dues[name] = tenant_step.due_at(state)
        followed: list[Effect] = []
        for effect in effects:
            followed.append(effect)
            if isinstance(effect, Finding | Running):
                followed += self._desk_step(effect)
        return followed

    def _desk_step(self, stimulus: DeskStimulus) -> list[Effect]:
        before = self._desk
        self._desk, effects = desk_step.step(before, stimulus, self._world, self._rules)
        self._note_desk(before)
        followed: list[Effect] = []
        for effect in effects:
            followed.append(effect)
            if isinstance(effect, Audited):
                self._change.audited.append(effect)
            elif isinstance(effect, Send):
                self._outgoing.enqueue(self._change, effect, stimulus.at)
            elif isinstance(effect, Run):
                run = RunNow(stimulus.at, effect.request_id, effect.signal)
                followed += self._tenant_step(effect.tenant, run)
        return followed

    def _note_desk(self, before: DeskState) -> None:
        after = self._desk
        if after is before:
            return
        self._change.desk = after
        if after.incidents is not before.incidents:
            for number, incident in after.incidents.items():
                if before.incidents.get(number) is not incident:
                    self._change.incidents[number] = incident

    def _wake_later(self) -> None:
        dues = (*self._dues.values(), desk_step.due_at(self._desk, self._rules))
        due = min((at for at in dues if at is not None), default=None)
        if due is not None and not self._is_awake:
            self._waker.wake_at(due)


def _told(received: Received, now: float) -> Asked | Pushed:
    return Pushed(now, received) if isinstance(received, Push) else Asked(now, received)
