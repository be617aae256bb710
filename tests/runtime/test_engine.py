from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.model.command import Request, ShowHelp
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
from bot.core.oncall import Shifts
from bot.core.state.outbox import Answer
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import Effect, MessageLost, Observed, SignalChanged
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
    """Needs a while for each commit, and may have no room for some."""

    full: int = 0
    """How many commits of a tenant's state fail."""
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
class Edges:
    """A prober and a messenger: returns what the test wants, and records what was sent."""

    clock: VirtualClock
    is_down: bool = False
    probed_at: list[float] = field(default_factory=list)
    sent: list[Delivery] = field(default_factory=list)

    async def probe(self, target: Target) -> Observation:
        now = self.clock.now()
        self.probed_at.append(now)
        outcome = Outcome.FAILED if self.is_down else Outcome.OK
        return Observation(target, now, outcome, fault=FAULT if self.is_down else None)

    async def measure(self, target: Target) -> Measurement:
        return Measurement(target, self.clock.now(), no_data_reason="nothing to measure")

    async def poll_feed(self, target: Target) -> FeedReading:
        return FeedReading(target, self.clock.now(), FeedState.EMPTY)

    async def poll_shifts(self) -> Shifts:
        raise NotImplementedError

    async def send(
        self, delivery: Delivery, view: View, message: MessageRef | None
    ) -> MessageRef | None:
        assert view.now == self.clock.now()
        self.sent.append(delivery)
        return message

    async def find(self, delivery: Delivery, message: MessageRef | None) -> MessageRef | None:
        raise NotImplementedError


@dataclass
class Fixture:
    """An engine with its edges, store and delivery."""

    loop: VirtualLoop
    store: SlowStore = field(default_factory=SlowStore)
    tenants: int = 1
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = [f"t{number}" for number in range(self.tenants)]
        rules = {name: TenantRules(name, f"{name}.us.auth0.com") for name in names}
        self.clock = VirtualClock(self.loop, 1000.0)
        self.edges = Edges(self.clock)
        self.engine = Engine(
            Rules(rules, feeds=(Target(FEED, "default"),)),
            clock=self.clock,
            prober=self.edges,
            store=self.store,
            timer=VirtualTimer(self.clock),
            listener=self,
        )
        self.delivery = OutboxDelivery(
            clock=self.clock,
            store=self.store,
            messenger=self.edges,
            view=self.engine.view,
            submit=self.engine.submit,
        )
        self.engine.attach(self.delivery)

    def listen(self, at: float, effect: Effect) -> None:
        assert at <= self.clock.now()
        self.effects.append(effect)

    @property
    def changes(self) -> list[str]:
        return [str(effect.state) for effect in self.effects if isinstance(effect, SignalChanged)]


def run_engine(what: Callable[[Fixture], Awaitable[None]], **options: object) -> Fixture:
    """Run an engine and its delivery while something happens."""
    fixtures: list[Fixture] = []

    async def main(loop: VirtualLoop) -> None:
        fixtures.append(Fixture(loop, **options))  # type: ignore[arg-type]
        parts = fixtures[0].engine, fixtures[0].delivery
        tasks = [loop.create_task(part.run()) for part in parts]
        try:
            await what(fixtures[0])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run_virtually(main)
    return fixtures[0]


def request(number: int = 1) -> Request:
    return Request(f"r{number}", 1000.0, ShowHelp(), user="U1", channel="C1")


def test_a_request_that_comes_twice_is_one_request() -> None:
    """At the same moment, later, or after its answer; it is committed when `accept` returns."""
    accepted: list[bool] = []

    async def ask(fixture: Fixture) -> None:
        engine = fixture.engine
        accepted.extend(await asyncio.gather(engine.accept(request()), engine.accept(request())))
        assert await fixture.store.has_received("r1")
        accepted.append(await engine.accept(request()))
        await fixture.clock.sleep(10.0)
        accepted.append(await engine.accept(request()))
        await fixture.clock.sleep(10.0)

    fixture = run_engine(ask)

    assert accepted == [True, False, False, False]
    assert [d.key for d in fixture.edges.sent] == ["answer:r1:1"]


def test_what_an_earlier_process_left_is_answered() -> None:
    """It acknowledged the request, and was killed."""
    store = SlowStore()

    async def nothing(fixture: Fixture) -> None:
        await fixture.clock.sleep(10.0)

    run_virtually(lambda _: store.commit(Change(inbox_items=[request(1), request(2)])))
    fixture = run_engine(nothing, store=store)

    bodies = [d.body for d in fixture.edges.sent]
    assert [b.request.id for b in bodies if isinstance(b, Answer)] == ["r1", "r2"]


def test_a_full_disk_is_no_reason_to_stop(caplog: pytest.LogCaptureFixture) -> None:
    """It goes on from memory, and the next commit contains what failed to be saved."""

    async def fail(fixture: Fixture) -> None:
        await fixture.clock.sleep(1.0)
        fixture.store.full = 2
        fixture.edges.is_down = True
        fixture.engine.submit(failed_login(fixture))
        await fixture.clock.sleep(10.0)
        kept = await fixture.store.load(0.0)
        assert fixture.store.full == 0
        assert kept.tenants["t0"].probes["login"].faults

    caplog.set_level(logging.CRITICAL, "bot")
    fixture = run_engine(fail)

    assert fixture.changes[0] == "pending"


def failed_login(fixture: Fixture) -> Observed:
    now = fixture.clock.now()
    return Observed(now, Observation(Target("t0", "login"), now, Outcome.FAILED, fault=FAULT))


def test_a_stimulus_that_cannot_be_handled_is_logged_and_dropped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The rest of its batch is handled."""

    async def confuse(fixture: Fixture) -> None:
        await fixture.clock.sleep(1.0)
        fixture.engine.submit(MessageLost(fixture.clock.now(), incident=404))
        fixture.engine.submit(failed_login(fixture))
        await fixture.clock.sleep(1.0)

    fixture = run_engine(confuse)

    assert "cannot handle MessageLost" in caplog.text
    assert fixture.changes == ["pending"]


def test_many_probes_are_spread() -> None:
    """At most fifty start in a second, however many tenants there are."""

    async def wait(fixture: Fixture) -> None:
        await fixture.clock.sleep(20.0)

    fixture = run_engine(wait, tenants=100)
    times = fixture.edges.probed_at

    assert len(times) >= 200
    assert max(sum(at <= other < at + 1.0 for other in times) for at in times) <= 51


def test_what_happens_at_once_is_committed_at_once() -> None:
    """A hundred results that arrive together need fewer than ten commits."""

    async def flood(fixture: Fixture) -> None:
        await fixture.clock.sleep(5.0)
        before = fixture.store.commits
        for _ in range(100):
            fixture.engine.submit(failed_login(fixture))
        await fixture.clock.sleep(0.2)
        assert fixture.store.commits - before < 10

    run_engine(flood)


def test_a_question_waits_for_what_was_asked_for_before_it() -> None:
    """What was submitted has been stepped once the engine has caught up."""
    seen: list[int] = []

    async def ask(fixture: Fixture) -> None:
        await fixture.clock.sleep(1.0)
        fixture.engine.submit(failed_login(fixture))
        seen.append(len(fixture.engine.view().tenants.states["t0"].probes["login"].faults))
        await fixture.engine.catch_up()
        seen.append(len(fixture.engine.view().tenants.states["t0"].probes["login"].faults))

    run_engine(ask)

    assert seen == [0, 1]
