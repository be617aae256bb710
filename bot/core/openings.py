"""Which incident a tenant's trouble belongs to, and all incidents looked at again."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from bot.core import left, review, storm, telling
from bot.core.case import Case
from bot.core.clues import verdict
from bot.core.incident import Incident, Kind
from bot.core.model import Cause
from bot.core.outbox import Post
from bot.core.stimulus import Effect, Finding, IncidentChanged, Send, World

if TYPE_CHECKING:
    from bot.core.desk_state import DeskState, Stepped
    from bot.core.rules import Rules

SAME_GAP_S = 30.0
"""Tenants come back from one gap this far apart: each is looked at at its own second."""
SHARED = frozenset({Cause.AUTH0, Cause.NETWORK})
"""Causes that strike several tenants at once, and so are one incident."""
MAY_BE_SHARED = SHARED | {Cause.UNCLEAR}


def gap_told(state: DeskState, stimulus: Finding) -> Stepped:
    """Tell a gap once, however many tenants come back from it."""
    since = stimulus.at - stimulus.gap_s
    for incident in state.incidents.values():
        if incident.kind is Kind.GAP and abs(incident.since - since) < SAME_GAP_S:
            return state, []
    number = state.next_id
    gap = review.told_gap(number, (stimulus.tenant,), stimulus.at, stimulus.gap_s)
    state = replace(state.with_incident(gap), next_id=number + 1)
    key = f"{number}:post:1"
    return state, [IncidentChanged(gap), Send(key, telling.lane(number), Post(number))]


def opened(
    state: DeskState, tenants: tuple[str, ...], now: float, world: World, rules: Rules
) -> Stepped:
    """Find the incident that the trouble of tenants that fail alike belongs to, or open one."""
    state = replace(state, reviewed_at=now)
    case = _case(state, tenants, now, world, rules)
    kind = review.kind_of(case)
    recent = _ended_recently(state, tenants, kind, now, rules)
    if recent is not None:
        return kept(state, review.back(recent, case, rules))
    for incident in (i for i in state.open_incidents if i.kind is kind):
        together = _together(incident, case)
        mine = replace(case, tenants=incident.tenants, since=incident.since)
        if _is_one(together, mine, case):
            return kept(state, review.joined(incident, together, rules))
    gathering = storm.gathering(state, kind, verdict(case).cause, now)
    if gathering is not None:
        return kept(state, review.joined(gathering, _together(gathering, case), rules))
    incident, effects = review.opened(state.next_id, case, rules)
    state = replace(state, next_id=state.next_id + 1)
    return kept(state, (incident, list(effects)))


def _together(incident: Incident, case: Case) -> Case:
    """Return the case of an incident's tenants and more."""
    tenants = tuple(dict.fromkeys((*incident.tenants, *case.tenants)))
    return replace(case, tenants=tenants, since=min(case.since, incident.since))


def _is_one(together: Case, *apart: Case) -> bool:
    """Tell whether one shared cause explains all, and no part has a cause of its own."""
    if verdict(together).cause not in SHARED:
        return False
    return {verdict(case).cause for case in apart} <= MAY_BE_SHARED


def _merged(state: DeskState, now: float, world: World, rules: Rules) -> Stepped:
    """Make one of two open incidents, where what was learned since shows one cause."""
    failing = [i for i in state.open_troubles if i.kind is Kind.FAILING]
    if len(failing) < 2:  # noqa: PLR2004 - a pair
        return state, []
    cases = [_case(state, i.tenants, now, world, rules) for i in failing]
    pairs = zip(failing, cases, strict=True)
    shared = [pair for pair in pairs if verdict(pair[1]).cause in MAY_BE_SHARED]
    for (earlier, _), (later, case) in combinations(shared, 2):
        together = _together(earlier, case)
        if verdict(together).cause in SHARED:
            state, ends = kept(state, review.merged(later, earlier.id, now))
            state, goes_on = kept(state, review.joined(earlier, together, rules))
            return state, [*ends, *goes_on]
    return state, []


def _ended_recently(
    state: DeskState, tenants: tuple[str, ...], kind: Kind, now: float, rules: Rules
) -> Incident | None:
    limit_s = max(rules.tenants[name].limits.recover_for_s for name in tenants)
    ended = [
        i
        for i in state.incidents.values()
        if not {*tenants}.isdisjoint(i.tenants)
        and i.kind is kind
        and i.merged_into is None
        and i.resolved_at is not None
        and now - i.resolved_at < limit_s
    ]
    return max(ended, key=lambda i: i.id, default=None)


def all_reviewed(state: DeskState, now: float, world: World, rules: Rules) -> Stepped:
    """Look at every open incident again, because a fact is new; in a storm a little later."""
    if storm.is_put_off(state, now, rules):
        return replace(state, review_at=storm.next_review(state, rules)), []
    state, effects = _caught_up(state, now, world, rules)
    state, told = _merged(state, now, world, rules)
    effects += told
    for incident in state.open_troubles:
        case = _case(state, incident.tenants, now, world, rules)
        case = replace(case, since=incident.since)
        state, told = kept(state, review.reviewed(incident, case, rules))
        effects += told
    return state, effects


def put_off_reviewed(state: DeskState, now: float, world: World, rules: Rules) -> Stepped:
    """Look at every open incident again, where that was put off until now."""
    is_due = state.review_at is not None and state.review_at <= now
    return all_reviewed(state, now, world, rules) if is_due else (state, [])


def _caught_up(state: DeskState, now: float, world: World, rules: Rules) -> Stepped:
    """Begin a review: find incidents for the tenants that fail since it was put off."""
    was_put_off = state.review_at is not None
    state = replace(state, reviewed_at=now, review_at=None)
    news: list[str] = []
    for name in storm.untold(state, world) if was_put_off else ():
        state, is_left = left.looked_after(state, name, now, world)
        news += [] if is_left else [name]
    effects: list[Effect] = []
    for group in storm.alike(_case(state, tuple(news), now, world, rules)):
        state, told = opened(state, group, now, world, rules)
        effects += told
    return state, effects


def _case(
    state: DeskState, tenants: tuple[str, ...], now: float, world: World, rules: Rules
) -> Case:
    starts = [
        start
        for name in tenants
        for start in (
            world.tenants[name].blind_since,
            *(s.since for s in world.tenants[name].signals.values()),
            *(s.tempo.since for s in world.tenants[name].signals.values() if s.tempo.is_slow),
            *(s.since for s in world.tenants[name].series.values()),
            *(m.since for m in world.tenants[name].monitors.values()),
        )
        if start is not None
    ]
    return Case(tenants, world, state.outside, rules, now, min(starts, default=now))


def kept(state: DeskState, change: tuple[Incident, list[Effect]]) -> Stepped:
    """Keep a changed incident, and what is to be done for it."""
    incident, effects = change
    return state.with_incident(incident), effects
