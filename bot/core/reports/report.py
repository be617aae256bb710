"""Looking back: availability, incidents and how they were handled, in figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.wall_clock import DAY_S
from bot.core.reports.availability import Availability, availability
from bot.core.signals.history import Trend
from bot.core.state.desk import REMEMBERED_S
from bot.core.state.incident import MESSAGE, NOTICE, Incident, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.model.observation import Cause
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.silence import Silence
    from bot.core.state.stimulus import World

ALERTS = frozenset({Kind.FAILING, Kind.BLIND})
"""Kinds of incidents that call for somebody; the others only tell something."""


class Spread(NamedTuple):
    """How long something took, over several incidents."""

    median_s: float
    worst_s: float
    of: int
    """How many."""


class Lead(NamedTuple):
    """How far our message was ahead of the status page, where both told of an incident."""

    median_s: float
    """Below 0: behind it."""
    first: int
    """How often we were first …"""
    of: int
    """… of so many times."""


class Singles(NamedTuple):
    """A login's single failures, by day (UTC)."""

    tenant: str
    login: str
    days: Trend


@dataclass(frozen=True, slots=True)
class Report:
    """What happened between two instants. False alarms count nowhere but among themselves."""

    since: float
    until: float
    is_cut: bool
    """More was asked for than is remembered."""
    tenants: tuple[Availability, ...]
    """In the order of the configuration."""
    causes: dict[Cause, int]
    """Alerts by their cause, the most frequent first; one that was merged is part of another."""
    muted: tuple[int, ...]
    """Those of them that nobody was told of."""
    detected: Spread | None
    """From the first failing request to the alert; of what fails only: blindness takes its time."""
    acknowledged: Spread | None
    """From the alert to the first person."""
    resolved: Spread | None
    """From the first failing request to the end."""
    lead: Lead | None
    singles: tuple[Singles, ...]
    """Logins that had some."""
    false_alarms: tuple[Incident, ...]
    silences: tuple[Silence, ...]
    """Those that ran at some time, oldest first."""
    paged: dict[str, int]
    """By each way beyond Slack: how many incidents it told of."""


def report(desk: DeskState, world: World, rules: Rules, since: float, until: float) -> Report:
    """Look back as far as incidents are remembered, seven days at the most."""
    begin = max(since, until - REMEMBERED_S)
    known = [i for i in desk.incidents.values() if _is_in(i, begin, until)]
    real = [i for i in known if not i.false_alarm]
    alerts = [i for i in real if i.kind in ALERTS and i.merged_into is None]
    failing = [i for i in alerts if i.kind is Kind.FAILING]
    tenants = (
        availability(name, real, world.tenants[name].watched_since, begin, until)
        for name in rules.tenants
    )
    return Report(
        begin,
        until,
        is_cut=begin > since,
        tenants=tuple(tenants),
        causes=dict(Counter(i.verdict.cause for i in alerts).most_common()),
        muted=tuple(i.id for i in alerts if i.is_muted),
        detected=_spread(i.opened_at - i.since for i in failing),
        acknowledged=_spread(
            i.acknowledged_at - i.opened_at for i in failing if i.acknowledged_at is not None
        ),
        resolved=_spread(i.resolved_at - i.since for i in failing if i.resolved_at is not None),
        lead=_lead(failing),
        singles=_singles(world, rules, begin, until),
        false_alarms=tuple(i for i in known if i.false_alarm),
        silences=tuple(s for s in desk.silences.values() if _ran(s, begin, until)),
        paged=dict(Counter(way for i in real for way in i.paged)),
    )


def _is_in(incident: Incident, since: float, until: float) -> bool:
    end = until if incident.resolved_at is None else incident.resolved_at
    return incident.opened_at < until and end > since


def _ran(silence: Silence, since: float, until: float) -> bool:
    end = until if silence.ended_at is None else silence.ended_at
    return silence.since < until and end > since


def _spread(spans_s: Iterable[float]) -> Spread | None:
    spans = tuple(spans_s)
    return Spread(median(spans), max(spans), len(spans)) if spans else None


def _lead(incidents: Iterable[Incident]) -> Lead | None:
    """Compare our message with the status page's post, where there are both."""
    knew = [i.knew for i in incidents if {MESSAGE, NOTICE} <= i.knew.keys()]
    ahead = [each[NOTICE] - each[MESSAGE] for each in knew]
    return Lead(median(ahead), sum(s > 0 for s in ahead), len(ahead)) if ahead else None


def _singles(world: World, rules: Rules, since: float, until: float) -> tuple[Singles, ...]:
    span = range(int(since // DAY_S), int(until // DAY_S) + 1)
    found = (
        Singles(name, login, tuple(day for day in signals[login].trend if day.number in span))
        for name, tenant in rules.tenants.items()
        for signals in (world.tenants[name].signals,)
        for login in tenant.logins
        if login in signals
    )
    return tuple(each for each in found if any(day.singles for day in each.days))
