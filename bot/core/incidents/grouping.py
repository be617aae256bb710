"""Groups failing tenants into incidents: which one a failure joins, merging, and alert storms."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from bot.core.incidents import lifecycle, notifications, sticky_resolve
from bot.core.incidents.lifecycle import is_failing, is_troubled
from bot.core.model.observation import Cause
from bot.core.state.incident import Incident, Kind
from bot.core.state.outbox import Post
from bot.core.state.stimulus import Effect, Finding, IncidentChanged, Send, World
from bot.core.triage.collect import verdict
from bot.core.triage.context import Case
from bot.core.triage.from_peers import kinds

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, Stepped
    from bot.core.state.rules import Rules

MANY = 5
LATELY_S = 600.0
"""So many open incidents, begun so lately, are enough: what fails of a like cause joins the newest
of its cause."""
AT_ONCE = 100
"""A review looks at each tenant once an incident; as long as it takes so few looks, each new fact
is reviewed at once."""
LOOKS_PER_S = 100.0
"""Beyond that so many are taken a second: a few per cent of a core."""
LONGEST_S = 5.0


def is_put_off(state: DeskState, now: float, rules: Rules) -> bool:
    """Tell whether the last review was so short ago that the next one has to wait."""
    return state.reviewed_at <= now < next_review(state, rules)


def next_review(state: DeskState, rules: Rules) -> float:
    """Return when the incidents may be looked at again."""
    return state.reviewed_at + _pace_s(state, rules)


def _pace_s(state: DeskState, rules: Rules) -> float:
    looks = len(state.open_troubles) * len(rules.tenants)
    return min(looks / LOOKS_PER_S, LONGEST_S) if looks > AT_ONCE else 0.0


def untold(state: DeskState, world: World) -> list[str]:
    """Return the tenants in trouble that no open incident speaks of."""
    told = {name for incident in state.open_troubles for name in incident.tenants}
    return [name for name in world.tenants if name not in told and is_troubled(world, name)]


def alike(case: Case) -> list[tuple[str, ...]]:
    """Group a case's tenants by environment and by how they fail: one speaks for its group."""
    groups: dict[object, list[str]] = {}
    for name in case.tenants:
        fails = is_failing(case.world.tenants[name])
        key = (fails, frozenset(kinds(case, name)), case.environment(name))
        groups.setdefault(key, []).append(name)
    return [tuple(names) for names in groups.values()]


def gathering(state: DeskState, kind: Kind, cause: Cause, now: float) -> Incident | None:
    """Return the incident that takes in more of its cause, where there are many new ones."""
    new = [i for i in state.open_incidents if i.kind is kind and now - i.opened_at < LATELY_S]
    same = [incident for incident in new if incident.verdict.cause is cause]
    return same[-1] if len(new) >= MANY and same else None


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
    gap = lifecycle.told_gap(number, (stimulus.tenant,), stimulus.at, stimulus.gap_s)
    state = replace(state.with_incident(gap), next_id=number + 1)
    key = f"{number}:post:1"
    return state, [IncidentChanged(gap), Send(key, notifications.lane(number), Post(number))]


def opened(
    state: DeskState, tenants: tuple[str, ...], now: float, world: World, rules: Rules
) -> Stepped:
    """Find the incident that the trouble of tenants that fail alike belongs to, or open one."""
    state = replace(state, reviewed_at=now)
    case = _case(state, tenants, now, world, rules)
    kind = lifecycle.kind_of(case)
    recent = _ended_recently(state, tenants, kind, now, rules)
    if recent is not None:
        return kept(state, lifecycle.back(recent, case, rules))
    for incident in (i for i in state.open_incidents if i.kind is kind):
        together = _together(incident, case)
        mine = replace(case, tenants=incident.tenants, since=incident.since)
        if _is_one(together, mine, case):
            return kept(state, lifecycle.joined(incident, together, rules))
    gathered = gathering(state, kind, verdict(case).cause, now)
    if gathered is not None:
        return kept(state, lifecycle.joined(gathered, _together(gathered, case), rules))
    incident, effects = lifecycle.opened(state.next_id, case, rules)
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
            state, ends = kept(state, lifecycle.merged(later, earlier.id, now))
            state, goes_on = kept(state, lifecycle.joined(earlier, together, rules))
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
    if is_put_off(state, now, rules):
        return replace(state, review_at=next_review(state, rules)), []
    state, effects = _caught_up(state, now, world, rules)
    state, told = _merged(state, now, world, rules)
    effects += told
    for incident in state.open_troubles:
        case = _case(state, incident.tenants, now, world, rules)
        case = replace(case, since=incident.since)
        state, told = kept(state, lifecycle.reviewed(incident, case, rules))
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
    for name in untold(state, world) if was_put_off else ():
        state, is_left = sticky_resolve.looked_after(state, name, now, world)
        news += [] if is_left else [name]
    effects: list[Effect] = []
    for group in alike(_case(state, tuple(news), now, world, rules)):
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
