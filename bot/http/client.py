"""One request over a connection of its own, as a user's would be.

A client lives for one request: a synthetic transaction should go through DNS, TCP and TLS, and
httpx 0.28's pool stays wedged after cancellations under contention (encode/httpcore#1093).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import zlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import httpcore
import httpx

from bot.core.model.observation import Fault, Stage, Timing
from bot.http.errors import BadBody, NoData, classify_error, name_proxy
from bot.http.loop_lag import StallFreeClock
from bot.http.resolver import race_connections

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.http.loop_lag import LoopLag
    from bot.http.resolver import Address, Network
    from bot.ports import Clock


class Stopwatch:
    """Measures how long each stage takes, one after the other."""

    def __init__(self, clock: Clock, stage: str) -> None:
        """Start with `stage`."""
        self._clock = clock
        self.stage = stage
        self.started_at = self._since = clock.now()
        self._done: list[Timing] = []

    def begin(self, stage: str) -> None:
        """End the current stage and begin another; if it is the same stage, continue it."""
        if stage != self.stage:
            self._done = list(self.timings())
            self.stage, self._since = stage, self._clock.now()

    def timings(self) -> tuple[Timing, ...]:
        """Return the stages so far, the current one up to now."""
        return (*self._done, Timing(self.stage, self._clock.now() - self._since))


READ_BYTES = 2048
"""At a time, with a turn of the event loop in between. In chunks of one byte they take 25 ms to
parse on a busy machine (measured 2026-11)."""
UNPARSED_CAP = 32 * 1024
"""Bytes without a head, before which any number of 1xx may come, or without a piece of the body.
Real heads are below 10 KB; so many bytes in lines of four take 60 ms to parse."""


class _Transport(httpx.AsyncHTTPTransport):
    """Carries one request, and lets the event loop turn whatever the server sends.

    httpcore parses all that one read brings before it reads again. 64 KB of chunks of one byte, or
    of `100 Continue`, held the loop for up to 2.4 s (httpcore 1.0.9, measured 2026-11).
    """

    def __init__(
        self, context: ssl.SSLContext, backend: _Backend, proxy: httpx.Proxy | None
    ) -> None:
        super().__init__(verify=context, trust_env=False)
        # httpx 0.28 has no parameter for the backend.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            network_backend=backend,
            proxy=httpcore.Proxy(str(proxy.url), auth=proxy.raw_auth) if proxy else None,
        )


class _Backend(httpcore.AnyIOBackend):
    """Connects to a host by the first of its addresses that answers.

    One after the other, a dead address family would look like an outage of the host.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.addresses: Sequence[Address] = ()
        """The host's, the best first."""

    async def connect_tcp(self, *args: Any, **more: Any) -> httpcore.AsyncNetworkStream:
        """Connect to `host`; each address has a port of its own."""
        connect, host = super().connect_tcp, more["host"]

        async def connect_to(address: Address) -> httpcore.AsyncNetworkStream:
            await self._network.before_connect(host)
            return await connect(*args, **{**more, "host": address[0], "port": address[1]})

        return _Stream(
            await race_connections([partial(connect_to, each) for each in self.addresses])
        )


class _Stream(httpcore.AsyncNetworkStream):
    """Reads little at a time, and lets the loop turn in between even if there is more already."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._unparsed = 0

    def forget_unparsed(self) -> None:
        """Note that what was received so far has come to something."""
        self._unparsed = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - httpcore's
        """Read some bytes. Raises `httpcore.RemoteProtocolError` if too many come to nothing."""
        await asyncio.sleep(0)
        received = await self._stream.read(min(max_bytes, READ_BYTES), timeout)
        self._unparsed += len(received)
        if self._unparsed > UNPARSED_CAP:
            raise httpcore.RemoteProtocolError("too much that is neither head nor body")
        return received

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - httpcore's
        """Write all of it."""
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **more: Any) -> httpcore.AsyncNetworkStream:
        """Return the same connection with TLS."""
        return _Stream(await self._stream.start_tls(*args, **more))

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for."""
        return self._stream.get_extra_info(info)


GZIP_OR_ZLIB = 47
"""`wbits` for zlib: 15, plus 32 to detect either header."""
SMALLEST_CHUNK = 256
"""Bytes for which each chunk counts at least: it takes as long as they do, up to 0.1 ms."""
COMPRESSED_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})


