"""The usual values of metrics: decaying sums, in which the recent past counts most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOURS = 24
HALF_LIFE_S = 1800.0
"""After so long, what was seen counts half in the baseline."""
HOUR_HALF_LIFE_S = 4 * 3600.0
"""For the baseline of one hour of the day: four days, of which each adds an hour."""
MIN_SEEN_S = 600.0
"""A baseline is unknown until it covers this."""
STEP_S = 600.0
LOOKBACK_S = tuple(STEP_S * step for step in range(18))
"""The last three hours, which the decaying sums cover …"""
LOOKBACK_WEIGHTS = tuple(0.5 ** (ago / HALF_LIFE_S) for ago in LOOKBACK_S)
"""… and how much of each remains in them."""
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


def expected_successes_at(
    baseline: Baseline, hours: Mapping[int, Baseline], at: float, span_s: float
) -> float | None:
    """Return how many successes to expect in a span; None until that is known.

    Logins decline every evening, and that is no outage: if on earlier days traffic was lower at
    this hour than in the hours that `baseline` covers, we expect as much less now. Never more: on a
    Sunday there is no morning rush.
    """
    if not baseline.is_known:
        return None
    return baseline.expected_successes(span_s) * _hourly_decline(hours, at)


def _hourly_decline(hours: Mapping[int, Baseline], at: float) -> float:
    """Return the ratio of logins at this time to those of the hours before, on earlier days."""
    before = [_success_rate(hours, at - ago) for ago in LOOKBACK_S]
    now = [_success_rate(hours, at), _success_rate(hours, at + LOOKAHEAD_S)]
    known = [rate for rate in (*before, *now) if rate is not None]
    if len(known) < len(before) + len(now):
        return 1.0
    *earlier, here, soon = known
    weighted = sum(rate * weight for rate, weight in zip(earlier, LOOKBACK_WEIGHTS, strict=True))
    usual = weighted / sum(LOOKBACK_WEIGHTS)
    return min(1.0, here / usual, soon / usual) if usual else 1.0


def _success_rate(hours: Mapping[int, Baseline], at: float) -> float | None:
    """Return the successes a second at a time of day, interpolated between the middles of hours."""
    hour, part = divmod(at / 3600 - 0.5, 1)
    first, second = (hours.get(int(h) % HOURS, Baseline()) for h in (hour, hour + 1))
    if not (first.is_known and second.is_known):
        return None
    return first.expected_successes(1.0) * (1 - part) + second.expected_successes(1.0) * part
