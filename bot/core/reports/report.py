"""Looking back: availability, incidents and how they were handled, in figures."""

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
    from bot.core.state.stimulus import Tenants

ALERT_KINDS = frozenset({IncidentKind.FAILING, IncidentKind.NO_DATA})
"""Kinds of incidents that call for somebody; the others only tell something."""


class DurationStats(NamedTuple):
    """How long something took, over several incidents."""

    median_s: float
    worst_s: float
    sample_size: int
    """How many."""


class LeadTime(NamedTuple):
    """How far our message was ahead of the status page, where both told of an incident."""

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
    """More was asked for than is remembered."""
    tenants: tuple[Availability, ...]
    """In the order of the configuration."""
    causes: dict[Cause, int]
    """Alerts by their cause, the most frequent first; one that was merged is part of another."""
    muted: tuple[int, ...]
    """Those of them that nobody was told of."""
    time_to_detect: DurationStats | None
    """From the first failing request to the alert; of what fails only: blindness takes its time."""
    time_to_acknowledge: DurationStats | None
    """From the alert to the first person."""
    time_to_resolve: DurationStats | None
    """From the first failing request to the end."""
    lead_time: LeadTime | None
    single_failures: tuple[SingleFailures, ...]
    """Logins that had some."""
    false_alarms: tuple[Incident, ...]
    silences: tuple[Silence, ...]
    """Those that ran at some time, oldest first."""
    pages_by_contact_point: dict[str, int]
    """By each way beyond Slack: how many incidents it told of."""


def build_report(
    desk: DeskState, world: Tenants, rules: Rules, since: float, until: float
) -> Report:
    """Look back as far as incidents are remembered, seven days at the most."""
    begin = max(since, until - INCIDENT_RETENTION_S)
    known = [i for i in desk.incidents.values() if _is_within(i, begin, until)]
    real = [i for i in known if not i.false_alarm]
    alerts = [i for i in real if i.kind in ALERT_KINDS and i.merged_into is None]
    failing = [i for i in alerts if i.kind is IncidentKind.FAILING]
    tenants = (
        compute_availability(name, real, world.states[name].watched_since, begin, until)
        for name in rules.tenants
    )
    return Report(
        begin,
        until,
        is_truncated=begin > since,
        tenants=tuple(tenants),
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
        single_failures=_single_failures(world, rules, begin, until),
        false_alarms=tuple(i for i in known if i.false_alarm),
        silences=tuple(s for s in desk.silences.values() if _was_active(s, begin, until)),
        pages_by_contact_point=dict(Counter(way for i in real for way in i.paged_contact_points)),
    )


def _is_within(incident: Incident, since: float, until: float) -> bool:
    end = until if incident.resolved_at is None else incident.resolved_at
    return incident.opened_at < until and end > since


def _was_active(silence: Silence, since: float, until: float) -> bool:
    end = until if silence.ended_at is None else silence.ended_at
    return silence.since < until and end > since


def _duration_stats(spans_s: Iterable[float]) -> DurationStats | None:
    spans = tuple(spans_s)
    return DurationStats(median(spans), max(spans), len(spans)) if spans else None


def _lead_time(incidents: Iterable[Incident]) -> LeadTime | None:
    """Compare our message with the status page's post, where there are both."""
    knew = [i.detected_at for i in incidents if {MESSAGE, STATUS_INCIDENT} <= i.detected_at.keys()]
    ahead = [each[STATUS_INCIDENT] - each[MESSAGE] for each in knew]
    return LeadTime(median(ahead), sum(s > 0 for s in ahead), len(ahead)) if ahead else None


def _single_failures(
    world: Tenants, rules: Rules, since: float, until: float
) -> tuple[SingleFailures, ...]:
    span = range(int(since // DAY_S), int(until // DAY_S) + 1)
    found = (
        SingleFailures(
            name, login, tuple(day for day in signals[login].trend if day.number in span)
        )
        for name, tenant in rules.tenants.items()
        for signals in (world.states[name].probes,)
        for login in tenant.logins
        if login in signals
    )
    return tuple(each for each in found if any(day.singles for day in each.days))