async def read_body(response: httpx.Response, cap: int) -> bytes:
    """Read at most `cap` bytes, counted after inflating. Raises `BadBody` or `zlib.error`.

    The bot asks for `identity`, but some servers compress anyway. httpx would inflate 64 KB of a
    gzip bomb to 64 MB before the bot sees a byte.
    """
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity", *COMPRESSED_ENCODINGS}:
        raise BadBody("bad_encoding")
    inflate = zlib.decompressobj(GZIP_OR_ZLIB) if encoding in COMPRESSED_ENCODINGS else None
    body, chunks = bytearray(), 0
    async for chunk in response.aiter_raw():
        response.extensions["network_stream"].forget_unparsed()
        chunks += 1
        body += inflate.decompress(chunk, cap + 1 - len(body)) if inflate else chunk
        if len(body) > cap or chunks * SMALLEST_CHUNK > cap:
            raise BadBody("too_large")
    if inflate and not inflate.eof and chunks:
        raise BadBody("bad_encoding")
    return bytes(body)


def parse_json_object(body: bytes) -> dict[str, Any] | None:
    """Parse a JSON object in UTF-8; None for anything else, however deep, long or broken."""
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # the former also for integers beyond 4,300 digits
        return None
    return document if isinstance(document, dict) else None


ANSWER_CAP = 128 * 1024
"""Bytes of an answer, unless the request says otherwise. A token's is below 20 KB. To parse and
redact so much takes up to 50 ms, in which the event loop stands still (measured 2026-11)."""
BODY_STAGE = "body"
DEFAULT_PORTS = {"http": 80, "https": 443}
STAGE_BY_TRACE = {
    "connection.start_tls.started": Stage.TLS,
    "proxy.start_tls.started": Stage.TLS,
    "http11.send_request_headers.started": Stage.HTTP,
}
"""httpcore's trace events that begin a stage."""
CONNECTED_TRACE = "connection.connect_tcp.complete"
REQUEST_TIMEOUT = 408
"""The server waited for our request for too long (RFC 9110, 15.5.9)."""
NOT_2XX = 300
"""From this status on the head is enough, even if the body breaks off: a 503 is a 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What to send. Whatever may contain a secret is left out of the repr."""

    url: str = field(repr=False)
    timeout_s: float
    """For the whole request, from the DNS lookup to the last byte, by the clock port."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    """With it the request is a POST."""
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    """The same, with a JSON body instead of a form."""
    ca_file: str | None = None
    """Trusted instead of the public certificate authorities."""
    cap: int = ANSWER_CAP
    """The longest body in bytes; with 0 the body is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResult:
    """The result of a request: an answer of any status, or a fault, or no data."""

    at: float
    latency_s: float
    timings: tuple[Timing, ...]
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case."""
    body: bytes = field(default=b"", repr=False)
    fault: Fault | None = None
    """Why there is no whole answer."""
    no_data_reason: str = ""
    """Why the bot could not check; then nothing else counts."""
    certificate_ends_at: float = 0.0
    """When the server's certificate expires; 0 without TLS or answer."""


Fetch = Callable[[HttpRequest], Awaitable[HttpResult]]
"""Sends one request. Never raises, except when cancelled."""


class Fetcher:
    """Sends requests, any number at a time; they share nothing but the TLS contexts."""

    def __init__(self, clock: Clock, network: Network, lag: LoopLag) -> None:
        """Measure by `clock`, connect through `network`, and allow for the stalls of `lag`."""
        self.clock = clock
        self.network = network
        self._lag = lag
        self._ssl_contexts: dict[str | None, ssl.SSLContext] = {}
        self.proxy: httpx.Proxy | None = None

    def through(self, proxy: str | None) -> Self:
        """Return a fetcher like this one that sends all through a proxy, if one is given."""
        other = copy(self)
        other.proxy = httpx.Proxy(proxy) if proxy else None
        return other

    async def fetch(self, request: HttpRequest) -> HttpResult:
        """Send one request. Never raises, except when cancelled.

        A stall of our own event loop prolongs the wait for the target and is no part of its
        latency. So what it answered counts, and so does that it answered nothing in the full time.
        It may have given up because we were slow: how else it failed does not count.
        """
        try:
            context = self.trust(request.ca_file)
        except NoData as error:
            now = self.clock.now()
            return HttpResult(at=now, latency_s=0.0, timings=(), no_data_reason=str(error))
        await httpcore.AnyIOBackend().sleep(0)  # the first of all loads the libraries for it
        # Time-outs are those of `LoopLag`. Up to here all cost is ours, and no stage of the target.
        backend = _Backend(self.network)
        transport = _Transport(context, backend, self.proxy)
        client = httpx.AsyncClient(transport=transport, trust_env=False, timeout=None)  # noqa: S113
        clock = StallFreeClock(self.clock, self._lag)
        exchange = _Exchange(request, client, self.network, backend, clock, self.proxy)
        fault, no_data_reason = None, ""
        try:
            fault = await exchange.run()
        except NoData as error:
            no_data_reason = str(error)
        return exchange.to_result(fault, no_data_reason)

    def trust(self, ca_file: str | None) -> ssl.SSLContext:
        """Return the TLS context of a CA file, or of the public authorities. Raises `NoData`.

        It is built once. That blocks the event loop for 25 ms, or 250 ms with a tenth of a core, so
        best before the first request.
        """
        if ca_file not in self._ssl_contexts:
            try:
                context = ca_file and ssl.create_default_context(cafile=ca_file)
            except OSError as error:  # ssl.SSLError is one
                raise NoData("the CA file cannot be read") from error
            self._ssl_contexts[ca_file] = context or httpx.create_ssl_context(trust_env=False)
        return self._ssl_contexts[ca_file]


