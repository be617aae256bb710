"""How fast a signal answers, against its own past: slow is not down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import copysign, exp

SLOW_TIMES = 3.0
"""So many times its usual latency is slow …"""
SLOW_S = 0.5
"""… but nothing faster than this is."""
SLOW_COUNT, SLOW_WINDOW = 5, 20
"""So many slow answers among the last ones since the first of them make it slow: the rule that
failures have."""
FAST_COUNT = 5
"""Fast answers in a row that end it."""
KNOWN = 10
"""Answers before which nothing is called usual."""
STEP = 0.002
"""How far one answer moves what is usual: at one a minute it takes 9 hours to triple."""
FIRST_STEP = 0.3


@dataclass(frozen=True, slots=True)
class Tempo:
    """One signal's latencies, in seconds."""

    usual_s: float = 0.0
    """Their median, as a running estimate; 0 before the first."""
    seen: int = 0
    recent: tuple[float, ...] = ()
    """Since the first slow one, oldest first; empty while all are fast."""
    since: float | None = None
    """When the first slow one was."""
    is_slow: bool = False
    ended_at: float | None = None

    @property
    def limit_s(self) -> float:
        """What takes longer is slow."""
        known = self.usual_s if self.seen >= KNOWN else float("inf")
        return max(SLOW_TIMES * known, SLOW_S)

    @property
    def is_slowing(self) -> bool:
        """Most of the newest answers were slow, be they enough to call it so or not."""
        return self.now_s > self.limit_s

    @property
    def now_s(self) -> float:
        """The middle one of the recent latencies; 0 where there are none."""
        return sorted(self.recent)[len(self.recent) // 2] if self.recent else 0.0


def observe(tempo: Tempo, latency_s: float, at: float) -> Tempo:
    """Take in how long a success took."""
    tempo, limit_s = _learnt(tempo, latency_s), tempo.limit_s
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


def _learnt(tempo: Tempo, latency_s: float) -> Tempo:
    """Move the estimate of the median by a step towards the newest value (Robbins-Monro).

    How far away that is does not count, so single hangs leave it where it is.
    """
    seen = tempo.seen + 1
    if seen == 1:
        return replace(tempo, usual_s=latency_s, seen=seen)
    step = max(FIRST_STEP / seen, STEP)
    usual_s = tempo.usual_s * exp(copysign(step, latency_s - tempo.usual_s))
    return replace(tempo, usual_s=usual_s, seen=seen)
