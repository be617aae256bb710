"""The last hour of a tenant's logins, minute by minute: what the charts are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bot.core.model import Outcome

if TYPE_CHECKING:
    from bot.core.model import Observation

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


Recent = tuple[Minute, ...]
"""The last `MINUTES` minutes in which there was a login, oldest first."""


def recorded(recent: Recent, seen: Observation) -> Recent:
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
