"""A workspace whose clock the test moves, alone and on a loopback port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bot.simulator.workspace.model import Reply


@dataclass
class Bench:
    """A workspace, its clock, and shortcuts to use it as the bot."""

    at: float = 1_700_000_000.0
    given: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.workspace = Workspace(lambda: self.at, **(self.given or {}))
        self.app = self.workspace.state.app
        self.channel = "C0ALERTS"

    def reply(self, method: str, **params: Any) -> Reply:
        return self.workspace.call(method, self.app.bot_token, params)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        return self.reply(method, **params).body

    def post(self, **params: Any) -> str:
        body = self.call("chat.postMessage", **({"channel": self.channel, "text": "hi"} | params))
        assert body["ok"], body
        ts: str = body["ts"]
        return ts

    def texts(self) -> list[str]:
        return [message.text for message in self.workspace.messages(self.channel)]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def furnish() -> type[Bench]:
    return Bench


@pytest.fixture
async def server(bench: Bench) -> AsyncIterator[WorkspaceServer]:
    async with WorkspaceServer(bench.workspace) as server:
        yield server
