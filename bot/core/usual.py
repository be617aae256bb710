"""What figures usually are: sums that fade, so that the recent past counts most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HALF_LIFE_S = 1800.0
HOUR_HALF_LIFE_S = 4 * 3600.0
"""Of what one hour of the day is remembered by: four days, an hour each."""
KNOWN_S = 600.0
"""Before so much was seen nothing is called usual."""
AGO_S = 2600.0
"""Of about so long ago the fading sums speak: the half-life over ln 2."""


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


def by_hour(usual: Usual, hours: Mapping[int, Usual], at: float, span_s: float) -> float | None:
    """Return how many successes are to be expected in a span; None until that is known.

    Every evening logins become fewer, and that is no outage: where the last days had fewer at this
    hour than at the one that `usual` speaks of, so much fewer are expected now. Never more: on a
    Sunday the morning's rush stays away.
    """
    if not usual.is_known:
        return None
    before, now = (_rate(hours, instant) for instant in (at - AGO_S, at))
    falling = min(1.0, now / before) if before and now is not None else 1.0
    return usual.succeeded_in(span_s) * falling


def _rate(hours: Mapping[int, Usual], at: float) -> float | None:
    """Return the successes a second at a time of the day, between the middles of two hours."""
    hour, part = divmod(at / 3600 - 0.5, 1)
    first, second = (hours.get(int(h) % 24, Usual()) for h in (hour, hour + 1))
    if not (first.is_known and second.is_known):
        return None
    return first.succeeded_in(1.0) * (1 - part) + second.succeeded_in(1.0) * part
