"""What figures usually are: sums that fade, so that the recent past counts most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.core.model.measurement import Measurement

HOURS = 24
HALF_LIFE_S = 1800.0
HOUR_HALF_LIFE_S = 4 * 3600.0
"""Of what one hour of the day is remembered by: four days, an hour each."""
MIN_SEEN_S = 600.0
"""Before so much was seen nothing is called usual."""
STEP_S = 600.0
LOOKBACK_S = tuple(STEP_S * step for step in range(18))
"""The last three hours, of which the fading sums speak …"""
LOOKBACK_WEIGHTS = tuple(0.5 ** (ago / HALF_LIFE_S) for ago in LOOKBACK_S)
"""… and how much of each is left."""
LOOKAHEAD_S = 3600.0
"""Between the middles of two hours nobody knows when it fell: it may be as low as an hour later."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Seconds, failures and all calls, fading by half in a fixed time."""

    seconds: float = 0.0
    failed: float = 0.0
    total: float = 0.0
    seen_s: float = 0.0
    """Seconds without any fading."""

    def with_recent_span(self, span_s: float, failed: float, total: float) -> Baseline:
        """Return it with one more span, as the last hour or so is remembered."""
        return self._with_span(span_s, failed, total, HALF_LIFE_S)

    def with_daily_span(self, span_s: float, failed: float, total: float) -> Baseline:
        """Return it with one more span, as one hour of the last days is remembered."""
        return self._with_span(span_s, failed, total, HOUR_HALF_LIFE_S)

    def _with_span(
        self, span_s: float, failed: float, total: float, half_life_s: float
    ) -> Baseline:
        kept = 0.5 ** (span_s / half_life_s)
        return Baseline(
            self.seconds * kept + span_s,
            self.failed * kept + failed,
            self.total * kept + total,
            self.seen_s + span_s,
        )

    @property
    def is_known(self) -> bool:
        """Enough was seen."""
        return self.seen_s >= MIN_SEEN_S

    @property
    def failed_share(self) -> float:
        """Part that usually fails; 0 until it is known."""
        return self.failed / self.total if self.is_known and self.total else 0.0

    def expected_failures(self, span_s: float) -> float:
        """Return how many usually fail in a span; 0 until it is known."""
        return self.failed / self.seconds * span_s if self.is_known else 0.0

    def expected_successes(self, span_s: float) -> float:
        """Return how many usually succeed in a span; 0 where nothing was seen."""
        return (self.total - self.failed) / self.seconds * span_s if self.seconds else 0.0


def update_hourly_baselines(hours: dict[int, Baseline], seen: Measurement) -> dict[int, Baseline]:
    """Return the hours of the day with one more span.

    A bad one, too: else a steep evening, which looks like an outage, would never be known.
    """
    hour = int(seen.at // 3600) % HOURS
    known = hours.get(hour, Baseline())
    return {**hours, hour: known.with_daily_span(seen.span_s, seen.failed, seen.total or 0.0)}


def expected_successes_at(
    usual: Baseline, hours: Mapping[int, Baseline], at: float, span_s: float
) -> float | None:
    """Return how many successes are to be expected in a span; None until that is known.

    Every evening logins become fewer, and that is no outage: where the last days had fewer at this
    hour than at the one that `usual` speaks of, so much fewer are expected now. Never more: on a
    Sunday the morning's rush stays away.
    """
    return usual.expected_successes(span_s) * _hourly_decline(hours, at) if usual.is_known else None


def _hourly_decline(hours: Mapping[int, Baseline], at: float) -> float:
    """Return what part of the logins of the last hours is left at this time of other days."""
    before = [_success_rate(hours, at - ago) for ago in LOOKBACK_S]
    now = [_success_rate(hours, at), _success_rate(hours, at + LOOKAHEAD_S)]
    known = [rate for rate in (*before, *now) if rate is not None]
    if len(known) < len(before) + len(now):
        return 1.0
    *earlier, here, soon = known
    usually = sum(rate * left for rate, left in zip(earlier, LOOKBACK_WEIGHTS, strict=True)) / sum(
        LOOKBACK_WEIGHTS
    )
    return min(1.0, here / usually, soon / usually) if usually else 1.0


def _success_rate(hours: Mapping[int, Baseline], at: float) -> float | None:
    """Return the successes a second at a time of the day, between the middles of two hours."""
    hour, part = divmod(at / 3600 - 0.5, 1)
    first, second = (hours.get(int(h) % HOURS, Baseline()) for h in (hour, hour + 1))
    if not (first.is_known and second.is_known):
        return None
    return first.expected_successes(1.0) * (1 - part) + second.expected_successes(1.0) * part
