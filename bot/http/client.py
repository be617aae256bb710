"""One request over a connection of its own, as a user's would be.

A synthetic transaction should go through DNS, TCP and TLS.
"""

from __future__ import annotations

import json
import ssl
import zlib
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import httpx

from bot.core.model.observation import Fault, Stage, Timing
from bot.http.errors import BadBody, NoData, classify_error, name_proxy
from bot.http.loop_lag import StallFreeClock
from bot.http.network import Transport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.http.loop_lag import LoopLag
    from bot.http.network import Network
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
        # Up to here all cost is ours, and no stage of the target.
        clock = StallFreeClock(self.clock, self._lag)
        exchange = _Exchange(request, clock, self.network, context, self.proxy)
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
        clock: StallFreeClock,
        network: Network,
        context: ssl.SSLContext,
        proxy: httpx.Proxy | None,
    ) -> None:
        self._request = request
        self._proxy = proxy
        self._clock = clock
        self._limit_s = request.timeout_s / clock.speed
        self._watch = Stopwatch(clock, Stage.DNS)
        self._transport = Transport(network, context, proxy, self._watch.begin)
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._body = b""
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
            if self._transport.connection:
                self._transport.connection.close()
        if self._status >= NOT_2XX:
            fault = None
        has_waited = fault is None or "timeout" in {fault.stage, fault.reason}
        if self._clock.stalled_s and (not has_waited or self._status == REQUEST_TIMEOUT):
            raise NoData("our event loop was blocked")
        if fault and self._proxy:
            address = self._proxy.url.netloc.decode()
            return name_proxy(fault, address, is_connected=self._transport.connection is not None)
        return fault

    async def _send(self) -> None:
        client = httpx.AsyncClient(transport=self._transport, trust_env=False)
        async with client:  # its time-outs are nobody's: those of `StallFreeClock` count
            asked = self._request
            request = client.build_request(
                "GET" if asked.form is None and asked.json is None else "POST",
                asked.url,
                data=asked.form,
                json=asked.json,
                headers={
                    "User-Agent": "auth0-check",
                    "Accept-Encoding": "identity",
                    **asked.headers,
                },
            )
            response = await client.send(request, stream=True)
            async with aclosing(response):
                if self._transport.connection:
                    self._certificate_ends_at = self._transport.connection.find_certificate_end()
                self._status = response.status_code
                self._headers = {k.lower(): v for k, v in response.headers.items()}
                self._watch.begin(BODY_STAGE)
                if asked.cap:
                    self._body = await read_body(response, asked.cap)
