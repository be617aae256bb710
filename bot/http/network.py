"""The network: DNS lookups, connections, and HTTP/1.1 over one connection."""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
import threading
from base64 import b64encode
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import h11
import httpx

from bot.core.model.observation import Stage
from bot.http.errors import NoData

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

Done = TypeVar("Done")

Address = tuple[str, int]
"""An IP address and a port."""
MAX_LOOKUPS = 64
"""At once. The loop's own executor has 6 threads on 2 cores: 6 hanging lookups stop all others."""
FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
MAX_ADDRESSES = 4
"""Tried for one request."""
OUTSIDE_DOMAINS = ("example.com", "iana.org", "wikipedia.org")
"""Three operators of name servers, none of them Auth0's."""
OUTSIDE_LIMIT_S = 4.0
HTTPS_PORT = 443
HEAD_START_S = 0.25
"""Real seconds after which the next address is tried as well (RFC 8305, section 5)."""
READ_BYTES = 2048
"""At a time, with a turn of the event loop in between. In chunks of one byte they take 25 ms to
parse on a busy machine (measured 2026-11)."""
UNPARSED_CAP = 32 * 1024
"""Bytes without a head, before which any number of 1xx may come, or without a piece of the body.
Real heads are below 10 KB; so many bytes in lines of four take 60 ms to parse."""
DEFAULT_PORTS = {"http": 80, "https": 443}
SUCCESS = range(200, 300)
TLS_BYTES = 16 * 1024
"""The longest record of TLS (RFC 8446, section 5.1)."""


class Network(Protocol):
    """The operating system's network, or the simulator's with faults in it."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Return at least one address, the best first. Raises `socket.gaierror` or `NoData`."""

    async def before_connect(self, host: str) -> None:
        """Return at once to allow the next connection.

        Otherwise raise the OSError that the socket would, or wait as for a lost packet.
        """


