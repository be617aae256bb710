"""Groups failing tenants into incidents: which one a failure joins, merging, storms, priorities."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from bot.core.incidents import lifecycle, notifications, recurrence
from bot.core.incidents.recurrence import damp_if_flapping, quiet_s
from bot.core.model.observation import (
    M2M,
    TOKEN_ENDPOINT,
    WELLKNOWN,
    Cause,
    Health,
    Scope,
    Severity,
    SignalState,
    Target,
    Verdict,
)
from bot.core.model.record import replace
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    Resolution,
)
from bot.core.state.problem import ProbeProblem
from bot.core.state.stimulus import DeskEffect, IncidentChanged, Priority, StartProbe, TenantReport
from bot.core.state.tenant import NoData, Tenants
from bot.core.state.timeline import RecoveredEntry
from bot.core.triage.context import TriageContext
from bot.core.triage.from_others import TOGETHER_S, failure_kinds, fault_kind
from bot.core.triage.verdict import Triage

if TYPE_CHECKING:
    from bot.core.state.desk import BotState, DeskState, StateAndEffects
    from bot.core.state.rules import Rules

STORM_MIN_INCIDENTS = 5
"""With so many open incidents a further failure joins the newest one of the same cause, …"""
STORM_WINDOW_S = 600.0
"""… if all of them were opened within this time."""
JOIN_WINDOW_S = 600.0
"""Tenants join an incident so long after its beginning. What fails later has a message of its own,
even where one cause is likely: people have looked at the first one by then."""
MAX_IMMEDIATE_EVALUATIONS = 100
"""An evaluation checks each tenant once per incident. Up to so many of these checks, each new
fact is evaluated at once."""
EVALUATIONS_PER_S = 100.0
"""Beyond that so many checks a second: a few per cent of a core."""
MAX_DEFERRAL_S = 5.0
SOURCES_SPEAK_S = 5.0
"""So long a first message waits for sources that were asked when a probe failed."""
MOST_CONFIRMED = 5
"""Tenants of one environment with one kind of fault whose repeats go before everything routine. One
that fires opens the incident; five show how wide it is."""
LONG_GAP_S = 600.0
"""A monitoring gap of this length is a warning: an outage within it would have gone unseen."""
SHARED_CAUSES = frozenset({Cause.AUTH0, Cause.NETWORK})
"""Causes that affect several tenants at once, and so are one incident."""
POSSIBLY_SHARED_CAUSES = SHARED_CAUSES | {Cause.UNCLEAR}


def is_deferred(state: DeskState, now: float, rules: Rules) -> bool:
    """Tell whether the last evaluation was so recent that the next one has to wait."""
    return state.evaluated_at <= now < _next_evaluation_at(state, rules)


def _next_evaluation_at(state: DeskState, rules: Rules) -> float:
    checks = len(state.open_login_incidents) * len(rules.tenants)
    if checks <= MAX_IMMEDIATE_EVALUATIONS:
        return state.evaluated_at
    return state.evaluated_at + min(checks / EVALUATIONS_PER_S, MAX_DEFERRAL_S)


def open_monitoring_gap(state: DeskState, stimulus: TenantReport, rules: Rules) -> StateAndEffects:
    """Report a monitoring gap once, however many tenants had it: as an incident that is over.

    For each tenant it began with its last result, which may be minutes apart; gaps that overlap are
    one.
    """
    now, since = stimulus.at, stimulus.at - stimulus.unobserved_s
    for incident in state.incidents.values():
        is_gap = incident.kind is IncidentKind.MONITORING_GAP
        if is_gap and since < incident.life.opened_at:
            return state, []
    gap = Incident(
        id=state.next_id,
        kind=IncidentKind.MONITORING_GAP,
        severity=Severity.WARNING if now - since >= LONG_GAP_S else Severity.INFO,
        tenants=(stimulus.tenant,),
        since=since,
        verdict=Verdict(Cause.NETWORK, Scope.UNKNOWN, 1.0),
        life=IncidentLife(now, resolved=Resolution(now)),
        # It concerns the bot, not just the tenant that noticed it first.
        message=IncidentMessage(channel=rules.channels.home("", Severity.INFO)),
    )
    state = replace(state, next_id=gap.id + 1)
    return keep_incident(state, (gap, [IncidentChanged(gap), notifications.post_message(gap)]))


def group_or_open(
    state: DeskState, names: tuple[str, ...], triage: Triage, *, has_waited: bool = False
) -> StateAndEffects:
    """Add tenants that fail alike to the incident that their problem belongs to, or open one.

    While its cause is not clear, sources that have just been asked get a moment to name it.
    """
    context = triage.context(names)
    now, kind = context.now, lifecycle.kind_of(context)
    state = replace(state, evaluated_at=now)
    recent = _find_recently_resolved(state, kind, context)
    if recent is not None:
        return keep_incident(state, lifecycle.reopen_incident(recent, context, triage))
    verdict = triage.judge(context)
    same_kind = [incident for incident in state.open_incidents if incident.kind is kind]
    alike = [incident for incident in same_kind if _has_one_cause(incident, context, triage)]
    for incident in alike:
        began_at = incident.life.reopened_at or incident.life.opened_at
        if now - began_at <= JOIN_WINDOW_S or kind is not IncidentKind.FAILING:
            together = _combine_contexts(incident, context)
            return keep_incident(state, lifecycle.add_tenants(incident, together, triage))
    storm = [incident for incident in same_kind if now - incident.life.opened_at < STORM_WINDOW_S]
    same_cause = [incident for incident in storm if incident.verdict.cause is verdict.cause]
    if len(storm) >= STORM_MIN_INCIDENTS and same_cause:
        together = _combine_contexts(same_cause[-1], context)
        return keep_incident(state, lifecycle.add_tenants(same_cause[-1], together, triage))
    is_unclear = kind is IncidentKind.FAILING and verdict.stated_cause is Cause.UNCLEAR
    if is_unclear and not has_waited and any(_are_sources_asked(context, name) for name in names):
        evaluate_at = now + SOURCES_SPEAK_S if state.evaluate_at is None else state.evaluate_at
        return replace(state, evaluate_at=evaluate_at), []
    damping = damp_if_flapping(state.incidents.values(), names, now)
    related = alike[0].id if alike else None
    opened = lifecycle.open_incident(
        state.next_id, context, triage, damping=damping, perhaps_same_as=related
    )
    return keep_incident(replace(state, next_id=state.next_id + 1), opened)


def _are_sources_asked(context: TriageContext, name: str) -> bool:
    """Tell whether sources that know what is usual were asked because something else failed."""
    tenant = context.all_tenants.states[name]
    asked = [
        metric
        for metric in tenant.metrics.values()
        if metric.baseline.is_known and not metric.no_data_reason
    ]
    return len(asked) > 1 or (any(p.is_failing for p in tenant.probes.values()) and bool(asked))


def _has_one_cause(incident: Incident, context: TriageContext, triage: Triage) -> bool:
    """Tell whether one cause explains an incident and more, and neither has a cause of its own."""
    own = triage.context(incident.tenants, incident.failing_since)
    ways = [{w for n in c.tenants for w in failure_kinds(c, n)} for c in (own, context)]
    if all(ways) and ways[0].isdisjoint(ways[1]):
        return False
    is_ours = any(context.is_worked_on(name) for name in (*own.tenants, *context.tenants))
    if is_ours and abs(own.since - context.since) > TOGETHER_S:
        return False
    causes = {triage.judge(own).cause, triage.judge(context).cause}
    states = [context.all_tenants.states[name] for name in (*own.tenants, *context.tenants)]
    if causes == {Cause.PROBE} or (
        causes == {Cause.QUOTA} and all(state.alerting_signals == {M2M} for state in states)
    ):  # one vault holds all passwords, one client asks for too many tokens
        return all(ways) and abs(own.since - context.since) < TOGETHER_S
    together = triage.judge(_combine_contexts(incident, context)).cause
    return together in SHARED_CAUSES and causes <= POSSIBLY_SHARED_CAUSES


def _combine_contexts(incident: Incident, context: TriageContext) -> TriageContext:
    """Return the context of an incident's tenants and more."""
    tenants = tuple(dict.fromkeys((*incident.tenants, *context.tenants)))
    return replace(context, tenants=tenants, since=min(context.since, incident.failing_since))


