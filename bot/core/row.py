"""One row of the evidence table, and how likely each cause is before anything is known."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model import Cause

AUTH0, TENANT, QUOTA, PROBE, NETWORK, APP, UPSTREAM = (
    Cause.AUTH0,
    Cause.TENANT,
    Cause.QUOTA,
    Cause.PROBE,
    Cause.NETWORK,
    Cause.APP,
    Cause.UPSTREAM,
)
BEFOREHAND = {
    AUTH0: 0.0,
    TENANT: -0.3,
    PROBE: -0.5,
    NETWORK: -0.5,
    QUOTA: -2.0,
    APP: -4.0,
    UPSTREAM: -4.0,
}
"""Most login outages that reach many are the vendor's; a quota is spent only with a 429; and what
the synthetic login does not pass through is blamed only where users fail and it does not."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of evidence."""

    id: str
    sentence: str
    """With {figures} in braces, for people."""
    weights: dict[Cause, float]
    source: str = "own experience"
