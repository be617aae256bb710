"""Looks back: availability, incidents by cause, times to detect and to acknowledge.

No second of a tenant is counted twice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import Cause, Severity
from bot.core.model.wall_clock import DAY_S
from bot.core.signals.history import Trend
from bot.core.state.desk import INCIDENT_RETENTION_S
from bot.core.state.incident import MESSAGE, STATUS_INCIDENT, Incident, IncidentKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.silence import Silence
    from bot.core.state.tenant import Tenants


class TenantStatus(IntEnum):
    """A tenant's status. Where several hold at once, the first of them counts."""

    UNOBSERVED = 0
    DOWN = 1
    DEGRADED = 2
    UP = 3


STATUS_BY_SEVERITY = {Severity.CRITICAL: TenantStatus.DOWN, Severity.WARNING: TenantStatus.DEGRADED}


ALERT_KINDS = frozenset({IncidentKind.FAILING, IncidentKind.NO_DATA})
"""Kinds of incidents that are alerts; the others are information."""


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


def measure_availability(
    tenant: str,
    found: Iterable[Interval],
    watched_since: float | None,
    since: float,
    until: float,
    *,
    incidents: int = 0,
) -> Availability:
    """Return for how long a tenant had each status between two instants.

    Args:
        tenant: its name.
        found: its status in each incident that counts, with the severity in the end.
        watched_since: when the first data of it came; None: never.
        since: the begin.
        until: the end.
        incidents: how many there were.
    """
    begin = until if watched_since is None else watched_since
    intervals = (Interval(since, begin, TenantStatus.UNOBSERVED), *found)
    seconds = _time_by_status(intervals, since, until)
    return Availability(
        tenant,
        up_s=seconds[TenantStatus.UP],
        degraded_s=seconds[TenantStatus.DEGRADED],
        down_s=seconds[TenantStatus.DOWN],
        unobserved_s=seconds[TenantStatus.UNOBSERVED],
        incidents=incidents,
    )


def list_intervals(
    incidents: Iterable[Incident], tenants: Iterable[str], until: float
) -> dict[str, list[Interval]]:
    """Return the status of each tenant in the incidents. Each incident is gone through once.

    One monitoring gap stands for all tenants.
    """
    found: dict[str, list[Interval]] = {name: [] for name in tenants}
    for incident in incidents:
        if incident.kind is IncidentKind.MONITORING_GAP:
            gap = Interval(incident.since, incident.life.opened_at, TenantStatus.UNOBSERVED)
            for intervals in found.values():
                intervals.append(gap)
        for name, interval in _intervals_of(incident, until):
            if name in found:
                found[name].append(interval)
    return found


def _intervals_of(incident: Incident, until: float) -> Iterator[tuple[str, Interval]]:
    """Yield each tenant's intervals; tenants that failed together have the same one."""
    status = STATUS_BY_SEVERITY.get(incident.severity)
    if incident.kind is IncidentKind.NO_DATA:
        status = TenantStatus.UNOBSERVED
    if incident.kind not in ALERT_KINDS or status is None:
        return
    for span in incident.failing_spans(until):
        since = span.tenants_since or dict.fromkeys(incident.tenants, span.since)
        shared = {at: Interval(at, span.until, status) for at in {*since.values()}}
        for name in incident.tenants:
            if name in since:  # it may have joined later
                yield name, shared[since[name]]


@lru_cache(maxsize=128)
def _time_by_status(
    intervals: tuple[Interval, ...], since: float, until: float
) -> Mapping[TenantStatus, float]:
    """Return how many seconds had each status; many tenants have failed in the same times."""
    seconds, running = [0.0] * len(TenantStatus), [0] * len(TenantStatus)
    running[TenantStatus.UP] = 1  # beside whatever else runs
    changes = [(until, 0, 0)]
    for one in intervals:
        begin, end = max(one.since, since), min(one.until, until)
        if begin < end:
            changes += [(begin, one.status, 1), (end, one.status, -1)]
    at = since
    for change_at, status, by in sorted(changes):
        first = 0
        while not running[first]:
            first += 1
        seconds[first] += change_at - at
        at = change_at
        running[status] += by
    return dict(zip(TenantStatus, seconds, strict=True))


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


class DurationStats(NamedTuple):
    """How long something took, over several incidents."""

    median_s: float
    worst_s: float
    sample_size: int


class LeadTime(NamedTuple):
    """How far our message was ahead of the status page, where both reported an incident."""

    median_s: float
    """Below 0: behind it."""
    times_first: int
    """How often we were first …"""
    sample_size: int
    """… of so many times."""


class SingleFailures(NamedTuple):
    """A login's single failures, by day (UTC)."""

    tenant: str
    login: str
    days: Trend


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """How fast failures were known, taken and over.

    Incidents about missing data are left out: they open after a fixed wait.
    """

    to_detect: DurationStats | None
    """From the first failing request to the alert, and to each time that it was open again."""
    to_acknowledge: DurationStats | None
    """From the alert to the acknowledgement."""
    to_resolve: DurationStats | None
    """From the first failing request to the end, each time that it failed."""
    lead: LeadTime | None


