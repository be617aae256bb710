"""An HTTP proxy on loopback, as a company has one: CONNECT, plain requests, and a password."""

from __future__ import annotations

import asyncio
from base64 import b64decode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSWORD = "canary-of-the-proxy"


@dataclass
class Proxy:
    """Lets in whoever knows the password, and finds hosts by its own list."""

    hosts: Mapping[str, str] = field(default_factory=dict)
    """Where a name is, as `address:port`; others are what they say."""
    refuses: str = ""
    """What it answers instead, such as `403 Forbidden`."""
    seen: set[tuple[str, str]] = field(default_factory=set)
    """User, method and host of each request."""
    port: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, user: str, password: str = PASSWORD) -> str:
        return f"http://{user}:{password}@127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._connect(reader, writer)
        writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (x.partition(": ") for x in lines)}
        method, target, version = first.split()
        basic = headers.get("proxy-authorization", "").removeprefix("Basic ")
        user, _, password = b64decode(basic).decode().partition(":")
        refusal = self.refuses if password == PASSWORD else "407 Proxy Authentication Required"
        if refusal:
            writer.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        parts = urlsplit(target)
        netloc = target if method == "CONNECT" else parts.netloc
        self.seen.add((user, netloc.removesuffix(":443")))
        host, _, port = self.hosts.get(netloc.removesuffix(":443"), netloc).rpartition(":")
        there, to = await asyncio.open_connection(host, int(port))
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            kept = [line for line in lines if not line.lower().startswith("proxy-")]
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            to.write("\r\n".join((f"{method} {path} {version}", *kept)).encode())
        try:
            await asyncio.gather(_pump(reader, to), _pump(there, writer))
        finally:
            to.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    writer.close()
