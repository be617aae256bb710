"""Small or slow: failures beyond what is usual, added up until chance is ruled out (CUSUM).

A window of two minutes cannot tell 9 % of 24 calls a minute from chance; twenty of them can. The
sum is a log-likelihood ratio, "at the limit" against "as usual", of Poisson counts. It
starts again from 0 whenever "as usual" wins, and so tells when the excess began (Page, 1954).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING

from bot.core.model.measurement import Group, merge_groups
from bot.core.model.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.model.measurement import Measurement

LEAST_RATIO = 2.0
"""Of the rate when it fired to the usual one."""
CERTAIN = 8.5
"""From this sum on it is no chance."""
CEILING = 16.0
SHORTEST_S = 300.0
"""An excess that is younger is left to the window."""
LONGEST_S = 3600.0
"""What has lasted for longer without reaching the limit is usual from now on."""
HALF_LIFE_S = 600.0
"""Of the counts that are compared with the limit: an excess may have grown since it began."""
MARGIN = 0.5
"""Standard deviations by which the counts must be above the limit."""
MIN_FAILURES = 10.0
ENDED = 5.0
"""From this log-likelihood ratio on, "as usual" against "as when it fired", it is over."""


@dataclass(frozen=True)
class Excess:
    """What has failed beyond the usual since it began to; empty while nothing has."""

    score: float = 0.0
    since: float | None = None
    usual_rate: float = 0.0
    """As it was known when the excess began: it must not creep along with it."""
    failed: float = 0.0
    """Of late, by `HALF_LIFE_S`, as `amount`."""
    amount: float = 0.0
    """All calls; without a total: seconds."""
    counted_at: float | None = None
    groups: tuple[Group, ...] = ()
    """The log rows of failed logins since then."""
    calm: float = 0.0
    """How clearly it is over, while it fires."""
    fired_rate: float = 0.0
    """The failures by `amount` when it fired; 0: it does not."""

    @property
    def rate(self) -> float:
        """Failures by `amount`: a share, or events a second."""
        return self.failed / self.amount if self.amount else 0.0

    @property
    def is_certain(self) -> bool:
        """Whether more fail than usual, and not by chance."""
        return self.score >= CERTAIN and self.failed >= MIN_FAILURES

    @property
    def is_firing(self) -> bool:
        """Whether it has reached its limit, and is not over."""
        return self.fired_rate > 0


def add_excess(
    excess: Excess,
    latest: Measurement,
    usual_rate: float,
    limit: tuple[float, float],
    groups: Iterable[Group] = (),
) -> Excess:
    """Add what the newest measurement counted since the last one.

    Args:
        excess: the state so far.
        latest: may overlap with the one before; then only its new part counts.
        usual_rate: failures a call (without a total: a second) while all is well.
        limit: it fires only from this rate on, and from so many times the usual one.
        groups: the rows of failed logins in `latest`.
    """
    is_known = excess.counted_at is not None and latest.span_s > 0
    new_s = min(latest.at - (excess.counted_at or 0.0), latest.span_s) if is_known else 0.0
    excess = replace(excess, counted_at=latest.at)
    if new_s <= 0:
        return excess
    part = new_s / latest.span_s
    failed = latest.failed * part
    amount = new_s if latest.total is None else latest.total * part
    usual_rate = usual_rate if excess.since is None else excess.usual_rate
    usual = usual_rate * amount
    ratio = max(limit[0] / usual_rate, limit[1])
    score = min(excess.score + failed * log(ratio) - usual * (ratio - 1), CEILING)
    if excess.is_firing:
        return _watch_end(replace(excess, score=max(score, CERTAIN)), failed, usual, amount)
    since = latest.at - new_s if excess.since is None else excess.since
    if score <= 0 or latest.at - since > LONGEST_S:
        return Excess(counted_at=latest.at)
    decay = 0.5 ** (new_s / HALF_LIFE_S)
    excess = replace(
        excess,
        score=score,
        since=since,
        usual_rate=usual_rate,
        failed=excess.failed * decay + failed,
        amount=excess.amount * decay + amount,
        groups=merge_groups((*excess.groups, *groups)),
    )
    least = max(limit[0], limit[1] * usual_rate) * excess.amount
    has_reached = excess.failed >= least + MARGIN * sqrt(least)
    if excess.is_certain and has_reached and latest.at - since >= SHORTEST_S:
        return replace(excess, fired_rate=max(excess.rate, LEAST_RATIO * usual_rate))
    return excess


def _watch_end(excess: Excess, failed: float, usual: float, amount: float) -> Excess:
    """Tell by a sum of its own whether an excess that fires is over."""
    fired = excess.fired_rate * amount
    calm = excess.calm + fired - usual - failed * log(fired / usual) if usual else excess.calm
    return (
        Excess(counted_at=excess.counted_at)
        if calm >= ENDED
        else replace(excess, calm=max(calm, 0.0))
    )
