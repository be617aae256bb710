"""A probe's threshold: from a first failure to firing and back.

In one sentence: after a failure we repeat the probe every few seconds by the clock; `fail_count`
failures among the last `window` tries fire, and `recover_count` successes in a row end it.

    state    good                             bad                          no_data
    ok       ok                               pending, or firing again *   as it was
    pending  ok after a run of successes      firing at the threshold      as it was
    firing   ok after a run of successes      firing                       as it was

    * within `recover_for_s` after the last end

We do not repeat two kinds of failure quickly, because that does harm: refused credentials (the
third one fires and stops the login) and a rate limit (2 of 10 tries fire).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from math import ceil, floor, log
from typing import TYPE_CHECKING

from bot.core.model.fault import is_from_outage, is_rate_limited, is_refusal
from bot.core.model.observation import (
    HEALTH_BY_STATE,
    HEALTHY,
    Fault,
    Health,
    Outcome,
    OwnSide,
    SignalState,
)
from bot.core.model.record import replace
from bot.core.signals import history
from bot.core.signals.history import LatencyBaseline, Trend, add_counts

if TYPE_CHECKING:
    from bot.core.model.observation import Observation

MAX_REFUSALS = 3
"""Auth0 blocks address and user after 10 failures, and each further try extends the block
(Brute-Force Protection, read 2026-11), so we stop long before."""
REFUSAL_INTERVAL_S = 30.0
"""Between two tries with refused credentials."""
RATE_LIMIT_WINDOW = 10
RATE_LIMIT_COUNT = 2
"""So many of the last `RATE_LIMIT_WINDOW` tries with a 429 fire."""
RATE_LIMIT_CALM = 10
"""A rate limit comes and goes by its nature: so many successes in a row end it."""
RATE_LIMIT_INTERVAL_S = 60.0
"""The wait if a 429 does not say when to try again."""
RATE_LIMIT_MIN_S, RATE_LIMIT_MAX_S = 5.0, 900.0
"""Bounds of a wait that a 429 asks for."""
RATE_LIMIT_CONFIRM_S = 20.0
"""Before it fires we wait for 20 s at most: one more request is harmless, a quarter of an
hour without an alert is not."""
SLOW_INTERVAL_FACTOR = 3.0
"""After a first slow answer we probe again after three times the confirming interval: 15 s by
default. We do not probe a slow service faster, so as not to make it worse."""
FIRING_INTERVAL_FACTOR = 2.0
"""While firing we probe half as often as while confirming: every 10 s by default."""
RELAPSE_INTERVAL_S = 60.0
"""Soon after its end also what is rarely probed is probed so often: it may come back."""
MAX_OK_TIMES = 10
LOST_PART = 0.2
"""If so many of the look-ups outside Auth0 fail as well, it is more than chance."""
LUCKY_RUN_PROBABILITY = 0.01
"""A run of successes ends a partial outage if the outage would produce it with at most this
probability."""


@dataclass(frozen=True, slots=True)
class ProbeLimits:
    """One probe's limits; see `config/settings.py` for their defaults and sources."""

    every_s: float = 60.0
    confirm_every_s: float = 5.0
    fail_count: int = 5
    window: int = 20
    recover_count: int = 3
    recover_for_s: float = 600.0
    is_login: bool = True
    """Only a login's credentials can be refused; elsewhere the same response is a plain failure."""


@dataclass(frozen=True, slots=True)
class Try:
    """The part of a usable observation that the threshold needs."""

    at: float
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class SpanCounts:
    """The tries since a problem began."""

    tries: int = 0
    failed: int = 0
    tries_to_last_failure: int = 0

    def add(self, fault: Fault | None) -> SpanCounts:
        """Return the counts with one more try."""
        tries = self.tries + 1
        if fault is None:
            return replace(self, tries=tries)
        return SpanCounts(tries, self.failed + 1, tries)

    @property
    def failed_share(self) -> float:
        """The share that failed up to the last failure; 0 before the first."""
        return self.failed / self.tries_to_last_failure if self.failed else 0.0

    @property
    def least_share(self) -> float:
        """The same, as if one more try had worked, unless none did: few tries tell too much."""
        tries = self.tries_to_last_failure
        return self.failed / (tries + (self.failed < tries)) if self.failed else 0.0


