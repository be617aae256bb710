"""Steps what spans tenants: incidents, control endpoints, status feeds and people's commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy, paging
from bot.core.commands import dispatch
from bot.core.incidents import grouping, lifecycle, missing_data, notifications, sticky_resolve
from bot.core.incidents.corroboration import CONTROL_INTERVAL_WITH_PROBLEM_S, corroborate
from bot.core.incidents.grouping import (
    evaluate_all,
    evaluate_if_due,
    group_or_open,
    keep_incident,
    open_monitoring_gap,
)
from bot.core.model.measurement import ChangeMade, ExternalAlert
from bot.core.model.observation import CALENDAR, CONTROL, SignalState
from bot.core.model.wall_clock import DAY_S
from bot.core.signals.probe_threshold import ProbeState, Reason
from bot.core.state.desk import DeskState, StateAndEffects
from bot.core.state.incident import MESSAGE, IncidentState, MessageRef
from bot.core.state.outbox import Post, ReportDue
from bot.core.state.shared import FeedView, SharedSignals, with_changes, with_control, with_reading
from bot.core.state.stimulus import (
    CheckStarted,
    CommandReceived,
    Delivered,
    DeskStimulus,
    Effect,
    FeedPolled,
    Measured,
    MessageLost,
    Observed,
    PollFeed,
    PollShifts,
    PostOverdue,
    Pushed,
    RequestCheck,
    Send,
    ShiftsPolled,
    SignalChanged,
    Started,
    StartProbe,
    TenantReport,
    Tenants,
    Tick,
)

if TYPE_CHECKING:
    from bot.core.state.rules import Rules
from bot.core.state.desk import INCIDENT_RETENTION_S


def step(
    state: DeskState, stimulus: DeskStimulus, world: Tenants, rules: Rules
) -> tuple[DeskState, tuple[Effect, ...]]:
    """Return the state after a stimulus, and what is to be done."""
    before = state
    state, effects = _handle(state, stimulus, world, rules)
    state, reached = notification_policy.apply_notification_policy(
        before, state, stimulus.at, rules
    )
    return state, tuple(notification_policy.drop_muted((*effects, *reached), before, state))


def due_at(state: DeskState, rules: Rules) -> float | None:
    """Return when the desk wants its next Tick."""
    runs = (run.until for run in state.checks.values())
    once = (notification_policy.due_at(state, rules), state.report_at, state.evaluate_at)
    dues = (*state.due.values(), *runs, *once)
    return min((at for at in dues if at is not None), default=None)


def _handle(  # noqa: C901, PLR0911, PLR0912 - one line a stimulus
    state: DeskState, stimulus: DeskStimulus, world: Tenants, rules: Rules
) -> StateAndEffects:
    match stimulus:
        case Started():
            return _handle_start(state, stimulus.at, rules)
        case Tick():
            return _handle_tick(state, stimulus.at, world, rules)
        case Observed():
            return _handle_observation(state, stimulus, world, rules)
        case Measured():
            return _handle_measurement(state, stimulus)
        case Pushed():
            return _handle_push(state, stimulus, world, rules)
        case FeedPolled():
            return _handle_feed_reading(state, stimulus, world, rules)
        case TenantReport():
            return _handle_tenant_report(state, stimulus, world, rules)
        case CommandReceived():
            return dispatch.dispatch_command(state, stimulus.request, stimulus.at, world, rules)
        case CheckStarted():
            return dispatch.record_check_started(state, stimulus)
        case Delivered():
            return _handle_delivered(state, stimulus), []
        case MessageLost():
            return _handle_message_lost(state, stimulus)
        case PostOverdue():
            return _handle_post_overdue(state, stimulus, rules)
        case ShiftsPolled():
            return _handle_shifts(state, stimulus), []


def _handle_start(state: DeskState, now: float, rules: Rules) -> StateAndEffects:
    due = {str(target): now for target in (*rules.controls, *rules.feeds)}
    if rules.calendar_every_s:
        due[CALENDAR] = now
    controls = {t.name: state.shared.controls.get(t.name, ProbeState()) for t in rules.controls}
    feeds = {t.name: state.shared.feeds.get(t.name, FeedView()) for t in rules.feeds}
    kept = {
        number: incident
        for number, incident in state.incidents.items()
        if incident.is_open or now - (incident.resolved_at or now) < INCIDENT_RETENTION_S
    }
    runs = {key: replace(run, until=now) for key, run in state.checks.items()}
    outside = SharedSignals(controls, feeds, state.shared.changes)
    state = replace(state, due=due, shared=outside, incidents=kept, checks=runs)
    state = state.with_shift_over(now)
    return _remove_unknown_tenants(state, now, rules)


def _remove_unknown_tenants(state: DeskState, now: float, rules: Rules) -> StateAndEffects:
    """Take tenants that are no longer configured out of the incidents."""
    effects: list[Effect] = []
    for incident in state.incidents.values():
        if not set(incident.tenants) <= rules.tenants.keys():
            state, told = keep_incident(
                state, lifecycle.remove_unknown_tenants(incident, now, rules)
            )
            effects += told
    return state, effects


def _handle_tick(state: DeskState, now: float, world: Tenants, rules: Rules) -> StateAndEffects:
    effects: list[Effect] = []
    due = dict(state.due)
    for target in rules.controls:
        if due[str(target)] <= now:
            effects.append(StartProbe(target))
            wait = (
                CONTROL_INTERVAL_WITH_PROBLEM_S
                if _has_any_problem(world)
                else rules.control_every_s
            )
            due[str(target)] = now + min(wait, rules.control_every_s)
    for target in rules.feeds:
        if due[str(target)] <= now:
            effects.append(PollFeed(target))
            due[str(target)] = now + rules.feed_every_s
    if rules.calendar_every_s and due[CALENDAR] <= now:
        effects.append(PollShifts())
        due[CALENDAR] = now + rules.calendar_every_s
    report_at = None
    if (report := rules.report) is not None:
        if state.report_at is not None and state.report_at <= now:
            body = ReportDue(report.at.period_days * DAY_S)
            effects.append(Send(f"report:{state.report_at:.0f}", "report", body))
        report_at = report.at.next(now, report.zone).at
    state = replace(state, due=due, report_at=report_at)
    state, answers = dispatch.answer_overdue_checks(state, now)
    state, told = evaluate_if_due(state, now, world, rules)
    return state, [*effects, *answers, *told]


def _has_any_problem(world: Tenants) -> bool:
    return any(
        signal.state is not SignalState.OK or signal.latency.is_slow
        for tenant in world.states.values()
        for signal in tenant.probes.values()
    )


def _handle_observation(
    state: DeskState, stimulus: Observed, world: Tenants, rules: Rules
) -> StateAndEffects:
    """Take in a neutral host, or one look of a person's run."""
    seen = stimulus.observation
    effects: list[Effect] = []
    if seen.target.owner == CONTROL:
        outside = with_control(state.shared, seen, rules.control_every_s)
        state = replace(state, shared=outside)
        state, effects = evaluate_all(state, stimulus.at, world, rules)
    state, answers = dispatch.add_check_result(state, stimulus.request_id, seen)
    return state, [*effects, *answers]


