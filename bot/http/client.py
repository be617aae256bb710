"""One request over a connection of its own, as a user's would be.

A client lives for one request: a synthetic transaction should go through DNS, TCP and TLS, and
httpx 0.28's pool stays wedged after cancellations under contention (encode/httpcore#1093).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import zlib
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import httpx

from bot.core.model.observation import Fault, Stage, Timing
from bot.http.errors import NoData, classify_error

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.http.loop_lag import LoopLag
    from bot.http.resolver import Address, Network
    from bot.ports import Clock
from bot.http.errors import BadBody


class Stopwatch:
    """Times one stage after the other."""

    def __init__(self, clock: Clock, stage: str) -> None:
        """Start with `stage`."""
        self._clock = clock
        self.stage = stage
        self.started_at = self._since = clock.now()
        self._done: list[Timing] = []

    def begin(self, stage: str) -> None:
        """End the present stage and begin another; beginning the same one again goes on with it."""
        if stage != self.stage:
            self._done = list(self.timings())
            self.stage, self._since = stage, self._clock.now()

    def timings(self) -> tuple[Timing, ...]:
        """Return the stages so far, the present one up to now."""
        return (*self._done, Timing(self.stage, self._clock.now() - self._since))

    def elapsed_s(self) -> float:
        """Return the time since the start."""
        return self._clock.now() - self.started_at


GZIP_OR_ZLIB = 47
"""`wbits` for zlib: 15, plus 32 to detect either header."""
COMPRESSED_ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})


async def read_body(response: httpx.Response, cap: int) -> bytes:
    """Read at most `cap` bytes, counted after inflating.

    We ask for `identity`, yet some servers compress all the same. httpx would inflate 64 KB of a
    gzip bomb to 64 MB before we see a byte. Raises `BadBody` or `zlib.error`.
    """
    inflate = _inflater(response.headers.get("content-encoding", "identity"))
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
    """Read a JSON object in UTF-8; None for anything else, however deep, long or broken."""
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # the former also for integers beyond 4,300 digits
        return None
    return document if isinstance(document, dict) else None


def _inflater(encoding: str) -> zlib._Decompress | None:
    name = encoding.strip().lower()
    if name in {"identity", ""}:
        return None
    if name not in COMPRESSED_ENCODINGS:
        raise BadBody("bad_encoding")
    return zlib.decompressobj(GZIP_OR_ZLIB)


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
"""From here on the head says it all, however the body breaks off: a 503 is a 503."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """What to send. All that may hold a secret is left out of its repr."""

    url: str = field(repr=False)
    timeout_s: float
    """For all of it, from the look-up to the last byte; a span of the clock port."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    """With it the request is a POST."""
    json: Mapping[str, Any] | None = field(default=None, repr=False)
    """Likewise, in place of a form."""
    ca_file: str | None = None
    """Trusted instead of the public certificate authorities."""
    cap: int = MEGABYTE
    """The longest body in bytes; at 0 the body is not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResult:
    """What came of a call: an answer of any status, or a fault, or `blind`."""

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
    """Why we could not look; then nothing else counts."""


class Closable(Protocol):
    """A connection of httpcore's."""

    async def aclose(self) -> None:
        """Close it, even if it is closed already."""


class Fetcher:
    """Makes calls, any number at a time; nothing is shared between them but the TLS contexts."""

    def __init__(self, clock: Clock, path: Network, lag: LoopLag) -> None:
        """Take the clock that times and limits are by, the way to hosts, and the lag meter."""
        self.clock = clock
        self._network = path
        self._lag = lag
        self._ssl_contexts: dict[str | None, ssl.SSLContext] = {}

    async def fetch(self, call: HttpRequest) -> HttpResult:
        """Send one request. Raises nothing but on cancellation."""
        exchange = _Exchange(call, self._network, self.clock)
        mark = self._lag.mark()
        fault, blind = None, ""
        try:
            fault = await exchange.run(self._ssl_context(call.ca_file))
        except NoData as error:
            blind = str(error)
        if self._lag.was_blocked_since(mark):
            fault, blind = None, "our event loop was blocked"
        return exchange.to_result(fault, blind)

    def _ssl_context(self, ca_file: str | None) -> ssl.SSLContext:
        """Build each context once: it takes 20 ms, in which the loop stands still."""
        if ca_file not in self._ssl_contexts:
            self._ssl_contexts[ca_file] = _create_ssl_context(ca_file)
        return self._ssl_contexts[ca_file]


def _create_ssl_context(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # of which ssl.SSLError is one
        raise NoData("the CA file cannot be read") from error


class _Exchange:
    """One request on its way. Keeps what it has learnt, should it not arrive."""

    def __init__(self, call: HttpRequest, path: Network, clock: Clock) -> None:
        self._request = call
        self._network = path
        self._limit_s = call.timeout_s / clock.speed
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
        except Exception as error:  # noqa: BLE001 - what no rule explains is told as our own
            fault = classify_error(error, self._watch.stage)
            return None if self._status >= NOT_2XX else fault
        finally:
            await self._close()
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
        """Try one address after the other; the first failure is told, as the best address's."""
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
        """Connect to an address that we looked up, yet speak to the host by its name."""
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

    async def _close(self) -> None:
        """Close what httpcore 1.0 leaves to the garbage collector: cancelled in a TLS handshake."""
        if self._socket:
            await self._socket.aclose()