class SystemNetwork:
    """The operating system's resolver, in our own threads, with overrides for labs."""

    def __init__(
        self,
        overrides: Mapping[str, str],
        look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo,
        *,
        family: str = "any",
    ) -> None:
        """Resolve the hosts of `{host: "address:port"}` without `look_up`."""
        self._family = FAMILIES[family]
        self._overrides = {host.lower(): target for host, target in overrides.items()}
        self._look_up = look_up
        self._free = threading.BoundedSemaphore(MAX_LOOKUPS)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Look up a host in a thread; a cancelled caller does not wait for it."""
        if (target := self._overrides.get(host.lower())) is not None:
            address, _, number = target.rpartition(":")
            return [(address.strip("[]"), int(number))]
        rows = await asyncio.wrap_future(self._start_lookup(host, port))
        return _mix_families(rows)[:MAX_ADDRESSES]

    async def before_connect(self, host: str) -> None:
        """Allow every connection."""

    async def are_names_found(self) -> bool:
        """Tell whether our resolver answers for names that have nothing to do with Auth0.

        Nobody has asked for them before, so no cache answers; that they do not exist is an answer.
        """
        label = secrets.token_hex(8)
        asked = [self._is_answered(f"{label}.{domain}") for domain in OUTSIDE_DOMAINS]
        return any(await asyncio.gather(*asked))

    async def _is_answered(self, host: str) -> bool:
        try:
            async with asyncio.timeout(OUTSIDE_LIMIT_S):
                await asyncio.wrap_future(self._start_lookup(host, HTTPS_PORT))
        except socket.gaierror as error:
            return error.errno in {socket.EAI_NONAME, socket.EAI_NODATA}
        except (OSError, NoData):
            return False
        return True

    def _start_lookup(self, host: str, port: int) -> Future[Sequence[Any]]:
        """Start a daemon thread: an executor's threads would delay the end of the process."""
        if not self._free.acquire(blocking=False):
            raise NoData(f"all {MAX_LOOKUPS} DNS look-ups hang")
        found: Future[Sequence[Any]] = Future()
        found.set_running_or_notify_cancel()  # from here a cancelled caller changes nothing

        def run() -> None:
            try:
                found.set_result(
                    self._look_up(host, port, family=self._family, type=socket.SOCK_STREAM)
                )
            except Exception as error:  # noqa: BLE001 - handed to the caller
                found.set_exception(error)
            finally:
                self._free.release()

        try:
            threading.Thread(target=run, name=f"look-up {host}", daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise NoData("no thread for a DNS look-up") from error
        return found


def _mix_families(rows: Sequence[Any]) -> list[Address]:
    """Return the addresses of a look-up, the families in turn: one of them may be dead here."""
    families: dict[object, dict[Address, None]] = {}
    for row in rows:
        families.setdefault(row[0], {})[row[4][0], row[4][1]] = None
    turns = zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


class Connection:
    """A connection to one address, with TLS or without it. Whatever it does may raise OSError."""

    def __init__(self, family: socket.AddressFamily) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setblocking(False)  # noqa: FBT003 - it has no name
        self._received, self._to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    @classmethod
    async def open(cls, address: Address) -> Self:
        """Connect to an address."""
        connection = cls(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        try:
            # Else the request would wait until the host acknowledges the end of the handshake.
            connection._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await connection._loop.sock_connect(connection._socket, address)
        except BaseException:
            connection.close()
            raise
        return connection

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Go on with TLS, if the certificate is one for `host`."""
        self._tls = context.wrap_bio(self._received, self._to_send, server_hostname=host)
        await self._exchange(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        if self._tls:
            await self._exchange(self._tls.write, data)
        else:
            await self._loop.sock_sendall(self._socket, data)

    async def receive(self, max_bytes: int) -> bytes:
        """Return what has come, at least a byte; none: the host sends no more."""
        if self._tls is None:
            return await self._loop.sock_recv(self._socket, max_bytes)
        try:
            return await self._exchange(self._tls.read, max_bytes)
        except ssl.SSLEOFError:  # many servers close without an end of TLS
            return b""

    def find_certificate_end(self) -> float:
        """Return when the host's certificate expires; 0 without TLS."""
        certificate: Any = self._tls and self._tls.getpeercert()
        return float(ssl.cert_time_to_seconds(certificate["notAfter"])) if certificate else 0.0

    def close(self) -> None:
        """Close it at once."""
        self._socket.close()

    async def _exchange(self, act: Callable[..., Done], *args: Any) -> Done:
        """Do something with TLS, which may have to send or receive something for it."""
        while True:
            try:
                done, is_done = act(*args), True
            except ssl.SSLWantReadError:
                is_done = False
            if self._to_send.pending:
                await self._loop.sock_sendall(self._socket, self._to_send.read())
            if is_done:
                return done
            if received := await self._loop.sock_recv(self._socket, TLS_BYTES):
                self._received.write(received)
            else:
                self._received.write_eof()


async def race_connections(
    connects: Sequence[Callable[[], Coroutine[Any, Any, Connection]]],
) -> Connection:
    """Return the first connection that stands. Raises the error of the best address."""
    if not connects:
        raise NoData("no address")
    tasks: list[asyncio.Task[Connection]] = []
    won: asyncio.Task[Connection] | None = None
    try:
        while won is None:
            if len(tasks) < len(connects):
                tasks.append(asyncio.create_task(connects[len(tasks)]()))
            elif all(task.done() for task in tasks):
                return tasks[0].result()
            head_start_s = HEAD_START_S if len(tasks) < len(connects) else None
            running = [task for task in tasks if not task.done()] or tasks
            await asyncio.wait(running, timeout=head_start_s, return_when="FIRST_COMPLETED")
            won = next((task for task in tasks if task.done() and not task.exception()), None)
        return won.result()
    finally:
        for task in tasks:
            if task is not won:
                task.cancel()
                task.add_done_callback(_close_late)


def _close_late(task: asyncio.Task[Connection]) -> None:
    """Close a connection that is not needed any more."""
    if not task.cancelled() and not task.exception():
        task.result().close()


class Transport(httpx.AsyncBaseTransport):
    """Carries one request over a connection of its own: HTTP/1.1, by a proxy or without.

    httpx' own transport takes twice the processor time (docs/dev/performance.md), and knows only
    by traces when a stage begins.
    """

    def __init__(
        self,
        network: Network,
        context: ssl.SSLContext,
        proxy: httpx.Proxy | None,
        begin: Callable[[str], None],
    ) -> None:
        self._network = network
        self._context = context
        self._proxy = proxy
        self._begin = begin
        self.connection: Connection | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the head of the answer, and its body as a stream."""
        url, headers, proxy = request.url, request.headers.raw, self._proxy
        host, port = url.raw_host.decode(), url.port or DEFAULT_PORTS[url.scheme]
        connection = await self._connect(proxy.url if proxy else url)
        target, is_encrypted = url.raw_path, url.scheme == "https"
        if proxy and is_encrypted:
            await _open_tunnel(connection, b"%b:%d" % (url.raw_host, port), proxy)
        elif proxy:
            target = b"http://%b%b" % (url.netloc, target)
            headers = [*headers, *_authorize(proxy)]
        if is_encrypted:
            self._begin(Stage.TLS)
            await connection.start_tls(self._context, host)
        self._begin(Stage.HTTP)
        stream = _Http(connection)
        asked = h11.Request(method=request.method, target=target, headers=headers)
        head = await stream.ask(asked, request.content)
        return httpx.Response(head.status_code, headers=list(head.headers), stream=stream)

    async def _connect(self, url: httpx.URL) -> Connection:
        """Connect to a host by the first of its addresses that answers.

        One after the other, a dead address family would look like an outage of the host.
        """
        network, host = self._network, url.raw_host.decode()
        addresses = await network.resolve(host, url.port or DEFAULT_PORTS[url.scheme])
        self._begin(Stage.CONNECT)

        async def connect_to(address: Address) -> Connection:
            await network.before_connect(host)
            return await Connection.open(address)

        connects = [partial(connect_to, each) for each in addresses]
        self.connection = await race_connections(connects)
        return self.connection


class _Http(httpx.AsyncByteStream):
    """One request and its answer over a connection, which lets the event loop turn.

    64 KB of chunks of one byte, or of `100 Continue`, take up to 2.4 s to parse (httpcore 1.0.9,
    measured 2026-11).
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._parser = h11.Connection(h11.CLIENT, UNPARSED_CAP)
        self._unparsed = 0

    async def ask(self, request: h11.Request, body: bytes) -> h11.Response:
        """Send a request, and return the head of the answer. Raises `httpx.RemoteProtocolError`."""
        events = (request, *([h11.Data(body)] if body else []), h11.EndOfMessage())
        with suppress(OSError):  # a server may answer and close before it has read all
            await self._connection.send(b"".join(self._parser.send(each) or b"" for each in events))
        while not isinstance(event := await self._receive(), h11.Response):
            pass  # 1xx
        return event

    def __aiter__(self) -> Self:
        """Return the pieces of the body."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece of the body. Raises `httpx.RemoteProtocolError`."""
        event = await self._receive()
        if not isinstance(event, h11.Data):
            raise StopAsyncIteration
        self._unparsed = 0
        return bytes(event.data)

    async def _receive(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        parser = self._parser
        try:
            while (event := parser.next_event()) is h11.NEED_DATA:
                await asyncio.sleep(0)  # also if there is more already
                received = await self._connection.receive(READ_BYTES)
                if not received and parser.their_state is h11.SEND_RESPONSE:
                    raise httpx.RemoteProtocolError("no answer")
                self._unparsed += len(received)
                if self._unparsed > UNPARSED_CAP:
                    raise httpx.RemoteProtocolError("too much that is neither head nor body")
                parser.receive_data(received)
        except h11.RemoteProtocolError as error:
            raise httpx.RemoteProtocolError(str(error)) from error
        return event


async def _open_tunnel(connection: Connection, target: bytes, proxy: httpx.Proxy) -> None:
    """Let a proxy connect us to `host:port`. Raises `httpx.ProxyError` with what it says."""
    headers = [(b"Host", target), (b"Accept", b"*/*"), *_authorize(proxy)]
    asked = h11.Request(method=b"CONNECT", target=target, headers=headers)
    head = await _Http(connection).ask(asked, b"")
    if head.status_code not in SUCCESS:
        raise httpx.ProxyError(f"{head.status_code} {head.reason.decode('ascii', 'ignore')}")


def _authorize(proxy: httpx.Proxy) -> list[tuple[bytes, bytes]]:
    if not proxy.raw_auth:
        return []
    return [(b"Proxy-Authorization", b"Basic " + b64encode(b":".join(proxy.raw_auth)))]
