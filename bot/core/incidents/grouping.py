"""Groups failing tenants into incidents: which one a failure joins, merging, and alert storms."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from bot.core.incidents import lifecycle, notifications, sticky_resolve
from bot.core.incidents.lifecycle import has_problem, is_tenant_failing
from bot.core.model.observation import Cause
from bot.core.state.incident import Incident, IncidentKind
from bot.core.state.outbox import Post
from bot.core.state.stimulus import Effect, IncidentChanged, Send, TenantReport, Tenants
from bot.core.triage.collect import reach_verdict
from bot.core.triage.context import TriageContext
from bot.core.triage.from_peers import failure_kinds

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules

STORM_MIN_INCIDENTS = 5
STORM_WINDOW_S = 600.0
"""So many open incidents, begun so lately, are enough: what fails of a like cause joins the newest
of its cause."""
MAX_IMMEDIATE_EVALUATIONS = 100
"""A review looks at each tenant once an incident; as long as it takes so few looks, each new fact
is reviewed at once."""
EVALUATIONS_PER_S = 100.0
"""Beyond that so many are taken a second: a few per cent of a core."""
MAX_DEFERRAL_S = 5.0


def is_deferred(state: DeskState, now: float, rules: Rules) -> bool:
    """Tell whether the last review was so short ago that the next one has to wait."""
    return state.evaluated_at <= now < next_evaluation_at(state, rules)


def next_evaluation_at(state: DeskState, rules: Rules) -> float:
    """Return when the incidents may be looked at again."""
    return state.evaluated_at + _interval_s(state, rules)


def _interval_s(state: DeskState, rules: Rules) -> float:
    looks = len(state.open_login_incidents) * len(rules.tenants)
    return (
        min(looks / EVALUATIONS_PER_S, MAX_DEFERRAL_S) if looks > MAX_IMMEDIATE_EVALUATIONS else 0.0
    )


def tenants_without_incident(state: DeskState, world: Tenants) -> list[str]:
    """Return the tenants in trouble that no open incident speaks of."""
    told = {name for incident in state.open_login_incidents for name in incident.tenants}
    return [name for name in world.states if name not in told and has_problem(world, name)]


def group_alike(case: TriageContext) -> list[tuple[str, ...]]:
    """Group a case's tenants by environment and by how they fail: one speaks for its group."""
    groups: dict[object, list[str]] = {}
    for name in case.tenants:
        fails = is_tenant_failing(case.all_tenants.states[name])
        key = (fails, frozenset(failure_kinds(case, name)), case.environment(name))
        groups.setdefault(key, []).append(name)
    return [tuple(names) for names in groups.values()]


def find_storm_incident(
    state: DeskState, kind: IncidentKind, cause: Cause, now: float
) -> Incident | None:
    """Return the incident that takes in more of its cause, where there are many new ones."""
    new = [i for i in state.open_incidents if i.kind is kind and now - i.opened_at < STORM_WINDOW_S]
    same = [incident for incident in new if incident.verdict.cause is cause]
    return same[-1] if len(new) >= STORM_MIN_INCIDENTS and same else None


SAME_GAP_S = 30.0
"""Tenants come back from one gap this far apart: each is looked at at its own second."""
SHARED_CAUSES = frozenset({Cause.AUTH0, Cause.NETWORK})
"""Causes that strike several tenants at once, and so are one incident."""
POSSIBLY_SHARED_CAUSES = SHARED_CAUSES | {Cause.UNCLEAR}


def open_monitoring_gap(state: DeskState, stimulus: TenantReport) -> StateAndEffects:
    """Tell a gap once, however many tenants come back from it."""
    since = stimulus.at - stimulus.unobserved_s
    for incident in state.incidents.values():
        if (
            incident.kind is IncidentKind.MONITORING_GAP
            and abs(incident.since - since) < SAME_GAP_S
        ):
            return state, []
    number = state.next_id
    gap = lifecycle.create_monitoring_gap(
        number, (stimulus.tenant,), stimulus.at, stimulus.unobserved_s
    )
    state = replace(state.with_incident(gap), next_id=number + 1)
    key = f"{number}:post:1"
    return state, [IncidentChanged(gap), Send(key, notifications.lane(number), Post(number))]


def group_or_open(
    state: DeskState, tenants: tuple[str, ...], now: float, world: Tenants, rules: Rules
) -> StateAndEffects:
    """Find the incident that the trouble of tenants that fail alike belongs to, or open one."""
    state = replace(state, evaluated_at=now)
    case = _build_context(state, tenants, now, world, rules)
    kind = lifecycle.kind_of(case)
    recent = _find_recently_resolved(state, tenants, kind, now, rules)
    if recent is not None:
        return keep_incident(state, lifecycle.reopen_incident(recent, case, rules))
    for incident in (i for i in state.open_incidents if i.kind is kind):
        together = _combine_contexts(incident, case)
        mine = replace(case, tenants=incident.tenants, since=incident.since)
        if _has_shared_cause(together, mine, case):
            return keep_incident(state, lifecycle.add_tenants(incident, together, rules))
    gathered = find_storm_incident(state, kind, reach_verdict(case).cause, now)
    if gathered is not None:
        return keep_incident(
            state, lifecycle.add_tenants(gathered, _combine_contexts(gathered, case), rules)
        )
    incident, effects = lifecycle.open_incident(state.next_id, case, rules)
    state = replace(state, next_id=state.next_id + 1)
    return keep_incident(state, (incident, list(effects)))


