"""The bot's own listeners: a public one for Slack and webhooks, off unless set, and an admin one.

A listener takes only a share of what the process has, whatever strangers send: all else, and above
all the probes, needs descriptors and log lines, too.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import resource
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bot.telemetry import RareWarning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Routes = Mapping[tuple[str, str], Handler]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
BODY_CAP = 256 * 1024
"""Bytes of a request's body: Slack's payloads stay far below."""
DESCRIPTOR_SHARE = 8
"""A listener takes at most one in so many of the process's file descriptors. The rest is kept for
probes, Slack and the database, and the admin listener answers while the public one is full."""
LISTEN_REMEDIES = {
    errno.EADDRINUSE: ": choose another port, or end the program that has it",
    errno.EADDRNOTAVAIL: ": write an address of this machine, such as 127.0.0.1",
    errno.EACCES: ": choose a port from 1024 on",
}
"""What to do if the address cannot be bound."""
BACKLOG = 128
"""Connections that the system holds until the bot takes them."""
TURNS_TO_READ = 5
"""Turns of the event loop from taking a connection to the next. Meanwhile aiohttp 3.14 reads what
was sent already (measured: in 3), so that a request in one piece never makes room for another."""
PAUSE_S = 0.05
"""Until a full listener looks again whether there is room."""
OUT_OF_DESCRIPTORS_PAUSE_S = 1.0


class _ClientErrorFilter(logging.Filter):
    """Drops clients' mistakes: aiohttp logs them as errors, with a piece of the request."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(
            error, HttpProcessingError | web.RequestPayloadError | ConnectionError
        )


_LOG = logging.getLogger(__name__)
_LOG.addFilter(_ClientErrorFilter())


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """What one listener grants its clients, in real seconds. Genuine requests take milliseconds."""

    arrive_s: float = 10.0
    """Until a request has arrived, head and body. Endpoints answer a slow body earlier."""
    answer_s: float = 30.0
    """Until its answer has left, even if the disk hangs or the client does not read."""
    connections: int = 100
    """At once, but never more than a share of the process's descriptors."""
    per_network: int = 25
    """Connections at once of one address (IPv6: of one /64) whose request has not arrived yet."""


@dataclass(slots=True, eq=False)
class _Connection:
    network: str
    transport: asyncio.Transport
    opened_at: float
    request: web.BaseRequest | None = None
    """Since its head has arrived."""

    @property
    def has_arrived(self) -> bool:
        return self.request is not None and self.request.content.is_eof()


