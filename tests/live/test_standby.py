"""Two processes with one database on a server: one is active, and the other takes over."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.postgresql import GROUP, PASSWORD, PostgresqlServer

if TYPE_CHECKING:
    from tests.live.conftest import Town

pytestmark = GROUP
LEASE_S = 10.0


@pytest.fixture
def shared(town: Town, postgresql: PostgresqlServer) -> Town:
    """A town whose bots share a database."""
    town.config["database"] = postgresql.create_database()
    return town


async def test_killed_in_mid_incident(shared: Town, auth0_check: Any) -> None:
    """The standby takes over: one message for one incident, and each thread line once."""
    config = shared.write()
    async with AsyncExitStack() as stack:
        active = await stack.enter_async_context(auth0_check("run", "--config", config))
        await active.says("Connected to Slack")
        standby = await stack.enter_async_context(auth0_check("run", "--config", config))
        await standby.says(r"standing by: [\w.-]+:\d+ holds the lease")
        shared.world.is_down = True
        await shared.until(shared.said)
        await active.kill()
        await standby.says("this process holds the lease now")
        await standby.says("Connected to Slack")
        shared.world.is_down = False
        await shared.until(lambda: "Resolved" in shared.said()[-1].text)
        assert await standby.stop() == 0
        assert not [line for line in (*active.lines, *standby.lines) if PASSWORD in line]

    card, *replies = shared.said()
    assert "work again" in card.text
    assert all(reply.thread_ts == card.ts for reply in replies)
    keys = [reply.metadata["event_payload"]["k"] for reply in replies if reply.metadata]
    assert keys == [f"1:reply:{number}" for number in range(1, len(replies) + 1)]
