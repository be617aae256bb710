"""Checks of the virtual world, with results of the same types as the real ones."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from bot.core.model.fault import classify_answer, classify_refusal, parse_quota_remaining
from bot.core.model.measurement import Measurement
from bot.core.model.observation import (
    CONTROL,
    FEED,
    TOKEN_ENDPOINT,
    WELLKNOWN,
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    OwnSide,
    Stage,
    Target,
)
from bot.core.model.record import replace
from bot.core.oncall import Shifts
from bot.simulator.happening import NETWORK_KINDS
from bot.simulator.measurements import VirtualMeasurements, no_data_reason
from bot.simulator.status_page import StatusPage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.ports import Clock
    from bot.simulator.happening import HttpAnswer, InjectedFault
    from bot.simulator.measurements import MeasuredSignal
    from bot.simulator.world import RequestOutcome, World

TIMEOUT_S = 10.0
QUOTA_REMAINING = 299
"""Of 300, the burst of Auth0's free plan (Rate Limit Configurations, read 2026-08)."""
_BODY_BYTES = 1500
"""Bytes of an answer with tokens, about."""
_BROKEN_FROM = 500
_OK = 200
_NO_LOGIN = frozenset({WELLKNOWN, TOKEN_ENDPOINT})
OWN_SIDES = {True: OwnSide.NAMES_FOUND, False: OwnSide.NAMES_LOST, None: OwnSide.UNKNOWN}
_TIMEOUT_FAULTS = {
    ("dns", "timeout"): Fault(Stage.DNS, "timeout"),
    ("connect", "timeout"): Fault(Stage.TIMEOUT, "connect"),
    ("trickle", ""): Fault(Stage.TIMEOUT, "total"),
}
_FEED_STATES = {
    "empty": FeedState.EMPTY,
    "html": FeedState.UNREADABLE,
    "truncated": FeedState.UNREADABLE,
    "old": FeedState.STALE,
}
_NO_FEED = Fault(Stage.HTTP, "not_well_formed", status=200)


class RequestListener(Protocol):
    """Gets every request when it is over."""

    def __call__(self, place: str, at: float, result: str, latency_ms: float) -> None:
        """`at` is when it began; the result is `ok`, or a fault's stage and reason."""


class VirtualProber:
    """A `Prober` of the virtual world.

    Args:
        world: what happens.
        clock: the true time.
        bot_clock: what the bot takes for the time; None: the true time.
        measured_signals: what each measured target counts.
        timeout_s: every check is given up after this.
        on_request: gets every request.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        bot_clock: Clock | None = None,
        measured_signals: Mapping[Target, MeasuredSignal] | None = None,
        timeout_s: float = TIMEOUT_S,
        on_request: RequestListener | None = None,
    ) -> None:
        self.requests: Counter[str] = Counter()
        """By place, named as in the scenario."""
        self._world = world
        self._page = StatusPage(world.scenario, world.begin_at)
        self._measurements = VirtualMeasurements(world, measured_signals or {})
        self._clock = clock
        self._bot_clock = bot_clock or clock
        self._timeout_s = timeout_s
        self._on_request = on_request

    async def probe(self, target: Target) -> Observation:
        """Probe a target, and take the time that it takes."""
        at, begun_at = self._clock.now(), self._bot_clock.now()
        drawn = self._world.draw_request(target, at)
        fault, latency_s = fault_and_latency(target, drawn, at, self._timeout_s)
        quota_remaining = _quota(target, drawn, fault)
        if fault and fault.stage is Stage.DNS and fault.reason != "nxdomain":
            fault = replace(fault, own_side=OWN_SIDES[self._world.are_names_found(at)])
        await self._send_request(str(target), latency_s)
        no_data_reason = ""
        if target.name == TOKEN_ENDPOINT and drawn.fault.http and latency_s < self._timeout_s:
            fault, no_data_reason = _judge_refusal(drawn.fault.http, at + latency_s)
        elif fault is None and target.name not in _NO_LOGIN:
            self._measurements.own_logins[target.owner] += 1
            fault = self._find_token_fault(target)
        self._report_request(str(target), at, fault, latency_s)
        return Observation(
            target=target,
            at=begun_at,
            outcome=Outcome.NO_DATA if no_data_reason else Outcome.FAILED if fault else Outcome.OK,
            latency_s=None if no_data_reason else latency_s,
            fault=fault,
            no_data_reason=no_data_reason,
            quota_remaining=quota_remaining,
        )

    async def poll_shifts(self) -> Shifts:
        """Raise: scenarios have no on-call calendar."""
        return Shifts(self._clock.now(), fault="a scenario has no calendar")

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll the feed of the environment that the target is named after."""
        at, begun_at = self._clock.now(), self._bot_clock.now()
        drawn = self._world.draw_request(target, at)
        fault, latency_s = fault_and_latency(target, drawn, at, self._timeout_s)
        await self._send_request(FEED, latency_s)
        self._report_request(FEED, at, fault, latency_s)
        state = _feed_state(drawn, fault)
        incidents = self._page.status_incidents(target.name, at) if state is FeedState.OK else ()
        no_feed = _NO_FEED if state is FeedState.UNREADABLE else fault
        return FeedReading(target, begun_at, state, incidents, no_feed)

    async def measure(self, target: Target) -> Measurement:
        """Query the place that serves a target; if that fails there is no data."""
        at, begun_at = self._clock.now(), self._bot_clock.now()
        place = self._measurements.place(target)
        fault, latency_s = fault_and_latency(
            target, self._world.draw_request(place, at), at, self._timeout_s
        )
        await self._send_request(place, latency_s)
        self._report_request(place, at, fault, latency_s)
        if fault:
            return Measurement(target, begun_at, no_data_reason=no_data_reason(fault))
        return replace(self._measurements.read(target, at), at=begun_at)

    def _find_token_fault(self, _target: Target) -> Fault | None:
        """Return what is wrong with the token that an answer has just brought: nothing."""
        return None

    async def _send_request(self, place: str, latency_s: float) -> None:
        self.requests[place] += 1
        await self._clock.sleep(latency_s)

    def _report_request(self, place: str, at: float, fault: Fault | None, latency_s: float) -> None:
        if self._on_request:
            result = f"{fault.stage} {fault.reason}" if fault else "ok"
            self._on_request(place, at, result, latency_s * 1000)