class Reason(StrEnum):
    """Why a signal changed its state."""

    FIRST_FAILURE = "first failure"
    THRESHOLD = "threshold reached"
    REFUSED = "credentials refused"
    RATE_LIMITED = "rate limit"
    FAILED_AGAIN = "failed again"
    SINGLE_FAILURES = "single failures only"
    RECOVERED = "recovered"
    SHARE = "too many calls fail"
    EVENTS = "more errors than usual"
    SUCCESSES_MISSING = "successes are missing"
    QUOTA = "refused for a rate limit"
    LOW_TRAFFIC = "too little traffic to judge by"
    EXTERNAL_ALERT = "an outside monitor says so"
    SLOW = "slow against its own past"


@dataclass(frozen=True)
class ProbeState:
    """What is remembered of one probe.

    Triage asks about every probe many times in one step, and most have not changed since the
    last one: so what follows from the fields is worked out once for each state.
    """

    state: SignalState = SignalState.OK
    tries: tuple[Try, ...] = ()
    """Since the first failure, oldest first, at most `window`; empty while the state is `ok`."""
    since: float | None = None
    """When the first failing request of this problem began."""
    ever_ok: bool = False
    last_ok_at: float | None = None
    ok_times: tuple[float, ...] = ()
    """When the last successes began, oldest first, at most `MAX_OK_TIMES`."""
    good_before: float | None = None
    """The last success before this problem."""
    last_at: float | None = None
    """When the newest usable observation began, failed or not."""
    ended_at: float | None = None
    """When it last stopped firing."""
    good_since: float | None = None
    """When the first of the successes began that ended the last problem."""
    is_stopped: bool = False
    """Refused too often; only a person or a changed configuration starts it again."""
    latency_s: float | None = None
    last_fault: Fault | None = None
    """Of the newest failure; kept after the recovery."""
    relapses: int = 0
    """How often it failed again soon after its end; each one raises the successes needed."""
    span: SpanCounts = SpanCounts()
    """Of this problem, or of the last one."""
    earlier_share: float = 0.0
    """The `least_share` of the last problem before it that met the threshold; 0: none did."""
    latency: LatencyBaseline = field(default_factory=LatencyBaseline)
    trend: Trend = ()
    quota_remaining: int | None = None
    """From the newest response that had it."""

    @cached_property
    def faults(self) -> tuple[Fault, ...]:
        """The failures in the window, oldest first."""
        return tuple(t.fault for t in self.tries if t.fault)

    @cached_property
    def failed_times(self) -> tuple[float, ...]:
        """When those began."""
        return tuple(t.at for t in self.tries if t.fault)

    @cached_property
    def health(self) -> Health:
        """What is wrong with it."""
        if self.state is SignalState.OK and not self.latency.is_slow:
            return HEALTHY
        repeated = Health.REPEATED if len(self.faults) > 1 else Health(0)
        slow = Health.SLOW if self.latency.is_slow else Health(0)
        return HEALTH_BY_STATE[self.state] | repeated | slow

    @cached_property
    def is_failing(self) -> bool:
        """Whether it has more than one single failure."""
        return bool(self.health & Health.FAILING)

    @cached_property
    def most_frequent_fault(self) -> Fault | None:
        """The newest of the faults whose stage and reason are most frequent in the window.

        A resolver of ours that loses a part of all names finds some of those outside Auth0. If it
        has lost several of these as well, that counts.
        """
        kinds = [(fault.stage, fault.reason) for fault in self.faults]
        most = max(dict.fromkeys(kinds), key=kinds.count, default=None)
        alike = [f for f in self.faults if (f.stage, f.reason) == most]
        lost = [f for f in alike if f.own_side is OwnSide.NAMES_LOST]
        chosen = lost if len(lost) > LOST_PART * len(alike) else alike
        return chosen[-1] if chosen else None

    @cached_property
    def successes_in_a_row(self) -> int:
        """Successes in a row at the end of the window."""
        return next((i for i, t in enumerate(reversed(self.tries)) if t.fault), len(self.tries))

    def count_ok_since(self, at: float) -> int:
        """Return how many of the last tries succeeded since an instant."""
        return sum(ok_at >= at for ok_at in self.ok_times)

    @property
    def failed_share(self) -> float:
        """The share of the window that failed, without the successes at its end; 0 if empty."""
        head = len(self.tries) - self.successes_in_a_row
        return len(self.faults) / head if head else 0.0


