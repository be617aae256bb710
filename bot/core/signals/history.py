"""A tenant's recent history: logins by minute for charts, single failures by day."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import Outcome
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
