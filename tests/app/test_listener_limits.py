"""What strangers can take from the bot by its listeners: connections, descriptors, log lines."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot.app.http_server import ListenerLimits, Server, _network_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

HEAD = b"POST /hooks/report HTTP/1.1\r\nHost: bot.example.com\r\nContent-Length: 2\r\n"
WHOLE = HEAD + b"\r\n{}"
LARGE = b"x" * 30_000_000
"""More than the buffers of both sides hold."""
PATIENT = ListenerLimits(arrive_s=60, answer_s=60, connections=12, per_network=5)


class Listener:
    """A listener whose handler reads the body and waits until it may answer."""

    def __init__(self, limits: ListenerLimits) -> None:
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.answer = b"done"
        self.most = self._now = 0
        """Requests that were handled at once."""
        routes = {("POST", "/hooks/report"): self._handle}
        self.server = Server("127.0.0.1:0", routes, is_public=True, limits=limits)
        self._writers: dict[asyncio.StreamReader, asyncio.StreamWriter] = {}

    async def _handle(self, request: web.Request) -> web.Response:
        self._now += 1
        self.most = max(self.most, self._now)
        await request.read()
        await self.may_answer.wait()
        self._now -= 1
        return web.Response(body=self.answer)

    async def send(self, data: bytes, source: str = "127.0.0.1") -> asyncio.StreamReader:
        """Open a connection and send something."""
        reader, writer = await asyncio.open_connection(*self.server.address, local_addr=(source, 0))
        self._writers[reader] = writer
        writer.write(data)
        with suppress(ConnectionError):
            await writer.drain()
        return reader

    async def flood(self, count: int, *sources: str) -> list[asyncio.StreamReader]:
        """Leave so many requests half-sent."""
        readers = [await self.send(HEAD, sources[n % len(sources)]) for n in range(count)]
        await asyncio.sleep(0.05)  # the last ones are taken
        return readers

    def finish(self, reader: asyncio.StreamReader) -> None:
        """Send the rest of a request."""
        self._writers[reader].write(b"\r\n{}")

    def close(self) -> None:
        for writer in self._writers.values():
            writer.transport.abort()


@asynccontextmanager
async def listen(limits: ListenerLimits = PATIENT) -> AsyncIterator[Listener]:
    listener = Listener(limits)
    await listener.server.start()
    yield listener
    listener.close()
    await listener.server.stop()


async def read(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the end; nothing of a connection that was cut off."""
    async with asyncio.timeout(30):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


def count_open(readers: list[asyncio.StreamReader]) -> int:
    return sum(not reader.at_eof() and reader.exception() is None for reader in readers)


@pytest.fixture
def descriptor_limit() -> Iterator[int]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_half_sent_requests_of_one_address(caplog: pytest.LogCaptureFixture) -> None:
    """They share a few connections, a whole request is answered meanwhile, and one line is logged.

    Whoever is slow at another address loses nothing by it.
    """
    async with listen() as listener:
        slow = await listener.send(HEAD, "127.0.0.3")
        half_sent = await listener.flood(60, "127.0.0.2")
        answer = await read(await listener.send(WHOLE, "127.0.0.2"))
        in_two_parts = await listener.send(HEAD, "127.0.0.2")
        half_sent += await listener.flood(2, "127.0.0.2")
        for late in (slow, in_two_parts):
            listener.finish(late)

        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert (await read(in_two_parts)).endswith(b"done")
        assert (await read(slow)).endswith(b"done")
        assert count_open(half_sent) <= PATIENT.per_network
    (line,) = [r.getMessage() for r in caplog.records if r.name == "bot.app.http_server"]
    assert "cut off the oldest, from 127.0.0.2" in line


async def test_half_sent_requests_of_many_addresses() -> None:
    """Together they hold no more than the listener has, and a whole request is answered."""
    async with listen() as listener:
        half_sent = await listener.flood(60, *(f"127.0.0.{n}" for n in range(2, 22)))
        answer = await read(await listener.send(WHOLE))

        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert count_open(half_sent) <= PATIENT.connections


async def test_a_whole_request_is_not_cut_off() -> None:
    """While answers take long, more requests than there are connections wait for their turn."""
    async with listen() as listener:
        listener.may_answer.clear()
        readers = [await listener.send(WHOLE) for _ in range(3 * PATIENT.connections)]
        await asyncio.sleep(0.1)
        listener.may_answer.set()
        answers = [await read(reader) for reader in readers]

    assert listener.most == PATIENT.connections
    assert all(answer.endswith(b"done") for answer in answers)


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (b"", ListenerLimits(arrive_s=0.3)),
        (HEAD, ListenerLimits(arrive_s=0.3)),
        (HEAD + b"\r\n{", ListenerLimits(arrive_s=0.3)),
        (WHOLE, ListenerLimits(arrive_s=0.3, answer_s=0.3)),
    ],
    ids=["nothing", "half a head", "half a body", "an answer that nobody reads"],
)
async def test_the_slow_are_cut_off(data: bytes, limits: ListenerLimits) -> None:
    """Whatever goes slow, and however regularly a byte arrives, a connection ends."""
    async with listen(limits) as listener:
        listener.answer = LARGE
        reader = await listener.send(data)
        for _ in range(10):
            await asyncio.sleep(0.1)
            if data == HEAD:
                listener._writers[reader].write(b"x")

        assert len(await read(reader)) < len(LARGE)
        assert listener.server._find_open() == []


async def test_an_answer_ends_the_connection() -> None:
    """So nobody holds one between two requests, and no proxy sends one to a closing connection."""
    async with listen() as listener:
        answer = await read(await listener.send(WHOLE + WHOLE))

    assert answer.count(b"HTTP/1.1 200 OK") == 1
    assert b"Connection: close" in answer


async def test_descriptors_are_kept_back(descriptor_limit: int) -> None:
    """However many connections a listener may have, it takes an eighth of all descriptors."""
    async with listen(ListenerLimits(connections=1000)) as listener:
        resource.setrlimit(resource.RLIMIT_NOFILE, (240, descriptor_limit))
        half_sent = await listener.flood(50, *(f"127.0.0.{n}" for n in range(2, 52)))

        assert count_open(half_sent) <= 30


async def test_without_descriptors_the_log_stays_short(
    descriptor_limit: int, caplog: pytest.LogCaptureFixture
) -> None:
    """An accept that fails is one line a minute, and the listener goes on once there are some."""
    async with listen() as listener:
        with socket.create_connection(listener.server.address) as client:
            lowest_free = os.dup(0)
            os.close(lowest_free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, descriptor_limit))
            await asyncio.sleep(0.3)
            lines = [record.getMessage() for record in caplog.records]
            resource.setrlimit(resource.RLIMIT_NOFILE, (240, descriptor_limit))
            client.settimeout(0)
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(client, WHOLE)
            async with asyncio.timeout(30):
                answer = await loop.sock_recv(client, 1000)

    (line,) = lines
    assert "cannot take a connection" in line
    assert answer.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:0:1:a::7", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_whose_connections_are_counted_together(host: str, network: str) -> None:
    """One client may have a whole IPv6 /64."""
    assert _network_of(host) == network
