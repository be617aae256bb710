"""A signal's own past: how fast it answers, single failures by day, logins by minute for charts.

Slow, compared with its own past, is not down.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, exp
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import Outcome
from bot.core.model.record import replace
from bot.core.model.wall_clock import DAY_S

if TYPE_CHECKING:
    from bot.core.model.observation import Observation

DAYS = 8


class Day(NamedTuple):
    """The probes of one signal in one day (UTC)."""

    number: int
    """Days since 1970-01-01."""
    tries: int = 0
    singles: int = 0
    """Failures that ended before they became an incident."""


Trend = tuple[Day, ...]
"""The last `DAYS` days, oldest first."""


def add_counts(trend: Trend, at: float, *, tries: int = 0, singles: int = 0) -> Trend:
    """Return the trend with more tries or single failures at an instant."""
    number = int(at // DAY_S)
    today = trend[-1] if trend and trend[-1].number == number else Day(number)
    before = [day for day in trend if number - DAYS < day.number < number]
    return (*before, Day(number, today.tries + tries, today.singles + singles))


def single_failure_share(trend: Trend) -> float:
    """Return the share of tries that were single failures; 0 if there were no tries."""
    tries = sum(day.tries for day in trend)
    return sum(day.singles for day in trend) / tries if tries else 0.0


MINUTE_S = 60.0
MINUTES = 60


class Minute(NamedTuple):
    """The logins that began in one minute."""

    number: int
    """Minutes since 1970-01-01."""
    ok: int = 0
    failed: int = 0
    latency_s: float = 0.0
    """The sum over all of them, failed ones included; to the millisecond."""

    @property
    def tries(self) -> int:
        """The number of logins."""
        return self.ok + self.failed


RecentLogins = tuple[Minute, ...]
"""The minutes with a login among the last `MINUTES`, oldest first."""


def record_login(recent: RecentLogins, observation: Observation) -> RecentLogins:
    """Return it with one more login, unless we could not check. Results may come in any order."""
    if observation.outcome is Outcome.NO_DATA:
        return recent
    number = int(observation.at // MINUTE_S)
    minutes = {minute.number: minute for minute in recent}
    before = minutes.get(number, Minute(number))
    minutes[number] = Minute(
        number,
        before.ok + (observation.outcome is Outcome.OK),
        before.failed + (observation.outcome is Outcome.FAILED),
        round(before.latency_s + (observation.latency_s or 0.0), 3),
    )
    newest = max(minutes)
    return tuple(minutes[each] for each in sorted(minutes) if each > newest - MINUTES)


SLOW_FACTOR = 3.0
"""A latency is slow at this many times the usual one …"""
SLOW_S = 0.5
"""… unless it is faster than this."""
SLOW_COUNT, SLOW_WINDOW = 5, 20
"""A signal is slow after this many slow answers among the last ones since the first slow one: the
same rule as for failures."""
FAST_COUNT = 5
"""This many fast answers in a row end it."""
MIN_ANSWERS = 10
"""The usual latency is unknown before this many answers."""
LEARNING_STEP = 0.002
"""How far one answer moves the usual latency: at one a minute it takes 9 hours to triple."""
FIRST_LEARNING_STEP = 0.3


@dataclass(frozen=True)
class LatencyBaseline:
    """One signal's latencies, in seconds."""

    median_s: float = 0.0
    """A running estimate of the median; 0 before the first answer."""
    count: int = 0
    recent: tuple[float, ...] = ()
    """Latencies since the first slow one, oldest first; empty while all are fast."""
    since: float | None = None
    """When the first slow answer came."""
    is_slow: bool = False
    ended_at: float | None = None

    @property
    def limit_s(self) -> float:
        """A longer latency is slow."""
        usual_s = self.median_s if self.count >= MIN_ANSWERS else float("inf")
        return max(SLOW_FACTOR * usual_s, SLOW_S)

    @property
    def is_slowing(self) -> bool:
        """Whether most of the recent answers were slow, even if too few for `is_slow`."""
        return self.recent_median_s > self.limit_s

    @property
    def recent_median_s(self) -> float:
        """The median of the recent latencies; 0 if there are none."""
        return sorted(self.recent)[len(self.recent) // 2] if self.recent else 0.0


def observe_latency(baseline: LatencyBaseline, latency_s: float, at: float) -> LatencyBaseline:
    """Add the latency of a success."""
    baseline, limit_s = _learn(baseline, latency_s), baseline.limit_s
    if baseline.since is None:
        if latency_s <= limit_s:
            return baseline
        return replace(baseline, since=at, recent=(latency_s,))
    recent = (*baseline.recent, latency_s)[-SLOW_WINDOW:]
    if all(each <= limit_s for each in recent[-FAST_COUNT:]) and len(recent) > FAST_COUNT:
        ended_at = at if baseline.is_slow else baseline.ended_at
        return replace(baseline, since=None, recent=(), is_slow=False, ended_at=ended_at)
    slow = sum(each > limit_s for each in recent)
    return replace(baseline, recent=recent, is_slow=baseline.is_slow or slow >= SLOW_COUNT)


def _learn(baseline: LatencyBaseline, latency_s: float) -> LatencyBaseline:
    """Move the estimate of the median one step towards the newest value (Robbins-Monro).

    The distance does not count, so that single hangs hardly change the estimate.
    """
    count = baseline.count + 1
    if count == 1:
        return replace(baseline, median_s=latency_s, count=count)
    step = max(FIRST_LEARNING_STEP / count, LEARNING_STEP)
    median_s = baseline.median_s * exp(copysign(step, latency_s - baseline.median_s))
    return replace(baseline, median_s=median_s, count=count)
