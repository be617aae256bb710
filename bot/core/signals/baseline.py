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
KNOWN_S = 600.0
"""Before so much was seen nothing is called usual."""
STEP_S = 600.0
AGO_S = tuple(STEP_S * step for step in range(18))
"""The last three hours, of which the fading sums speak …"""
FADED = tuple(0.5 ** (ago / HALF_LIFE_S) for ago in AGO_S)
"""… and how much of each is left."""
AHEAD_S = 3600.0
"""Between the middles of two hours nobody knows when it fell: it may be as low as an hour later."""


@dataclass(frozen=True, slots=True)
class Usual:
    """Seconds, failures and all calls, fading by half in a fixed time."""

    seconds: float = 0.0
    failed: float = 0.0
    total: float = 0.0
    seen_s: float = 0.0
    """Seconds without any fading."""

    def of_hours(self, span_s: float, failed: float, total: float) -> Usual:
        """Return it with one more span, as the last hour or so is remembered."""
        return self._with(span_s, failed, total, HALF_LIFE_S)

    def of_days(self, span_s: float, failed: float, total: float) -> Usual:
        """Return it with one more span, as one hour of the last days is remembered."""
        return self._with(span_s, failed, total, HOUR_HALF_LIFE_S)

    def _with(self, span_s: float, failed: float, total: float, half_life_s: float) -> Usual:
        kept = 0.5 ** (span_s / half_life_s)
        return Usual(
            self.seconds * kept + span_s,
            self.failed * kept + failed,
            self.total * kept + total,
            self.seen_s + span_s,
        )

    @property
    def is_known(self) -> bool:
        """Enough was seen."""
        return self.seen_s >= KNOWN_S

    @property
    def share(self) -> float:
        """Part that usually fails; 0 until it is known."""
        return self.failed / self.total if self.is_known and self.total else 0.0

    def failed_in(self, span_s: float) -> float:
        """Return how many usually fail in a span; 0 until it is known."""
        return self.failed / self.seconds * span_s if self.is_known else 0.0

    def succeeded_in(self, span_s: float) -> float:
        """Return how many usually succeed in a span; 0 where nothing was seen."""
        return (self.total - self.failed) / self.seconds * span_s if self.seconds else 0.0


def hours_with(hours: dict[int, Usual], seen: Measurement) -> dict[int, Usual]:
    """Return the hours of the day with one more span.

    A bad one, too: else a steep evening, which looks like an outage, would never be known.
    """
    hour = int(seen.at // 3600) % HOURS
    known = hours.get(hour, Usual())
    return {**hours, hour: known.of_days(seen.span_s, seen.failed, seen.total or 0.0)}


def by_hour(usual: Usual, hours: Mapping[int, Usual], at: float, span_s: float) -> float | None:
    """Return how many successes are to be expected in a span; None until that is known.

    Every evening logins become fewer, and that is no outage: where the last days had fewer at this
    hour than at the one that `usual` speaks of, so much fewer are expected now. Never more: on a
    Sunday the morning's rush stays away.
    """
    return usual.succeeded_in(span_s) * _falling(hours, at) if usual.is_known else None


def _falling(hours: Mapping[int, Usual], at: float) -> float:
    """Return what part of the logins of the last hours is left at this time of other days."""
    before = [_rate(hours, at - ago) for ago in AGO_S]
    now = [_rate(hours, at), _rate(hours, at + AHEAD_S)]
    known = [rate for rate in (*before, *now) if rate is not None]
    if len(known) < len(before) + len(now):
        return 1.0
    *earlier, here, soon = known
    usually = sum(rate * left for rate, left in zip(earlier, FADED, strict=True)) / sum(FADED)
    return min(1.0, here / usually, soon / usually) if usually else 1.0


def _rate(hours: Mapping[int, Usual], at: float) -> float | None:
    """Return the successes a second at a time of the day, between the middles of two hours."""
    hour, part = divmod(at / 3600 - 0.5, 1)
    first, second = (hours.get(int(h) % HOURS, Usual()) for h in (hour, hour + 1))
    if not (first.is_known and second.is_known):
        return None
    return first.succeeded_in(1.0) * (1 - part) + second.succeeded_in(1.0) * part
