"""A tenant's recent history: logins by minute for charts, single failures by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import Outcome
from bot.core.model.wall_clock import DAY_S

if TYPE_CHECKING:
    from bot.core.model.observation import Observation

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


def add_counts(trend: Trend, at: float, *, tries: int = 0, singles: int = 0) -> Trend:
    """Return the trend with something more seen at an instant."""
    number = int(at // DAY_S)
    today = trend[-1] if trend and trend[-1].number == number else Day(number)
    before = [day for day in trend if number - DAYS < day.number < number]
    return (*before, Day(number, today.tries + tries, today.singles + singles))


def single_failure_share(trend: Trend) -> float:
    """Return which part of all tries failed singly; 0 where there were none."""
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
    """Of all of them together, those that failed too; to the millisecond."""

    @property
    def tries(self) -> int:
        """How many there were."""
        return self.ok + self.failed


RecentLogins = tuple[Minute, ...]
"""The last `MINUTES` minutes in which there was a login, oldest first."""


def record_login(recent: RecentLogins, seen: Observation) -> RecentLogins:
    """Return it with one more login, if we could look. Answers may come in any order."""
    if seen.outcome is Outcome.NO_DATA:
        return recent
    number = int(seen.at // MINUTE_S)
    minutes = {minute.number: minute for minute in recent}
    before = minutes.get(number, Minute(number))
    minutes[number] = Minute(
        number,
        before.ok + (seen.outcome is Outcome.OK),
        before.failed + (seen.outcome is Outcome.FAILED),
        round(before.latency_s + (seen.latency_s or 0.0), 3),
    )
    newest = max(minutes)
    return tuple(minutes[each] for each in sorted(minutes) if each > newest - MINUTES)
