"""The desk's step: what spans tenants: incidents, neutral hosts, feeds, people's requests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core import review, silent_sources, telling
from bot.core.desk_state import DeskState, Stepped
from bot.core.detector import Signal
from bot.core.incident import Card
from bot.core.lead import MESSAGE
from bot.core.measurement import ChangeMade, Claim
from bot.core.model import CONTROL, SignalState
from bot.core.notice import FeedView
from bot.core.openings import all_reviewed, gap_told, kept, opened
from bot.core.outbox import Answer, Post
from bot.core.outside import Outside, with_changes, with_control, with_reading
from bot.core.run import RunInProgress, begun
from bot.core.stimulus import (
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
    Run,
    Running,
    Send,
    Started,
    Tick,
    World,
)

if TYPE_CHECKING:
    from bot.core.measurement import Measurement
    from bot.core.model import Observation
    from bot.core.rules import Rules

ASK_AGAIN_S = 5.0
"""Neutral hosts are asked at the moment of a failure, but not more often than this."""
ASK_WHILE_TROUBLED_S = 15.0
FEED_AGAIN_S = 15.0
PEERS = 2
"""Asked at the moment of a failure, of the same environment and of others."""
REMEMBERED_S = 7 * 86400.0
"""How long an incident that is over is kept at hand."""


def step(
    state: DeskState, stimulus: DeskStimulus, world: World, rules: Rules
) -> tuple[DeskState, tuple[Effect, ...]]:
    """Return the state after a stimulus, and what is to be done."""
    state, effects = _handled(state, stimulus, world, rules)
    return state, tuple(effects)


def due_at(state: DeskState) -> float | None:
    """Return when the desk wants its next Tick."""
    mentions = (i.mention_at for i in state.incidents.values() if i.is_open and i.mention_at)
    runs = (run.until for run in state.runs.values())
    return min((*state.due.values(), *mentions, *runs), default=None)


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
            return _asked(state, stimulus, rules)
        case Running():
            return _running(state, stimulus)
        case Delivered():
            return _delivered(state, stimulus), []
        case CardLost():
            return _card_lost(state, stimulus)


def _started(state: DeskState, now: float, rules: Rules) -> Stepped:
    due = {str(target): now for target in (*rules.controls, *rules.feeds)}
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
    return _without_strangers(state, now, rules)


def _without_strangers(state: DeskState, now: float, rules: Rules) -> Stepped:
    """Take tenants that are no longer configured out of the incidents."""
    effects: list[Effect] = []
    for incident in state.incidents.values():
        if not set(incident.tenants) <= rules.tenants.keys():
            state, told = kept(state, review.without_strangers(incident, now, rules))
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
    state = replace(state, due=due)
    for incident in state.open_incidents:
        if incident.mention_at is not None and incident.mention_at <= now:
            state, told = kept(state, review.mentioned(incident, now))
            effects += told
    state, answers = _overdue_runs(state, now)
    return state, [*effects, *answers]


def _is_troubled(world: World) -> bool:
    return any(
        signal.state is not SignalState.OK
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
    state, answers = _run_seen(state, stimulus.asked_by, seen)
    return state, [*effects, *answers]


def _run_seen(state: DeskState, asked_by: str, seen: Observation | Measurement) -> Stepped:
    run = state.runs.get(asked_by)
    return _run_on(state, run.with_seen(seen)) if run else (state, [])


def _measured(state: DeskState, stimulus: Measured) -> Stepped:
    """Take in what a log tells of changed settings, or one measurement of a person's run."""
    seen = stimulus.measurement
    if seen.changes:
        outside = with_changes(state.outside, seen.changes, stimulus.at)
        state = replace(state, outside=outside)
    return _run_seen(state, stimulus.asked_by, seen)


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
    if any(change.state is SignalState.PENDING for change in stimulus.changes):
        state, effects = _asked_around(state, stimulus, world, rules)
    if stimulus.gap_s:
        state, told = gap_told(state, stimulus)
        effects += told
    mine = next((i for i in state.open_troubles if tenant in i.tenants), None)
    if mine is None and review.is_troubled(world, tenant):
        state, told = opened(state, tenant, now, world, rules)
    else:
        state, told = all_reviewed(state, now, world, rules)
    state, silent = silent_sources.reviewed(state, now, world, rules)
    return state, [*effects, *told, *silent]


def _asked_around(state: DeskState, stimulus: Finding, world: World, rules: Rules) -> Stepped:
    """At the moment of a failure ask what tells the causes apart: who else fails now?

    Neutral hosts, status feeds, logins at a few other tenants; at this one, if its users fail.
    """
    now = stimulus.at
    if now - state.asked_at < ASK_AGAIN_S:
        return state, []
    due = dict(state.due)
    for target in rules.feeds:
        due[str(target)] = min(due[str(target)], now + FEED_AGAIN_S)
    for target in rules.controls:
        due[str(target)] = min(due[str(target)], now + ASK_WHILE_TROUBLED_S)
    looks: list[Effect] = [Look(target) for target in rules.controls]
    is_users = any(c.signal not in world.tenants[c.tenant].signals for c in stimulus.changes)
    whom = [stimulus.tenant] * is_users + _peers(stimulus.tenant, world, rules)
    peers = [Run(name, "") for name in whom]
    return replace(state, due=due, asked_at=now), [*looks, *peers]


def _peers(tenant: str, world: World, rules: Rules) -> list[str]:
    """Choose tenants that were well so far: some of the same environment, some of others."""
    here = world.environment(tenant, rules)
    well = [
        name
        for name, state in world.tenants.items()
        if name != tenant and all(s.state is SignalState.OK for s in state.signals.values())
    ]
    near = [name for name in well if world.environment(name, rules) == here]
    far = [name for name in well if name not in near]
    return near[:PEERS] + far[:PEERS]


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
    return kept(state, (incident, [Send(key, telling.lane(incident.id), Post(incident.id))]))


def _asked(state: DeskState, stimulus: Asked, rules: Rules) -> Stepped:
    """Answer a request; a run is answered again when its looks are back."""
    request = stimulus.request
    answer = Send(f"answer:{request.id}:1", f"answer:{request.id}", Answer(request))
    run = begun(request, stimulus.at, rules)
    if run is None:
        return state, [answer]
    state = replace(state, runs={**state.runs, request.id: run})
    looks = [Look(target, request.id) for target in run.targets]
    return state, [answer, *(Run(name, request.id, run.signal) for name in run.asked), *looks]


def _running(state: DeskState, stimulus: Running) -> Stepped:
    run = state.runs.get(stimulus.request_id)
    return (state, []) if run is None else _run_on(state, run.with_started(stimulus))


def _run_on(state: DeskState, run: RunInProgress) -> Stepped:
    """Keep a run going, or answer it if all is back."""
    key = run.request.id
    if not run.is_complete:
        return replace(state, runs={**state.runs, key: run}), []
    return _run_ended(state, run)


def _run_ended(state: DeskState, run: RunInProgress) -> Stepped:
    key = run.request.id
    runs = {other: value for other, value in state.runs.items() if other != key}
    return replace(state, runs=runs), [Send(f"answer:{key}:2", f"answer:{key}", run.answer())]


def _overdue_runs(state: DeskState, now: float) -> Stepped:
    effects: list[Effect] = []
    for run in [run for run in state.runs.values() if run.until <= now]:
        state, told = _run_ended(state, run)
        effects += told
    return state, effects
