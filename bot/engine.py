"""Stimulus -> step -> commit -> act: the one loop that everything goes through.

Nothing is decided here. A batch of stimuli is stepped through, the new states and what is to be
said are committed together, and only then anything is done about it.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core import desk, outbox, tenant
from bot.core.audit import Audited
from bot.core.desk_state import DeskState
from bot.core.measurement import Push
from bot.core.stimulus import (
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
from bot.core.tenant_state import TenantState
from bot.looks import Looks
from bot.outgoing import Outgoing
from bot.ports import Change, StoreError, View

if TYPE_CHECKING:
    from bot.core.rules import Rules
    from bot.deliver import Deliver
    from bot.ports import Clock, Journal, Prober, Received, Store, Waker

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
        state, effects = tenant.step(before, stimulus, self._rules.tenants[name])
        if state is not before:
            self._world = World({**self._world.tenants, name: state})
            self._change.tenants[name] = state
            self._dues[name] = tenant.due_at(state)
        followed: list[Effect] = []
        for effect in effects:
            followed.append(effect)
            if isinstance(effect, Finding | Running):
                followed += self._desk_step(effect)
        return followed

    def _desk_step(self, stimulus: DeskStimulus) -> list[Effect]:
        before = self._desk
        self._desk, effects = desk.step(before, stimulus, self._world, self._rules)
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
        dues = (*self._dues.values(), desk.due_at(self._desk, self._rules))
        due = min((at for at in dues if at is not None), default=None)
        if due is not None and not self._is_awake:
            self._waker.wake_at(due)


def _told(received: Received, now: float) -> Asked | Pushed:
    return Pushed(now, received) if isinstance(received, Push) else Asked(now, received)