def needs_incident(state: DeskState, name: str, tenants: Tenants) -> bool:
    """Tell whether a tenant has a problem that no open incident is about.

    An incident about missing data is not about a tenant's failures. Data that comes again opens no
    new one, even before it has come for long enough to end the old one.
    """
    tenant, kinds = tenants.states[name], state.login_incident_kinds.get(name, ())
    if tenant.health & Health.ALERTING:
        return IncidentKind.FAILING not in kinds
    return isinstance(tenant.data, NoData) and tenant.data.again_since is None and not kinds


def _split_off_tenants_with_data(
    state: DeskState, incident: Incident, now: float, tenants: Tenants
) -> StateAndEffects:
    """End an incident about missing data for those of its tenants that have data again.

    Their part of it is kept as a resolved incident, so that the report counts when each of them
    was not observed.
    """
    ended = tuple(n for n in incident.tenants if tenants.states[n].no_data_since is None)
    if not ended or len(ended) == len(incident.tenants):
        return state, []
    part = replace(
        incident,
        id=state.next_id,
        tenants=ended,
        life=replace(incident.life, resolved=Resolution(now, merged_into=incident.id)),
        message=IncidentMessage(),
    )
    state = replace(state, next_id=part.id + 1).with_incident(part)
    rest = replace(incident, tenants=tuple(n for n in incident.tenants if n not in ended))
    rest, reply = notifications.add_entry(rest, RecoveredEntry(now, ended))
    rest, edit = notifications.edit_message(rest, now)
    return keep_incident(state, (rest, [IncidentChanged(rest), reply, edit]))


