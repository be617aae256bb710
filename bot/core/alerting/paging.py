"""Whom an open incident calls: the first mention, then the escalation, until somebody takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.oncall.escalation import DM, MENTION, NEXT, Ladder, Policy, Step
from bot.core.oncall.schedule import Group, following
from bot.core.state.incident import Entry, EntryKind, Incident, IncidentState
from bot.core.state.outbox import Delivery, Direct, PageAction, Paging, Reply
from bot.core.state.stimulus import Effect, Send

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules

PERSONS = "UW"
"""What a person's id begins with: nobody else can be written to."""
Called = tuple[Incident, list[Effect]]


def whom(state: DeskState, rules: Rules) -> tuple[str, ...]:
    """Return who is called first: whose turn it is, else the user group, else those named."""
    if state.shift is not None and state.shift.person:
        return (state.shift.person,)
    if isinstance(rules.on_call, Group):
        return (rules.on_call.id,)
    return tuple(name.strip() for name in rules.mention.split(",") if name.strip())


def policy_of(incident: Incident, rules: Rules) -> Policy:
    """Return what is done for an incident that nobody acknowledges."""
    return rules.policies.get(incident.severity, Policy())


def due_at(incident: Incident, rules: Rules) -> float | None:
    """Return when somebody is to be called next; None: nobody is."""
    if incident.state is not IncidentState.OPEN or incident.is_muted:
        return None
    if incident.mention_at is not None or incident.ladder is None:
        return incident.mention_at
    return policy_of(incident, rules).due_at(incident.ladder)


def called(incident: Incident, state: DeskState, now: float, rules: Rules) -> Called:
    """Call whoever is due: the first time in the message itself, if it is only being posted."""
    effects: list[Effect] = []
    if incident.mention_at is not None and incident.mention_at <= now:
        incident, effects = _first(incident, whom(state, rules), now)
    if incident.ladder is None:
        return incident, effects
    is_mentioned_now = incident.ladder.begun_at == now and bool(incident.ladder.told)
    ladder, steps = policy_of(incident, rules).climbed(incident.ladder, now)
    incident = replace(incident, ladder=ladder)
    for step in steps:
        if step.tell == MENTION and is_mentioned_now:
            continue  # the first mention has just been that
        incident, told = _climbed(incident, step, state, now, rules)
        effects += told
    return incident, effects


def _first(incident: Incident, names: tuple[str, ...], now: float) -> Called:
    incident = replace(incident, mention_at=None, is_mentioned=True, ladder=Ladder(now, told=names))
    if not names:
        return incident, []
    if incident.opened_at == now:
        return replace(incident, called=names), []
    after, told = notifications.reply(incident, Entry(now, EntryKind.MENTION, whom=names))
    return after, [told]


def escalated(incident: Incident, state: DeskState, now: float, rules: Rules, by: str) -> Called:
    """Take the next step at once, because a person wants it; the first again after the last.

    A step that would call only whoever asks, or who has it already, is passed over.
    """
    steps = policy_of(incident, rules).steps or (Step(0.0, MENTION),)
    ladder = incident.ladder or Ladder(now)
    for _ in steps:
        if ladder.step >= len(steps):
            ladder = replace(ladder, begun_at=now, step=0)
        step, ladder = steps[ladder.step], replace(ladder, step=ladder.step + 1)
        tried = replace(incident, ladder=ladder, mention_at=None)
        after, effects = _climbed(tried, step, state, now, rules, by)
        if _reached(effects) - {by, incident.acknowledged_by}:
            return after, effects
    return incident, []


def _reached(effects: list[Effect]) -> set[str]:
    """Return the people, and the ways beyond Slack, that are called."""
    entries = [e.body.entry for e in effects if isinstance(e, Send) and isinstance(e.body, Reply)]
    return {one for entry in entries for one in (*entry.whom, *entry.ways)} - {DM}


def _climbed(
    incident: Incident, step: Step, state: DeskState, now: float, rules: Rules, by: str = ""
) -> Called:
    names = whom(state, rules)
    if step.tell not in {MENTION, DM, NEXT}:
        return _paged(incident, step.tell, now, by)
    if step.tell == NEXT:
        names = _next(incident, state, now, rules)
    if not names:
        return incident, []
    effects: list[Effect] = []
    is_direct = step.tell != MENTION and names[0][0] in PERSONS
    if is_direct:
        names = names[:1]
        key = f"{incident.id}:direct:{incident.replies + 1}"
        effects.append(Send(key, f"direct:{incident.id}", Direct(incident.id, names[0])))
    entry = Entry(now, EntryKind.PAGED, whom=names, by=by, ways=(DM,) if is_direct else ())
    incident, told = notifications.reply(_having_told(incident, names), entry)
    return incident, [*effects, told]


def _having_told(incident: Incident, names: tuple[str, ...]) -> Incident:
    ladder = incident.ladder
    if ladder is None:
        return incident
    return replace(incident, ladder=replace(ladder, told=tuple({*ladder.told, *names})))


def _next(incident: Incident, state: DeskState, now: float, rules: Rules) -> tuple[str, ...]:
    source = state.on_call(rules)
    told = incident.ladder.told if incident.ladder else ()
    found = following(source, state.overrides, now, told=told) if source else None
    return (found.person,) if found else ()


def _paged(incident: Incident, way: str, now: float, by: str = "") -> Called:
    paged = tuple(dict.fromkeys((*incident.paged, way)))
    incident = replace(incident, paged=paged)
    entry = Entry(now, EntryKind.PAGED, ways=(way,), by=by)
    incident, told = notifications.reply(incident, entry)
    return incident, [notifications.page(incident, way, PageAction.TRIGGER), told]


def is_needless(delivery: Delivery, state: DeskState) -> bool:
    """Tell whether it would call a person for what was taken, or ended, since it was wanted."""
    match delivery.body:
        case Direct(incident=number) | Paging(incident=number, action=PageAction.TRIGGER):
            incident = state.incidents[number]
            taken_at = incident.acknowledged_at
            return not incident.is_open or (taken_at is not None and delivery.created_at < taken_at)
        case _:
            return False


def without_slack(incident: Incident, now: float, rules: Rules) -> Called:
    """Slack does not take the alert: call by every way beyond it that the policy names."""
    steps = policy_of(incident, rules).steps
    ways = dict.fromkeys(step.tell for step in steps if step.tell in rules.ways)
    effects: list[Effect] = []
    for way in ways:
        if way not in incident.paged:
            incident, told = _paged(incident, way, now)
            effects += told
    return incident, effects
