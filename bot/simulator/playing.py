"""Injects a scenario's faults into real connections."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, NoReturn

from aiohttp import web

from bot.simulator.happening import BOT, NETWORK_KINDS, OK, InjectedFault
from bot.simulator.virtual_slack import BROKEN, SLACK, SLACK_TIMEOUT_S, TOO_MANY
from bot.simulator.workspace.model import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import FeedReading, Observation, Target
    from bot.core.oncall import Shifts
    from bot.http.network import Address, Network
    from bot.ports import Clock, Prober
    from bot.simulator.happening import HttpAnswer
    from bot.simulator.scenario import Scenario
    from bot.simulator.world import RequestOutcome, World

HTML = "<!DOCTYPE html><html><head><title>{status}</title></head><body>{status}</body></html>"
_CURRENT_TARGET: ContextVar[Target | str | None] = ContextVar("looking_at", default=None)
_CURRENT_FAULT: ContextVar[InjectedFault] = ContextVar("on_the_way", default=OK)
_DNS_ERRORS = {"nxdomain": socket.EAI_NONAME, "servfail": socket.EAI_AGAIN}
_CONNECT_ERRORS = {"refused": errno.ECONNREFUSED, "reset": errno.ECONNRESET}
_VERIFY_CODES = {"expired": 10, "wrong_host": 62, "untrusted": 20}
"""X509_V_ERR_* of OpenSSL's x509_vfy.h."""


def find_unplayable(scenario: Scenario) -> list[str]:
    """Name what cannot be played on real connections, in a scenario whose `bot` is valid."""
    place = scenario.document.place_of
    faults = [
        f"{place(('timeline', number)).name}: timeline[{number}]: "
        f"{entry.fault.kind} of {target} cannot be played in real time"
        for number, entry in enumerate(scenario.timeline)
        for target in entry.targets
        if entry.fault != OK and (target == BOT or (target == SLACK and _is_odd(entry.fault)))
    ]
    # It would reach real people.
    return faults + [
        f"{place(('bot', 'notify')).name}: bot.notify: {point['name']}: "
        "an Apprise address cannot be played in real time"
        for point in scenario.bot.get("notify", ())
        if "apprise" in point
    ]


def _is_odd(fault: InjectedFault) -> bool:
    """Tell whether it is an answer that the local workspace does not give."""
    return fault.http is not None and fault.http.status < BROKEN and fault.http.status != TOO_MANY


async def answer_with_fault(
    request: web.Request,
    drawn: RequestOutcome,
    clock: Clock,
    answer: Callable[[InjectedFault], Awaitable[web.Response]],
) -> web.StreamResponse:
    """Answer a request with the world's fault; `answer` makes the healthy part."""
    happening = drawn.fault
    if happening.kind == "hang":
        await _hang()
    await clock.sleep(drawn.latency_s)
    if happening.http:
        return _fault_response(happening.http)
    response = await answer(happening)
    if happening.kind == "trickle":
        return await _trickle(request, response, clock, 1 / happening.amount)
    return response


def _fault_response(answer: HttpAnswer) -> web.Response:
    headers = dict(answer.headers)
    if answer.body == "json":
        return web.json_response(answer.document(), status=answer.status, headers=headers)
    html = HTML.format(status=answer.status) if answer.body == "html" else ""
    return web.Response(
        text=html, status=answer.status, headers={"content-type": "text/html", **headers}
    )


async def _trickle(
    request: web.Request, whole: web.Response, clock: Clock, pause_s: float
) -> web.StreamResponse:
    body = whole.body if isinstance(whole.body, bytes) else b""
    stream = web.StreamResponse(status=whole.status, headers=whole.headers)
    stream.content_length = len(body)
    await stream.prepare(request)
    with suppress(ConnectionResetError):  # the client closed the connection
        for byte in body:
            await clock.sleep(pause_s)
            await stream.write(bytes([byte]))
    return stream


async def _hang() -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


class MarkingProber:
    """Tells `FaultyPath` which target is being checked: one host serves several targets."""

    def __init__(self, inner: Prober, places: Mapping[Target, Target | str]) -> None:
        """Check with `inner`; `places` are the scenario's names of targets that have other ones."""
        self._inner = inner
        self._places = places

    async def probe(self, target: Target) -> Observation:
        """Probe a target."""
        with self._mark_target(target):
            return await self._inner.probe(target)

    async def measure(self, target: Target) -> Measurement:
        """Query a source."""
        with self._mark_target(target):
            return await self._inner.measure(target)

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll a status feed."""
        with self._mark_target(target):
            return await self._inner.poll_feed(target)

    async def poll_shifts(self) -> Shifts:
        """Read the on-call calendar."""
        return await self._inner.poll_shifts()

    @contextmanager
    def _mark_target(self, target: Target) -> Iterator[None]:
        token = _CURRENT_TARGET.set(self._places.get(target, target))
        try:
            yield
        finally:
            _CURRENT_TARGET.reset(token)


class FaultyPath:
    """A `Network` with the scenario's DNS, connection and TLS faults.

    Args:
        inner: reaches hosts where the world has no fault.
        world: what happens.
        clock: the story's time.
        places: the scenario's names of what listens at these addresses, where nothing else says
            what is being reached.
    """

    def __init__(
        self, inner: Network, world: World, clock: Clock, places: Mapping[Address, Target]
    ) -> None:
        self._inner = inner
        self._places = places
        self._world = world
        self._clock = clock

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Draw one fault for the whole connection, and play it here if DNS fails."""
        target = _CURRENT_TARGET.get() or self._places.get((host, port))
        drawn = self._world.draw_request(target, self._clock.now()).fault if target else OK
        _CURRENT_FAULT.set(drawn if drawn.kind in NETWORK_KINDS else OK)
        if drawn.kind == "dns":
            if drawn.word in _DNS_ERRORS:
                raise socket.gaierror(_DNS_ERRORS[drawn.word], drawn.word)
            await _hang()
        return await self._inner.resolve(host, port)

    async def before_connect(self, host: str) -> None:
        """Play the fault that was drawn, if the connection or TLS fails."""
        drawn = _CURRENT_FAULT.get()
        if drawn.kind == "connect":
            await _fail_to_connect(drawn.word)
        if drawn.kind == "tls":
            raise _certificate_error(drawn.word)
        await self._inner.before_connect(host)


async def _fail_to_connect(word: str) -> NoReturn:
    if word in _CONNECT_ERRORS:
        # With these numbers it becomes a ConnectionRefusedError or ConnectionResetError.
        raise OSError(_CONNECT_ERRORS[word], word)
    await _hang()


def _certificate_error(word: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"certificate verify failed: {word}")
    error.verify_code = _VERIFY_CODES[word]
    return error


def slack_fault(world: World, clock: Clock, _method: str) -> Fault | None:
    """Give the local workspace the scenario's faults of Slack's Web API."""
    happening = world.draw_request(SLACK, clock.now()).fault
    if happening.kind in NETWORK_KINDS:
        return Fault(FaultKind.CUT)
    if happening.kind in {"hang", "trickle"}:
        return Fault(FaultKind.SLOW, SLACK_TIMEOUT_S + 1)
    if happening.kind == "latency":
        return Fault(FaultKind.SLOW, happening.amount / clock.speed)
    if happening.http is None:
        return None
    if happening.http.status == TOO_MANY:
        headers = {name.lower(): value for name, value in happening.http.headers}
        return Fault(FaultKind.RATE_LIMITED, float(headers.get("retry-after", 1)))
    return Fault(FaultKind.SERVER_ERROR)
