from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot.app.clock import ClockWatch, SystemClock
from bot.app.http_server import Server
from bot.app.prober import ClockCheckedProber, LiveProber
from bot.config import build_settings, load_document
from bot.core.model.observation import CONTROL, Target
from bot.core.state.incident import OwnFault, OwnFaultKind
from bot.http import HttpResult
from bot.simulator.virtual import VirtualLoop, run_virtually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from bot.core.state.stimulus import OwnFaultSeen

START = 1_772_445_600.0
HOUR = 3600.0
YESTERDAY = "Sun, 01 Mar 2026 08:00:00 GMT"


@dataclass
class Machine:
    """A host whose wall clock the test sets, and others who know the true time."""

    loop: VirtualLoop
    wall_s: float = 0.0
    """How far the wall clock is ahead."""
    stood_still_s: float = 0.0
    """For how long the whole machine did, without noticing."""
    corrections: list[tuple[float, bool]] = field(default_factory=list)
    posted: list[OwnFaultSeen] = field(default_factory=list)
    is_story: bool = False

    def __post_init__(self) -> None:
        self.clock = SystemClock(
            start=START if self.is_story else None,
            wall_time=lambda: self.true_time + self.wall_s,
            monotonic=self.loop.time,
        )
        self.watch = ClockWatch(self.clock)
        self.watch.attach(
            lambda by_s, was_paused: self.corrections.append((round(by_s), was_paused)),
            self.posted.append,
        )

    @property
    def true_time(self) -> float:
        return START + self.loop.time() + self.stood_still_s

    @property
    def error_s(self) -> int:
        return round(self.clock.now() - self.true_time)

    async def ask(self, host: str, took_s: float = 0.2, **headers: str) -> None:
        """Let a host answer; the `Date` is that of the middle of the request."""
        began_at = self.clock.now()
        await asyncio.sleep(took_s / 2)
        date = {"date": formatdate(self.true_time, usegmt=True)}
        await asyncio.sleep(took_s / 2)
        result = HttpResult(
            at=began_at, latency_s=took_s, timings=(), status=200, headers=date | headers
        )
        self.watch.note_answer(host, result)


def on_machine(what: Callable[[Machine], Awaitable[None]], *, is_story: bool = False) -> Machine:
    machines: list[Machine] = []

    async def main(loop: VirtualLoop) -> None:
        machines.append(Machine(loop, is_story=is_story))
        await what(machines[0])

    run_virtually(main)
    return machines[0]


def test_the_bots_time_does_not_follow_a_wall_clock_that_is_set() -> None:
    """Others confirm it; results count at once, and it is known how wrong the host's clock is."""

    async def set_it(machine: Machine) -> None:
        machine.wall_s = HOUR
        assert machine.watch.find_doubt() == "this host's clock was set; it is 3600 s ahead now"
        for host in ("a", "b"):
            await machine.ask(host)
        assert machine.watch.find_doubt() == ""

    machine = on_machine(set_it)

    assert (machine.error_s, machine.corrections) == (0, [])
    assert machine.watch.host_ahead_s == HOUR


def test_a_clock_that_was_wrong_at_the_start_is_corrected_by_two_answers() -> None:
    """Which way and how far is said; what was measured until then does not count."""

    async def start_behind(machine: Machine) -> None:
        machine.wall_s = -HOUR
        machine.clock.correct(-HOUR)
        await machine.ask("a")
        doubt = "this host's clock is 3600 s behind, by the answer of a"
        assert machine.watch.find_doubt() == doubt
        await machine.ask("b")
        assert machine.watch.find_doubt() == "the bot's time was 3600 s behind"
        assert machine.watch.find_doubt() == ""

    machine = on_machine(start_behind)

    assert (machine.error_s, machine.corrections) == (0, [(HOUR, False)])
    assert (machine.watch.corrections, round(machine.watch.host_ahead_s)) == (1, -HOUR)


def test_without_answers_it_follows_a_clock_that_stays_set() -> None:
    """The watch needs no probe for that."""

    async def wait(machine: Machine) -> None:
        watching = asyncio.create_task(machine.watch.run())
        await asyncio.sleep(10)
        machine.wall_s = -90.0
        await asyncio.sleep(60)
        watching.cancel()

    assert on_machine(wait).corrections == [(-90, False)]


