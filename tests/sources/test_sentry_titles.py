"""Calls to Auth0 that fail, as Sentry's own SDK reports them, and what is read out of that."""

from __future__ import annotations

import asyncio
import urllib.request
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

import aiohttp
import httpx
import pytest
import sentry_sdk
from sentry_sdk.transport import Transport
from sentry_sdk.utils import event_from_exception

from bot.core.auth0_logs.text_patterns import match_pattern
from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sentry_sdk.envelope import Envelope

    Ask = Callable[[str, float], Awaitable[object]]

PATIENCE_S = 60.0
SHORT_S = 0.2
SENT = {
    "cut": b"",
    "too_many": b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}


class Recorder(Transport):
    """Records what would be sent to Sentry."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.events.append(envelope.get_event())


async def title(ask: Ask, url: str, patience_s: float = PATIENCE_S) -> str:
    """Sentry's title of an exception: its type, and the first line of its text."""
    client = sentry_sdk.Client("http://public@127.0.0.1/1", transport=Recorder)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each library has its own
        await ask(url, patience_s)
    client.capture_event(*event_from_exception(caught.value))
    assert isinstance(client.transport, Recorder)
    told = client.transport.events[0]["exception"]["values"][-1]
    return ": ".join(filter(None, (told["type"], told["value"].partition("\n")[0])))


async def by_httpx(url: str, patience_s: float) -> None:
    async with httpx.AsyncClient(timeout=patience_s, trust_env=False) as client:
        (await client.get(url)).raise_for_status()


async def by_aiohttp(url: str, patience_s: float) -> None:
    patience = aiohttp.ClientTimeout(patience_s)
    async with aiohttp.ClientSession(timeout=patience) as session, session.get(url) as answer:
        answer.raise_for_status()


async def by_urllib(url: str, patience_s: float) -> None:
    try:
        await asyncio.to_thread(urllib.request.urlopen, url, timeout=patience_s)
    except HTTPError as error:
        error.close()  # it holds the connection: left open it is a warning in some later test
        raise


class Auth0(ThreadingTCPServer):
    """Fails every call in the same way."""

    def __init__(self, fate: str) -> None:
        super().__init__(("127.0.0.1", 0), Call)
        self.fate = fate
        self.url = f"http://127.0.0.1:{self.server_address[1]}/oauth/token"


class Call(StreamRequestHandler):
    server: Auth0

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        if self.server.fate == "silent":
            self.rfile.read()
        self.wfile.write(SENT.get(self.server.fate, b""))


@pytest.fixture
def auth0(fate: str) -> Iterator[Auth0]:
    with Auth0(fate) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("ask", [by_httpx, by_aiohttp, by_urllib])
@pytest.mark.parametrize(
    ("fate", "pattern"),
    [("cut", "unreachable"), ("silent", "timeout"), ("too_many", "rate_limit")],
)
async def test_a_call_that_fails(auth0: Auth0, ask: Ask, pattern: str) -> None:
    """Whatever the library calls it, the title says what happened."""
    patience_s = SHORT_S if auth0.fate == "silent" else PATIENCE_S
    assert match_pattern(await title(ask, auth0.url, patience_s)) == pattern


@pytest.mark.parametrize("ask", [by_httpx, by_aiohttp, by_urllib])
async def test_nobody_listens(ask: Ask) -> None:
    """A refused connection is distinguished from a slow one."""
    url = f"http://127.0.0.1:{find_free_port()}"
    assert match_pattern(await title(ask, url)) == "unreachable"
