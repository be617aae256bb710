"""Steps what spans tenants: incidents, control endpoints, status feeds and people's commands."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy, paging
from bot.core.commands import dispatch
from bot.core.incidents import grouping, lifecycle, missing_data, notifications, sticky_resolve
from bot.core.incidents.corroboration import ASK_WHILE_TROUBLED_S, asked_around
from bot.core.incidents.grouping import all_reviewed, gap_told, kept, opened, put_off_reviewed
from bot.core.model.measurement import ChangeMade, Claim
from bot.core.model.observation import CALENDAR, CONTROL, SignalState
from bot.core.model.wall_clock import DAY_S
from bot.core.signals.probe_threshold import Reason, Signal
from bot.core.state.desk import DeskState, Stepped
from bot.core.state.incident import MESSAGE, Card, IncidentState
from bot.core.state.outbox import Post, ReportDue
from bot.core.state.shared import FeedView, Outside, with_changes, with_control, with_reading
from bot.core.state.stimulus import (
    Asked,
    CardLost,
    Delivered,
    DeskStimulus,
    Effect,
    FeedRead,
    Finding,
    Look,
    Measured,
    Observed,
    Pushed,
    ReadFeed,
    ReadShifts,
    Run,
    Running,
    Send,
    ShiftsRead,
    SignalChanged,
    Started,
    Tick,
    Unsaid,
    World,
)

if TYPE_CHECKING:
    from bot.core.state.rules import Rules
from bot.core.state.desk import REMEMBERED_S


def step(
    state: DeskState, stimulus: DeskStimulus, world: World, rules: Rules
) -> tuple[DeskState, tuple[Effect, ...]]:
    """Return the state after a stimulus, and what is to be done."""
    before = state
    state, effects = _handled(state, stimulus, world, rules)
    state, reached = notification_policy.reached(before, state, stimulus.at, rules)
    return state, tuple(notification_policy.heard((*effects, *reached), before, state))


def due_at(state: DeskState, rules: Rules) -> float | None:
    """Return when the desk wants its next Tick."""
    runs = (run.until for run in state.runs.values())
    once = (notification_policy.due_at(state, rules), state.report_at, state.review_at)
    dues = (*state.due.values(), *runs, *once)
    return min((at for at in dues if at is not None), default=None)


def _handled(  # noqa: C901, PLR0911, PLR0912 - one line a stimulus
    state: DeskState, stimulus: DeskStimulus, world: World, rules: Rules
) -> Stepped:
    match stimulus:
        case Started():
            return _started(state, stimulus.at, rules)
        case Tick():
            return _ticked(state, stimulus.at, world, rules)
        case Observed():
            return _observed(state, stimulus, world, rules)
        case Measured():
            return _measured(state, stimulus)
        case Pushed():
            return _pushed(state, stimulus, world, rules)
        case FeedRead():
            return _feed_read(state, stimulus, world, rules)
        case Finding():
            return _found(state, stimulus, world, rules)
        case Asked():
            return dispatch.asked(state, stimulus.request, stimulus.at, world, rules)
        case Running():
            return dispatch.running(state, stimulus)
        case Delivered():
            return _delivered(state, stimulus), []
        case CardLost():
            return _card_lost(state, stimulus)
        case Unsaid():
            return _unsaid(state, stimulus, rules)
        case ShiftsRead():
            return _shifts_read(state, stimulus), []


def _started(state: DeskState, now: float, rules: Rules) -> Stepped:
    due = {str(target): now for target in (*rules.controls, *rules.feeds)}
    if rules.calendar_every_s:
        due[CALENDAR] = now
    controls = {t.name: state.outside.controls.get(t.name, Signal()) for t in rules.controls}
    feeds = {t.name: state.outside.feeds.get(t.name, FeedView()) for t in rules.feeds}
    kept = {
        number: incident
        for number, incident in state.incidents.items()
        if incident.is_open or now - (incident.resolved_at or now) < REMEMBERED_S
    }
    runs = {key: replace(run, until=now) for key, run in state.runs.items()}
    outside = Outside(controls, feeds, state.outside.changes)
    state = replace(state, due=due, outside=outside, incidents=kept, runs=runs)
    state = state.with_shift_over(now)
    return _without_strangers(state, now, rules)


def _without_strangers(state: DeskState, now: float, rules: Rules) -> Stepped:
    """Take tenants that are no longer configured out of the incidents."""
    effects: list[Effect] = []
    for incident in state.incidents.values():
        if not set(incident.tenants) <= rules.tenants.keys():
            state, told = kept(state, lifecycle.without_strangers(incident, now, rules))
            effects += told
    return state, effects


def _ticked(state: DeskState, now: float, world: World, rules: Rules) -> Stepped:
    effects: list[Effect] = []
    due = dict(state.due)
    for target in rules.controls:
        if due[str(target)] <= now:
            effects.append(Look(target))
            wait = ASK_WHILE_TROUBLED_S if _is_troubled(world) else rules.control_every_s
            due[str(target)] = now + min(wait, rules.control_every_s)
    for target in rules.feeds:
        if due[str(target)] <= now:
            effects.append(ReadFeed(target))
            due[str(target)] = now + rules.feed_every_s
    if rules.calendar_every_s and due[CALENDAR] <= now:
        effects.append(ReadShifts())
        due[CALENDAR] = now + rules.calendar_every_s
    report_at = None
    if (report := rules.report) is not None:
        if state.report_at is not None and state.report_at <= now:
            body = ReportDue(report.at.days * DAY_S)
            effects.append(Send(f"report:{state.report_at:.0f}", "report", body))
        report_at = report.at.next(now, report.zone).at
    state = replace(state, due=due, report_at=report_at)
    state, answers = dispatch.overdue(state, now)
    state, told = put_off_reviewed(state, now, world, rules)
    return state, [*effects, *answers, *told]


def _is_troubled(world: World) -> bool:
    return any(
        signal.state is not SignalState.OK or signal.tempo.is_slow
        for tenant in world.tenants.values()
        for signal in tenant.signals.values()
    )


def _observed(state: DeskState, stimulus: Observed, world: World, rules: Rules) -> Stepped:
    """Take in a neutral host, or one look of a person's run."""
    seen = stimulus.seen
    effects: list[Effect] = []
    if seen.target.owner == CONTROL:
        outside = with_control(state.outside, seen, rules.control_every_s)
        state = replace(state, outside=outside)
        state, effects = all_reviewed(state, stimulus.at, world, rules)
    state, answers = dispatch.seen(state, stimulus.asked_by, seen)
    return state, [*effects, *answers]