def test_a_hosts_clock_that_stays_wrong_is_posted() -> None:
    """After five minutes, which way and how far; so is that it is right again."""

    async def leave_it(machine: Machine) -> None:
        watching = asyncio.create_task(machine.watch.run())
        for wall_s, minutes in ((0.0, 6), (HOUR, 2), (0.0, 6), (HOUR, 6), (0.0, 6)):
            machine.wall_s = wall_s
            for _ in range(minutes):
                await asyncio.sleep(2)
                await machine.ask("a")
                await machine.ask("b")
                await asyncio.sleep(57)
        watching.cancel()

    machine = on_machine(leave_it)

    clock = OwnFaultKind.CLOCK
    assert [(each.fault, each.is_over) for each in machine.posted] == [
        (OwnFault(clock), True),  # whatever an earlier process has posted
        (OwnFault(clock, ahead_s=HOUR), False),
        (OwnFault(clock), True),
    ]


def test_a_machine_that_stood_still_is_told_apart() -> None:
    """The time has really passed: nothing that waits for an instant waits longer."""

    async def stand_still(machine: Machine) -> None:
        for _ in range(2):
            await machine.ask("a")
            await machine.ask("b")
            machine.watch.find_doubt()
            machine.stood_still_s = 600.0
        machine.watch.find_doubt()

    machine = on_machine(stand_still)

    assert (machine.error_s, machine.corrections) == (0, [(600, True)])


@pytest.mark.parametrize(
    ("took_s", "headers"),
    [
        (90.0, {}),
        (0.2, {"age": "90", "date": YESTERDAY}),
        (0.2, {"date": "x"}),
    ],
    ids=["slow", "cached", "malformed"],
)
def test_an_answer_that_tells_no_time(took_s: float, headers: dict[str, str]) -> None:
    """It was long under way, came from a cache, or has no `Date`."""

    async def ask(machine: Machine) -> None:
        for host in ("a", "b", "c"):
            await machine.ask(host, took_s, **headers)
        assert machine.watch.find_doubt() == ""

    assert on_machine(ask).corrections == []


def test_a_story_has_a_time_of_its_own() -> None:
    """A demo plays in another year; servers answer in this one."""

    async def ask(machine: Machine) -> None:
        machine.stood_still_s = machine.wall_s = 10 * HOUR
        for host in ("a", "b"):
            await machine.ask(host)
        assert machine.watch.find_doubt() == ""

    assert on_machine(ask, is_story=True).corrections == []


@pytest.fixture
async def late_server() -> AsyncIterator[str]:
    """A server whose time is an hour ahead, or a host whose time is an hour behind."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(headers={"Date": formatdate(SystemClock().now() + HOUR, usegmt=True)})

    server = Server("127.0.0.1:0", {("GET", "/"): answer})
    await server.start()
    yield str(server.address[1])
    await server.stop()


async def test_the_prober_starts_afresh_by_the_right_time(late_server: str, tmp_path: Path) -> None:
    """Two hosts agree; the result of the second is the last that does not count."""
    hosts = [f"127.0.0.1:{late_server}", f"localhost:{late_server}"]
    file = tmp_path / "auth0-check.yml"
    login = {"client_id": "c", "username": "u", "password": "canary-password"}
    tenant = {"name": "prod", "domain": "acme.us.auth0.com", "logins": [login]}
    slack = {"bot_token": "xoxb-x", "app_token": "xapp-x", "channel": "C0ALERTS"}
    controls = [f"http://{host}" for host in hosts]
    file.write_text(json.dumps({"slack": slack, "tenants": [tenant], "controls": controls}))
    clock = SystemClock()
    watch = ClockWatch(clock)
    live = LiveProber(build_settings(load_document(file, {})), clock, clock_watch=watch)
    watch.attach(lambda _by_s, _was_paused: live.forget())
    prober = ClockCheckedProber(live, clock, watch)
    reasons = [
        (await prober.probe(Target(CONTROL, host))).no_data_reason for host in (*hosts, *hosts)
    ]

    assert [bool(reason) for reason in reasons] == [True, True, False, False]
    assert re.fullmatch(r"the bot's time was 3\d{3} s behind", reasons[1])
    assert abs(clock.now() - SystemClock().now() - HOUR) < 5.0
