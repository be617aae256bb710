"""Whom an open incident calls: the first mention, then the escalation, until somebody takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.oncall.escalation import (
    DM,
    MENTION,
    NEXT,
    EscalationPolicy,
    EscalationState,
    EscalationStep,
)
from bot.core.oncall.schedule import UserGroup, next_shift_to_notify
from bot.core.state.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from bot.core.state.outbox import Delivery, DirectMessage, PagerAction, Paging, Reply
from bot.core.state.stimulus import Effect, Send

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules

PERSON_ID_PREFIXES = "UW"
"""What a person's id begins with: nobody else can be written to."""
IncidentAndEffects = tuple[Incident, list[Effect]]


def who_to_mention(state: DeskState, rules: Rules) -> tuple[str, ...]:
    """Return who is called first: whose turn it is, else the user group, else those named."""
    if state.shift is not None and state.shift.person:
        return (state.shift.person,)
    if isinstance(rules.on_call, UserGroup):
        return (rules.on_call.id,)
    return tuple(name.strip() for name in rules.mention.split(",") if name.strip())


def policy_of(incident: Incident, rules: Rules) -> EscalationPolicy:
    """Return what is done for an incident that nobody acknowledges."""
    return rules.policies.get(incident.severity, EscalationPolicy())


def due_at(incident: Incident, rules: Rules) -> float | None:
    """Return when somebody is to be called next; None: nobody is."""
    if incident.state is not IncidentState.OPEN or incident.is_muted:
        return None
    if incident.mention_at is not None or incident.escalation is None:
        return incident.mention_at
    return policy_of(incident, rules).due_at(incident.escalation)


def notify_due(
    incident: Incident, state: DeskState, now: float, rules: Rules
) -> IncidentAndEffects:
    """Call whoever is due: the first time in the message itself, if it is only being posted."""
    effects: list[Effect] = []
    if incident.mention_at is not None and incident.mention_at <= now:
        incident, effects = _mention_first(incident, who_to_mention(state, rules), now)
    if incident.escalation is None:
        return incident, effects
    is_mentioned_now = incident.escalation.started_at == now and bool(incident.escalation.notified)
    ladder, steps = policy_of(incident, rules).advance(incident.escalation, now)
    incident = replace(incident, escalation=ladder)
    for step in steps:
        if step.contact == MENTION and is_mentioned_now:
            continue  # the first mention has just been that
        incident, told = _take_step(incident, step, state, now, rules)
        effects += told
    return incident, effects


def _mention_first(incident: Incident, names: tuple[str, ...], now: float) -> IncidentAndEffects:
    incident = replace(
        incident,
        mention_at=None,
        has_mentioned=True,
        escalation=EscalationState(now, notified=names),
    )
    if not names:
        return incident, []
    if incident.opened_at == now:
        return replace(incident, mentioned=names), []
    after, told = notifications.add_entry(
        incident, TimelineEntry(now, TimelineKind.MENTION, mentioned=names)
    )
    return after, [told]


def escalate_now(
    incident: Incident, state: DeskState, now: float, rules: Rules, by: str
) -> IncidentAndEffects:
    """Take the next step at once, because a person wants it; the first again after the last.

    A step that would call only whoever asks, or who has it already, is passed over.
    """
    steps = policy_of(incident, rules).steps or (EscalationStep(0.0, MENTION),)
    ladder = incident.escalation or EscalationState(now)
    for _ in steps:
        if ladder.step >= len(steps):
            ladder = replace(ladder, started_at=now, step=0)
        step, ladder = steps[ladder.step], replace(ladder, step=ladder.step + 1)
        tried = replace(incident, escalation=ladder, mention_at=None)
        after, effects = _take_step(tried, step, state, now, rules, by)
        if _recipients(effects) - {by, incident.acknowledged_by}:
            return after, effects
    return incident, []


def _recipients(effects: list[Effect]) -> set[str]:
    """Return the people, and the ways beyond Slack, that are called."""
    entries = [e.body.entry for e in effects if isinstance(e, Send) and isinstance(e.body, Reply)]
    return {one for entry in entries for one in (*entry.mentioned, *entry.contact_points)} - {DM}


def _take_step(
    incident: Incident,
    step: EscalationStep,
    state: DeskState,
    now: float,
    rules: Rules,
    by: str = "",
) -> IncidentAndEffects:
    names = who_to_mention(state, rules)
    if step.contact not in {MENTION, DM, NEXT}:
        return _page(incident, step.contact, now, by)
    if step.contact == NEXT:
        names = _next_on_call(incident, state, now, rules)
    if not names:
        return incident, []
    effects: list[Effect] = []
    is_direct = step.contact != MENTION and names[0][0] in PERSON_ID_PREFIXES
    if is_direct:
        names = names[:1]
        key = f"{incident.id}:direct:{incident.replies + 1}"
        effects.append(Send(key, f"direct:{incident.id}", DirectMessage(incident.id, names[0])))
    entry = TimelineEntry(
        now, TimelineKind.PAGED, mentioned=names, by=by, contact_points=(DM,) if is_direct else ()
    )
    incident, told = notifications.add_entry(_with_notified(incident, names), entry)
    return incident, [*effects, told]


def _with_notified(incident: Incident, names: tuple[str, ...]) -> Incident:
    ladder = incident.escalation
    if ladder is None:
        return incident
    return replace(incident, escalation=replace(ladder, notified=tuple({*ladder.notified, *names})))


def _next_on_call(
    incident: Incident, state: DeskState, now: float, rules: Rules
) -> tuple[str, ...]:
    source = state.on_call_source(rules)
    told = incident.escalation.notified if incident.escalation else ()
    found = next_shift_to_notify(source, state.overrides, now, notified=told) if source else None
    return (found.person,) if found else ()


def _page(incident: Incident, way: str, now: float, by: str = "") -> IncidentAndEffects:
    paged = tuple(dict.fromkeys((*incident.paged_contact_points, way)))
    incident = replace(incident, paged_contact_points=paged)
    entry = TimelineEntry(now, TimelineKind.PAGED, contact_points=(way,), by=by)
    incident, told = notifications.add_entry(incident, entry)
    return incident, [notifications.page_contact_point(incident, way, PagerAction.TRIGGER), told]


def is_needless(delivery: Delivery, state: DeskState) -> bool:
    """Tell whether it would call a person for what was taken, or ended, since it was wanted."""
    match delivery.body:
        case DirectMessage(incident=number) | Paging(incident=number, action=PagerAction.TRIGGER):
            incident = state.incidents[number]
            taken_at = incident.acknowledged_at
            return not incident.is_open or (taken_at is not None and delivery.created_at < taken_at)
        case _:
            return False


def page_without_slack(incident: Incident, now: float, rules: Rules) -> IncidentAndEffects:
    """Slack does not take the alert: call by every way beyond it that the policy names."""
    steps = policy_of(incident, rules).steps
    ways = dict.fromkeys(step.contact for step in steps if step.contact in rules.contact_points)
    effects: list[Effect] = []
    for way in ways:
        if way not in incident.paged_contact_points:
            incident, told = _page(incident, way, now)
            effects += told
    return incident, effects
