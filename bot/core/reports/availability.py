"""How a tenant's time went: up, degraded, down, or not seen. No second is counted twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import Severity
from bot.core.state.incident import Incident, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Standing(IntEnum):
    """How a tenant stands. Where several hold at once, the first of them counts."""

    UNSEEN = 0
    DOWN = 1
    DEGRADED = 2
    UP = 3


STANDINGS = {Severity.CRITICAL: Standing.DOWN, Severity.WARNING: Standing.DEGRADED}


class Stretch(NamedTuple):
    """Some time, and how a tenant stood."""

    since: float
    until: float
    standing: Standing


@dataclass(frozen=True, slots=True)
class Availability:
    """How the time of one tenant went, or of several together."""

    tenant: str
    """Empty: of several."""
    up_s: float
    degraded_s: float
    """While a warning was open, and nothing graver."""
    down_s: float
    """While a critical incident was open."""
    unseen_s: float
    """While we were blind, stopped, or did not watch it yet: neither up nor down."""
    incidents: int

    @property
    def share(self) -> float | None:
        """Which part of the time seen it was up, 0 to 1; None: we saw nothing."""
        seen_s = self.up_s + self.degraded_s + self.down_s
        return self.up_s / seen_s if seen_s else None


def availability(
    tenant: str,
    incidents: Iterable[Incident],
    watched_since: float | None,
    since: float,
    until: float,
) -> Availability:
    """Return how a tenant's time went between two instants.

    Args:
        tenant: its name.
        incidents: those that count, of any tenant; each with the severity that it has in the end.
        watched_since: when we first saw anything of it; None: we never did.
        since: the begin.
        until: the end.
    """
    found = [part for each in incidents for part in _stretches(tenant, each, until)]
    unknown = Stretch(since, until if watched_since is None else watched_since, Standing.UNSEEN)
    spent = _spent([unknown, *found], since, until)
    return Availability(
        tenant,
        up_s=spent[Standing.UP],
        degraded_s=spent[Standing.DEGRADED],
        down_s=spent[Standing.DOWN],
        unseen_s=spent[Standing.UNSEEN],
        incidents=sum(stretch.standing is not Standing.UNSEEN for stretch in found),
    )


def _stretches(tenant: str, incident: Incident, until: float) -> Iterator[Stretch]:
    """Yield what an incident says of a tenant. A gap is ours and told once: it is everybody's."""
    if incident.kind is Kind.GAP:
        yield Stretch(incident.since, incident.opened_at, Standing.UNSEEN)
    if tenant not in incident.tenants:
        return
    end = until if incident.resolved_at is None else incident.resolved_at
    if incident.kind is Kind.BLIND:
        yield Stretch(incident.since, end, Standing.UNSEEN)
    elif incident.kind is Kind.FAILING and incident.severity in STANDINGS:
        yield Stretch(_began(tenant, incident), end, STANDINGS[incident.severity])


def _began(tenant: str, incident: Incident) -> float:
    """Return when an incident began at a tenant, which may have joined it later."""
    begins = (trouble.since for trouble in incident.troubles if trouble.tenant == tenant)
    return min(begins, default=incident.since)


def _spent(stretches: list[Stretch], since: float, until: float) -> dict[Standing, float]:
    """Return how many seconds went to each standing."""
    spent = dict.fromkeys(Standing, 0.0)
    ends = {end for stretch in stretches for end in stretch[:2] if since < end < until}
    for begin, end in pairwise(sorted({since, until, *ends})):
        here = (s.standing for s in stretches if s.since <= begin < s.until)
        spent[min(here, default=Standing.UP)] += end - begin
    return spent


def together(parts: Iterable[Availability]) -> Availability:
    """Return the time of several tenants, added up; an incident counts at each of them."""
    parts = tuple(parts)
    return Availability(
        "",
        up_s=sum(each.up_s for each in parts),
        degraded_s=sum(each.degraded_s for each in parts),
        down_s=sum(each.down_s for each in parts),
        unseen_s=sum(each.unseen_s for each in parts),
        incidents=sum(each.incidents for each in parts),
    )
