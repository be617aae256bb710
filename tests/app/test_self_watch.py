from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING

import pytest

from bot.app.rules import count_probes_a_minute, find_most_a_minute, rules_of
from bot.app.self_watch import (
    CHECKS_LIMIT_S,
    DELIVERY,
    ENGINE,
    LATE_PROBE_S,
    PART_LIMIT_S,
    UNSAVED_S,
    PaceWatch,
    SelfWatch,
    find_unreachable,
)
from bot.app.watchdog import CHECK_EVERY_S, Supervisor
from bot.config.settings import Settings
from bot.core.model.measurement import Measurement
from bot.core.model.observation import (
    FEED,
    Cause,
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    Scope,
    Severity,
    Stage,
    Target,
    Verdict,
)
from bot.core.oncall import Shifts
from bot.core.state.desk import DeskState, Refusal
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    IncidentLife,
    NotificationState,
    OwnFaultKind,
    Resolution,
)
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import Tenants
from bot.ports import Change, StoreError, View
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.runtime.guarded_store import GuardedStore
from bot.runtime.probe_runner import MOST_PER_S, Lateness
from bot.simulator.memory import MemoryStore
from bot.simulator.virtual import VirtualClock, VirtualLoop, VirtualTimer, run_virtually
from bot.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from bot.core.state.incident import MessageRef
    from bot.core.state.outbox import Delivery
    from bot.core.state.stimulus import Effect
    from tests.faults.drills import Repeats

FAULT = Fault(Stage.HTTP, "http_503", status=503)


class Disk(MemoryStore):
    """A store that may be full."""

    is_full = False

    async def commit(self, change: Change) -> None:
        if self.is_full:
            raise StoreError("its disk is full: free some space")
        await super().commit(change)


@dataclass
class Edges:
    """A prober that may hang or find a fault, a messenger that takes everything, a listener."""

    clock: VirtualClock
    hangs: bool = False
    is_down: bool = False
    listener_fails: bool = False
    probed: int = 0
    sent: list[str] = field(default_factory=list)

    async def probe(self, target: Target) -> Observation:
        if self.hangs:
            await asyncio.Event().wait()
        self.probed += 1
        outcome = Outcome.FAILED if self.is_down else Outcome.OK
        fault = FAULT if self.is_down else None
        return Observation(target, self.clock.now(), outcome, fault=fault)

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
        self.sent.append(delivery.key)
        return message

    async def find(self, delivery: Delivery, message: MessageRef | None) -> MessageRef | None:
        raise NotImplementedError

    async def find_unreached(self, _: tuple[str, ...], __: float) -> dict[str, str]:
        return {}

    def listen(self, at: float, effect: Effect) -> None:
        if self.listener_fails:
            self.listener_fails = False
            raise ValueError((at, effect))