def _merge_incidents(state: DeskState, triage: Triage) -> StateAndEffects:
    """Merge two open incidents if newer evidence shows that they have one cause."""
    failing = [i for i in state.open_login_incidents if i.kind is IncidentKind.FAILING]
    if len(failing) < 2:  # noqa: PLR2004 - a pair
        return state, []
    for earlier, later in combinations(failing, 2):
        context = triage.context(later.tenants)
        if _are_known_to_be_one(earlier, later) and _has_one_cause(earlier, context, triage):
            resolution = Resolution(context.now, merged_into=earlier.id)
            merged = notifications.resolve_incident(later, resolution)
            state, ends = keep_incident(state, merged)
            together = _combine_contexts(earlier, context)
            both = _join_known(earlier, later)
            state, joins = keep_incident(state, lifecycle.add_tenants(both, together, triage))
            return state, [*ends, *joins]
    return state, []


def _are_known_to_be_one(earlier: Incident, later: Incident) -> bool:
    """Tell whether two incidents began together, or a status incident is about both.

    One for which nobody is called hides none for which people are.
    """
    if earlier.notification.is_muted and not later.notification.is_muted:
        return False
    posts = {one.id for one in earlier.status_incidents}
    is_together = abs(earlier.since - later.since) <= JOIN_WINDOW_S
    return is_together or any(one.id in posts for one in later.status_incidents)


def _join_known(earlier: Incident, later: Incident) -> Incident:
    """Return the earlier incident with what people were called for in the later one.

    If nobody was called for the earlier one, the call, the escalation and who has it go on. While
    the earlier one may be back, people who were called for the later one do not know of that.
    """
    known, more = earlier.notification.known, later.notification.known
    if known is None and more is not None:
        theirs = later.notification
        life = replace(earlier.life, acknowledged=later.life.acknowledged)
        notification = replace(
            earlier.notification,
            has_mentioned=theirs.has_mentioned,
            escalation=theirs.escalation,
            called_at=theirs.called_at,
            called_wider_at=theirs.called_wider_at,
            known=more,
            told_cause=theirs.told_cause,
        )
        return replace(earlier, life=life, notification=notification)
    called_at = earlier.notification.called_at
    if later.notification.called_at is not None and earlier.life.returning is None:
        called_at = max(called_at or 0.0, later.notification.called_at)
    notification = replace(
        earlier.notification,
        known=known.join(more) if known and more else known,
        called_at=called_at,
    )
    return replace(earlier, notification=notification)


def _find_recently_resolved(
    state: DeskState, kind: IncidentKind, context: TriageContext
) -> Incident | None:
    names = {*context.tenants}
    limit_s = max(context.rules.tenants[name].limits.recover_for_s for name in names)
    ended = [
        i
        for i in state.incidents.values()
        if not names.isdisjoint(i.tenants)
        and i.kind is kind
        and _fails_alike(i, context)
        and i.life.merged_into is None
        and i.life.resolved_at is not None
        and (
            context.now - i.life.resolved_at < max(limit_s, quiet_s(i.notification.damping))
            or not names.isdisjoint(one.owner for one in i.life.still_failing)
        )
    ]
    return max(ended, key=lambda i: i.id, default=None)


def _fails_alike(incident: Incident, context: TriageContext) -> bool:
    """Tell whether an incident's tenants fail as they did then: another failure is another one."""
    faults = [p.fault for p in incident.problems if isinstance(p, ProbeProblem) and p.fault]
    before = {*map(fault_kind, faults)}
    now = {kind for name in context.tenants for kind in failure_kinds(context, name)}
    if before and now:
        return not before.isdisjoint(now)
    names = {p.target for p in incident.problems}
    states = context.all_tenants.states
    firing = {Target(name, s) for name in context.tenants for s in states[name].alerting_signals}
    return not names or not firing or not names.isdisjoint(firing)


