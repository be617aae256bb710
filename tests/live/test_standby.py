"""Several processes with one database on a server: one is active, and another one takes over."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession

from bot.store.postgresql import LEASE_S
from tests.postgresql import PASSWORD, PostgresqlServer

if TYPE_CHECKING:
    from tests.live.conftest import Child, Town

ACTIVE = "this process holds the lease now"
STANDBY = r"standing by: [\w.-]+:\d+ holds the lease"


@pytest.fixture
def shared(town: Town, postgresql: PostgresqlServer) -> Town:
    """A town whose bots share a database."""
    town.config["database"] = postgresql.create_database()
    return town


async def recover(town: Town) -> None:
    """End the outage: there is one message for the incident, and each thread line once."""
    town.world.is_down = False
    await town.until(lambda: "Resolved" in town.said()[-1].text)
    card, *replies = town.said()
    assert "work again" in card.text
    assert all(reply.thread_ts == card.ts for reply in replies)
    keys = [reply.metadata["event_payload"]["k"] for reply in replies if reply.metadata]
    assert keys == [f"1:reply:{number}" for number in range(1, len(replies) + 1)]


async def check_standby(child: Child) -> None:
    """A standby is healthy, and takes no requests."""
    listening = await child.says(r"server\.admin_listen: listening on (\S+)")
    async with ClientSession(f"http://{listening[1]}") as client:
        health, ready = await client.get("/health"), await client.get("/readyz")
        assert (health.status, (await health.json())["role"]) == (200, "standby")
        assert (ready.status, await ready.text()) == (503, "standby\n")


async def test_killed_in_mid_incident(shared: Town, auth0_check: Any) -> None:
    """The standby takes over; when that is stopped in good order, the next one does at once."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(auth0_check("run", "--config", shared.write()))
        await first.says("Connected to Slack")
        second = await stack.enter_async_context(auth0_check("run", "--config", shared.write()))
        await second.says(STANDBY)
        await check_standby(second)
        shared.world.is_down = True
        await shared.until(shared.said)
        await first.kill()
        await second.says(ACTIVE)
        await second.says("Connected to Slack")
        third = await stack.enter_async_context(auth0_check("run", "--config", shared.write()))
        await third.says(STANDBY)
        assert await second.stop() == 0
        await third.says(ACTIVE)
        await recover(shared)
        assert await third.stop() == 0
        assert PASSWORD not in "\n".join((*first.lines, *second.lines, *third.lines))


async def test_stopped_for_longer_than_its_lease(shared: Town, auth0_check: Any) -> None:
    """The process that was stopped writes nothing more, and ends."""
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(auth0_check("run", "--config", shared.write()))
        await old.says("Connected to Slack")
        new = await stack.enter_async_context(auth0_check("run", "--config", shared.write()))
        await new.says(STANDBY)
        shared.world.is_down = True
        await shared.until(shared.said)
        os.kill(old.process.pid, signal.SIGSTOP)
        await asyncio.sleep(1.5 * LEASE_S)
        await new.says(ACTIVE)
        await new.says("Connected to Slack")
        os.kill(old.process.pid, signal.SIGCONT)
        assert await old.ended() == os.EX_SOFTWARE
        await old.says(r"CRITICAL .*was taken over by [\w.-]+:\d+: nothing was written")
        await recover(shared)
        assert await new.stop() == 0
