"""The life of an incident: opened, looked at again with each new fact, resolved, reopened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents.notifications import (
    edit,
    ended,
    has_new_rows,
    is_new_cause,
    lane,
    reply,
    told,
)
from bot.core.incidents.problems import signals_agreeing, troubles_of
from bot.core.model.observation import Cause, Notice, Scope, Severity, SignalState, Verdict
from bot.core.oncall.escalation import Ladder
from bot.core.state.incident import (
    Entry,
    EntryKind,
    Incident,
    IncidentState,
    Judgement,
    Kind,
    first_known,
    reopened,
)
from bot.core.state.outbox import Edit, Post
from bot.core.state.stimulus import Effect, IncidentChanged, Send, VerdictChanged
from bot.core.triage.collect import feed_views, fitting_notices, verdict
from bot.core.triage.context import Case, is_down

if TYPE_CHECKING:
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import World
    from bot.core.state.tenant import TenantState

OURS = frozenset({Cause.PROBE, Cause.NETWORK})
"""Causes of ours: users elsewhere may be fine, so it is a warning."""
MOST_JUDGEMENTS = 20


def is_troubled(world: World, tenant: str) -> bool:
    """Tell whether a tenant belongs into an incident."""
    state = world.tenants[tenant]
    return state.blind_since is not None or is_failing(state)


def is_failing(state: TenantState) -> bool:
    """Tell whether a probe, a measured signal or an outside monitor fires."""
    return bool(firing(state))


def firing(state: TenantState) -> set[str]:
    """Return the names of the probes, measured signals and outside monitors that fire."""
    states = [(name, signal.state) for name, signal in state.signals.items()]
    states += [(name, series.state) for name, series in state.series.items()]
    states += [(name, monitor.state) for name, monitor in state.monitors.items()]
    fires = {name for name, now in states if now is SignalState.FIRING}
    return fires | {name for name, signal in state.signals.items() if signal.tempo.is_slow}


def kind_of(case: Case) -> Kind:
    """Tell what an incident of these tenants would be about."""
    fails = any(is_failing(case.world.tenants[name]) for name in case.tenants)
    return Kind.FAILING if fails else Kind.BLIND


def opened(number: int, case: Case, rules: Rules) -> tuple[Incident, tuple[Effect, ...]]:
    """Open an incident for the tenants of a case."""
    judged = verdict(case)
    troubles = troubles_of((), case)
    severity = _severity(judged, case)
    agrees = signals_agreeing(case) > 1 or bool(fitting_notices(case))
    is_grave = severity is Severity.CRITICAL
    wait_s = max((rules.mention_after_s.get(name, 0.0) for name in case.tenants), default=0.0)
    incident = Incident(
        id=number,
        kind=kind_of(case),
        severity=severity,
        tenants=case.tenants,
        since=case.since,
        opened_at=case.now,
        verdict=judged,
        troubles=troubles,
        notices=fitting_notices(case),
        mention_at=(case.now if agrees else case.since + wait_s) if is_grave else None,
        ladder=None if is_grave else Ladder(case.now),
        shown_at=case.now,
    )
    incident = _noted(incident, case.now)
    incident, why = reply(incident, Entry(case.now, EntryKind.WHY))
    return incident, (
        IncidentChanged(incident),
        VerdictChanged(number, judged),
        Send(f"{number}:post:1", lane(number), Post(number)),
        why,
    )


def _noted(incident: Incident, now: float) -> Incident:
    """Keep since when each fact is known, how the verdict went, and who knew first."""
    judged = incident.verdict
    rows = {fact.row: now for fact in (*judged.because, *judged.against)}
    news = tuple(row for row in rows if row not in incident.facts_since)
    history = incident.history
    if not history or is_new_cause(history[-1].verdict, judged):
        told = replace(judged, because=(), against=())
        history = (*history[-MOST_JUDGEMENTS + 1 :], Judgement(now, told, news))
    return replace(
        incident,
        facts_since={**rows, **incident.facts_since},
        history=history,
        knew=first_known(incident),
    )


def told_gap(number: int, tenants: tuple[str, ...], now: float, gap_s: float) -> Incident:
    """Return an incident that is over: we could not look for a while."""
    return Incident(
        id=number,
        kind=Kind.GAP,
        severity=Severity.INFO,
        tenants=tenants,
        since=now - gap_s,
        opened_at=now,
        verdict=Verdict(Cause.NETWORK, Scope.UNKNOWN, 1.0),
        state=IncidentState.RESOLVED,
        resolved_at=now,
    )


def reviewed(incident: Incident, case: Case, rules: Rules) -> tuple[Incident, list[Effect]]:
    """Look at an open incident again: resolve it, or bring its verdict and figures up to date."""
    if not any(is_troubled(case.world, name) for name in incident.tenants):
        return _resolved(incident, case)
    if incident.kind is Kind.BLIND and kind_of(case) is Kind.FAILING:
        return _resolved(incident, case)  # we see again, and see that something fails
    judged = incident.verdict if _is_unseen(incident, case) else verdict(case)
    if is_new_cause(incident.verdict, judged) and not has_new_rows(incident.verdict, judged):
        judged = incident.verdict
    after = replace(
        incident,
        verdict=judged,
        severity=_severity(judged, case, incident),
        troubles=troubles_of(incident.troubles, case),
        notices=_notices(incident.notices, case),
    )
    after = _noted(after, case.now)
    if after.severity is Severity.CRITICAL and incident.severity is not Severity.CRITICAL:
        after = _mention_due(after, case.now, rules)
    return told(incident, after, case.now)


def _is_unseen(incident: Incident, case: Case) -> bool:
    """Tell whether nothing new can be known: we are blind, or are just getting over it."""
    tenants = [case.world.tenants[name] for name in incident.tenants]
    return incident.kind is Kind.BLIND or any(tenant.blind_since for tenant in tenants)


def _mention_due(incident: Incident, now: float, rules: Rules) -> Incident:
    """An incident that became grave mentions people as one that was grave from the start."""
    if incident.is_mentioned:
        return incident
    wait_s = max(rules.mention_after_s.get(name, 0.0) for name in incident.tenants)
    return replace(incident, mention_at=max(now, incident.since + wait_s))


def joined(incident: Incident, case: Case, rules: Rules) -> tuple[Incident, list[Effect]]:
    """Take more tenants into an incident; the case is that of all tenants together."""
    news = tuple(name for name in case.tenants if name not in incident.tenants)
    after, effects = reviewed(replace(incident, tenants=case.tenants), case, rules)
    after, told = reply(after, Entry(case.now, EntryKind.JOINED, tenants=news))
    return after, [IncidentChanged(after), *effects, told]


def merged(incident: Incident, into: int, now: float) -> tuple[Incident, list[Effect]]:
    """End an incident that is part of another one, which goes on."""
    after, effects = ended(replace(incident, merged_into=into), now)
    return after, effects


def back(incident: Incident, case: Case, rules: Rules) -> tuple[Incident, list[Effect]]:
    """Open an incident again that ended a moment ago."""
    tenants = tuple(dict.fromkeys((*incident.tenants, *case.tenants)))
    again = replace(reopened(incident), tenants=tenants)
    again, told = reply(again, Entry(case.now, EntryKind.REOPENED))
    after, effects = reviewed(again, replace(case, tenants=tenants, since=again.since), rules)
    is_shown = any(isinstance(e, Send) and isinstance(e.body, Edit) for e in effects)
    if not is_shown:
        after, shown = edit(after, case.now)
        effects.append(shown)
    return after, [IncidentChanged(after), told, *effects]


def without_strangers(
    incident: Incident, now: float, rules: Rules
) -> tuple[Incident, list[Effect]]:
    """Take tenants out that are no longer configured; without any tenant it is over."""
    known = tuple(name for name in incident.tenants if name in rules.tenants)
    if known or not incident.is_open:
        return replace(incident, tenants=known), []
    return ended(replace(incident, notices=()), now)


def _resolved(incident: Incident, case: Case) -> tuple[Incident, list[Effect]]:
    return ended(replace(incident, notices=_notices(incident.notices, case)), case.now)


def _severity(judged: Verdict, case: Case, before: Incident | None = None) -> Severity:
    """Return how bad it is; within one cause it never gets milder."""
    if judged.cause in OURS:
        return Severity.WARNING
    was_critical = before is not None and before.severity is Severity.CRITICAL
    if was_critical or any(is_down(case, name) for name in case.tenants):
        return Severity.CRITICAL
    return Severity.WARNING


def _notices(before: tuple[Notice, ...], case: Case) -> tuple[Notice, ...]:
    """Return the posts that fit now, and those that fitted before, as they read now."""
    current = {notice.id: notice for view in feed_views(case) for notice in view.notices}
    followed = [current.get(notice.id, notice) for notice in before]
    known = {notice.id for notice in before}
    return (*(n for n in fitting_notices(case) if n.id not in known), *followed)
