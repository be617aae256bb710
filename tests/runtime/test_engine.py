from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from bot.core.incidents.own_faults import CRASHES
from bot.core.model.command import Request, ShowHelp
from bot.core.model.measurement import ChangeMade, Measurement, Push
from bot.core.model.observation import (
    FEED,
    TOKEN_ENDPOINT,
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    Stage,
    Target,
)
from bot.core.oncall import Shifts
from bot.core.state.desk import is_tenant_saved
from bot.core.state.outbox import Answer
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import CommandReceived, Effect, MessageLost, Observed, SignalChanged
from bot.core.state.tenant import HasData, TenantState, TokenEndpoint
from bot.ports import Change, StoreError, View
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import FEW_TENANTS, HELD_S, TICK_S, Engine
from bot.runtime.guarded_store import GuardedStore
from bot.simulator.memory import MemoryStore
from bot.simulator.virtual import VirtualClock, VirtualLoop, VirtualTimer, run_virtually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.core.state.incident import MessageRef
    from bot.core.state.outbox import Delivery

FAULT = Fault(Stage.HTTP, "http_503", status=503)


@dataclass
class SlowStore(MemoryStore):
    """Needs a while for each commit, and may have no room for some."""

    full: int = 0
    """How many commits of a tenant's state fail."""
    commits: int = 0
    takes_s: float = 0.05

    def __post_init__(self) -> None:
        super().__init__()

    async def commit(self, change: Change) -> None:
        await asyncio.sleep(self.takes_s)
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
    first_at: dict[str, float] = field(default_factory=dict)
    """When each tenant was first probed."""
    sent: list[Delivery] = field(default_factory=list)

    async def probe(self, target: Target) -> Observation:
        now = self.clock.now()
        self.probed_at.append(now)
        self.first_at.setdefault(target.owner, now)
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

    async def find_unreached(self, _: tuple[str, ...], __: float) -> dict[str, str]:
        return {}


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
        store = GuardedStore(self.store)
        self.engine = Engine(
            Rules(rules, feeds=(Target(FEED, "default"),)),
            clock=self.clock,
            prober=self.edges,
            store=store,
            timer=VirtualTimer(self.clock),
            listener=self,
        )
        self.delivery = OutboxDelivery(
            clock=self.clock,
            store=store,
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
    assert [d.key for d in fixture.edges.sent] == ["greeting::1000", "answer:r1:1"]


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


HANGS_S = 10_000.0
CHANGE = ChangeMade("c1", 1000.0, "deploy 4711", "t0")


def test_a_disk_that_hangs_does_not_hold_up_the_watch() -> None:
    """Probes go on, the alert is sent within seconds, and a command is answered within two."""
    answered_in: list[float] = []

    async def hang(fixture: Fixture) -> None:
        await fixture.clock.sleep(1.0)
        fixture.store.takes_s = HANGS_S
        fixture.edges.is_down = True
        await fixture.clock.sleep(120.0)
        begin = fixture.clock.now()
        assert await fixture.engine.accept(request())
        assert not await fixture.engine.accept(request())
        answered_in.append(fixture.clock.now() - begin)
        await fixture.clock.sleep(5.0)

    fixture = run_engine(hang)

    assert len(fixture.edges.probed_at) > 20
    assert {"1:post:1", "answer:r1:1"} <= {d.key for d in fixture.edges.sent}
    assert answered_in[0] < 2.5


def test_what_a_process_sent_from_memory_may_come_twice_and_says_so() -> None:
    """It crashed while its disk was full: the next process cannot know what arrived."""
    store = SlowStore()

    async def run_out_of_space(fixture: Fixture) -> None:
        await fixture.clock.sleep(1.0)
        store.full, fixture.edges.is_down = 1000, True
        await fixture.clock.sleep(120.0)
        store.full = 0  # a crash comes first, a person frees some space, and it starts again

    async def go_on(fixture: Fixture) -> None:
        fixture.edges.is_down = True
        await fixture.clock.sleep(120.0)

    first = run_engine(run_out_of_space, store=store)
    second = run_engine(go_on, store=store)

    for fixture, is_labelled in ((first, False), (second, True)):
        posts = [d for d in fixture.edges.sent if d.key == "1:post:1"]
        assert [d.is_repeat for d in posts] == [is_labelled]


def test_a_webhook_that_cannot_be_saved_is_handled_and_sent_again() -> None:
    """The engine takes it once; the sender learns that it is saved when it is."""
    results: list[bool] = []
    push = Push("p1", 1000.0, (CHANGE,))

    async def send(fixture: Fixture) -> None:
        await fixture.clock.sleep(1.0)
        fixture.store.takes_s = HANGS_S
        for _ in range(2):
            with pytest.raises(StoreError):
                await fixture.engine.accept(push)
        await fixture.clock.sleep(HANGS_S)
        fixture.store.takes_s = 0.05
        await fixture.clock.sleep(HANGS_S)
        results.append(await fixture.engine.accept(push))
        assert len(fixture.engine.view().desk.shared.changes) == 1
        assert (await fixture.store.load(0.0)).inbox_items == ()

    run_engine(send)

    assert results == [False]


@pytest.mark.parametrize("is_clean", [True, False])
def test_a_process_that_ends_in_good_order_has_not_crashed(*, is_clean: bool) -> None:
    """Any number of starts is then no crash loop; after crashes it is posted once.

    The channel is greeted by the first start only.
    """
    store, sent = SlowStore(), list[str]()

    async def live(fixture: Fixture) -> None:
        await fixture.clock.sleep(20.0)
        if is_clean:
            await fixture.engine.note_stop()

    for _ in range(CRASHES + 3):
        sent += [d.key for d in run_engine(live, store=store).edges.sent]

    assert sent == ["greeting::1000", *([] if is_clean else ["1:post:1"])]


def failed_login(fixture: Fixture) -> Observed:
    return login(fixture, Outcome.FAILED)


def login(fixture: Fixture, outcome: Outcome) -> Observed:
    now, fault = fixture.clock.now(), None if outcome is Outcome.OK else FAULT
    return Observed(now, Observation(Target("t0", "login"), now, outcome, 0.2, fault))


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


def first_probes(tenants: int) -> list[float]:
    """Return when each tenant was first probed, in seconds after the start, in their order."""
    first: dict[str, float] = {}

    async def wait(fixture: Fixture) -> None:
        await fixture.clock.sleep(70.0)
        first.update(fixture.edges.first_at)

    run_engine(wait, tenants=tenants)
    return [at - 1000.0 for at in first.values()]


@pytest.mark.parametrize(("tenants", "last_s"), [(10, 0.5), (500, 21.0), (2_000, 62.0)])
def test_first_probes_have_their_own_slots(tenants: int, last_s: float) -> None:
    """The first tenant is probed at once, and the last one within the first minute."""
    at = first_probes(tenants)

    assert len(at) == tenants
    assert min(at) < 0.5
    assert max(at) < last_s
    assert tenants <= FEW_TENANTS or max(at) > 0.9 * last_s


def test_many_tenants_share_their_ticks() -> None:
    """Each tick is a commit: with thousands of tenants there are a few in a second."""
    commits: list[int] = []

    async def watch(fixture: Fixture) -> None:
        await fixture.clock.sleep(90.0)
        before = fixture.store.commits
        await fixture.clock.sleep(10.0)
        commits.append(fixture.store.commits - before)

    run_engine(watch, tenants=2_000)

    assert commits[0] < 10 * (1 / (2_000 * TICK_S) + 1 / HELD_S) + 2


def test_many_probes_are_spread() -> None:
    """The first probes of a hundred tenants: at most fifty start in a second."""

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


def test_healthy_results_of_half_a_second_are_one_commit() -> None:
    """They are stepped and acted on at once; a start makes everything due that they made due."""

    async def watch(fixture: Fixture) -> None:
        await fixture.clock.sleep(5.0)
        before, fixture.edges.is_down = fixture.store.commits, False
        for _ in range(4):
            fixture.engine.submit(login(fixture, Outcome.OK))
            await fixture.clock.sleep(0.1)
        assert fixture.engine.view().tenants.states["t0"].last_data_at == fixture.clock.now() - 0.1
        assert fixture.store.commits == before
        await fixture.clock.sleep(0.2)
        assert fixture.store.commits == before + 1
        saved = (await fixture.store.load(fixture.clock.now())).tenants["t0"]
        assert saved == fixture.engine.view().tenants.states["t0"]

    run_engine(watch)


def light_check(fixture: Fixture, outcome: Outcome) -> Observed:
    fault = FAULT if outcome is Outcome.FAILED else None
    now = fixture.clock.now()
    return Observed(now, Observation(Target("t0", TOKEN_ENDPOINT), now, outcome, 0.1, fault))


def test_a_light_check_that_is_well_is_not_committed() -> None:
    """A start would learn nothing from it, except that there was data in the last minutes."""

    async def watch(fixture: Fixture) -> None:
        await fixture.clock.sleep(10.0)
        fixture.engine.submit(light_check(fixture, Outcome.OK))
        await fixture.clock.sleep(1.0)
        before = fixture.store.commits
        fixture.engine.submit(light_check(fixture, Outcome.OK))
        await fixture.clock.sleep(1.0)
        assert fixture.store.commits == before
        fixture.engine.submit(light_check(fixture, Outcome.FAILED))
        await fixture.clock.sleep(0.1)
        assert fixture.store.commits > before
        saved = (await fixture.store.load(fixture.clock.now())).tenants["t0"]
        assert saved.token_endpoint == fixture.engine.view().tenants.states["t0"].token_endpoint

    run_engine(watch)


@pytest.mark.parametrize(("at", "is_saved"), [(1190.0, True), (1200.0, False)])
def test_a_tenant_is_saved_every_two_minutes(at: float, *, is_saved: bool) -> None:
    """Or a start would report a long time without data that was none."""
    saved = TenantState(data=HasData(1180.0), token_endpoint=TokenEndpoint(1180.0, 1180.0))
    state = replace(saved, data=HasData(at), token_endpoint=TokenEndpoint(at, at))

    assert is_tenant_saved(state, saved) is is_saved


def test_what_is_not_healthy_is_committed_at_once_with_what_was_held() -> None:
    """A failure, or what a person does, is never lost."""

    async def watch(fixture: Fixture) -> None:
        await fixture.clock.sleep(5.0)
        for stimulus in (CommandReceived(fixture.clock.now(), request()), failed_login(fixture)):
            fixture.engine.submit(login(fixture, Outcome.OK))
            await fixture.clock.sleep(0.1)
            before = fixture.store.commits
            fixture.engine.submit(stimulus)
            await fixture.clock.sleep(0.06)
            assert fixture.store.commits > before
            saved = (await fixture.store.load(fixture.clock.now())).tenants["t0"].probes["login"]
            assert saved == fixture.engine.view().tenants.states["t0"].probes["login"]

    run_engine(watch)


def test_a_login_that_starts_is_committed_before() -> None:
    """The budget of a synthetic user holds over a crash."""

    async def watch(fixture: Fixture) -> None:
        await fixture.clock.sleep(80.1)
        saved = (await fixture.store.load(fixture.clock.now())).tenants["t0"]
        assert saved.budgets == fixture.engine.view().tenants.states["t0"].budgets
        assert len(saved.budgets["login"].starts) == 3
        # In a minute: the login's start, its result with the feed's, and the other probe's.
        before = fixture.store.commits
        await fixture.clock.sleep(600.0)
        assert fixture.store.commits - before <= 40

    run_engine(watch)