class Watched:
    """An engine and its delivery, supervised and watched as in the live bot."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.clock = VirtualClock(loop, 1_772_445_600.0)
        self.edges, self.disk, self.metrics = Edges(self.clock), Disk(), Metrics()
        store = GuardedStore(self.disk)
        rules = Rules(
            {"prod": TenantRules("prod", "acme.us.auth0.com")}, feeds=(Target(FEED, "x"),)
        )
        self.engine = Engine(
            rules,
            clock=self.clock,
            prober=self.edges,
            store=store,
            timer=VirtualTimer(self.clock),
            listener=self.edges,
        )
        delivery = OutboxDelivery(
            clock=self.clock,
            store=store,
            messenger=self.edges,
            view=self.engine.view,
            submit=self.engine.submit,
        )
        self.engine.attach(delivery)
        self.restarts: list[str] = []
        parts = self.parts = {ENGINE: self.engine.run, DELIVERY: delivery.run}
        self.supervisor = Supervisor(parts, self.restarts.append, {*parts})
        self.watch = SelfWatch(self.clock, self.metrics, self.restarts.append, None)
        parts |= self.watch.watch(
            self.engine,
            delivery,
            store,
            rules,
            restart=self.supervisor.restart,
            socket_checks=lambda: None,
        )

    def problem(self, part: str) -> str:
        found = self.watch.health.check()[part]
        return found.reason if found else ""

    @property
    def incidents(self) -> list[Incident]:
        return list(self.engine.view().desk.incidents.values())


def watch(what: Callable[[Watched], Awaitable[None]]) -> Watched:
    made: list[Watched] = []

    async def main(loop: VirtualLoop) -> None:
        made.append(Watched(loop))
        running = asyncio.create_task(made[0].supervisor.run())
        await asyncio.sleep(60)
        assert not any(made[0].watch.health.check().values())
        await what(made[0])
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run_virtually(main)
    return made[0]


def test_checks_that_hang_are_noticed_and_started_again() -> None:
    """Health says so; what is due next is checked as always."""
    problems: list[str] = []

    async def hang(watched: Watched) -> None:
        watched.edges.hangs = True
        await asyncio.sleep(CHECKS_LIMIT_S + 60)
        problems.append(watched.problem("probes"))
        watched.edges.hangs, watched.edges.probed = False, 0
        await asyncio.sleep(120)
        problems.append(watched.problem("probes"))

    watched = watch(hang)

    assert problems[0].startswith("no progress for")
    assert problems[1] == ""
    assert watched.restarts == ["probes"]
    assert watched.edges.probed >= 2


def test_an_engine_that_ends_goes_on_with_what_it_knew() -> None:
    """Also with what could not be saved."""

    async def fail(watched: Watched) -> None:
        watched.disk.is_full = watched.edges.is_down = True
        await asyncio.sleep(120)
        watched.edges.listener_fails = True
        await asyncio.sleep(120)

    watched = watch(fail)

    assert watched.restarts == [ENGINE]
    assert [i.tenants for i in watched.incidents if not i.own_fault] == [("prod",)]
    assert watched.edges.sent.count("1:post:1") == 1


def test_an_engine_that_stops_is_started_again() -> None:
    """Whatever holds it up: here nobody wakes it any more."""

    async def stop(watched: Watched) -> None:
        await asyncio.sleep(7)
        watched.engine._is_tick_queued = True  # a wake that got lost
        await asyncio.sleep(300)
        watched.edges.probed = 0
        await asyncio.sleep(60)
        assert watched.edges.probed

    assert watch(stop).restarts == [ENGINE]


PARTS = (ENGINE, DELIVERY, "watchdog", "auditor", "store report")
OUTAGE_S, RECOVERY_S = 180.0, 600.0
RESTARTED_S = PART_LIMIT_S + 2 * CHECK_EVERY_S
"""The watchdog looks only so often, and a part that ends begins again after a pause."""


async def break_part(watched: Watched, name: str, way: str) -> None:
    """Let a part be killed, raise, or hang for good; wait until it runs again."""
    whole, broken = watched.parts[name], asyncio.Event()

    async def break_once() -> None:
        watched.parts[name] = whole
        broken.set()
        if way == "raising":
            raise ValueError(name)
        await asyncio.Event().wait()

    if way != "killed":
        watched.parts[name] = break_once
    watched.supervisor._tasks[name].cancel()
    if way != "killed":
        await broken.wait()
    if way == "hung":
        watched.edges.is_down = True  # so that each part has work
    await asyncio.sleep(RESTARTED_S)
    (task,) = (each for each in asyncio.all_tasks() if each.get_name() == name)
    assert "break_once" not in repr(task.get_coro())


@pytest.mark.no_cover
@pytest.mark.drill(few=1, full=20)
@pytest.mark.parametrize(
    ("way", "name"),
    [*product(("killed", "raising"), PARTS), ("hung", ENGINE), ("hung", DELIVERY)],
)
def test_internal_tasks_end(way: str, name: str, repeats: Repeats) -> None:
    """A part that is killed, raises or hangs works again in a minute; outages are posted once."""

    async def break_again_and_again(watched: Watched) -> None:
        for _ in repeats:
            await asyncio.sleep(repeats.dice.uniform(0, 60))
            await break_part(watched, name, way)
            watched.edges.is_down = True
            await asyncio.sleep(OUTAGE_S)
            assert any(incident.is_open for incident in watched.incidents)
            watched.edges.is_down = False
            await asyncio.sleep(RECOVERY_S)

    watched = watch(break_again_and_again)

    posts = [key for key in watched.edges.sent if ":post:" in key]
    assert len(posts) == len({*posts}) == len(watched.incidents)


def test_state_that_cannot_be_saved_is_a_problem_and_is_posted() -> None:
    """Once it has lasted; and that it is saved again."""
    problems: list[str] = []

    async def fill(watched: Watched) -> None:
        watched.disk.is_full = True
        await asyncio.sleep(60 + UNSAVED_S)
        problems.append(watched.problem("store"))
        watched.disk.is_full = False
        await asyncio.sleep(60 + UNSAVED_S)
        problems.append(watched.problem("store"))

    watched = watch(fill)

    assert problems == ["its disk is full: free some space", ""]
    (incident,) = watched.incidents
    assert incident.own_fault
    assert incident.own_fault.kind is OwnFaultKind.STORE
    assert incident.own_fault.detail == problems[0]
    assert not incident.is_open
    assert next(key for key in watched.edges.sent if "greeting" not in key) == "1:post:1"


def test_metrics_show_what_health_shows() -> None:
    """A gauge for each part, and what is overdue."""

    async def fill(watched: Watched) -> None:
        watched.disk.is_full = True
        await asyncio.sleep(60)
        value = watched.metrics.registry.get_sample_value
        gauge = "auth0_check_part_healthy"
        assert value(gauge, {"part": "store"}) == 0.0
        assert value(gauge, {"part": "probes"}) == 1.0
        assert value("auth0_check_overdue", {"kind": "step"}) == 0.0

    watch(fill)


def test_whoever_could_not_be_called_shows_for_a_day() -> None:
    """And an incident that nobody was reached for, as long as it is open."""
    notification = NotificationState(nobody_at=0.0)
    verdict = Verdict(Cause.UNCLEAR, Scope.UNKNOWN, 0.0)
    incident = Incident(
        1,
        IncidentKind.FAILING,
        Severity.CRITICAL,
        ("prod",),
        0.0,
        verdict,
        IncidentLife(0.0),
        notification=notification,
    )
    desk = DeskState({1: incident}, refusals={"pager": Refusal(0.0, "HTTP 400")})
    ended = desk.with_incident(replace(incident, life=IncidentLife(0.0, resolved=Resolution(9.0))))
    said = [
        find_unreachable(View(now, Rules({}), Tenants({}), each))
        for now, each in ((1.0, desk), (10.0, ended), (86_401.0, ended))
    ]

    refused = "pager did not take the last call (HTTP 400)"
    assert said == [f"nobody could be reached for incident 1, {refused}", refused, ""]


def watched(tenants: int, *minutes: Lateness) -> tuple[list[str], Metrics]:
    """Return what is shown after each minute."""
    names = [f"t{number}" for number in range(tenants)]
    rules = Rules({name: TenantRules(name, name) for name in names}, (Target("control", "c"),))
    left, metrics, problems = [*minutes], Metrics(), list[str]()

    async def main(_: VirtualLoop) -> None:
        watch = PaceWatch(rules, lambda: left.pop(0), metrics)
        problems.append(watch.problem)
        task = asyncio.create_task(watch.run())
        for _minute in minutes:
            await asyncio.sleep(60.5 if len(problems) == 1 else 60)
            problems.append(watch.problem)
        task.cancel()

    run_virtually(main)
    return problems, metrics


def test_too_many_probes_are_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    """With the figures, in /health and in the log: before the first is late."""
    most = int(find_most_a_minute())
    problems, _ = watched(most // 2)

    assert len(problems) == 1
    assert problems[0].startswith(
        f"{most + 1:,} probes a minute are configured, and this machine carries some {most:,}:"
    )
    assert watched(most // 2 - 1)[0] == [""]
    assert not caplog.messages  # it has not begun yet


def test_late_and_dropped_probes_are_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Until a minute without them. The start, when all is due at once, does not count."""
    late, well = Lateness(LATE_PROBE_S + 1, 3), Lateness(0.5, 0)
    problems, metrics = watched(1, late, late, well)
    said = "in the last minute routine probes were up to 11 s late, and 3 were left out"

    assert problems == ["", "", said, ""]
    assert caplog.messages == [said]
    assert metrics.registry.get_sample_value("auth0_check_probes_dropped_total") == 3
    assert metrics.registry.get_sample_value("auth0_check_probe_delay_seconds") == 0.5


