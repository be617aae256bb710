"""The life of an incident: opened, evaluated when something is new, resolved, reopened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents.notifications import (
    add_entry,
    edit_message,
    notify_changes,
    post_message,
    resolve_incident,
)
from bot.core.incidents.recurrence import is_quiet_over
from bot.core.incidents.verdict_changes import OUR_CAUSES, record_evidence, turn_verdict
from bot.core.model.observation import Cause, Health, Severity, Verdict
from bot.core.oncall import AwaitingMention, CallReason, EscalationState, begun_escalation
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import (
    Damping,
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    NotificationState,
    Resolution,
    Return,
    reopen,
)
from bot.core.state.outbox import Call, Edit, Reply
from bot.core.state.problem import (
    AlertProblem,
    Impact,
    MetricProblem,
    ProbeProblem,
    Problem,
    SlowProblem,
)
from bot.core.state.stimulus import DeskEffect, IncidentChanged, Send, VerdictChanged
from bot.core.state.timeline import JoinedEntry, ReopenedEntry
from bot.core.triage.context import (
    TriageContext,
    are_users_down,
    is_calm,
    is_down,
    measure_impact,
)
from bot.core.triage.verdict import Triage, feed_views, matching_status_incidents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.measurement import MetricKind
    from bot.core.signals.external_alerts import Monitor
    from bot.core.signals.history import LatencyBaseline
    from bot.core.signals.metric_threshold import MetricState
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.desk import DeskState
    from bot.core.state.tenant import Tenants

CANNOT_CHECK_S = 1800.0
"""If no tenant at all could be checked for so long, people are called."""


def kind_of(context: TriageContext) -> IncidentKind:
    """Return what an incident of these tenants would be about."""
    states = context.all_tenants.states
    is_failing = any(states[name].health & Health.ALERTING for name in context.tenants)
    return IncidentKind.FAILING if is_failing else IncidentKind.NO_DATA


def open_incident(
    number: int,
    context: TriageContext,
    triage: Triage,
    *,
    damping: Damping | None = None,
    perhaps_same_as: int | None = None,
) -> tuple[Incident, list[DeskEffect]]:
    """Open an incident for the tenants of a context; with damping if they come and go."""
    reason = CallReason.FLAPPING if damping else CallReason.BEGUN
    now, verdict = context.now, triage.judge(context)
    severity = _judge_severity(verdict, context)
    is_critical = severity is Severity.CRITICAL
    status_incidents = matching_status_incidents(context)
    # A second source agrees: nothing is gained by waiting before people are mentioned.
    is_corroborated = _count_failing_signals(context) > 1 or bool(status_incidents)
    mention_after_s = context.rules.mention_after_s
    wait_s = max((mention_after_s.get(name, 0.0) for name in context.tenants), default=0.0)
    incident = Incident(
        id=number,
        kind=kind_of(context),
        severity=severity,
        tenants=context.tenants,
        since=context.since,
        life=IncidentLife(now),
        verdict=verdict,
        problems=_update_problems((), context),
        status_incidents=status_incidents,
        notification=NotificationState(
            escalation=AwaitingMention(
                now if is_corroborated else context.since + wait_s, reason=reason
            )
            if is_critical
            else EscalationState(now),
            damping=damping,
        ),
        message=IncidentMessage(
            channel=context.rules.channels.home(context.tenants[0], severity), updated_at=now
        ),
        perhaps_same_as=perhaps_same_as,
    )
    incident = record_evidence(incident, now)
    may_call = any(context.rules.may_call(name, now) for name in context.tenants)
    call = Call(number, reason, now) if is_critical and may_call else None
    post = post_message(incident, call)
    return incident, [IncidentChanged(incident), VerdictChanged(number, verdict), post]


def evaluate_incident(
    incident: Incident, context: TriageContext, triage: Triage
) -> tuple[Incident, list[DeskEffect]]:
    """Evaluate an open incident: resolve it, or update its verdict and its numbers."""
    now, names = context.now, incident.tenants
    known = {one.id for one in incident.status_incidents}
    current = {one.id: one for view in feed_views(context) for one in view.status_incidents}
    status_incidents = (  # those that match now, and those that matched, as they read now
        *(one for one in matching_status_incidents(context) if one.id not in known),
        *(current.get(one.id, one) for one in incident.status_incidents),
    )
    states = context.all_tenants.states
    was_no_data = incident.kind is IncidentKind.NO_DATA
    # What fails at a tenant that can be checked again is an incident of its own.
    what_keeps_it_open = Health.NO_DATA if was_no_data else Health.PROBLEM
    if not any(states[name].health & what_keeps_it_open for name in names):
        ended = replace(incident, status_incidents=status_incidents)
        return resolve_incident(ended, Resolution(now, ended_at=_find_end(incident, context)))
    after = incident
    # Without data, and until it comes reliably again, nothing new can be known; nor in a pause.
    is_blind = was_no_data or any(states[name].no_data_since for name in names)
    if not is_blind and not is_calm(context):
        after = turn_verdict(incident, triage.judge(context), now)
    after = replace(
        after,
        severity=_judge_severity(after.verdict, context, incident),
        problems=_update_problems(incident.problems, context),
        status_incidents=status_incidents,
    )
    after = record_evidence(after, now)
    has_become_critical = (
        after.severity is Severity.CRITICAL and incident.severity is not Severity.CRITICAL
    )
    if has_become_critical and (taken := after.life.acknowledged) is not None:
        taken = replace(taken, active_at=now, asked_at=None)
        after = replace(after, life=replace(after.life, acknowledged=taken))
    # Of what fails, `alerting.calls` decides when people are called.
    if has_become_critical and was_no_data:
        wait_s = max(context.rules.mention_after_s.get(name, 0.0) for name in names)
        begun = begun_escalation(after.notification.escalation)
        escalation = AwaitingMention(max(now, after.since + wait_s), begun, CallReason.CANNOT_CHECK)
        after = replace(after, notification=replace(after.notification, escalation=escalation))
    return notify_changes(incident, after, now)


def _find_end(incident: Incident, context: TriageContext) -> float | None:
    """Return when the last signal of an incident became good; None where one does not tell."""
    states, ends = context.all_tenants.states, list[float | None]()
    for problem in incident.problems:
        state = states[problem.tenant]
        probe, metric = state.probes.get(problem.signal), state.metrics.get(problem.signal)
        match problem:
            case ProbeProblem() if probe:
                ends.append(probe.good_since)
            case MetricProblem() if metric:
                ends.append(metric.good_since)
            case _:
                ends.append(None)
    known = [at for at in ends if at is not None]
    if not known or len(known) < len(ends):
        return None
    return min(max(incident.failing_since, *known), context.now)


def cannot_check_at(state: DeskState, tenants: Tenants) -> float | None:
    """Return when an incident about missing data becomes critical, if nothing comes till then."""
    if not any(
        incident.kind is IncidentKind.NO_DATA and incident.severity is not Severity.CRITICAL
        for incident in state.open_incidents
    ):
        return None
    return max(each.last_data_at or 0.0 for each in tenants.states.values()) + CANNOT_CHECK_S


def add_tenants(
    incident: Incident, context: TriageContext, triage: Triage
) -> tuple[Incident, list[DeskEffect]]:
    """Add tenants to an incident; the context is that of all its tenants together."""
    known = {*incident.tenants}
    joined = tuple(name for name in context.tenants if name not in known)
    after, effects = evaluate_incident(replace(incident, tenants=context.tenants), context, triage)
    entries = [e.body.entry for e in effects if isinstance(e, Send) and isinstance(e.body, Reply)]
    if not any(isinstance(entry, JoinedEntry) for entry in entries):
        after, reply = add_entry(after, JoinedEntry(context.now, joined))
        effects.append(reply)
    return after, [IncidentChanged(after), *effects]


def reopen_incident(
    incident: Incident, context: TriageContext, triage: Triage
) -> tuple[Incident, list[DeskEffect]]:
    """Reopen an incident that was resolved a moment ago."""
    tenants = tuple(dict.fromkeys((*incident.tenants, *context.tenants)))
    again = replace(reopen(incident, context.now), tenants=tenants)
    posts = [post_message(again)] if incident.message.is_missed else []
    context = replace(context, tenants=tenants, since=again.failing_since)
    if incident.verdict.cause in OUR_CAUSES:  # what was wrong on our side then says nothing of now
        # … unless one failure alone says nothing that would be stated.
        judged = triage.judge(context)
        since = context.now if judged.stated_cause is Cause.UNCLEAR else incident.ended_at
        history = replace(again.history, doubted_as=judged.cause, doubted_since=since)
        again = replace(again, history=history)
    if not incident.life.still_failing:
        # Quietly: one failure after an outage is no reason to wake people.
        returning = Return(context.now, incident.notification.escalation)
        again = replace(
            again,
            life=replace(again.life, returning=returning),
            notification=replace(again.notification, escalation=None),
        )
    elif again.severity is Severity.CRITICAL and is_quiet_over(incident, context.now):
        begun = begun_escalation(incident.notification.escalation)
        escalation = AwaitingMention(context.now, begun)
        again = replace(again, notification=replace(again.notification, escalation=escalation))
    again, reply = add_entry(again, ReopenedEntry(context.now))
    after, effects = evaluate_incident(again, context, triage)
    if not any(isinstance(e, Send) and isinstance(e.body, Edit) for e in effects):
        after, edit = edit_message(after, context.now)
        effects.append(edit)
    return after, [IncidentChanged(after), *posts, reply, *effects]


def _judge_severity(
    verdict: Verdict, context: TriageContext, before: Incident | None = None
) -> Severity:
    """Return how severe it is; within one cause that never goes down."""
    if before is not None and before.kind is IncidentKind.NO_DATA:
        latest = (each.last_data_at or 0.0 for each in context.all_tenants.states.values())
        is_nothing_checked = context.now - max(latest) >= CANNOT_CHECK_S
        return Severity.CRITICAL if is_nothing_checked else before.severity
    # Real users are enough, whatever the cause.
    if any(are_users_down(name, context.all_tenants, context.rules) for name in context.tenants):
        return Severity.CRITICAL
    if verdict.stated_cause in OUR_CAUSES:
        return Severity.WARNING
    was_critical = before is not None and before.severity is Severity.CRITICAL
    states, rules = context.all_tenants, context.rules
    if was_critical or any(
        is_down(context, name)
        if before is None
        else measure_impact(name, states, rules) >= Impact.DOWN
        for name in context.tenants
    ):
        return Severity.CRITICAL
    return Severity.WARNING


def _count_failing_signals(context: TriageContext) -> int:
    """Count the failing signals of all tenants: two are more than a fault of one probe."""
    return sum(
        sum(signal.is_failing for signal in state.probes.values())
        + sum(metric.is_firing for metric in state.metrics.values())
        + sum(bool(monitor.firing) for monitor in state.monitors.values())
        for state in context.all_tenants.states.values()
    )


def _update_problems(before: tuple[Problem, ...], context: TriageContext) -> tuple[Problem, ...]:
    """Return the failing signals as they are now; those that are over stay listed."""
    firing = {p.target: p for name in context.tenants for p in _firing_problems(context, name)}
    known = {p.target: p for p in before}
    for target in known.keys() - firing.keys():
        over = replace(known[target], is_over=True)
        # A login that works is no longer stopped.
        known[target] = replace(over, is_stopped=False) if isinstance(over, ProbeProblem) else over
    return tuple({**known, **firing}.values())


def _firing_problems(context: TriageContext, name: str) -> Iterator[Problem]:
    state = context.all_tenants.states[name]
    for signal_name, signal in state.probes.items():
        if signal.is_failing:
            yield _probe_problem(name, signal_name, signal)
        elif signal.latency.is_slow:
            yield _slow_problem(name, signal_name, signal.latency)
    for signal_name, metric in state.metrics.items():
        if metric.is_firing:
            kind = context.rules.tenants[name].metrics[signal_name].kind
            yield _metric_problem(name, signal_name, metric, kind)
    for signal_name, monitor in state.monitors.items():
        if monitor.firing:
            yield _alert_problem(name, signal_name, monitor)


def _slow_problem(tenant: str, name: str, latency: LatencyBaseline) -> SlowProblem:
    return SlowProblem(
        tenant=tenant,
        signal=name,
        since=latency.since or 0.0,
        slow=sum(each > latency.limit_s for each in latency.recent),
        tries=len(latency.recent),
        latency_s=latency.recent_median_s,
        usual_s=latency.median_s,
    )


def _metric_problem(tenant: str, name: str, metric: MetricState, kind: MetricKind) -> MetricProblem:
    reading = metric.reading
    baseline = reading.expected_failures if metric.baseline.is_known else None
    if metric.reason is Reason.SUCCESSES_MISSING:
        baseline = reading.expected_successes
    return MetricProblem(
        tenant=tenant,
        signal=name,
        since=metric.since or 0.0,
        source=kind,
        reason=metric.reason,
        failed=round(reading.failed),
        total=round(reading.total or 0.0),
        span_s=reading.span_s,
        baseline=baseline,
        no_data_reason=metric.no_data_reason,
        link=metric.recent[-1].link if metric.recent else "",
    )


def _alert_problem(tenant: str, name: str, monitor: Monitor) -> AlertProblem:
    newest = monitor.firing[-1]
    return AlertProblem(
        tenant=tenant,
        signal=name,
        since=monitor.since or 0.0,
        alerts=len(monitor.firing),
        title=newest.title,
        link=newest.link,
    )


def _probe_problem(tenant: str, name: str, signal: ProbeState) -> ProbeProblem:
    return ProbeProblem(
        tenant=tenant,
        signal=name,
        since=signal.since or 0.0,
        failed=len(signal.faults),
        tries=len(signal.tries),
        fault=signal.most_frequent_fault,
        is_stopped=signal.is_stopped,
    )