class Server:
    """One listener.

    When it is full, the connection that has waited longest for its request to arrive makes room:
    a genuine request arrives within milliseconds, even while somebody opens a thousand connections
    and leaves them half-sent. A request that has arrived is never cut off for another one. Each
    connection serves one request.

    Args:
        listen: `host:port`; port 0 takes any free one.
        routes: handlers by method and path, such as `("GET", "/healthz")`.
        is_public: each handler asks for a secret itself. Requests may have any `Host`: most
            reverse proxies on the same machine pass on the name that they were called by.
        limits: what clients may use up.

    A listener on loopback that is not public refuses web pages: those that reach it by DNS
    rebinding, and those of another origin.
    """

    def __init__(
        self,
        listen: str,
        routes: Routes,
        *,
        is_public: bool = False,
        limits: ListenerLimits | None = None,
    ) -> None:
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._limits = limits or ListenerLimits()
        guards = [_refuse_web_pages] if self._host in LOOPBACK and not is_public else []
        app = web.Application(client_max_size=BODY_CAP, middlewares=[self._note, *guards])
        for (method, path), handler in routes.items():
            app.router.add_route(method, path, handler)
        app.on_response_prepare.append(_end_connection)
        # Our clients do not compress, and a body that only claims to be compressed makes aiohttp
        # 3.14 close the connection without an answer.
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, logger=_LOG, auto_decompress=False
        )
        self._listening: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._connections: dict[asyncio.BaseProtocol, _Connection] = {}
        """By aiohttp's handler, the oldest first."""
        self._warn_full, self._warn_refused = RareWarning(_LOG), RareWarning(_LOG)

    async def start(self) -> None:
        """Listen. Raises OSError if it cannot bind the address: see `LISTEN_REMEDIES`."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        for family, address in dict.fromkeys((row[0], row[4]) for row in found):
            listening = socket.create_server(address, family=family, backlog=BACKLOG)
            listening.settimeout(0)
            self._listening.append(listening)
        self._tasks = [loop.create_task(self._accept(each)) for each in self._listening]
        self._tasks.append(loop.create_task(self._cut_off_late()))

    async def stop(self) -> None:
        """Stop listening."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listening in self._listening:
            listening.close()
        await self._runner.cleanup()

    @property
    def is_listening(self) -> bool:
        """Whether it takes connections."""
        return bool(self._tasks) and not any(task.done() for task in self._tasks)

    @property
    def address(self) -> tuple[str, int]:
        """Return the host and port that it listens on."""
        host, port = self._listening[0].getsockname()[:2]
        return str(host), int(port)

    async def _accept(self, listening: socket.socket) -> None:
        """Take connections. asyncio's own server writes 128 tracebacks where one accept fails."""
        loop = asyncio.get_running_loop()
        while True:
            known = self._find_open()
            if len(known) >= self._capacity() and all(each.has_arrived for each in known):
                await asyncio.sleep(PAUSE_S)  # no room can be made: new ones wait in the backlog
                continue
            try:
                client, (host, *_) = await loop.sock_accept(listening)
            except ConnectionError:  # it was gone before we took it
                continue
            except OSError as error:
                self._warn_refused("cannot take a connection to %s:%d: %s", *self.address, error)
                await asyncio.sleep(OUT_OF_DESCRIPTORS_PAUSE_S)
                continue
            network = _network_of(host)
            self._make_room(network)
            build = cast("Callable[[], asyncio.Protocol]", self._runner.server)
            transport, handler = await loop.connect_accepted_socket(build, client)
            self._connections[handler] = _Connection(network, transport, loop.time())
            for _ in range(TURNS_TO_READ):
                await asyncio.sleep(0)

    def _find_open(self) -> list[_Connection]:
        """Return the connections that are open, the oldest first, and forget the others."""
        found = self._connections.items()
        self._connections = {by: each for by, each in found if not each.transport.is_closing()}
        return list(self._connections.values())

    def _capacity(self) -> int:
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if descriptors == resource.RLIM_INFINITY:
            return self._limits.connections
        return max(1, min(self._limits.connections, descriptors // DESCRIPTOR_SHARE))

    def _make_room(self, network: str) -> None:
        """Cut off whoever has waited longest, where the listener or one network's share is full."""
        connections = self._find_open()
        waiting = [each for each in connections if not each.has_arrived]
        if sum(each.network == network for each in waiting) >= self._limits.per_network:
            waiting = [each for each in waiting if each.network == network]
        elif len(connections) < self._capacity():
            return
        if waiting:
            waiting[0].transport.abort()
            line = "too many unfinished requests to %s:%d: cut off the oldest, from %s"
            self._warn_full(line, *self.address, waiting[0].network)

    async def _cut_off_late(self) -> None:
        limits, loop = self._limits, asyncio.get_running_loop()
        while True:
            await asyncio.sleep(limits.arrive_s / 10)
            for connection in self._connections.values():
                limit_s = limits.answer_s if connection.has_arrived else limits.arrive_s
                if loop.time() - connection.opened_at > limit_s:
                    connection.transport.abort()

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that the head has arrived."""
        if connection := self._connections.get(request.protocol):
            connection.request = request
        return await handler(request)


def _network_of(host: str) -> str:
    """Return the address, or of an IPv6 address its /64, which one client has to itself."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))


async def _end_connection(_: web.Request, response: web.StreamResponse) -> None:
    """Answer one request a connection: so no proxy sends one just when we close an idle one."""
    response.force_close()
    response.headers["Connection"] = "close"


@web.middleware
async def _refuse_web_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    host = request.url.host or ""
    if host not in LOOPBACK or "Origin" in request.headers:
        raise web.HTTPForbidden(text="not for web pages\n")
    return await handler(request)
