"""Which incident a tenant's trouble belongs to, and all incidents looked at again."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from bot.core import review, telling
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


def opened(state: DeskState, tenant: str, now: float, world: World, rules: Rules) -> Stepped:
    """Find the incident that a tenant's trouble belongs to, or open one."""
    case = _case(state, (tenant,), now, world, rules)
    kind = review.kind_of(case)
    recent = _ended_recently(state, tenant, kind, now, rules)
    if recent is not None:
        return kept(state, review.back(recent, case, rules))
    for incident in (i for i in state.open_incidents if i.kind is kind):
        tenants = (*incident.tenants, tenant)
        together = replace(case, tenants=tenants, since=min(case.since, incident.since))
        mine = replace(case, tenants=incident.tenants, since=incident.since)
        if _is_one(together, mine, case):
            return kept(state, review.joined(incident, together, rules))
    incident, effects = review.opened(state.next_id, case, rules)
    state = replace(state, next_id=state.next_id + 1)
    return kept(state, (incident, list(effects)))


def _is_one(together: Case, *apart: Case) -> bool:
    """Tell whether one shared cause explains all, and no part has a cause of its own."""
    if verdict(together).cause not in SHARED:
        return False
    return {verdict(case).cause for case in apart} <= SHARED | {Cause.UNCLEAR}


def _merged(state: DeskState, now: float, world: World, rules: Rules) -> Stepped:
    """Make one of two open incidents, where what was learned since shows one cause."""
    failing = [i for i in state.open_troubles if i.kind is Kind.FAILING]
    for earlier, later in combinations(failing, 2):
        cases = [_case(state, i.tenants, now, world, rules) for i in (earlier, later)]
        tenants = tuple(dict.fromkeys((*earlier.tenants, *later.tenants)))
        since = min(earlier.since, later.since)
        together = replace(cases[0], tenants=tenants, since=since)
        if _is_one(together, *cases):
            state, ends = kept(state, review.merged(later, earlier.id, now))
            state, goes_on = kept(state, review.joined(earlier, together, rules))
            return state, [*ends, *goes_on]
    return state, []


def _ended_recently(
    state: DeskState, tenant: str, kind: Kind, now: float, rules: Rules
) -> Incident | None:
    limit_s = rules.tenants[tenant].limits.recover_for_s
    ended = [
        i
        for i in state.incidents.values()
        if tenant in i.tenants
        and i.kind is kind
        and i.merged_into is None
        and i.resolved_at is not None
        and now - i.resolved_at < limit_s
    ]
    return max(ended, key=lambda i: i.id, default=None)


def all_reviewed(state: DeskState, now: float, world: World, rules: Rules) -> Stepped:
    """Look at every open incident again, because a fact is new."""
    effects: list[Effect] = []
    for incident in state.open_troubles:
        case = _case(state, incident.tenants, now, world, rules)
        case = replace(case, since=incident.since)
        state, told = kept(state, review.reviewed(incident, case, rules))
        effects += told
    state, told = _merged(state, now, world, rules)
    return state, [*effects, *told]


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
