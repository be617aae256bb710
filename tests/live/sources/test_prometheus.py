"""A real Prometheus that scrapes a small application, while the login works all the time."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, start_http_server

from bot.app.bot import Bot
from bot.app.clock import SystemClock
from bot.config import build_settings, load_document

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.live.conftest import Town
    from tests.live.sources.conftest import Scene

CHECKOUT = {
    "name": "checkout",
    "failed": "sum(increase(auth0_calls_failed_total[$window]))",
    "all": "sum(increase(auth0_calls_total[$window]))",
    "window": "2s",
}
SPEED = 80.0


class Application:
    """Calls Auth0 a hundred times a second."""

    def __init__(self) -> None:
        self.is_failing = False
        self.registry = CollectorRegistry()
        self._calls = Counter("auth0_calls", "All", registry=self.registry)
        self._failed = Counter("auth0_calls_failed", "Failed", registry=self.registry)

    async def run(self) -> None:
        while True:
            self._calls.inc(5)
            self._failed.inc(4 if self.is_failing else 0)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Application, int]]:
    """Yield an application that works, and the port for scrapes."""
    application = Application()
    server, thread = start_http_server(0, "127.0.0.1", application.registry)
    calling = asyncio.create_task(application.run())
    try:
        yield application, server.server_port
    finally:
        calling.cancel()
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


async def test_users_fail_while_the_login_works(scene: Scene, debian: Any, tmp_path: Path) -> None:
    """A warning with the counts, until they recover; then Prometheus stops, and the bot says so."""
    async with running() as (application, port):
        jobs = [{"job_name": "app", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]
        scraping = {"global": {"scrape_interval": "200ms"}, "scrape_configs": jobs}
        (tmp_path / "prometheus.yml").write_text(json.dumps(scraping))
        prometheus, url = await debian(
            "prometheus",
            f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
        )
        polled = {"url": url, "every": "1s"}
        config = scene.write({"metrics": [CHECKOUT]}, prometheus=polled)
        async with scene.bot(config):
            application.is_failing = True
            firing = await scene.card("checkout logins to prod fail")
            application.is_failing = False
            await scene.card("work again")
            prometheus.kill()
            await prometheus.wait()
            answered = await scene.answer("run checkout")

    assert re.search(r"checkout's calls to Auth0: \d\d% fail \(\d+ of", firing)
    assert "logins of real users fail, and the test login works (seen in checkout)" in firing
    assert "@here" not in firing
    assert "no data: connect refused" in answered


async def test_silence(town: Town) -> None:
    """After five minutes without data the bot says so in the channel, and alerts nobody."""
    slow = {"every": "20s", "timeout": "10m"}
    tenant = town.config["tenants"][0] | {"metrics": [CHECKOUT], "probe": slow}
    polled = {"url": "http://127.0.0.1:9", "timeout": "60s"}
    file = town.write(tenants=[tenant], prometheus=polled, controls=[])
    settings, clock = build_settings(load_document(Path(file), {})), SystemClock(SPEED)
    watching = asyncio.create_task(Bot(settings, clock).run())
    try:
        await town.until(lambda: silences(town))
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    (told,) = silences(town)
    assert re.match(r"No data from Prometheus for ([5-9]|\d\d) min", told)


def silences(town: Town) -> list[str]:
    return [message.text for message in town.said() if "No data from" in message.text]