def _handle_measurement(state: DeskState, stimulus: Measured) -> StateAndEffects:
    """Take in what a log tells of changed settings, or one measurement of a person's run."""
    seen = stimulus.measurement
    if seen.changes:
        outside = with_changes(state.shared, seen.changes, stimulus.at)
        state = replace(state, shared=outside)
    return dispatch.add_check_result(state, stimulus.request_id, seen)


def _handle_push(
    state: DeskState, stimulus: Pushed, world: Tenants, rules: Rules
) -> StateAndEffects:
    """Take in changes, and look for ourselves where somebody gave a hint."""
    items = stimulus.push.items
    changes = [item for item in items if isinstance(item, ChangeMade)]
    if changes:
        state = replace(state, shared=with_changes(state.shared, changes, stimulus.at))
    hints = [item for item in items if isinstance(item, ExternalAlert) and item.is_unauthenticated]
    suspects = {c.target.owner for c in hints if c.is_firing} & rules.tenants.keys()
    state, told = evaluate_all(state, stimulus.at, world, rules)
    return state, [*(RequestCheck(name, "") for name in sorted(suspects)), *told]


def _handle_feed_reading(
    state: DeskState, stimulus: FeedPolled, world: Tenants, rules: Rules
) -> StateAndEffects:
    reading = stimulus.reading
    if reading.no_data_reason:
        return state, []
    state = replace(state, shared=with_reading(state.shared, reading))
    return evaluate_all(state, stimulus.at, world, rules)


def _handle_tenant_report(
    state: DeskState, stimulus: TenantReport, world: Tenants, rules: Rules
) -> StateAndEffects:
    now, tenant = stimulus.at, stimulus.tenant
    effects: list[Effect] = []
    if any(_needs_corroboration(change) for change in stimulus.changes):
        state, effects = corroborate(state, stimulus, world, rules)
    if stimulus.unobserved_s:
        state, told = open_monitoring_gap(state, stimulus)
        effects += told
    mine = next((i for i in state.open_login_incidents if tenant in i.tenants), None)
    state, is_left = sticky_resolve.update_sticky_resolve(state, tenant, now, world)
    is_new = mine is None and not is_left and lifecycle.has_problem(world, tenant)
    if is_new and not grouping.is_deferred(state, now, rules):
        state, told = group_or_open(state, (tenant,), now, world, rules)
    else:
        state, told = evaluate_all(state, now, world, rules)
    if rules.tenants[tenant].metrics:
        state, silent = missing_data.evaluate_sources(state, now, world, rules)
        told += silent
    return state, [*effects, *told]


def _needs_corroboration(change: SignalChanged) -> bool:
    """Tell whether something began that others are to be asked about."""
    return change.state is SignalState.PENDING or change.reason in {
        Reason.SLOW,
        Reason.EXTERNAL_ALERT,
    }


def _handle_delivered(state: DeskState, stimulus: Delivered) -> DeskState:
    incident = state.incidents[stimulus.incident]
    card = MessageRef(stimulus.channel, stimulus.ts)
    knew = {MESSAGE: stimulus.at, **incident.detected_at}
    return keep_incident(state, (replace(incident, message=card, detected_at=knew), []))[0]


def _handle_message_lost(state: DeskState, stimulus: MessageLost) -> StateAndEffects:
    """Post an incident's message anew."""
    incident = state.incidents[stimulus.incident]
    incident = replace(incident, message=None, posts=incident.posts + 1)
    key = f"{incident.id}:post:{incident.posts}"
    return keep_incident(
        state, (incident, [Send(key, notifications.lane(incident.id), Post(incident.id))])
    )


def _handle_post_overdue(state: DeskState, stimulus: PostOverdue, rules: Rules) -> StateAndEffects:
    """Call people beyond Slack where Slack does not take the alert; nobody has seen it."""
    incident = state.incidents[stimulus.incident]
    if incident.state is not IncidentState.OPEN or incident.message is not None:
        return state, []
    return keep_incident(state, paging.page_without_slack(incident, stimulus.at, rules))


def _handle_shifts(state: DeskState, stimulus: ShiftsPolled) -> DeskState:
    reading = stimulus.shifts
    shifts = state.shifts.with_reading(reading) if state.shifts else reading
    return replace(state, shifts=shifts).with_shift_over(stimulus.at)
