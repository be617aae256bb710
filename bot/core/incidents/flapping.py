"""What comes and goes: when calls for it are damped, and when that is over."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from bot.core.state.incident import Damping, Incident, IncidentKind

if TYPE_CHECKING:
    from collections.abc import Iterable

HOUR_S = 3600.0
MAX_RETURNS = ((3, HOUR_S), (4, 3 * HOUR_S))
"""So many returns within such a time: it comes and goes."""
DAMPED_CALL_EVERY_S = HOUR_S
MIN_GOOD_S = 1800.0
"""Damping is over after so long without a failure …"""
GOOD_FACTOR = 2.0
"""… and after so many times the longest time without one so far."""


def damp_if_flapping(
    incidents: Iterable[Incident], tenants: Iterable[str], now: float
) -> Damping | None:
    """Return the damping for tenants that fail again now, if they come and go.

    A return counts, in the same incident or as one of its own, if people were called for what it
    comes back from.
    """
    related = [
        incident
        for incident in incidents
        if incident.kind is IncidentKind.FAILING
        and incident.life.merged_into is None
        and incident.notification.called_at is not None
        and not {*tenants}.isdisjoint(incident.tenants)
        and not is_damping_over(incident, now)
    ]
    begins = sorted(at for i in related for at in (i.life.opened_at, *i.life.returned_at))
    longest_s = MAX_RETURNS[-1][1]
    returns = [b for a, b in pairwise((*begins, now)) if b - a <= longest_s and b > a]
    if not any(sum(now - at <= span_s for at in returns) >= count for count, span_s in MAX_RETURNS):
        return None
    ended = [span.until for i in related for span in i.life.past]
    ended += [i.life.resolved_at for i in related if i.life.resolved_at is not None]
    good = [at - max((e for e in ended if e < at), default=at) for at in returns]
    return Damping(now, max(good))


def is_damping_over(incident: Incident, now: float) -> bool:
    """Tell whether what came and went has not failed for long enough since."""
    damping, ended_at = incident.notification.damping, incident.life.resolved_at
    return damping is not None and ended_at is not None and now - ended_at > quiet_s(damping)


def quiet_s(damping: Damping) -> float:
    """Return how long it must not fail until the damping is over."""
    return max(MIN_GOOD_S, GOOD_FACTOR * damping.longest_good_s)
