"""The report: availability, incidents and how they were handled, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.wall_clock import DAY_S
from bot.core.reports.availability import Availability, compute_availability
from bot.core.signals.history import Trend
from bot.core.state.desk import INCIDENT_RETENTION_S
from bot.core.state.incident import MESSAGE, STATUS_INCIDENT, Incident, IncidentKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.model.observation import Cause
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.silence import Silence
    from bot.core.state.tenant import Tenants

ALERT_KINDS = frozenset({IncidentKind.FAILING, IncidentKind.NO_DATA})
"""Kinds of incidents that are alerts; the others are information."""


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
class Report:
    """What happened between two instants. False alarms count nowhere but among themselves."""

    since: float
    until: float
    is_truncated: bool
    """The period asked for is longer than incidents are stored."""
    tenants: tuple[Availability, ...]
    """In the order of the configuration."""
    causes: dict[Cause, int]
    """Alerts by cause, the most frequent first; a merged one is part of another and not counted."""
    muted: tuple[int, ...]
    """The ids of those alerts that nobody was notified of."""
    time_to_detect: DurationStats | None
    """From the first failing request to the alert. Incidents about missing data are left out: they
    open after a fixed wait."""
    time_to_acknowledge: DurationStats | None
    """From the alert to the acknowledgement."""
    time_to_resolve: DurationStats | None
    """From the first failing request to the end."""
    lead_time: LeadTime | None
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
        if i.opened_at < until and (until if i.resolved_at is None else i.resolved_at) > begin
    ]
    real = [i for i in known if not i.false_alarm]
    alerts = [i for i in real if i.kind in ALERT_KINDS and i.merged_into is None]
    failing = [i for i in alerts if i.kind is IncidentKind.FAILING]
    return Report(
        begin,
        until,
        is_truncated=begin > since,
        tenants=tuple(
            compute_availability(name, real, tenants.states[name].watched_since, begin, until)
            for name in rules.tenants
        ),
        causes=dict(Counter(i.verdict.cause for i in alerts).most_common()),
        muted=tuple(i.id for i in alerts if i.is_muted),
        time_to_detect=_duration_stats(i.opened_at - i.since for i in failing),
        time_to_acknowledge=_duration_stats(
            i.acknowledged_at - i.opened_at for i in failing if i.acknowledged_at is not None
        ),
        time_to_resolve=_duration_stats(
            i.resolved_at - i.since for i in failing if i.resolved_at is not None
        ),
        lead_time=_lead_time(failing),
        single_failures=_single_failures(tenants, rules, begin, until),
        false_alarms=tuple(i for i in known if i.false_alarm),
        silences=tuple(
            s
            for s in desk.silences.values()
            if s.since < until and (until if s.ended_at is None else s.ended_at) > begin
        ),
        pages_by_contact_point=dict(Counter(name for i in real for name in i.paged_contact_points)),
    )


def _duration_stats(spans_s: Iterable[float]) -> DurationStats | None:
    spans = tuple(spans_s)
    return DurationStats(median(spans), max(spans), len(spans)) if spans else None


def _lead_time(incidents: Iterable[Incident]) -> LeadTime | None:
    """Compare our message with the status page's status incident, where there are both."""
    known = (incident.history.detected_at for incident in incidents)
    both = [each for each in known if {MESSAGE, STATUS_INCIDENT} <= each.keys()]
    ahead_s = [each[STATUS_INCIDENT] - each[MESSAGE] for each in both]
    return LeadTime(median(ahead_s), sum(s > 0 for s in ahead_s), len(ahead_s)) if ahead_s else None


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
