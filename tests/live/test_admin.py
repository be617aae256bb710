from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.live.conftest import Child, Town

    Ask = Callable[[str], Awaitable[tuple[int, str]]]

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy.md"


@asynccontextmanager
async def admin_of(child: Child) -> AsyncIterator[Ask]:
    """Send requests to the admin listener of a bot that is connected to Slack."""
    base = "http://" + (await child.says(r"admin_listen: listening on (\S+)"))[1]
    await child.says("Connected to Slack")
    async with ClientSession() as session:

        async def ask(path: str) -> tuple[int, str]:
            async with session.get(base + path) as answer:
                return answer.status, await answer.text()

        yield ask


async def shows(ask: Ask, metric: str) -> None:
    """Wait until the metrics have this line."""
    async with asyncio.timeout(200):
        while metric not in (await ask("/metrics"))[1]:  # noqa: ASYNC110 - as a scraper does
            await asyncio.sleep(0.1)


async def test_the_admin_listener(town: Town, auth0_check: Any) -> None:
    """Alive, ready, and metrics that Prometheus can read; no secret is in them."""
    async with auth0_check("run", "--config", town.write()) as child, admin_of(child) as ask:
        await child.says("first check of prod.login: ok")
        assert await ask("/livez") == (200, "ok\n")
        assert await ask("/readyz") == (200, "ok\n")
        await shows(ask, 'auth0_check_part_healthy{part="slack"} 1.0')
        healthy, parts = await ask("/health")
        status, text = await ask("/metrics")

    assert healthy == 200, parts
    shown = json.loads(parts)["parts"].keys()
    assert {"probes", "feeds", "engine", "outbox", "socket", "store", "audit"} <= shown
    chapter = DEPLOY.read_text().split("### The parts of the bot")[1].split("\n## ")[0]
    cells = re.findall(r"^\| (`.+?) \|", chapter, re.MULTILINE)
    assert shown <= {*re.findall(r"`(\w+)`", "".join(cells))}

    names = {s.name for family in text_string_to_metric_families(text) for s in family.samples}
    assert status == 200
    assert {"auth0_check_looks_total", "auth0_check_latency_seconds"} <= names
    assert not re.search(r"canary|xox|xapp", text)


async def test_without_slack_the_bot_is_ready(town: Town, auth0_check: Any) -> None:
    """It still takes webhooks and pages. Its metrics and its health say that Slack is away."""
    async with auth0_check("run", "--config", town.write()) as child, admin_of(child) as ask:
        await shows(ask, "auth0_check_slack_connected 1.0")
        await town.server.stop()
        await shows(ask, "auth0_check_slack_connected 0.0")

        assert await ask("/readyz") == (200, "ok\n")
        assert await ask("/livez") == (200, "ok\n")
        status, text = await ask("/health")

    assert status == 503
    assert json.loads(text)["parts"]["slack"]["status"] == "failing"
