from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from bot.app.clock import SystemClock
from bot.app.http_server import Server
from bot.app.self_checks import Auditor, CyclePing
from bot.core.model.observation import Observation, Outcome, Target
from bot.core.state.outbox import Delivery, Post
from bot.core.state.rules import Rules
from bot.http import Fetcher, LoopLag, SystemNetwork
from bot.ports import Change, StoreError, Unfinished
from bot.simulator.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NEVER_LATE_S = 1e9
SECRET = "canary-4711"


class Dashboard:
    """A service that misses the bot, such as Healthchecks.io."""

    def __init__(self) -> None:
        self.pings = 0
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        self.pings += request.path == f"/{SECRET}"
        return web.Response(status=self.status)


@pytest.fixture
async def dashboard() -> AsyncIterator[tuple[Dashboard, str]]:
    made = Dashboard()
    server = Server("127.0.0.1:0", {("GET", f"/{SECRET}"): made.answer})
    await server.start()
    yield made, f"http://127.0.0.1:{server.address[1]}/{SECRET}"
    await server.stop()


class Pinging:
    """A `CyclePing` of two tenants that runs."""

    def __init__(self, url: str) -> None:
        self.is_well = True
        clock = SystemClock()
        fetcher = Fetcher(clock, SystemNetwork({}), LoopLag(NEVER_LATE_S))
        self.ping = CyclePing(fetcher, url, ["prod", "eu"], lambda: self.is_well)
        self.task = asyncio.create_task(self.ping.run())

    async def see(self, tenant: str, outcome: Outcome = Outcome.OK) -> None:
        """Take a result, and give a ping the time to arrive."""
        self.ping.note(Observation(Target(tenant, "login"), 0.0, outcome))
        await asyncio.sleep(0.2)


@pytest.fixture
async def pinging(dashboard: Any) -> AsyncIterator[Pinging]:
    made = Pinging(dashboard[1])
    yield made
    made.task.cancel()


async def test_a_ping_follows_each_cycle_in_which_every_tenant_was_checked(
    pinging: Pinging, dashboard: Any
) -> None:
    """A failing login was checked, too; a control endpoint is no tenant."""
    for tenant in ("prod", "prod", "control"):
        await pinging.see(tenant)
    assert dashboard[0].pings == 0
    await pinging.see("eu", Outcome.FAILED)
    assert dashboard[0].pings == 1
    await pinging.see("eu")
    await pinging.see("prod")

    assert dashboard[0].pings == 2


async def test_no_ping_while_the_bot_cannot_do_its_work(pinging: Pinging, dashboard: Any) -> None:
    """A tenant cannot be checked, or a part of the bot stalls: then the service misses it."""
    await pinging.see("prod")
    await pinging.see("eu", Outcome.NO_DATA)
    assert dashboard[0].pings == 0
    pinging.is_well = False
    await pinging.see("eu")

    assert dashboard[0].pings == 0


async def test_a_ping_that_fails_is_logged_once_without_its_address(
    pinging: Pinging, dashboard: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The next cycle pings again."""
    dashboard[0].status = 404
    for _ in range(2):
        await pinging.see("prod")
        await pinging.see("eu")

    assert [r.getMessage() for r in caplog.records] == [
        "the ping after a cycle of checks failed: HTTP 404"
    ]
    assert dashboard[0].pings == 2


class BrokenStore(MemoryStore):
    """A store that cannot be read."""

    async def read_unfinished(self) -> Unfinished:
        raise StoreError("its disk is full")


async def test_the_audit_reads_nothing_but_the_store(caplog: pytest.LogCaptureFixture) -> None:
    """An alert that was committed and not delivered is logged once, and is a problem."""
    store, clock = MemoryStore(), SystemClock()
    auditor = Auditor(store, clock, Rules({}))
    post = Delivery("1:post:1", "incident:1", 1, Post(1), created_at=clock.now() - 300)
    names = [f"{number}:post:1" for number in range(1, 6)]
    await store.commit(Change(deliveries={n: replace(post, key=n) for n in names}))
    for _ in range(2):
        await auditor.check()

    assert auditor.problem == (
        "1:post:1 is not delivered, 2:post:1 is not delivered, 3:post:1 is not delivered,"
        " and 2 more"
    )
    assert len(caplog.records) == 5


async def test_an_audit_that_cannot_be_made_is_a_problem() -> None:
    """Nobody knows whether something is overdue."""
    auditor = Auditor(BrokenStore(), SystemClock(), Rules({}))
    await auditor.check()

    assert auditor.problem == "nothing can be audited: its disk is full"
