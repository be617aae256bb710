"""The real bot as others reach it: by its listeners, its sources and its channel."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from asyncio.subprocess import DEVNULL
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families

from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from bot.simulator.workspace.model import Message
    from tests.live.conftest import Child, Town

PATIENCE_S = 200.0


def whole(message: Message) -> str:
    """Return all text of a message."""
    return message.text + "\n" + json.dumps(message.blocks, ensure_ascii=False)


@dataclass
class Bot:
    """A running bot."""

    child: Child
    session: ClientSession = field(repr=False)
    public: str
    admin: str

    async def push(
        self, path: str, content: object, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Post JSON, or bytes as they are, to a webhook; return the status and the body."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        url = f"{self.public}/hooks/{path}"
        async with self.session.post(url, data=body, headers=headers) as answer:
            return answer.status, await answer.text()

    async def has_looked(self) -> None:
        """Wait for the result of its first login."""
        await self.child.says("first check of prod.login", PATIENCE_S)

    async def metrics(self) -> str:
        async with self.session.get(f"{self.admin}/metrics") as answer:
            return await answer.text()

    async def received(self, hook: str, outcome: str) -> float:
        """Return how many requests to a webhook had this outcome."""
        name, labels = "auth0_check_hook_requests_total", {"hook": hook, "outcome": outcome}
        families = text_string_to_metric_families(await self.metrics())
        samples = [sample for family in families for sample in family.samples]
        return sum(s.value for s in samples if (s.name, s.labels) == (name, labels))


@dataclass
class Scene:
    """A town, and the bot that checks it with some sources."""

    town: Town
    start: Callable[..., Any] = field(repr=False)

    def write(self, tenant: dict[str, Any], **sections: Any) -> str:
        """Write a configuration with more about the tenant, and with a public listener."""
        added = {
            "server": {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0"},
            "hooks": {"report": {"token": "canary-report-token"}},
            "tenants": [self.town.config["tenants"][0] | tenant],
        }
        return self.town.write(**added | sections)

    @asynccontextmanager
    async def bot(self, config: str) -> AsyncIterator[Bot]:
        """Run a bot while the context is open; wait until it is connected to Slack."""
        async with self.start("run", "--config", config) as child, ClientSession() as session:
            keys = (r"server\.listen", r"server\.admin_listen")
            told = [await child.says(rf"{key}: listening on (\S+)", PATIENCE_S) for key in keys]
            await child.says("Connected to Slack")
            yield Bot(child, session, *(f"http://{found[1]}" for found in told))

    def cards(self) -> list[str]:
        """Return the channel's messages outside of threads, the oldest first."""
        return [whole(message) for message in self.town.said() if not message.thread_ts]

    async def card(self, pattern: str) -> str:
        """Wait for a message in the channel that matches; return it."""
        found: list[str] = []

        def is_found() -> bool:
            found[:] = [text for text in self.cards() if re.search(pattern, text)]
            return bool(found)

        await self.town.until(is_found, PATIENCE_S)
        return found[0]

    async def answer(self, text: str) -> str:
        """Type a command; return its answer, for `run` the one with the result."""
        before = len(self.town.said("U1"))
        await self.town.command(text)
        last = before + (2 if text.startswith("run") else 1)
        await self.town.until(lambda: len(self.town.said("U1")) >= last)
        return whole(self.town.said("U1")[last - 1])


@pytest.fixture
def scene(town: Town, auth0_check: Callable[..., Any]) -> Scene:
    """A town without any other source."""
    return Scene(town, auth0_check)


@pytest.fixture
def free_address() -> str:
    """An address of this machine at which nothing listens."""
    return f"127.0.0.1:{find_free_port()}"


async def _listens(address: str) -> None:
    """Wait until something listens at an address."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(*address.split(":"))
                writer.close()
                return
            await asyncio.sleep(0.05)


@pytest.fixture
async def debian() -> AsyncIterator[Callable[..., Any]]:
    """Start a program of a Debian package that listens on a free port: its process and address."""
    started: list[asyncio.subprocess.Process] = []

    async def start(name: str, *arguments: str) -> tuple[asyncio.subprocess.Process, str]:
        program = shutil.which(name)
        if program is None:
            pytest.skip(f"needs the package {name}")
        address = f"127.0.0.1:{find_free_port()}"
        process = await asyncio.create_subprocess_exec(
            program, *arguments, f"--web.listen-address={address}", stdout=DEVNULL, stderr=DEVNULL
        )
        started.append(process)
        await _listens(address)
        return process, f"http://{address}"

    yield start
    for process in started:
        if process.returncode is None:
            process.kill()
        await process.wait()
