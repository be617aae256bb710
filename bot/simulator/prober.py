"""Looking at the virtual world, in the same words as looking at the real one."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from bot.core.model.fault import from_answer, quota_remaining
from bot.core.model.measurement import Measurement
from bot.core.model.observation import (
    CONTROL,
    FEED,
    WELLKNOWN,
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    Stage,
    Target,
)
from bot.core.oncall.schedule import Shifts
from bot.simulator.figures import Figures, missing
from bot.simulator.status_page import StatusPage
from bot.simulator.world import WAY_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.ports import Clock
    from bot.simulator.figures import Gauge
    from bot.simulator.happening import Happening, HttpAnswer
    from bot.simulator.world import Drawn, World

TIMEOUT_S = 10.0
QUOTA_REMAINING = 299
"""Of 300, the burst of Auth0's free plan (Rate Limit Configurations, read 2026-08)."""
_BODY_BYTES = 1500
"""An answer with tokens has about so many."""
_BROKEN_FROM = 500
_OK = 200
_LATE = {
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


class Hook(Protocol):
    """Is told of every request when it is over."""

    def __call__(self, place: str, at: float, result: str, latency_ms: float) -> None:
        """`at` is when it began; the result is `ok`, or a fault's stage and reason."""


class VirtualProber:
    """A `Prober` of the virtual world."""

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        gauges: Mapping[Target, Gauge] | None = None,
        timeout_s: float = TIMEOUT_S,
        on_request: Hook | None = None,
    ) -> None:
        """Know the `gauges` of all that can be measured; give up every look after `timeout_s`."""
        self.requests: Counter[str] = Counter()
        """By place, as scenarios name them."""
        self._world = world
        self._page = StatusPage(world.scenario, world.begin_at)
        self._figures = Figures(world, gauges or {})
        self._clock = clock
        self._timeout_s = timeout_s
        self._on_request = on_request

    async def look(self, target: Target) -> Observation:
        """Look, and take as long as it takes."""
        at = self._clock.now()
        drawn = self._world.request(target, at)
        fault, latency_s = judge(target, drawn, at, self._timeout_s)
        await self._pass(str(target), at, fault, latency_s)
        if fault is None and target.name != WELLKNOWN:
            self._figures.logged_in[target.owner] += 1
        return Observation(
            target=target,
            at=at,
            outcome=Outcome.FAILED if fault else Outcome.OK,
            latency_s=latency_s,
            fault=fault,
            quota_remaining=_quota(target, drawn, fault),
        )

    async def read_shifts(self) -> Shifts:
        """Nobody keeps a calendar in a scenario."""
        return Shifts(self._clock.now(), fault="a scenario has no calendar")

    async def read(self, target: Target) -> FeedReading:
        """Read the feed of the environment that the target is named after."""
        at = self._clock.now()
        drawn = self._world.request(target, at)
        fault, latency_s = judge(target, drawn, at, self._timeout_s)
        await self._pass(FEED, at, fault, latency_s)
        state = _feed_state(drawn, fault)
        notices = self._page.notices(target.name, at) if state is FeedState.OK else ()
        no_feed = _NO_FEED if state is FeedState.UNREADABLE else fault
        return FeedReading(target, at, state, notices, no_feed)

    async def measure(self, target: Target) -> Measurement:
        """Ask the place that has a target's figures; where that fails there are none."""
        at, place = self._clock.now(), self._figures.place(target)
        fault, latency_s = judge(target, self._world.request(place, at), at, self._timeout_s)
        await self._pass(place, at, fault, latency_s)
        if fault:
            return Measurement(target, at, missing=missing(fault))
        return self._figures.read(target, at)

    async def _pass(self, place: str, at: float, fault: Fault | None, latency_s: float) -> None:
        self.requests[place] += 1
        await self._clock.sleep(latency_s)
        if self._on_request:
            result = f"{fault.stage} {fault.reason}" if fault else "ok"
            self._on_request(place, at, result, latency_s * 1000)


def judge(target: Target, drawn: Drawn, at: float, timeout_s: float) -> tuple[Fault | None, float]:
    """Say how a request ends that began at `at`, and after how many seconds."""
    latency_s = _latency(drawn)
    if latency_s > timeout_s:
        kind, word = drawn.happening.kind, drawn.happening.word
        return _LATE.get((kind, word), Fault(Stage.TIMEOUT, "read")), timeout_s
    return _ended(target, drawn.happening, at + latency_s), latency_s


def _latency(drawn: Drawn) -> float:
    happening = drawn.happening
    if happening.kind == "hang" or happening.word == "timeout":
        return math.inf
    if happening.kind == "trickle":
        return drawn.latency_s + _BODY_BYTES / happening.amount
    return drawn.latency_s


def _ended(target: Target, happening: Happening, now: float) -> Fault | None:
    if happening.kind in WAY_KINDS:
        return Fault(Stage(happening.kind), happening.word)
    if happening.kind == "token":
        stage = Stage.PROOF if happening.word.endswith("_proof") else Stage.TOKEN
        return Fault(stage, happening.word, status=200)
    return _answered(target, happening.http, now) if happening.http else None


def _answered(target: Target, answer: HttpAnswer, now: float) -> Fault | None:
    if target.owner == CONTROL and answer.status < _BROKEN_FROM:
        return None
    document = None if target.owner in {CONTROL, FEED} else answer.document()
    fault = from_answer(answer.status, document, headers=dict(answer.headers), now=now)
    # HTTP 2xx with a JSON object that has nothing of what was asked for.
    reason = "wrong_issuer" if target.name == WELLKNOWN else "malformed"
    return fault or Fault(Stage.TOKEN, reason, status=answer.status)


def _feed_state(drawn: Drawn, fault: Fault | None) -> FeedState:
    if drawn.happening.http and drawn.happening.http.status == _OK:
        return FeedState.UNREADABLE
    if fault:
        return FeedState.UNREACHABLE
    return _FEED_STATES.get(drawn.happening.word, FeedState.OK)


def _quota(target: Target, drawn: Drawn, fault: Fault | None) -> int | None:
    if drawn.happening.http:
        return quota_remaining(dict(drawn.happening.http.headers))
    counts = target.owner != CONTROL and target.name != WELLKNOWN
    has_head = fault is None or drawn.happening.kind in {"token", "trickle"}
    return QUOTA_REMAINING if counts and has_head else None
