"""The usual values of metrics: decaying sums, in which the recent past counts most."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import mul
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOURS = 24
HALF_LIFE_S = 1800.0
"""After so long, what was seen counts half in the baseline."""
HOUR_HALF_LIFE_S = 4 * 3600.0
"""For the baseline of one hour of the day: four days, of which each adds an hour."""
WEEK_HOURS = 7 * HOURS
WEEK_HALF_LIFE_S = 2 * 3600.0
"""For the baseline of one hour of the week: two weeks, of which each adds an hour."""
MIN_SEEN_S = 600.0
"""A baseline is unknown until it covers this."""
STEP_S = 600.0
LOOKBACK_S = tuple(STEP_S * step for step in range(18))
"""The last three hours, which the decaying sums cover …"""
LOOKBACK_WEIGHTS = tuple(0.5 ** (ago / HALF_LIFE_S) for ago in LOOKBACK_S)
"""… and how much of each remains in them."""
LOOKBACK_WEIGHT = sum(LOOKBACK_WEIGHTS)
LOOKAHEAD_S = 3600.0
"""An hourly baseline does not tell when within the hour traffic fell: it may already be as low as
an hour later."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Sums of seconds, failures and all calls that decay by half in a fixed time."""

    seconds: float = 0.0
    failed: float = 0.0
    total: float = 0.0
    seen_s: float = 0.0
    """Seconds without decay."""

    def with_span(
        self, span_s: float, failed: float, total: float, half_life_s: float = HALF_LIFE_S
    ) -> Baseline:
        """Return the baseline with one more span of observed calls."""
        decay = 0.5 ** (span_s / half_life_s)
        return Baseline(
            self.seconds * decay + span_s,
            self.failed * decay + failed,
            self.total * decay + total,
            self.seen_s + span_s,
        )

    @property
    def is_known(self) -> bool:
        """Whether it covers enough time."""
        return self.seen_s >= MIN_SEEN_S

    @property
    def failed_share(self) -> float:
        """The share that usually fails; 0 until it is known."""
        return self.failed / self.total if self.is_known and self.total else 0.0

    def expected_failures(self, span_s: float) -> float:
        """Return how many usually fail in a span; 0 until it is known."""
        return self.failed / self.seconds * span_s if self.is_known else 0.0

    def expected_successes(self, span_s: float) -> float:
        """Return how many usually succeed in a span; 0 before the first span."""
        return (self.total - self.failed) / self.seconds * span_s if self.seconds else 0.0


NOTHING_SEEN = Baseline()


@dataclass(frozen=True, slots=True)
class Habit:
    """What is usual at each hour: of the day and, once a whole week was seen, of the week."""

    days: Mapping[int, Baseline] = field(default_factory=dict)
    """By hour of the day (UTC)."""
    weeks: Mapping[int, Baseline] = field(default_factory=dict)
    """By hour of the week (UTC)."""

    @property
    def is_week_known(self) -> bool:
        """Whether every hour of a week was seen."""
        return len(self.weeks) == WEEK_HOURS

    def in_this_hour(self, at: float) -> Baseline:
        """Return what is usual at this hour of the week; nothing until a week was seen."""
        return self.weeks[hour_of(at, WEEK_HOURS)] if self.is_week_known else NOTHING_SEEN

    def success_rates(self, first: int, count: int) -> list[float] | None:
        """Return the successes a second in so many hours, by number since 1970; None: not known.

        A week counts as soon as it is known: a Saturday is no Friday.
        """
        known = self.weeks if self.is_week_known else self.days
        period = WEEK_HOURS if self.is_week_known else HOURS
        hours = [known.get(n % period, NOTHING_SEEN) for n in range(first, first + count)]
        if not all(hour.is_known for hour in hours):
            return None
        return [hour.expected_successes(1.0) for hour in hours]


HALF_LIVES_S = {HOURS: HOUR_HALF_LIFE_S, WEEK_HOURS: WEEK_HALF_LIFE_S}


def learn_hour(
    known: Mapping[int, Baseline], at: float, counted: tuple[float, float, float], period: int
) -> dict[int, Baseline]:
    """Return the baselines by hour of a day or a week with one more span: seconds, failed, all."""
    hour = hour_of(at, period)
    baseline = known.get(hour, NOTHING_SEEN).with_span(*counted, HALF_LIVES_S[period])
    return {**known, hour: baseline}


def hour_of(at: float, period: int) -> int:
    """Return the number of an instant's hour within a period of so many hours."""
    return int(at // 3600) % period


def expected_successes_at(
    baseline: Baseline, habit: Habit, at: float, span_s: float
) -> float | None:
    """Return how many successes to expect in a span; None until that is known.

    Logins decline every evening, and that is no outage: if in earlier days or weeks traffic was
    lower at this hour than in the hours that `baseline` covers, we expect as much less now. Never
    more: on a Sunday there is no morning rush.
    """
    if not baseline.is_known:
        return None
    return baseline.expected_successes(span_s) * _hourly_decline(habit, at)


def _hourly_decline(habit: Habit, at: float) -> float:
    """Return the ratio of logins at this time to those of the hours before, by habit.

    Rates are interpolated between the middles of hours.
    """
    first = int((at - LOOKBACK_S[-1]) / 3600 - 0.5)
    rates = habit.success_rates(first, int((at + LOOKAHEAD_S) / 3600 - 0.5) + 2 - first)
    if rates is None:
        return 1.0
    places = [(at - ago) / 3600 - 0.5 - first for ago in (-LOOKAHEAD_S, *LOOKBACK_S)]
    soon, *earlier = [
        rates[int(place)] * (1 - place % 1) + rates[int(place) + 1] * (place % 1)
        for place in places
    ]
    usual = sum(map(mul, earlier, LOOKBACK_WEIGHTS)) / LOOKBACK_WEIGHT
    return min(1.0, earlier[0] / usual, soon / usual) if usual else 1.0