@dataclass(frozen=True, slots=True)
class Report:
    """What happened between two instants. False alarms count nowhere but among themselves."""

    since: float
    until: float
    is_truncated: bool
    """The period asked for is longer than incidents are stored."""
    tenants: tuple[Availability, ...]
    """In the order of the configuration."""
    causes: dict[Cause, int]
    """Alerts of the channel by cause, the most frequent first; a merged one is part of another and
    not counted."""
    relapses: int
    """How often one of them failed again after its end."""
    muted: tuple[int, ...]
    """The ids of those alerts that nobody was notified of."""
    response: ResponseTimes
    single_failures: tuple[SingleFailures, ...]
    """Of the logins that had any."""
    false_alarms: tuple[Incident, ...]
    silences: tuple[Silence, ...]
    """Those that were active at some time, oldest first."""
    pages_by_contact_point: dict[str, int]
    """By contact point: how many incidents it was paged about."""


def build_report(
    desk: DeskState, tenants: Tenants, rules: Rules, since: float, until: float
) -> Report:
    """Report on the time since then, at most as long as incidents are stored (seven days)."""
    begin = max(since, until - INCIDENT_RETENTION_S)
    known = [
        i
        for i in desk.incidents.values()
        if i.life.opened_at < until
        and (until if i.life.resolved_at is None else i.life.resolved_at) > begin
    ]
    real = [i for i in known if not i.false_alarm]
    watched = {name: tenants.states[name].watched_since for name in rules.tenants}
    intervals = list_intervals(real, rules.tenants, until)
    counts = Counter(n for i in real if i.kind is IncidentKind.FAILING for n in {*i.tenants})
    alerts = [i for i in real if i.kind in ALERT_KINDS and i.life.merged_into is None]
    posted = [i for i in alerts if not i.notification.is_muted]
    failing = [i for i in alerts if i.kind is IncidentKind.FAILING]
    return Report(
        begin,
        until,
        is_truncated=begin > since,
        tenants=tuple(
            measure_availability(n, intervals[n], watched[n], begin, until, incidents=counts[n])
            for n in rules.tenants
        ),
        causes=dict(Counter(i.verdict.cause for i in posted).most_common()),
        relapses=sum(len(i.life.past) for i in posted),
        muted=tuple(i.id for i in alerts if i.notification.is_muted),
        response=_measure_response(failing, until),
        single_failures=_single_failures(tenants, rules, begin, until),
        false_alarms=tuple(i for i in known if i.false_alarm),
        silences=tuple(
            s
            for s in desk.silences.values()
            if s.since < until and (until if s.ended_at is None else s.ended_at) > begin
        ),
        pages_by_contact_point=dict(Counter(n for i in real for n in i.notification.paged_at)),
    )


def _measure_response(failing: list[Incident], until: float) -> ResponseTimes:
    detect_s, acknowledge_s, resolve_s, ahead_s = (list[float]() for _ in range(4))
    for incident in failing:
        life, spans = incident.life, incident.failing_spans(until)
        detect_s.append(life.opened_at - incident.since)
        detect_s += [each.detected_at.get(MESSAGE, each.since) - each.since for each in spans[1:]]
        acknowledge_s += [life.acknowledged.at - life.opened_at] if life.acknowledged else []
        over = life.past if incident.is_open else spans
        resolve_s += [each.until - each.since for each in over]
        # Our message is compared with the status page's incident, where there are both.
        known = (each.detected_at for each in spans)
        both = [each for each in known if {MESSAGE, STATUS_INCIDENT} <= each.keys()]
        ahead_s += [each[STATUS_INCIDENT] - each[MESSAGE] for each in both]
    first = sum(each > 0 for each in ahead_s)
    return ResponseTimes(
        _duration_stats(detect_s),
        _duration_stats(acknowledge_s),
        _duration_stats(resolve_s),
        LeadTime(median(ahead_s), first, len(ahead_s)) if ahead_s else None,
    )


def _duration_stats(spans_s: list[float]) -> DurationStats | None:
    return DurationStats(median(spans_s), max(spans_s), len(spans_s)) if spans_s else None


def _single_failures(
    tenants: Tenants, rules: Rules, since: float, until: float
) -> tuple[SingleFailures, ...]:
    span = range(int(since // DAY_S), int(until // DAY_S) + 1)
    return tuple(
        SingleFailures(name, login, days)
        for name, tenant in rules.tenants.items()
        for login in tenant.logins
        if (signal := tenants.states[name].probes.get(login))
        and (days := tuple(day for day in signal.trend if day.number in span))
        and any(day.singles for day in days)
    )


def current_cause(incidents: tuple[Incident, ...], since: float, *, has_failed: bool) -> Cause:
    """Return the cause of the most severe open incident, else of the last resolved one.

    Args:
        incidents: all that are known.
        since: incidents that were resolved before this instant do not count.
        has_failed: whether a request failed since then.
    """
    still_open = [i for i in incidents if i.is_open]
    if still_open:
        return min(still_open, key=lambda i: (i.severity.rank, i.life.opened_at)).verdict.cause
    ended = [i for i in incidents if i.life.resolved_at is not None and i.life.resolved_at >= since]
    if ended:
        return max(ended, key=lambda i: i.life.resolved_at or 0.0).verdict.cause
    return Cause.BLIP if has_failed else Cause.NONE
