"""How fast a signal answers, against its own past: slow is not down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import copysign, exp

SLOW_FACTOR = 3.0
"""So many times its usual latency is slow …"""
SLOW_S = 0.5
"""… but nothing faster than this is."""
SLOW_COUNT, SLOW_WINDOW = 5, 20
"""So many slow answers among the last ones since the first of them make it slow: the rule that
failures have."""
FAST_COUNT = 5
"""Fast answers in a row that end it."""
MIN_ANSWERS = 10
"""Answers before which nothing is called usual."""
LEARNING_STEP = 0.002
"""How far one answer moves what is usual: at one a minute it takes 9 hours to triple."""
FIRST_LEARNING_STEP = 0.3


@dataclass(frozen=True, slots=True)
class LatencyBaseline:
    """One signal's latencies, in seconds."""

    median_s: float = 0.0
    """Their median, as a running estimate; 0 before the first."""
    count: int = 0
    recent: tuple[float, ...] = ()
    """Since the first slow one, oldest first; empty while all are fast."""
    since: float | None = None
    """When the first slow one was."""
    is_slow: bool = False
    ended_at: float | None = None

    @property
    def limit_s(self) -> float:
        """What takes longer is slow."""
        known = self.median_s if self.count >= MIN_ANSWERS else float("inf")
        return max(SLOW_FACTOR * known, SLOW_S)

    @property
    def is_slowing(self) -> bool:
        """Most of the newest answers were slow, be they enough to call it so or not."""
        return self.recent_median_s > self.limit_s

    @property
    def recent_median_s(self) -> float:
        """The middle one of the recent latencies; 0 where there are none."""
        return sorted(self.recent)[len(self.recent) // 2] if self.recent else 0.0


def observe_latency(tempo: LatencyBaseline, latency_s: float, at: float) -> LatencyBaseline:
    """Take in how long a success took."""
    tempo, limit_s = _learn(tempo, latency_s), tempo.limit_s
    if tempo.since is None:
        if latency_s <= limit_s:
            return tempo
        return replace(tempo, since=at, recent=(latency_s,))
    recent = (*tempo.recent, latency_s)[-SLOW_WINDOW:]
    if all(each <= limit_s for each in recent[-FAST_COUNT:]) and len(recent) > FAST_COUNT:
        ended_at = at if tempo.is_slow else tempo.ended_at
        return replace(tempo, since=None, recent=(), is_slow=False, ended_at=ended_at)
    slow = sum(each > limit_s for each in recent)
    return replace(tempo, recent=recent, is_slow=tempo.is_slow or slow >= SLOW_COUNT)


def _learn(tempo: LatencyBaseline, latency_s: float) -> LatencyBaseline:
    """Move the estimate of the median by a step towards the newest value (Robbins-Monro).

    How far away that is does not count, so single hangs leave it where it is.
    """
    seen = tempo.count + 1
    if seen == 1:
        return replace(tempo, median_s=latency_s, count=seen)
    step = max(FIRST_LEARNING_STEP / seen, LEARNING_STEP)
    usual_s = tempo.median_s * exp(copysign(step, latency_s - tempo.median_s))
    return replace(tempo, median_s=usual_s, count=seen)
