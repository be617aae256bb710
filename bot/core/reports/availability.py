"""How a tenant's time went: up, degraded, down, or not seen. No second is counted twice."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import Severity
from bot.core.state.incident import Incident, IncidentKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class TenantStatus(IntEnum):
    """How a tenant stands. Where several hold at once, the first of them counts."""

    UNOBSERVED = 0
    DOWN = 1
    DEGRADED = 2
    UP = 3


STATUS_BY_SEVERITY = {Severity.CRITICAL: TenantStatus.DOWN, Severity.WARNING: TenantStatus.DEGRADED}


class Interval(NamedTuple):
    """Some time, and how a tenant stood."""

    since: float
    until: float
    status: TenantStatus


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
    unobserved_s: float
    """While we were blind, stopped, or did not watch it yet: neither up nor down."""
    incidents: int

    @property
    def share(self) -> float | None:
        """Which part of the time seen it was up, 0 to 1; None: we saw nothing."""
        seen_s = self.up_s + self.degraded_s + self.down_s
        return self.up_s / seen_s if seen_s else None


def compute_availability(
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
    found = [part for each in incidents for part in _incident_intervals(tenant, each, until)]
    unknown = Interval(
        since, until if watched_since is None else watched_since, TenantStatus.UNOBSERVED
    )
    spent = _time_by_status([unknown, *found], since, until)
    return Availability(
        tenant,
        up_s=spent[TenantStatus.UP],
        degraded_s=spent[TenantStatus.DEGRADED],
        down_s=spent[TenantStatus.DOWN],
        unobserved_s=spent[TenantStatus.UNOBSERVED],
        incidents=sum(stretch.status is not TenantStatus.UNOBSERVED for stretch in found),
    )


def _incident_intervals(tenant: str, incident: Incident, until: float) -> Iterator[Interval]:
    """Yield what an incident says of a tenant. A gap is ours and told once: it is everybody's."""
    if incident.kind is IncidentKind.MONITORING_GAP:
        yield Interval(incident.since, incident.opened_at, TenantStatus.UNOBSERVED)
    if tenant not in incident.tenants:
        return
    end = until if incident.resolved_at is None else incident.resolved_at
    if incident.kind is IncidentKind.NO_DATA:
        yield Interval(incident.since, end, TenantStatus.UNOBSERVED)
    elif incident.kind is IncidentKind.FAILING and incident.severity in STATUS_BY_SEVERITY:
        yield Interval(_started_at(tenant, incident), end, STATUS_BY_SEVERITY[incident.severity])


def _started_at(tenant: str, incident: Incident) -> float:
    """Return when an incident began at a tenant, which may have joined it later."""
    begins = (trouble.since for trouble in incident.problems if trouble.tenant == tenant)
    return min(begins, default=incident.since)


def _time_by_status(
    stretches: list[Interval], since: float, until: float
) -> dict[TenantStatus, float]:
    """Return how many seconds went to each standing."""
    spent = dict.fromkeys(TenantStatus, 0.0)
    ends = {end for stretch in stretches for end in stretch[:2] if since < end < until}
    for begin, end in pairwise(sorted({since, until, *ends})):
        here = (s.status for s in stretches if s.since <= begin < s.until)
        spent[min(here, default=TenantStatus.UP)] += end - begin
    return spent


def combine_availability(parts: Iterable[Availability]) -> Availability:
    """Return the time of several tenants, added up; an incident counts at each of them."""
    parts = tuple(parts)
    return Availability(
        "",
        up_s=sum(each.up_s for each in parts),
        degraded_s=sum(each.degraded_s for each in parts),
        down_s=sum(each.down_s for each in parts),
        unobserved_s=sum(each.unobserved_s for each in parts),
        incidents=sum(each.incidents for each in parts),
    )
