"""Single failures: never alerted, but counted by day."""

from __future__ import annotations

from typing import NamedTuple

DAY_S = 86400.0
DAYS = 8


class Day(NamedTuple):
    """What one signal saw in one day (UTC)."""

    number: int
    """Days since 1970-01-01."""
    tries: int = 0
    singles: int = 0
    """Failures that were over before they became an incident."""


Trend = tuple[Day, ...]
"""The last `DAYS` days, oldest first."""


def counted(trend: Trend, at: float, *, tries: int = 0, singles: int = 0) -> Trend:
    """Return the trend with something more seen at an instant."""
    number = int(at // DAY_S)
    today = trend[-1] if trend and trend[-1].number == number else Day(number)
    before = [day for day in trend if number - DAYS < day.number < number]
    return (*before, Day(number, today.tries + tries, today.singles + singles))


def share(trend: Trend) -> float:
    """Return which part of all tries failed singly; 0 where there were none."""
    tries = sum(day.tries for day in trend)
    return sum(day.singles for day in trend) / tries if tries else 0.0