def observe_probe(
    signal: ProbeState, result: Observation, limits: ProbeLimits
) -> tuple[ProbeState, Reason | None]:
    """Add one observation; `no_data` changes nothing.

    Returns the new state, and the reason if `state` changed.
    """
    if result.outcome is Outcome.NO_DATA:
        return signal, None
    before = signal.last_fault
    signal = _record(signal, result, limits)
    if signal.state is SignalState.OK:
        return _handle_while_ok(signal, result, limits, before)
    signal = replace(
        signal,
        tries=(*signal.tries, Try(result.at, result.fault))[-limits.window :],
        span=signal.span.add(result.fault),
    )
    if result.fault is None:
        return _handle_success(signal, result.at, limits)
    reason = _firing_reason(signal, limits)
    if reason is Reason.REFUSED:
        signal = replace(signal, is_stopped=True)
    if reason is None or signal.state is SignalState.FIRING:
        return signal, None
    return replace(signal, state=SignalState.FIRING), reason


def _record(signal: ProbeState, result: Observation, limits: ProbeLimits) -> ProbeState:
    quota = signal.quota_remaining if result.quota_remaining is None else result.quota_remaining
    trend = add_counts(signal.trend, result.at, tries=1)
    signal = replace(signal, trend=trend, quota_remaining=quota)
    if result.fault is not None:
        return replace(signal, last_at=result.at, last_fault=result.fault)
    latency, latency_s = signal.latency, result.latency_s or 0.0
    since, slow_s = latency.since, SLOW_INTERVAL_FACTOR * limits.confirm_every_s
    slots = [round((at - (since or 0.0)) / slow_s) for at in (signal.last_at or 0.0, result.at)]
    # A burst tries more often than we try what is slow: of its slow answers one a slot counts.
    is_beside = since is not None and latency_s > latency.limit_s and slots[0] == slots[1]
    return replace(
        signal,
        latency=latency if is_beside else history.observe_latency(latency, latency_s, result.at),
        last_at=result.at,
        last_ok_at=result.at,
        ok_times=(*signal.ok_times[1 - MAX_OK_TIMES :], result.at),
        ever_ok=True,
        is_stopped=False,
        latency_s=result.latency_s,
    )


def _handle_while_ok(
    signal: ProbeState, result: Observation, limits: ProbeLimits, before: Fault | None
) -> tuple[ProbeState, Reason | None]:
    if result.fault is None:
        return signal, None
    is_alike = before is None or is_from_outage(before) == is_from_outage(result.fault)
    is_soon = signal.ended_at is not None and result.at - signal.ended_at < limits.recover_for_s
    again = is_soon and is_alike
    state = SignalState.FIRING if again else SignalState.PENDING
    signal = replace(
        signal,
        state=state,
        tries=(Try(result.at, result.fault),),
        since=result.at,
        span=SpanCounts().add(result.fault),
        earlier_share=signal.span.least_share
        if signal.span.failed >= limits.fail_count
        else signal.earlier_share,
        good_before=signal.last_ok_at,
        relapses=signal.relapses + 1 if again else 0,
    )
    return signal, Reason.FAILED_AGAIN if again else Reason.FIRST_FAILURE


def _firing_reason(signal: ProbeState, limits: ProbeLimits) -> Reason | None:
    faults = signal.faults
    if limits.is_login and sum(map(is_refusal, faults)) >= MAX_REFUSALS:
        return Reason.REFUSED
    recent = [t.fault for t in signal.tries[-RATE_LIMIT_WINDOW:] if t.fault]
    if sum(map(is_rate_limited, recent)) >= RATE_LIMIT_COUNT:
        return Reason.RATE_LIMITED
    return Reason.THRESHOLD if len(faults) >= limits.fail_count else None