def fault_and_latency(
    target: Target, drawn: RequestOutcome, at: float, timeout_s: float
) -> tuple[Fault | None, float]:
    """Return how a request ends that began at `at`, and after how many seconds."""
    latency_s = _latency(drawn)
    if latency_s > timeout_s:
        kind, word = drawn.fault.kind, drawn.fault.word
        return _TIMEOUT_FAULTS.get((kind, word), Fault(Stage.TIMEOUT, "read")), timeout_s
    return _fault_of(target, drawn.fault, at + latency_s), latency_s


def _latency(drawn: RequestOutcome) -> float:
    happening = drawn.fault
    if happening.kind == "hang" or happening.word == "timeout":
        return math.inf
    if happening.kind == "trickle":
        return drawn.latency_s + _BODY_BYTES / happening.amount
    return drawn.latency_s


def _fault_of(target: Target, happening: InjectedFault, now: float) -> Fault | None:
    if happening.kind in NETWORK_KINDS:
        return Fault(Stage(happening.kind), happening.word)
    if happening.kind == "token":
        stage = Stage.PROOF if happening.word.endswith("_proof") else Stage.TOKEN
        return Fault(stage, happening.word, status=200)
    return _fault_of_answer(target, happening.http, now) if happening.http else None


def _judge_refusal(answer: HttpAnswer, now: float) -> tuple[Fault | None, str]:
    return classify_refusal(answer.status, answer.document(), headers=_headers_of(answer), now=now)


def _headers_of(answer: HttpAnswer) -> dict[str, str]:
    page = {"content-type": "text/html"} if answer.body == "html" else {}
    return {**page, **dict(answer.headers)}


def _fault_of_answer(target: Target, answer: HttpAnswer, now: float) -> Fault | None:
    if target.owner == CONTROL and answer.status < _BROKEN_FROM:
        return None
    document = None if target.owner in {CONTROL, FEED} else answer.document()
    fault = classify_answer(answer.status, document, headers=_headers_of(answer), now=now)
    # HTTP 2xx with a JSON object that has none of the expected keys.
    reason = "wrong_issuer" if target.name == WELLKNOWN else "malformed"
    return fault or Fault(Stage.TOKEN, reason, status=answer.status)


def _feed_state(drawn: RequestOutcome, fault: Fault | None) -> FeedState:
    if drawn.fault.http and drawn.fault.http.status == _OK:
        return FeedState.UNREADABLE
    if fault:
        return FeedState.UNREACHABLE
    return _FEED_STATES.get(drawn.fault.word, FeedState.OK)


def _quota(target: Target, drawn: RequestOutcome, fault: Fault | None) -> int | None:
    if drawn.fault.http:
        return parse_quota_remaining(dict(drawn.fault.http.headers))
    counts = target.owner != CONTROL and target.name not in _NO_LOGIN
    has_head = fault is None or drawn.fault.kind in {"token", "trickle"}
    return QUOTA_REMAINING if counts and has_head else None
