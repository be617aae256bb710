"""A server on loopback that can be made to fail in the ways in which servers fail."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
    Fault = Callable[[web.BaseRequest, Handler], Awaitable[web.StreamResponse]]

HOST = "127.0.0.1"
BACKLOG = 1024
"""Connections that may wait to be accepted: what comes at once must not be refused."""


class Site:
    """One address, which is served while the site is open and refuses connections while it is shut.

    Args:
        handle: answers a request.
        name_of: returns what `faults` calls a request.
        context: for TLS.
    """

    def __init__(
        self,
        handle: Handler,
        name_of: Callable[[web.BaseRequest], str],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.faults: dict[str, Fault] = {}
        """What happens to requests of a name instead of `handle`; of "*": to all others."""
        self._handle = handle
        self._name_of = name_of
        self._context = context
        self._requests: web.Server | None = None
        self._listener: asyncio.Server | None = None
        # It never listens. It keeps the port ours, and refuses connections, while the site is shut.
        self._reserved = _bind(0)
        self.port: int = self._reserved.getsockname()[1]

    @property
    def address(self) -> str:
        """The host and port, as in a URL."""
        return f"{HOST}:{self.port}"

    async def open(self) -> None:
        """Serve."""
        self._requests = web.Server(self._answer, access_log=None, handler_cancellation=True)
        self._listener = await asyncio.get_running_loop().create_server(
            self._requests, sock=_bind(self.port), ssl=self._context, backlog=BACKLOG
        )

    async def shut(self) -> None:
        """Refuse connections from now on, and reset those that are open."""
        if self._listener is None or self._requests is None:
            return
        self._listener.close()
        self.reset()
        await self._requests.shutdown(timeout=0)
        self._listener = self._requests = None

    def reset(self) -> None:
        """Reset all open connections."""
        for connection in self._requests.connections if self._requests else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def close(self) -> None:
        """End for good."""
        await self.shut()
        self._reserved.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        fault = self.faults.get(self._name_of(request), self.faults.get("*"))
        return await (fault(request, self._handle) if fault else self._handle(request))


def _bind(port: int) -> socket.socket:
    """Return a socket at a port of ours; port 0 is any free one."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind((HOST, port))
    return bound


async def hang(_: web.BaseRequest, __: Handler) -> web.StreamResponse:
    """Never answer."""
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]  # never


async def cut_before(request: web.BaseRequest, _: Handler) -> web.StreamResponse:
    """Drop the connection, with nothing done."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def cut_after_done(request: web.BaseRequest, handle: Handler) -> web.StreamResponse:
    """Do what was asked, and drop the connection instead of answering."""
    await handle(request)
    return await cut_before(request, handle)


def answer(status: int, body: str = "", headers: Mapping[str, str] | None = None) -> Fault:
    """Give this answer, with nothing done."""

    async def give(_: web.BaseRequest, __: Handler) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=headers, content_type="text/html")

    return give


def send_raw(head: bytes, repeated: bytes, times: int) -> Fault:
    """Write bytes as they are, as fast as the other side takes them, and then never end.

    Args:
        head: comes first.
        repeated: comes after it, again and again.
        times: how often; all of it is written at once.
    """

    async def send(request: web.BaseRequest, handle: Handler) -> web.StreamResponse:
        with suppress(AttributeError):  # the connection is gone
            request.transport.write(head + repeated * times)  # type: ignore[union-attr]
        return await hang(request, handle)

    return send


OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
one_byte_chunks = send_raw(OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", 400_000)
"""A body whose every byte is a chunk of its own: 2.4 MB on the wire for 0.4 MB."""
endless_hints = send_raw(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", 100_000)
"""Interim answers, and never a final one."""