def has_met_threshold(signal: ProbeState, limits: ProbeLimits) -> bool:
    """Tell whether enough tries failed since its begin, also where it fires from the first on."""
    return signal.state is SignalState.FIRING and _firing_reason(signal, limits) is not None


def _handle_success(
    signal: ProbeState, at: float, limits: ProbeLimits
) -> tuple[ProbeState, Reason | None]:
    if signal.successes_in_a_row < successes_needed(signal, limits):
        return signal, None
    good_since = signal.tries[-signal.successes_in_a_row].at
    ended = replace(signal, state=SignalState.OK, tries=(), since=None, good_since=good_since)
    if signal.state is SignalState.PENDING:
        trend = add_counts(signal.trend, at, singles=len(signal.faults))
        return replace(ended, trend=trend), Reason.SINGLE_FAILURES
    return replace(ended, ended_at=at), Reason.RECOVERED


def successes_needed(signal: ProbeState, limits: ProbeLimits) -> int:
    """Return how many successes in a row end a pending or firing state.

    While pending: enough to fill the window. While firing: `recover_count` after a full outage,
    more if only a part failed, so that a lucky run does not end it.
    """
    if signal.state is SignalState.PENDING:
        last = signal.faults[-1]
        quick = not (limits.is_login and is_refusal(last)) and not is_rate_limited(last)
        if quick:
            return limits.window - 1
        return RATE_LIMIT_WINDOW - 1 if is_rate_limited(last) else RATE_LIMIT_COUNT
    least = limits.recover_count * (1 + signal.relapses)
    if signal.faults and is_rate_limited(signal.faults[-1]):
        least = max(least, RATE_LIMIT_CALM)
    chance = (
        ceil(log(LUCKY_RUN_PROBABILITY) / log(1 - signal.failed_share))
        if 0 < signal.failed_share < 1
        else 0
    )
    return max(limits.recover_count, min(max(least, chance), limits.window - 1))


def probe_interval_s(signal: ProbeState, now: float, limits: ProbeLimits) -> float | None:
    """Return the seconds from try to try; None: do not try again.

    After a rate limit it is the wait that the response asks for, within bounds.
    """
    if signal.is_stopped:
        return None
    if signal.state is SignalState.OK:
        is_suspect = signal.latency.since is not None and not signal.latency.is_slow
        slow_s = SLOW_INTERVAL_FACTOR * limits.confirm_every_s
        has_just_ended = (
            signal.ended_at is not None and now - signal.ended_at < limits.recover_for_s
        )
        soon_s = slow_s if is_suspect else RELAPSE_INTERVAL_S if has_just_ended else limits.every_s
        return min(limits.every_s, soon_s)
    last = signal.faults[-1]
    if limits.is_login and is_refusal(last):
        return max(REFUSAL_INTERVAL_S, limits.confirm_every_s)
    if is_rate_limited(last) and signal.successes_in_a_row == 0:
        wait = RATE_LIMIT_INTERVAL_S if last.retry_at is None else last.retry_at - now
        longest = RATE_LIMIT_MAX_S if signal.state is SignalState.FIRING else RATE_LIMIT_CONFIRM_S
        return min(max(wait, RATE_LIMIT_MIN_S), longest)
    if signal.state is SignalState.PENDING:
        # A success shows that the limit has room; at its edge many tries are needed to see it.
        quick_s = min(RATE_LIMIT_CONFIRM_S, FIRING_INTERVAL_FACTOR * limits.confirm_every_s)
        return quick_s if is_rate_limited(last) else limits.confirm_every_s
    return min(limits.every_s, FIRING_INTERVAL_FACTOR * limits.confirm_every_s)


def next_on_grid(now: float, origin: float, pace_s: float) -> float:
    """Return the first instant after `now` on the grid of `pace_s` through `origin`."""
    return origin + pace_s * (floor((now - origin) / pace_s + 1e-6) + 1)
