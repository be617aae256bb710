"""The one step: routes a stimulus to the tenants it concerns and to what they share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.alerting import acknowledgements, deliveries, notification_policy
from bot.core.commands import dispatch
from bot.core.incidents import corroboration, missing_data, notifications, own_faults, recurrence
from bot.core.incidents.grouping import (
    evaluate_all,
    group_or_open,
    is_deferred,
    keep_incident,
    needs_incident,
    open_monitoring_gap,
    prioritize,
)
from bot.core.incidents.lifecycle import cannot_check_at
from bot.core.model.measurement import ChangeMade, ExternalAlert, Measurement
from bot.core.model.observation import CONTROL, SignalState
from bot.core.model.record import replace
from bot.core.model.wall_clock import DAY_S
from bot.core.oncall import CallReason
from bot.core.signals.probe_threshold import ProbeState, Reason
from bot.core.state import clock_shift
from bot.core.state.desk import INCIDENT_RETENTION_S, BotState, DeskState, StateAndEffects
from bot.core.state.incident import OwnFaultKind, Resolution
from bot.core.state.outbox import Call, Edit, ReportDue
from bot.core.state.stimulus import (
    CallOverdue,
    CallRefused,
    CallTaken,
    CheckRequested,
    CheckStarted,
    ClockCorrected,
    CommandReceived,
    Delivered,
    DeskEffect,
    DeskStimulus,
    Effect,
    FeedPolled,
    IncidentChanged,
    Measured,
    MessageLost,
    Observed,
    OwnFaultSeen,
    PersonActed,
    PostMissed,
    Pushed,
    QuestionAudited,
    RequestCheck,
    Send,
    ShiftsPolled,
    Started,
    StartProbe,
    Stimulus,
    Stopped,
    TenantReport,
    TenantStimulus,
    Tick,
    TurnDropped,
    Unanswered,
)
from bot.core.state.tenant import (
    FeedView,
    SharedSignals,
    Tenants,
    with_changes,
    with_control,
    with_reading,
)
from bot.core.tenant import step as tenant_step
from bot.core.triage.verdict import Triage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.rules import Rules
    from bot.core.state.tenant import TenantState


def step(state: BotState, stimulus: Stimulus, rules: Rules) -> tuple[BotState, list[Effect]]:
    """Return the state after a stimulus, and the effects to carry out.

    It decides everything and touches nothing. Tenants come first; what they find is reported to
    the desk, which spans them, within the same step.
    """
    if isinstance(stimulus, Unanswered | TurnDropped):
        return step_tenant(state, stimulus.target.owner, stimulus, rules)
    effects: list[Effect] = []
    if isinstance(stimulus, ClockCorrected):
        state = clock_shift.shift(state, stimulus.by_s)
    if isinstance(stimulus, Started | Tick | Pushed | Observed | Measured):
        for name in _affected_tenants(state, stimulus):
            state, more = step_tenant(state, name, stimulus, rules)
            effects += more
    if _concerns_desk(state.desk, stimulus, rules):
        state, more = step_desk(state, stimulus, rules)
        effects += more
    return state, effects


def _affected_tenants(
    state: BotState, stimulus: Started | Tick | Pushed | Observed | Measured
) -> Iterable[str]:
    match stimulus:
        case Started() | Pushed():
            return state.tenants.states
        case Tick(at=now):
            # In the order of the configuration, as their phases are.
            states = state.tenants.states
            return sorted(state.agenda.due_by(now), key=lambda name: states[name].phase)
        case Observed(observation=result) | Measured(measurement=result):
            owner = result.target.owner
            return [owner] if owner in state.tenants.states else []


def _concerns_desk(desk: DeskState, stimulus: Stimulus, rules: Rules) -> bool:
    """Tell whether what spans tenants has anything to do.

    Results concern only their tenant, unless they are everybody's or a person waits for them.
    """
    match stimulus:
        case Tick(at=now):
            due = _desk_due_at(desk, rules)
            is_unplanned = rules.report is not None and desk.report_at is None
            is_nobody_on_call = desk.shift is None and desk.on_call_source(rules) is not None
            is_due = due is None or due <= now or is_unplanned or is_nobody_on_call
            return is_due or bool(desk.open_incidents)
        case Observed(observation=seen, request_id=request_id):
            return bool(request_id) or seen.target.owner == CONTROL
        case Measured(measurement=measured, request_id=request_id):
            return bool(request_id) or bool(measured.changes)
        case _:
            return True


def step_tenant(
    state: BotState, name: str, stimulus: TenantStimulus, rules: Rules
) -> tuple[BotState, list[Effect]]:
    """Step one tenant, then the desk for what the tenant reports."""
    before = state.tenants.states[name]
    after, found = tenant_step.step(before, stimulus, rules.tenants[name])
    if after is not before:
        tenants = Tenants({**state.tenants.states, name: after})
        agenda = state.agenda.with_due(name, tenant_step.due_at(after))
        state = replace(state, tenants=tenants, agenda=agenda)
    effects: list[Effect] = []
    for effect in found:
        if isinstance(effect, TenantReport) and _is_uneventful(after, effect, state.desk):
            continue
        if isinstance(effect, TenantReport | CheckStarted):
            state, more = step_desk(state, effect, rules)
            effects += more
        elif isinstance(effect, StartProbe):
            state, probe = prioritize(state, effect, rules)
            effects.append(probe)
        else:
            effects.append(effect)
    return state, effects


def _is_uneventful(tenant: TenantState, report: TenantReport, desk: DeskState) -> bool:
    """Tell whether a report changes nothing: what opens an incident, or ends one, is not there."""
    is_empty = not report.changes and not report.unobserved_s
    return is_empty and tenant.is_well and desk.is_at_rest


def step_desk(
    state: BotState, stimulus: DeskStimulus, rules: Rules
) -> tuple[BotState, list[Effect]]:
    """Step what spans tenants, then the tenants of which it wants a check."""
    before, now = state.desk, stimulus.at
    desk, found = _handle(before, stimulus, state.tenants, rules)
    desk, more = notification_policy.apply_notification_policy(
        before, desk, state.tenants, now, rules
    )
    unmuted = notification_policy.drop_muted((*found, *more), before, desk)
    sent = [*notification_policy.drop_repeated(unmuted)]
    sent += [
        edit  # wherever the message in the channel is updated, those to single people are
        for effect in sent
        if isinstance(effect, Send) and isinstance(effect.body, Edit)
        for edit in notifications.edit_direct_messages(desk.incidents[effect.body.incident])
    ]
    state = replace(state, desk=deliveries.note_calls(desk, sent))
    effects: list[Effect] = []
    for effect in sent:
        if isinstance(effect, RequestCheck):
            check = CheckRequested(now, effect.request_id, effect.signal)
            state, started = step_tenant(state, effect.tenant, check, rules)
            effects += started
        else:
            effects.append(effect)
    return state, effects


def due_at(state: BotState, rules: Rules) -> float | None:
    """Return when the bot needs its next Tick."""
    desk = state.desk
    cannot_check = cannot_check_at(desk, state.tenants)
    if cannot_check is not None:
        cannot_check = max(cannot_check, desk.evaluate_at or 0.0)  # not while it is deferred
    dues = (state.agenda.next_due, _desk_due_at(desk, rules), cannot_check)
    return min((at for at in dues if at is not None), default=None)


def _desk_due_at(desk: DeskState, rules: Rules) -> float | None:
    """Return when what spans tenants needs its next Tick."""
    if not desk.open_incidents:
        return desk.due_at
    crash_loop_due = own_faults.crash_loop_due_at(desk)
    dues = (desk.due_at, notification_policy.due_at(desk, rules), crash_loop_due)
    return min((at for at in dues if at is not None), default=None)


def _handle(  # noqa: C901, PLR0911, PLR0912 - one case a stimulus
    state: DeskState, stimulus: DeskStimulus, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    match stimulus:
        case Started():
            return _handle_start(state, stimulus.at, rules)
        case Stopped() | OwnFaultSeen() | ClockCorrected():
            return own_faults.handle(state, stimulus)
        case Tick():
            return _handle_tick(state, stimulus.at, tenants, rules)
        case Observed() | Measured():
            return _handle_result(state, stimulus, tenants, rules)
        case Pushed():
            return _handle_push(state, stimulus, tenants, rules)
        case FeedPolled():
            if stimulus.reading.no_data_reason:
                return state, []
            state = replace(state, shared=with_reading(state.shared, stimulus.reading))
            state, effects = evaluate_all(state, stimulus.at, tenants, rules)
            state, sent = missing_data.evaluate_sources(state, stimulus.at, tenants, rules)
            return state, [*effects, *sent]
        case TenantReport():
            return _handle_tenant_report(state, stimulus, tenants, rules)
        case CommandReceived():
            return dispatch.dispatch_command(state, stimulus.request, stimulus.at, tenants, rules)
        case PersonActed():
            return acknowledgements.note_activity(state, stimulus.user, stimulus.at), []
        case QuestionAudited():
            return state.with_audit_entry(stimulus.entry), [stimulus.entry]
        case CheckStarted():
            return dispatch.continue_check(state, stimulus.request_id, stimulus)
        case Delivered() | MessageLost():
            return deliveries.place_message(state, stimulus)
        case CallTaken() | CallRefused() | CallOverdue():
            return deliveries.handle(state, stimulus, rules)
        case PostMissed():
            return deliveries.miss_post(state, stimulus.incident)
        case ShiftsPolled():
            shifts = stimulus.shifts
            if state.shifts and shifts.fault:  # those of before are better than none
                shifts = replace(state.shifts, fault=shifts.fault)
            return replace(state, shifts=shifts).with_shift_over(stimulus.at), []


def _handle_start(state: DeskState, now: float, rules: Rules) -> StateAndEffects:
    controls = {t.name: state.shared.controls.get(t.name, ProbeState()) for t in rules.controls}
    feeds = {t.name: state.shared.feeds.get(t.name, FeedView()) for t in rules.feeds}
    incidents = {
        number: incident
        for number, incident in state.incidents.items()
        if incident.is_open or now - (incident.life.resolved_at or now) < INCIDENT_RETENTION_S
    }
    state = replace(
        state,
        controls_due=dict.fromkeys(controls, now),
        feeds_due=dict.fromkeys(feeds, now),
        calendar_due=now if rules.calendar_every_s else None,
        shared=SharedSignals(controls, feeds, state.shared.changes, now),
        incidents=incidents,
        checks={key: replace(check, until=now) for key, check in state.checks.items()},
    ).with_shift_over(now)
    state, effects = deliveries.greet(state, now, rules)
    for incident in state.incidents.values():
        # Tenants that are no longer configured leave the incident; one without any is resolved.
        known = tuple(name for name in incident.tenants if name in rules.tenants)
        if known == incident.tenants:
            continue
        if known or not incident.is_open:
            state = state.with_incident(replace(incident, tenants=known))
        else:
            orphan = replace(incident, status_incidents=())
            ended = notifications.resolve_incident(orphan, Resolution(now))
            state, sent = keep_incident(state, ended)
            effects += sent
    state, sent = own_faults.count_start(state, now)
    for effect in sent:
        if isinstance(effect, IncidentChanged):  # a crash loop: it may not live much longer
            call = Call(effect.incident.id, CallReason.BEGUN, now)
            paged = notification_policy.page_for_call(effect.incident, call, now, rules)
            state, pages = keep_incident(state, paged)
            effects += pages
    return state, [*sent, *effects]


def _handle_tick(state: DeskState, now: float, tenants: Tenants, rules: Rules) -> StateAndEffects:
    state, effects = corroboration.start_due_checks(state, now, tenants, rules)
    report_at, due = None, state.report_at
    if (report := rules.report) is not None:
        # After a clock was set back, the same instant comes twice.
        if due is not None and due <= now and due != state.reported_at:
            body = ReportDue(report.at.period_days * DAY_S)
            effects.append(Send(f"report:{due:.0f}", "report", body))
            state = replace(state, reported_at=due)
        report_at = report.at.next(now, report.zone).at
    state = state if report_at == state.report_at else replace(state, report_at=report_at)
    crash_loop_due = own_faults.crash_loop_due_at(state)
    if crash_loop_due is not None and crash_loop_due <= now:
        state, ended = own_faults.resolve(state, OwnFaultKind.CRASH_LOOP, now)
        effects += ended
    for check in [check for check in state.checks.values() if check.until <= now]:
        state, answers = dispatch.finish_check(state, check)  # with the results so far
        effects += answers
    evaluations = (state.evaluate_at, cannot_check_at(state, tenants))
    if any(at is not None and at <= now for at in evaluations):
        state, changes = evaluate_all(state, now, tenants, rules)
        state, sent = missing_data.evaluate_sources(state, now, tenants, rules)
        effects += (*changes, *sent)
    return state, effects


def _handle_result(
    state: DeskState, stimulus: Observed | Measured, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    """Handle what concerns more than its tenant.

    That is a control endpoint's probe, settings that changed by a log, and whatever belongs to an
    on-demand check.
    """
    now, effects = stimulus.at, list[DeskEffect]()
    result = stimulus.observation if isinstance(stimulus, Observed) else stimulus.measurement
    if isinstance(result, Measurement):
        if result.changes:
            state = replace(state, shared=with_changes(state.shared, result.changes, now))
    elif result.target.owner == CONTROL:
        state = replace(state, shared=with_control(state.shared, result, rules.control_every_s))
        state, effects = evaluate_all(state, now, tenants, rules)
    state, answers = dispatch.continue_check(state, stimulus.request_id, result)
    return state, [*effects, *answers]


def _handle_push(
    state: DeskState, stimulus: Pushed, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    """Record changes; check the tenants of unauthenticated alerts ourselves."""
    items = stimulus.push.items
    if changes := [item for item in items if isinstance(item, ChangeMade)]:
        state = replace(state, shared=with_changes(state.shared, changes, stimulus.at))
    suspects = {
        item.target.owner
        for item in items
        if isinstance(item, ExternalAlert) and item.is_unauthenticated and item.is_firing
    }
    state, effects = evaluate_all(state, stimulus.at, tenants, rules)
    checks = [RequestCheck(name, "") for name in sorted(suspects & rules.tenants.keys())]
    return state, [*checks, *effects]


def _handle_tenant_report(
    state: DeskState, stimulus: TenantReport, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    now, tenant = stimulus.at, stimulus.tenant
    effects: list[DeskEffect] = []
    if any(
        change.state is SignalState.PENDING or change.reason in {Reason.SLOW, Reason.EXTERNAL_ALERT}
        for change in stimulus.changes
    ):
        state, effects = corroboration.corroborate(state, stimulus, tenants, rules)
    if tenants.states[tenant].is_slowing:
        state = corroboration.hasten_controls(state, now)
    if stimulus.unobserved_s:
        state, sent = open_monitoring_gap(state, stimulus, rules)
        effects += sent
    state, is_sticky = recurrence.update_sticky_resolve(state, tenant, now, tenants, rules)
    needs_one = needs_incident(state, tenant, tenants) and not is_sticky
    is_waiting = is_deferred(state, now, rules)
    if needs_one and not is_waiting:
        triage = Triage(now, tenants, state, rules)
        state, sent = group_or_open(state, (tenant,), triage)
    else:
        state, sent = evaluate_all(state, now, tenants, rules)
    effects += sent
    if rules.tenants[tenant].metrics and not is_waiting:
        state, sent = missing_data.evaluate_sources(state, now, tenants, rules)
        effects += sent
    return state, effects