def _combine_contexts(incident: Incident, case: TriageContext) -> TriageContext:
    """Return the case of an incident's tenants and more."""
    tenants = tuple(dict.fromkeys((*incident.tenants, *case.tenants)))
    return replace(case, tenants=tenants, since=min(case.since, incident.since))


def _has_shared_cause(together: TriageContext, *apart: TriageContext) -> bool:
    """Tell whether one shared cause explains all, and no part has a cause of its own."""
    if reach_verdict(together).cause not in SHARED_CAUSES:
        return False
    return {reach_verdict(case).cause for case in apart} <= POSSIBLY_SHARED_CAUSES


def _merge_incidents(state: DeskState, now: float, world: Tenants, rules: Rules) -> StateAndEffects:
    """Make one of two open incidents, where what was learned since shows one cause."""
    failing = [i for i in state.open_login_incidents if i.kind is IncidentKind.FAILING]
    if len(failing) < 2:  # noqa: PLR2004 - a pair
        return state, []
    cases = [_build_context(state, i.tenants, now, world, rules) for i in failing]
    pairs = zip(failing, cases, strict=True)
    shared = [pair for pair in pairs if reach_verdict(pair[1]).cause in POSSIBLY_SHARED_CAUSES]
    for (earlier, _), (later, case) in combinations(shared, 2):
        together = _combine_contexts(earlier, case)
        if reach_verdict(together).cause in SHARED_CAUSES:
            state, ends = keep_incident(state, lifecycle.merge_into(later, earlier.id, now))
            state, goes_on = keep_incident(state, lifecycle.add_tenants(earlier, together, rules))
            return state, [*ends, *goes_on]
    return state, []


def _find_recently_resolved(
    state: DeskState, tenants: tuple[str, ...], kind: IncidentKind, now: float, rules: Rules
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


def evaluate_all(state: DeskState, now: float, world: Tenants, rules: Rules) -> StateAndEffects:
    """Look at every open incident again, because a fact is new; in a storm a little later."""
    if is_deferred(state, now, rules):
        return replace(state, evaluate_at=next_evaluation_at(state, rules)), []
    state, effects = _catch_up(state, now, world, rules)
    state, told = _merge_incidents(state, now, world, rules)
    effects += told
    for incident in state.open_login_incidents:
        case = _build_context(state, incident.tenants, now, world, rules)
        case = replace(case, since=incident.since)
        state, told = keep_incident(state, lifecycle.evaluate_incident(incident, case, rules))
        effects += told
    return state, effects


def evaluate_if_due(state: DeskState, now: float, world: Tenants, rules: Rules) -> StateAndEffects:
    """Look at every open incident again, where that was put off until now."""
    is_due = state.evaluate_at is not None and state.evaluate_at <= now
    return evaluate_all(state, now, world, rules) if is_due else (state, [])


def _catch_up(state: DeskState, now: float, world: Tenants, rules: Rules) -> StateAndEffects:
    """Begin a review: find incidents for the tenants that fail since it was put off."""
    was_put_off = state.evaluate_at is not None
    state = replace(state, evaluated_at=now, evaluate_at=None)
    news: list[str] = []
    for name in tenants_without_incident(state, world) if was_put_off else ():
        state, is_left = sticky_resolve.update_sticky_resolve(state, name, now, world)
        news += [] if is_left else [name]
    effects: list[Effect] = []
    for group in group_alike(_build_context(state, tuple(news), now, world, rules)):
        state, told = group_or_open(state, group, now, world, rules)
        effects += told
    return state, effects


def _build_context(
    state: DeskState, tenants: tuple[str, ...], now: float, world: Tenants, rules: Rules
) -> TriageContext:
    starts = [
        start
        for name in tenants
        for start in (
            world.states[name].no_data_since,
            *(s.since for s in world.states[name].probes.values()),
            *(s.latency.since for s in world.states[name].probes.values() if s.latency.is_slow),
            *(s.since for s in world.states[name].metrics.values()),
            *(m.since for m in world.states[name].monitors.values()),
        )
        if start is not None
    ]
    return TriageContext(tenants, world, state.shared, rules, now, min(starts, default=now))


def keep_incident(state: DeskState, change: tuple[Incident, list[Effect]]) -> StateAndEffects:
    """Keep a changed incident, and what is to be done for it."""
    incident, effects = change
    return state.with_incident(incident), effects
