from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.model.measurement import Measurement
from bot.core.model.observation import (
    FEED,
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    Stage,
    Target,
)
from bot.core.model.request import Request, Verb
from bot.core.oncall.schedule import Shifts
from bot.core.state.outbox import Answer
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import CheckRequested, Effect, Observed, SignalChanged
from bot.ports import Change, StoreError, View
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.simulator.memory import MemoryStore
from bot.simulator.virtual import VirtualClock, VirtualLoop, VirtualTimer, run_virtually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

    from bot.core.state.incident import MessageRef
    from bot.core.state.outbox import Delivery

FAULT = Fault(Stage.HTTP, "http_503", status=503)


@dataclass
class SlowStore(MemoryStore):
    """Takes its time for each commit, and may have no room for some."""

    full: int = 0
    """So many commits of a tenant's state fail."""
    commits: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    async def commit(self, change: Change) -> None:
        await asyncio.sleep(0.05)
        if self.full and change.tenants:
            self.full -= 1
            raise StoreError("disk full")
        self.commits += 1
        await super().commit(change)


@dataclass
class Eyes:
    """A prober and a messenger: sees what the test wants, and remembers what was said."""

    clock: VirtualClock
    is_down: bool = False
    looked_at: list[float] = field(default_factory=list)
    said: list[Delivery] = field(default_factory=list)

    async def probe(self, target: Target) -> Observation:
        now = self.clock.now()
        self.looked_at.append(now)
        outcome = Outcome.FAILED if self.is_down else Outcome.OK
        return Observation(target, now, outcome, fault=FAULT if self.is_down else None)

    async def measure(self, target: Target) -> Measurement:
        return Measurement(target, self.clock.now(), no_data_reason="nothing to measure")

    async def poll_feed(self, target: Target) -> FeedReading:
        return FeedReading(target, self.clock.now(), FeedState.EMPTY)

    async def poll_shifts(self) -> Shifts:
        raise NotImplementedError

    async def send(
        self, delivery: Delivery, view: View, card: MessageRef | None
    ) -> MessageRef | None:
        assert view.now == self.clock.now()
        self.said.append(delivery)
        return card

    async def find(self, delivery: Delivery, card: MessageRef | None) -> MessageRef | None:
        raise NotImplementedError


@dataclass
class House:
    """An engine and all that it needs."""

    loop: VirtualLoop
    store: SlowStore = field(default_factory=SlowStore)
    tenants: int = 1
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [f"t{number}" for number in range(self.tenants)]
        rules = {name: TenantRules(name, f"{name}.us.auth0.com") for name in names}
        self.clock = VirtualClock(self.loop, 1000.0)
        self.eyes = Eyes(self.clock)
        self.engine = Engine(
            Rules(rules, feeds=(Target(FEED, "default"),)),
            clock=self.clock,
            prober=self.eyes,
            store=self.store,
            timer=VirtualTimer(self.clock),
            listener=self,
        )
        self.deliver = OutboxDelivery(
            clock=self.clock,
            store=self.store,
            messenger=self.eyes,
            view=self.engine.view,
            submit=self.engine.submit,
        )
        self.engine.attach(self.deliver)

    def listen(self, at: float, effect: Effect) -> None:
        assert at <= self.clock.now()
        self.effects.append(effect)

    @property
    def changes(self) -> list[str]:
        return [str(effect.state) for effect in self.effects if isinstance(effect, SignalChanged)]


def live(what: Callable[[House], Awaitable[None]], **furniture: object) -> House:
    """Let an engine and its delivery run while something happens."""
    houses: list[House] = []

    async def main(loop: VirtualLoop) -> None:
        houses.append(House(loop, **furniture))  # type: ignore[arg-type]
        parts = houses[0].engine, houses[0].deliver
        tasks = [loop.create_task(part.run()) for part in parts]
        try:
            await what(houses[0])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run_virtually(main)
    return houses[0]


def request(number: int = 1) -> Request:
    return Request(f"r{number}", 1000.0, Verb.HELP, user="U1", channel="C1")


def test_a_request_that_comes_twice_is_one_request() -> None:
    """At the same moment, later, or after it was answered; it is committed when `accept` ends."""
    accepted: list[bool] = []

    async def ask(house: House) -> None:
        engine = house.engine
        accepted.extend(await asyncio.gather(engine.accept(request()), engine.accept(request())))
        assert await house.store.has_received("r1")
        accepted.append(await engine.accept(request()))
        await house.clock.sleep(10.0)
        accepted.append(await engine.accept(request()))
        await house.clock.sleep(10.0)

    house = live(ask)

    assert accepted == [True, False, False, False]
    assert [d.key for d in house.eyes.said] == ["answer:r1:1"]


def test_what_an_earlier_process_left_is_answered() -> None:
    """It acknowledged the request, and died."""
    store = SlowStore()

    async def nothing(house: House) -> None:
        await house.clock.sleep(10.0)

    run_virtually(lambda _: store.commit(Change(inbox_items=[request(1), request(2)])))
    house = live(nothing, store=store)

    bodies = [d.body for d in house.eyes.said]
    assert [b.request.id for b in bodies if isinstance(b, Answer)] == ["r1", "r2"]


def test_a_full_disk_is_no_reason_to_stop(caplog: pytest.LogCaptureFixture) -> None:
    """It goes on from memory, and the next commit makes up for those that failed."""

    async def fail(house: House) -> None:
        await house.clock.sleep(1.0)
        house.store.full = 2
        house.eyes.is_down = True
        house.engine.submit(seen(house))
        await house.clock.sleep(10.0)
        kept = await house.store.load(0.0)
        assert house.store.full == 0
        assert kept.tenants["t0"].probes["login"].faults

    caplog.set_level(logging.CRITICAL, "bot")
    house = live(fail)

    assert house.changes[0] == "pending"


def seen(house: House) -> Observed:
    now = house.clock.now()
    look = Observation(Target("t0", "login"), now, Outcome.FAILED, fault=FAULT)
    return Observed(now, look)


def test_a_stimulus_that_cannot_be_handled_is_told_and_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What came with it in the same turn is handled."""

    async def confuse(house: House) -> None:
        await house.clock.sleep(1.0)
        house.engine.submit(CheckRequested(house.clock.now(), "nobody's"))
        house.engine.submit(seen(house))
        await house.clock.sleep(1.0)

    house = live(confuse)

    assert "cannot handle CheckRequested" in caplog.text
    assert house.changes == ["pending"]


def test_many_looks_are_spread() -> None:
    """At most fifty begin in a second, however many tenants there are."""

    async def wait(house: House) -> None:
        await house.clock.sleep(20.0)

    house = live(wait, tenants=100)
    times = house.eyes.looked_at

    assert len(times) >= 200
    assert max(sum(at <= other < at + 1.0 for other in times) for at in times) <= 51


def test_what_happens_at_once_is_committed_at_once() -> None:
    """A hundred looks that come back together cost a handful of commits, not a hundred."""

    async def flood(house: House) -> None:
        await house.clock.sleep(5.0)
        before = house.store.commits
        for _ in range(100):
            house.engine.submit(seen(house))
        await house.clock.sleep(0.2)
        assert house.store.commits - before < 10

    live(flood)