class _Exchange:
    """One request in progress. It remembers what it has learnt, in case it does not finish."""

    def __init__(
        self,
        request: HttpRequest,
        client: httpx.AsyncClient,
        network: Network,
        backend: _Backend,
        clock: StallFreeClock,
        proxy: httpx.Proxy | None,
    ) -> None:
        self._request = request
        self._proxy = proxy
        self._client = client
        self._network = network
        self._backend = backend
        self._clock = clock
        self._limit_s = request.timeout_s / clock.speed
        self._watch = Stopwatch(clock, Stage.DNS)
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._body = b""
        self._socket: _Stream | None = None
        self._certificate_ends_at = 0.0

    def to_result(self, fault: Fault | None, no_data_reason: str) -> HttpResult:
        return HttpResult(
            at=self._watch.started_at,
            latency_s=self._clock.now() - self._watch.started_at,
            timings=self._watch.timings(),
            status=self._status,
            headers=self._headers,
            body=self._body,
            fault=fault,
            no_data_reason=no_data_reason,
            certificate_ends_at=self._certificate_ends_at,
        )

    async def run(self) -> Fault | None:
        fault = None
        try:
            async with self._clock.timeout(self._limit_s):
                await self._send()
        except Exception as error:  # noqa: BLE001 - what no rule explains counts as our own error
            fault = classify_error(error, self._watch.stage)
        finally:
            # httpcore 1.0 leaves a TLS handshake that was cancelled to the garbage collector.
            if self._socket:
                await self._socket.aclose()
        if self._status >= NOT_2XX:
            fault = None
        has_waited = fault is None or "timeout" in {fault.stage, fault.reason}
        if self._clock.stalled_s and (not has_waited or self._status == REQUEST_TIMEOUT):
            raise NoData("our event loop was blocked")
        if fault and self._proxy:
            address = self._proxy.url.netloc.decode()
            return name_proxy(fault, address, is_connected=self._socket is not None)
        return fault

    async def _send(self) -> None:
        url = httpx.URL(self._request.url)
        first = self._proxy.url if self._proxy else url
        port = first.port or DEFAULT_PORTS[first.scheme]
        self._backend.addresses = await self._network.resolve(first.raw_host.decode(), port)
        async with self._client:
            response = await self._open(url)
            async with aclosing(response):
                self._status = response.status_code
                self._headers = {k.lower(): v for k, v in response.headers.items()}
                self._watch.begin(BODY_STAGE)
                if self._request.cap:
                    self._body = await read_body(response, self._request.cap)

    async def _open(self, url: httpx.URL) -> httpx.Response:
        """Connect, send the request, and return the answer's head."""
        self._watch.begin(Stage.CONNECT)

        async def trace(event: str, info: Mapping[str, Any]) -> None:
            if getattr(info.get("request"), "method", b"") != b"CONNECT":
                self._watch.begin(STAGE_BY_TRACE.get(event, self._watch.stage))
            if event == CONNECTED_TRACE:
                self._socket = info["return_value"]

        request = self._client.build_request(
            "GET" if self._request.form is None and self._request.json is None else "POST",
            url,
            data=self._request.form,
            json=self._request.json,
            headers={
                "User-Agent": "auth0-check",
                "Accept-Encoding": "identity",
                **self._request.headers,
            },
            extensions={"trace": trace},
        )
        response = await self._client.send(request, stream=True)
        tls = response.extensions["network_stream"].get_extra_info("ssl_object")
        if tls:
            self._certificate_ends_at = ssl.cert_time_to_seconds(tls.getpeercert()["notAfter"])
        return response
