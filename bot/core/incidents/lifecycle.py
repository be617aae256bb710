"""The life of an incident: opened, looked at again with each new fact, resolved, reopened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents.notifications import (
    add_entry,
    edit_message,
    has_new_evidence,
    is_new_cause,
    lane,
    notify_changes,
    resolve_incident,
)
from bot.core.incidents.problems import count_failing_signals, update_problems
from bot.core.model.observation import Cause, Scope, Severity, SignalState, StatusIncident, Verdict
from bot.core.oncall.escalation import EscalationState
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    IncidentState,
    TimelineEntry,
    TimelineKind,
    VerdictRecord,
    detection_times,
    reopen,
)
from bot.core.state.outbox import Edit, Post
from bot.core.state.stimulus import Effect, IncidentChanged, Send, VerdictChanged
from bot.core.triage.collect import feed_views, matching_status_incidents, reach_verdict
from bot.core.triage.context import TriageContext, is_down

if TYPE_CHECKING:
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import Tenants
    from bot.core.state.tenant import TenantState

OUR_CAUSES = frozenset({Cause.PROBE, Cause.NETWORK})
"""Causes of ours: users elsewhere may be fine, so it is a warning."""
MAX_VERDICT_RECORDS = 20


def has_problem(world: Tenants, tenant: str) -> bool:
    """Tell whether a tenant belongs into an incident."""
    state = world.states[tenant]
    return state.no_data_since is not None or is_tenant_failing(state)


def is_tenant_failing(state: TenantState) -> bool:
    """Tell whether a probe, a measured signal or an outside monitor fires."""
    return bool(firing_signals(state))


def firing_signals(state: TenantState) -> set[str]:
    """Return the names of the probes, measured signals and outside monitors that fire."""
    states = [(name, signal.state) for name, signal in state.probes.items()]
    states += [(name, series.state) for name, series in state.metrics.items()]
    states += [(name, monitor.state) for name, monitor in state.monitors.items()]
    fires = {name for name, now in states if now is SignalState.FIRING}
    return fires | {name for name, signal in state.probes.items() if signal.latency.is_slow}


def kind_of(case: TriageContext) -> IncidentKind:
    """Tell what an incident of these tenants would be about."""
    fails = any(is_tenant_failing(case.all_tenants.states[name]) for name in case.tenants)
    return IncidentKind.FAILING if fails else IncidentKind.NO_DATA


def open_incident(
    number: int, case: TriageContext, rules: Rules
) -> tuple[Incident, tuple[Effect, ...]]:
    """Open an incident for the tenants of a case."""
    judged = reach_verdict(case)
    troubles = update_problems((), case)
    severity = _judge_severity(judged, case)
    agrees = count_failing_signals(case) > 1 or bool(matching_status_incidents(case))
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
        problems=troubles,
        status_incidents=matching_status_incidents(case),
        mention_at=(case.now if agrees else case.since + wait_s) if is_grave else None,
        escalation=None if is_grave else EscalationState(case.now),
        message_updated_at=case.now,
    )
    incident = _record_evidence(incident, case.now)
    incident, why = add_entry(incident, TimelineEntry(case.now, TimelineKind.WHY))
    return incident, (
        IncidentChanged(incident),
        VerdictChanged(number, judged),
        Send(f"{number}:post:1", lane(number), Post(number)),
        why,
    )


def _record_evidence(incident: Incident, now: float) -> Incident:
    """Keep since when each fact is known, how the verdict went, and who knew first."""
    judged = incident.verdict
    rows = {fact.rule_id: now for fact in (*judged.evidence_for, *judged.evidence_against)}
    news = tuple(row for row in rows if row not in incident.evidence_since)
    history = incident.verdict_history
    if not history or is_new_cause(history[-1].verdict, judged):
        told = replace(judged, evidence_for=(), evidence_against=())
        history = (*history[-MAX_VERDICT_RECORDS + 1 :], VerdictRecord(now, told, news))
    return replace(
        incident,
        evidence_since={**rows, **incident.evidence_since},
        verdict_history=history,
        detected_at=detection_times(incident),
    )


def create_monitoring_gap(
    number: int, tenants: tuple[str, ...], now: float, gap_s: float
) -> Incident:
    """Return an incident that is over: we could not look for a while."""
    return Incident(
        id=number,
        kind=IncidentKind.MONITORING_GAP,
        severity=Severity.INFO,
        tenants=tenants,
        since=now - gap_s,
        opened_at=now,
        verdict=Verdict(Cause.NETWORK, Scope.UNKNOWN, 1.0),
        state=IncidentState.RESOLVED,
        resolved_at=now,
    )


def evaluate_incident(
    incident: Incident, case: TriageContext, rules: Rules
) -> tuple[Incident, list[Effect]]:
    """Look at an open incident again: resolve it, or bring its verdict and figures up to date."""
    if not any(has_problem(case.all_tenants, name) for name in incident.tenants):
        return _resolve(incident, case)
    if incident.kind is IncidentKind.NO_DATA and kind_of(case) is IncidentKind.FAILING:
        return _resolve(incident, case)  # we see again, and see that something fails
    judged = incident.verdict if _has_no_data(incident, case) else reach_verdict(case)
    if is_new_cause(incident.verdict, judged) and not has_new_evidence(incident.verdict, judged):
        judged = incident.verdict
    after = replace(
        incident,
        verdict=judged,
        severity=_judge_severity(judged, case, incident),
        problems=update_problems(incident.problems, case),
        status_incidents=_update_status_incidents(incident.status_incidents, case),
    )
    after = _record_evidence(after, case.now)
    if after.severity is Severity.CRITICAL and incident.severity is not Severity.CRITICAL:
        after = _schedule_mention(after, case.now, rules)
    return notify_changes(incident, after, case.now)


def _has_no_data(incident: Incident, case: TriageContext) -> bool:
    """Tell whether nothing new can be known: we are blind, or are just getting over it."""
    tenants = [case.all_tenants.states[name] for name in incident.tenants]
    return incident.kind is IncidentKind.NO_DATA or any(tenant.no_data_since for tenant in tenants)


def _schedule_mention(incident: Incident, now: float, rules: Rules) -> Incident:
    """An incident that became grave mentions people as one that was grave from the start."""
    if incident.has_mentioned:
        return incident
    wait_s = max(rules.mention_after_s.get(name, 0.0) for name in incident.tenants)
    return replace(incident, mention_at=max(now, incident.since + wait_s))


def add_tenants(
    incident: Incident, case: TriageContext, rules: Rules
) -> tuple[Incident, list[Effect]]:
    """Take more tenants into an incident; the case is that of all tenants together."""
    news = tuple(name for name in case.tenants if name not in incident.tenants)
    after, effects = evaluate_incident(replace(incident, tenants=case.tenants), case, rules)
    after, told = add_entry(after, TimelineEntry(case.now, TimelineKind.JOINED, tenants=news))
    return after, [IncidentChanged(after), *effects, told]


def merge_into(incident: Incident, into: int, now: float) -> tuple[Incident, list[Effect]]:
    """End an incident that is part of another one, which goes on."""
    after, effects = resolve_incident(replace(incident, merged_into=into), now)
    return after, effects


def reopen_incident(
    incident: Incident, case: TriageContext, rules: Rules
) -> tuple[Incident, list[Effect]]:
    """Open an incident again that ended a moment ago."""
    tenants = tuple(dict.fromkeys((*incident.tenants, *case.tenants)))
    again = replace(reopen(incident), tenants=tenants)
    again, told = add_entry(again, TimelineEntry(case.now, TimelineKind.REOPENED))
    after, effects = evaluate_incident(
        again, replace(case, tenants=tenants, since=again.since), rules
    )
    is_shown = any(isinstance(e, Send) and isinstance(e.body, Edit) for e in effects)
    if not is_shown:
        after, shown = edit_message(after, case.now)
        effects.append(shown)
    return after, [IncidentChanged(after), told, *effects]


def remove_unknown_tenants(
    incident: Incident, now: float, rules: Rules
) -> tuple[Incident, list[Effect]]:
    """Take tenants out that are no longer configured; without any tenant it is over."""
    known = tuple(name for name in incident.tenants if name in rules.tenants)
    if known or not incident.is_open:
        return replace(incident, tenants=known), []
    return resolve_incident(replace(incident, status_incidents=()), now)


def _resolve(incident: Incident, case: TriageContext) -> tuple[Incident, list[Effect]]:
    return resolve_incident(
        replace(
            incident, status_incidents=_update_status_incidents(incident.status_incidents, case)
        ),
        case.now,
    )


def _judge_severity(
    judged: Verdict, case: TriageContext, before: Incident | None = None
) -> Severity:
    """Return how bad it is; within one cause it never gets milder."""
    if judged.cause in OUR_CAUSES:
        return Severity.WARNING
    was_critical = before is not None and before.severity is Severity.CRITICAL
    if was_critical or any(is_down(case, name) for name in case.tenants):
        return Severity.CRITICAL
    return Severity.WARNING


def _update_status_incidents(
    before: tuple[StatusIncident, ...], case: TriageContext
) -> tuple[StatusIncident, ...]:
    """Return the posts that fit now, and those that fitted before, as they read now."""
    current = {notice.id: notice for view in feed_views(case) for notice in view.status_incidents}
    followed = [current.get(notice.id, notice) for notice in before]
    known = {notice.id for notice in before}
    return (*(n for n in matching_status_incidents(case) if n.id not in known), *followed)