def _measured(state: DeskState, stimulus: Measured) -> Stepped:
    """Take in what a log tells of changed settings, or one measurement of a person's run."""
    seen = stimulus.measurement
    if seen.changes:
        outside = with_changes(state.outside, seen.changes, stimulus.at)
        state = replace(state, outside=outside)
    return dispatch.seen(state, stimulus.asked_by, seen)


def _pushed(state: DeskState, stimulus: Pushed, world: World, rules: Rules) -> Stepped:
    """Take in changes, and look for ourselves where somebody gave a hint."""
    items = stimulus.push.items
    changes = [item for item in items if isinstance(item, ChangeMade)]
    if changes:
        state = replace(state, outside=with_changes(state.outside, changes, stimulus.at))
    hints = [item for item in items if isinstance(item, Claim) and item.is_hint]
    suspects = {c.target.owner for c in hints if c.is_firing} & rules.tenants.keys()
    state, told = all_reviewed(state, stimulus.at, world, rules)
    return state, [*(Run(name, "") for name in sorted(suspects)), *told]


def _feed_read(state: DeskState, stimulus: FeedRead, world: World, rules: Rules) -> Stepped:
    reading = stimulus.reading
    if reading.blind:
        return state, []
    state = replace(state, outside=with_reading(state.outside, reading))
    return all_reviewed(state, stimulus.at, world, rules)


def _found(state: DeskState, stimulus: Finding, world: World, rules: Rules) -> Stepped:
    now, tenant = stimulus.at, stimulus.tenant
    effects: list[Effect] = []
    if any(_is_news(change) for change in stimulus.changes):
        state, effects = asked_around(state, stimulus, world, rules)
    if stimulus.gap_s:
        state, told = gap_told(state, stimulus)
        effects += told
    mine = next((i for i in state.open_troubles if tenant in i.tenants), None)
    state, is_left = sticky_resolve.looked_after(state, tenant, now, world)
    is_new = mine is None and not is_left and lifecycle.is_troubled(world, tenant)
    if is_new and not grouping.is_put_off(state, now, rules):
        state, told = opened(state, (tenant,), now, world, rules)
    else:
        state, told = all_reviewed(state, now, world, rules)
    if rules.tenants[tenant].series:
        state, silent = missing_data.reviewed(state, now, world, rules)
        told += silent
    return state, [*effects, *told]


def _is_news(change: SignalChanged) -> bool:
    """Tell whether something began that others are to be asked about."""
    return change.state is SignalState.PENDING or change.reason in {Reason.SLOW, Reason.CLAIMED}


def _delivered(state: DeskState, stimulus: Delivered) -> DeskState:
    incident = state.incidents[stimulus.incident]
    card = Card(stimulus.channel, stimulus.ts)
    knew = {MESSAGE: stimulus.at, **incident.knew}
    return kept(state, (replace(incident, card=card, knew=knew), []))[0]


def _card_lost(state: DeskState, stimulus: CardLost) -> Stepped:
    """Post an incident's message anew."""
    incident = state.incidents[stimulus.incident]
    incident = replace(incident, card=None, posts=incident.posts + 1)
    key = f"{incident.id}:post:{incident.posts}"
    return kept(state, (incident, [Send(key, notifications.lane(incident.id), Post(incident.id))]))


def _unsaid(state: DeskState, stimulus: Unsaid, rules: Rules) -> Stepped:
    """Call people beyond Slack where Slack does not take the alert; nobody has seen it."""
    incident = state.incidents[stimulus.incident]
    if incident.state is not IncidentState.OPEN or incident.card is not None:
        return state, []
    return kept(state, paging.without_slack(incident, stimulus.at, rules))


def _shifts_read(state: DeskState, stimulus: ShiftsRead) -> DeskState:
    reading = stimulus.shifts
    shifts = state.shifts.read_again(reading) if state.shifts else reading
    return replace(state, shifts=shifts).with_shift_over(stimulus.at)
