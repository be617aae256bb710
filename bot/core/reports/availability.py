"""How long a tenant was up, degraded, down or unobserved. No second counts twice."""

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
    """A tenant's status. Where several hold at once, the first of them counts."""

    UNOBSERVED = 0
    DOWN = 1
    DEGRADED = 2
    UP = 3


STATUS_BY_SEVERITY = {Severity.CRITICAL: TenantStatus.DOWN, Severity.WARNING: TenantStatus.DEGRADED}


class Interval(NamedTuple):
    """A tenant's status between two instants."""

    since: float
    until: float
    status: TenantStatus


@dataclass(frozen=True, slots=True)
class Availability:
    """For how long one tenant, or several together, had each status."""

    tenant: str
    """Empty: several together."""
    up_s: float
    degraded_s: float
    """While a warning was open, and no critical incident."""
    down_s: float
    """While a critical incident was open."""
    unobserved_s: float
    """Without data, while the bot was stopped or did not watch it yet: neither up nor down."""
    incidents: int

    @property
    def share(self) -> float | None:
        """The share of the observed time that it was up, 0 to 1; None: nothing was observed."""
        observed_s = self.up_s + self.degraded_s + self.down_s
        return self.up_s / observed_s if observed_s else None


def compute_availability(
    tenant: str,
    incidents: Iterable[Incident],
    watched_since: float | None,
    since: float,
    until: float,
) -> Availability:
    """Return for how long a tenant had each status between two instants.

    Args:
        tenant: its name.
        incidents: those that count, of any tenant; each with the severity that it has in the end.
        watched_since: when the first data of it came; None: never.
        since: the begin.
        until: the end.
    """
    found = [one for each in incidents for one in _incident_intervals(tenant, each, until)]
    begin = until if watched_since is None else watched_since
    intervals = [Interval(since, begin, TenantStatus.UNOBSERVED), *found]
    seconds = _time_by_status(intervals, since, until)
    return Availability(
        tenant,
        up_s=seconds[TenantStatus.UP],
        degraded_s=seconds[TenantStatus.DEGRADED],
        down_s=seconds[TenantStatus.DOWN],
        unobserved_s=seconds[TenantStatus.UNOBSERVED],
        incidents=sum(one.status is not TenantStatus.UNOBSERVED for one in found),
    )


def _incident_intervals(tenant: str, incident: Incident, until: float) -> Iterator[Interval]:
    """Yield a tenant's status in an incident. One monitoring gap stands for all tenants."""
    if incident.kind is IncidentKind.MONITORING_GAP:
        yield Interval(incident.since, incident.opened_at, TenantStatus.UNOBSERVED)
    if tenant not in incident.tenants:
        return
    end = until if incident.resolved_at is None else incident.resolved_at
    if incident.kind is IncidentKind.NO_DATA:
        yield Interval(incident.since, end, TenantStatus.UNOBSERVED)
    elif incident.kind is IncidentKind.FAILING and incident.severity in STATUS_BY_SEVERITY:
        starts = (problem.since for problem in incident.problems if problem.tenant == tenant)
        begin = min(starts, default=incident.since)  # a tenant may have joined later
        yield Interval(begin, end, STATUS_BY_SEVERITY[incident.severity])


def _time_by_status(
    intervals: list[Interval], since: float, until: float
) -> dict[TenantStatus, float]:
    """Return how many seconds had each status."""
    seconds = dict.fromkeys(TenantStatus, 0.0)
    ends = {end for one in intervals for end in one[:2] if since < end < until}
    for begin, end in pairwise(sorted({since, until, *ends})):
        here = (one.status for one in intervals if one.since <= begin < one.until)
        seconds[min(here, default=TenantStatus.UP)] += end - begin
    return seconds


def combine_availability(parts: Iterable[Availability]) -> Availability:
    """Add up the availability of several tenants; an incident counts at each of them."""
    parts = tuple(parts)
    return Availability(
        "",
        up_s=sum(each.up_s for each in parts),
        degraded_s=sum(each.degraded_s for each in parts),
        down_s=sum(each.down_s for each in parts),
        unobserved_s=sum(each.unobserved_s for each in parts),
        incidents=sum(each.incidents for each in parts),
    )
