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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from bot.core.model.observation import Fault, Stage, Timing
from bot.http.errors import BadBody, NoData, classify_error

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

    def elapsed_s(self) -> float:
        """Return the time since the first stage began."""
        return self._clock.now() - self.started_at


GZIP_OR_ZLIB = 47
"""`wbits` for zlib: 15, plus 32 to detect either header."""
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
    body, is_empty = bytearray(), True
    async for chunk in response.aiter_raw():
        is_empty = False
        body += inflate.decompress(chunk, cap + 1 - len(body)) if inflate else chunk
        if len(body) > cap:
            raise BadBody("too_large")
    if inflate and not inflate.eof and not is_empty:
        raise BadBody("bad_encoding")
    return bytes(body)


def parse_json_object(body: bytes) -> dict[str, Any] | None:
    """Parse a JSON object in UTF-8; None for anything else, however deep, long or broken."""
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # the former also for integers beyond 4,300 digits
        return None
    return document if isinstance(document, dict) else None


MEGABYTE = 1_000_000
BODY_STAGE = "body"
DEFAULT_PORTS = {"http": 80, "https": 443}
STAGE_BY_TRACE = {
    "connection.connect_tcp.started": Stage.CONNECT,
    "connection.start_tls.started": Stage.TLS,
    "http11.send_request_headers.started": Stage.HTTP,
}
"""httpcore's trace events that begin a stage."""
CONNECTED_TRACE = "connection.connect_tcp.complete"
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
    cap: int = MEGABYTE
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


Fetch = Callable[[HttpRequest], Awaitable[HttpResult]]
"""Sends one request. Never raises, except when cancelled."""


class Closable(Protocol):
    """A connection of httpcore."""

    async def aclose(self) -> None:
        """Close it; harmless if it is closed already."""


class Fetcher:
    """Sends requests, any number at a time; they share nothing but the TLS contexts."""

    def __init__(self, clock: Clock, network: Network, lag: LoopLag) -> None:
        """Measure by `clock`, connect through `network`, and discard what `lag` has spoiled."""
        self.clock = clock
        self._network = network
        self._lag = lag
        self._ssl_contexts: dict[str | None, ssl.SSLContext] = {}

    async def fetch(self, request: HttpRequest) -> HttpResult:
        """Send one request. Never raises, except when cancelled."""
        exchange = _Exchange(request, self._network, self.clock)
        mark = self._lag.mark()
        fault, no_data_reason = None, ""
        try:
            fault = await exchange.run(self._ssl_context(request.ca_file))
        except NoData as error:
            no_data_reason = str(error)
        if self._lag.was_blocked_since(mark):
            fault, no_data_reason = None, "our event loop was blocked"
        return exchange.to_result(fault, no_data_reason)

    def _ssl_context(self, ca_file: str | None) -> ssl.SSLContext:
        """Build each context once: it blocks the event loop for 20 ms."""
        if ca_file not in self._ssl_contexts:
            try:
                context = ca_file and ssl.create_default_context(cafile=ca_file)
            except OSError as error:  # ssl.SSLError is one
                raise NoData("the CA file cannot be read") from error
            self._ssl_contexts[ca_file] = context or httpx.create_ssl_context(trust_env=False)
        return self._ssl_contexts[ca_file]


class _Exchange:
    """One request in progress. It remembers what it has learnt, in case it does not finish."""

    def __init__(self, request: HttpRequest, network: Network, clock: Clock) -> None:
        self._request = request
        self._network = network
        self._limit_s = request.timeout_s / clock.speed
        self._watch = Stopwatch(clock, Stage.DNS)
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._body = b""
        self._socket: Closable | None = None

    def to_result(self, fault: Fault | None, no_data_reason: str) -> HttpResult:
        return HttpResult(
            at=self._watch.started_at,
            latency_s=self._watch.elapsed_s(),
            timings=self._watch.timings(),
            status=self._status,
            headers=self._headers,
            body=self._body,
            fault=fault,
            no_data_reason=no_data_reason,
        )

    async def run(self, context: ssl.SSLContext) -> Fault | None:
        try:
            async with asyncio.timeout(self._limit_s):
                await self._send(context)
        except Exception as error:  # noqa: BLE001 - what no rule explains counts as our own error
            fault = classify_error(error, self._watch.stage)
            return None if self._status >= NOT_2XX else fault
        finally:
            # httpcore 1.0 leaves a TLS handshake that was cancelled to the garbage collector.
            if self._socket:
                await self._socket.aclose()
        return None

    async def _send(self, context: ssl.SSLContext) -> None:
        url = httpx.URL(self._request.url)
        host = url.raw_host.decode()
        addresses = await self._network.resolve(host, url.port or DEFAULT_PORTS[url.scheme])
        async with httpx.AsyncClient(
            verify=context, trust_env=False, timeout=self._limit_s
        ) as client:
            response = await self._open(client, url, addresses)
            async with aclosing(response):
                self._status = response.status_code
                self._headers = {k.lower(): v for k, v in response.headers.items()}
                self._watch.begin(BODY_STAGE)
                if self._request.cap:
                    self._body = await read_body(response, self._request.cap)

    async def _open(
        self, client: httpx.AsyncClient, url: httpx.URL, addresses: Sequence[Address]
    ) -> httpx.Response:
        """Try one address after the other. Raises the first error, that of the best address."""
        first: Exception | None = None
        for address in addresses:
            self._watch.begin(Stage.CONNECT)
            try:
                return await self._try_address(client, url, address, self._limit_s / len(addresses))
            except (OSError, httpx.ConnectError) as error:
                if self._watch.stage != Stage.CONNECT:
                    raise
                first = first or error
        raise first or NoData("no address")

    async def _try_address(
        self, client: httpx.AsyncClient, url: httpx.URL, address: Address, connect_s: float
    ) -> httpx.Response:
        """Connect to the address that DNS gave, but use the host's name for TLS and HTTP."""
        host = url.raw_host.decode()
        async with asyncio.timeout(connect_s) as limit:

            async def trace(event: str, info: Mapping[str, Any]) -> None:
                self._watch.begin(STAGE_BY_TRACE.get(event, self._watch.stage))
                if event == CONNECTED_TRACE:
                    self._socket = info["return_value"]
                    limit.reschedule(None)

            await self._network.before_connect(host)
            request = client.build_request(
                "GET" if self._request.form is None and self._request.json is None else "POST",
                url.copy_with(host=address[0], port=address[1]),
                data=self._request.form,
                json=self._request.json,
                headers={
                    "User-Agent": "auth0-check",
                    "Accept-Encoding": "identity",
                    **self._request.headers,
                    "Host": url.netloc.decode(),
                },
                extensions={"sni_hostname": host, "trace": trace},
            )
            return await client.send(request, stream=True)