def evaluate_all(state: DeskState, now: float, tenants: Tenants, rules: Rules) -> StateAndEffects:
    """Evaluate every open incident, because something is new; in a storm a little later."""
    if is_deferred(state, now, rules):
        due = _next_evaluation_at(state, rules)
        return (state if state.evaluate_at == due else replace(state, evaluate_at=due)), []
    if state.evaluate_at is None and not state.open_login_incidents:
        return state, []
    triage = Triage(now, tenants, state, rules)
    state, effects = _catch_up(state, now, tenants, triage)
    state, merges = _merge_incidents(state, triage)
    effects += merges
    for incident in state.open_login_incidents:
        if incident.kind is IncidentKind.NO_DATA:
            state, parts = _split_off_tenants_with_data(state, incident, now, tenants)
            effects += parts
    for incident in state.open_login_incidents:
        context = triage.context(incident.tenants, incident.failing_since)
        changed = lifecycle.evaluate_incident(incident, context, triage)
        state, changes = keep_incident(state, changed)
        effects += changes
    return state, effects


def _catch_up(state: DeskState, now: float, tenants: Tenants, triage: Triage) -> StateAndEffects:
    """Begin an evaluation: find incidents for the tenants that failed since it was deferred."""
    is_due = state.evaluate_at is not None and state.evaluate_at <= now
    state = replace(state, evaluated_at=now, evaluate_at=None if is_due else state.evaluate_at)
    failing: list[str] = []
    for name in tenants.states if is_due else ():
        if needs_incident(state, name, tenants):
            state, is_sticky = recurrence.update_sticky_resolve(
                state, name, now, tenants, triage.rules
            )
            failing += [] if is_sticky else [name]
    context = triage.context(tuple(failing))
    groups: dict[object, list[str]] = {}  # one stands for all that fail alike in its environment
    for name in failing:
        is_failing = bool(tenants.states[name].health & Health.ALERTING)
        kinds = frozenset(failure_kinds(context, name))
        groups.setdefault((is_failing, kinds, context.environment(name)), []).append(name)
    effects: list[DeskEffect] = []
    for names in groups.values():
        state, changes = group_or_open(state, tuple(names), triage, has_waited=True)
        effects += changes
    return state, effects


def keep_incident(state: DeskState, change: tuple[Incident, list[DeskEffect]]) -> StateAndEffects:
    """Store a changed incident, and pass its effects on."""
    incident, effects = change
    return state.with_incident(incident), effects


def prioritize(state: BotState, probe: StartProbe, rules: Rules) -> tuple[BotState, StartProbe]:
    """Decide how urgent a tenant's probe is; remember which tenants were the first to fail."""
    name, signal = probe.target.owner, probe.target.name
    tenant = state.tenants.states[name]
    failures = len(tenant.probes[signal].faults) if signal in tenant.probes else 0
    if probe.request_id:
        priority = Priority.PERSON
    elif probe.priority is Priority.ROUTINE:
        is_light = signal in {WELLKNOWN, M2M, TOKEN_ENDPOINT}
        priority = Priority.LIGHT if is_light else Priority.ROUTINE
    elif any(each.state is SignalState.FIRING for each in tenant.probes.values()):
        priority = Priority.KNOWN
    else:
        pending = [n for n in rules.tenants[name].probes if tenant.probes[n].faults]
        priority = Priority.LIGHT  # a check that the desk asked for
        if pending:
            state, is_first = _note_failing(state, name, pending[0], rules)
            others = Priority.REPEAT if signal == pending[0] else Priority.COMPANION
            priority = Priority.CONFIRM if is_first else others
    return state, replace(probe, priority=priority, failures=failures)


def _note_failing(state: BotState, name: str, signal: str, rules: Rules) -> tuple[BotState, bool]:
    """Tell whether a tenant is one of the first that fail alike; it is until it works again."""
    states = state.tenants.states
    fault = states[name].probes[signal].faults[-1]
    kind = state.tenants.environment(name, rules), fault_kind(fault)
    is_bad = Health.SUSPECT | Health.FIRING
    first = tuple(n for n in state.confirming.get(kind, ()) if states[n].health & is_bad)
    if name not in first and len(first) < MOST_CONFIRMED:
        first = (*first, name)
    state = replace(state, confirming={**state.confirming, kind: first})
    return state, name in first