def test_a_rare_probe_counts_for_less() -> None:
    """Machine tokens are requested every five minutes."""
    tenant = TenantRules("t", "t", has_m2m=True)

    assert count_probes_a_minute(Rules({"t": tenant})) == pytest.approx(2.2)


@pytest.mark.parametrize(
    ("written", "share"),
    [("max 100000", 1.0), ("400000 100000", 1.0), ("10000 100000", 0.1), ("?", 1.0), (None, 1.0)],
)
def test_a_part_of_a_core_carries_less(tmp_path: Path, written: str | None, share: float) -> None:
    """A container's limit counts; more than one core helps nothing, as the loop has one thread."""
    limit = tmp_path / "cpu.max"
    if written:
        limit.write_text(written + "\n")

    assert find_most_a_minute(limit) == pytest.approx(60 * MOST_PER_S * share)


@pytest.mark.parametrize(("count", "light_every_s"), [(4_000, 15.0), (5_000, None)])
def test_many_tenants_have_no_light_checks(count: int, light_every_s: float | None) -> None:
    """They would take the turns of what confirms a failure: one core carries 21,000 a minute."""
    login = {"client_id": "a", "username": "a", "password": "a"}
    slack = {"bot_token": "xoxb-1-x", "app_token": "xapp-1-x", "channel": "C0ALERTS"}
    tenants = [
        {"name": f"t{n}", "domain": f"t{n}.us.auth0.com", "logins": [login]} for n in range(count)
    ]
    rules = rules_of(Settings.model_validate({"slack": slack, "tenants": tenants}))

    assert {each.light_every_s for each in rules.tenants.values()} == {light_every_s}
