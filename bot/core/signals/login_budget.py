"""How often the synthetic user may log in: probes, domains and on-demand checks together.

Auth0 limits one user from one address to 20 logins a minute, successes included, and falls back
to 10 a minute once that is exceeded (Rate Limit Policy, read 2026-11). We stay well below.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.record import replace

MINUTE_S = 60.0
PER_MINUTE = 12
"""Logins of one test user in any minute, on-demand checks included."""
TEN_MINUTES_S = 600.0
PER_TEN_MINUTES = 100
"""The same in any ten minutes."""
ROUTINE_WAIT_S = 10.0
"""Between two routine logins: however short the interval, half of the budget remains for confirming
a failure."""
REFUSED_WAIT_S = 30.0
FEW_REFUSALS, MOST_REFUSALS = 5, 12
"""Auth0 blocks address and user at the tenth failure. So that repeated on-demand checks do not
get there, the wait doubles with each refusal after the fifth, to an hour from the twelfth on."""


@dataclass(frozen=True)
class LoginBudget:
    """The logins of one synthetic user in the last ten minutes."""

    starts: tuple[float, ...] = ()
    refusals: int = 0
    """How often the credentials were refused since they were last accepted."""

    def allows(self, now: float, *, is_routine: bool) -> bool:
        """Tell whether one more login may start now."""
        if self.refusals and now - self._last_start() < self.refused_wait_s:
            return False
        if is_routine and now - self._last_start() < ROUTINE_WAIT_S:
            return False
        return (
            self._count_since(now - MINUTE_S) < PER_MINUTE
            and self._count_since(now - TEN_MINUTES_S) < PER_TEN_MINUTES
        )

    @property
    def refused_wait_s(self) -> float:
        """How long to wait after a refusal: longer with each refusal after the fifth."""
        return REFUSED_WAIT_S * 2.0 ** max(0, min(self.refusals, MOST_REFUSALS) - FEW_REFUSALS)

    def spend(self, now: float) -> LoginBudget:
        """Return the budget after a login that starts now."""
        recent = tuple(start for start in self.starts if start > now - TEN_MINUTES_S)
        return replace(self, starts=(*recent, now))

    def _last_start(self) -> float:
        return self.starts[-1] if self.starts else float("-inf")

    def _count_since(self, at: float) -> int:
        return sum(start > at for start in self.starts)
