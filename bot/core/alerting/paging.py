"""Who is paged about an open incident: the first mention, then the escalation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents import notifications
from bot.core.oncall import (
    DM,
    MENTION,
    NEXT,
    AwaitingMention,
    CallReason,
    EscalationPolicy,
    EscalationState,
    EscalationStep,
    UserGroup,
    begun_escalation,
    next_shift_to_notify,
)
from bot.core.state.incident import Incident, IncidentState
from bot.core.state.outbox import (
    Call,
    Delivery,
    DirectMessage,
    PagerAction,
    Paging,
    Reply,
)
from bot.core.state.stimulus import DeskEffect, Send
from bot.core.state.timeline import DirectEntry, MentionEntry, PagedEntry, StillOnItEntry
from bot.core.triage.impact import measure_known

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState
    from bot.core.state.known import Known
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

PERSON_ID_PREFIXES = "UW"
"""A person's id begins with one of these; only people get direct messages."""
IncidentAndEffects = tuple[Incident, list[DeskEffect]]


def who_to_mention(state: DeskState, rules: Rules) -> tuple[str, ...]:
    """Return who is mentioned first: who is on call, else the user group, else `mention`."""
    if state.shift is not None and state.shift.person:
        return (state.shift.person,)
    if isinstance(rules.on_call, UserGroup):
        return (rules.on_call.id,)
    return tuple(name.strip() for name in rules.mention.split(",") if name.strip())


def policy_of(incident: Incident, rules: Rules) -> EscalationPolicy:
    """Return the escalation policy for an incident's severity."""
    return rules.policies.get(incident.severity, EscalationPolicy())


def due_at(incident: Incident, rules: Rules) -> float | None:
    """Return when somebody is to be paged next; None: nobody."""
    if incident.state is not IncidentState.OPEN or incident.notification.is_muted:
        return None
    match incident.notification.escalation:
        case AwaitingMention(at=at):
            return at
        case EscalationState() as escalation:
            return policy_of(incident, rules).due_at(escalation)
        case None:
            return None


def may_call(incident: Incident, now: float, rules: Rules) -> bool:
    """Tell whether people may be called for any tenant that fails; the bot's own faults call."""
    failing = {problem.tenant for problem in incident.problems if not problem.is_over}
    names = failing or incident.tenants
    return not names or any(rules.may_call(name, now) for name in names)


def notify_due(
    incident: Incident, state: DeskState, tenants: Tenants, now: float, rules: Rules
) -> IncidentAndEffects:
    """Page whoever is due: the first time in the message itself, if that is just being posted."""
    effects: list[DeskEffect] = []
    if isinstance(incident.notification.escalation, AwaitingMention):
        current = measure_known(incident, tenants, rules)
        names = _who_to_call(incident, state, now, rules)
        incident, effects = _call(incident, names, current, now)
    escalation = begun_escalation(incident.notification.escalation)
    if escalation is None:
        return incident, effects
    is_mentioned_now = escalation.started_at == now and bool(escalation.notified)
    escalation, steps = policy_of(incident, rules).advance(escalation, now)
    incident = _with_escalation(incident, escalation)
    for step in steps:
        if step.contact == MENTION and is_mentioned_now:
            continue  # the first mention has just done that
        incident, pages = _take_step(incident, step, state, now, rules)
        effects += pages
    return incident, effects


def _who_to_call(incident: Incident, state: DeskState, now: float, rules: Rules) -> tuple[str, ...]:
    """Return who is mentioned first: not only the person who has just handed it over."""
    names = who_to_mention(state, rules)
    waiting, ended = incident.notification.escalation, incident.life.acknowledgement_ended
    is_handed_over = (
        isinstance(waiting, AwaitingMention) and waiting.reason is CallReason.HANDED_OVER
    )
    if ended is None or not is_handed_over:
        return names
    if others := tuple(name for name in names if name != ended.by):
        return others
    source = state.on_call_source(rules)
    after = source and next_shift_to_notify(source, state.overrides, now, notified=(ended.by,))
    return (after.person,) if after else names


def _call(
    incident: Incident, names: tuple[str, ...], current: Known, now: float
) -> IncidentAndEffects:
    """Call people, and start the escalation from its first step."""
    waiting = incident.notification.escalation
    reason = waiting.reason if isinstance(waiting, AwaitingMention) else CallReason.BEGUN
    notification = replace(
        incident.notification,
        has_mentioned=True,
        escalation=EscalationState(now, notified=names),
        called_at=now,
        known=current,
        told_cause=incident.verdict.cause,
    )
    is_in_message = incident.life.opened_at == now
    if is_in_message:
        notification = replace(notification, mentioned=names)
    incident = replace(incident, notification=notification)
    is_first = reason is CallReason.BEGUN
    if is_in_message or (is_first and not names):
        return incident, []
    had = None if is_first else incident.life.acknowledgement_ended
    entry = MentionEntry(now, names, reason, acknowledged=had)
    after, reply = notifications.add_entry(incident, entry, Call(incident.id, reason, now))
    return after, [reply]


def call_for_joined(
    incident: Incident,
    joined: tuple[str, ...],
    state: DeskState,
    now: float,
    *,
    current: Known,
    rules: Rules,
) -> IncidentAndEffects:
    """Call people once for tenants that fail as well.

    An acknowledgement stays for what it was given for, and an escalation goes on as it was.
    """
    names = who_to_mention(state, rules)
    known = incident.notification.known
    notification = replace(
        incident.notification,
        called_at=now,
        called_wider_at=now,
        known=known.join(current) if known else current,
    )
    incident = replace(incident, notification=notification)
    call = Call(incident.id, CallReason.WIDER, now)
    entry = MentionEntry(now, names, CallReason.WIDER, joined)
    incident, reply = notifications.add_entry(incident, entry, call)
    effects: list[DeskEffect] = [reply]
    # Where nobody is mentioned first, the first step of the escalation is what makes a call.
    steps = policy_of(incident, rules).steps
    at_once = [step for step in steps if step.after_s == 0] if names else steps[:1]
    for step in at_once:
        if step.contact not in {MENTION, DM, NEXT}:
            incident, pages = _page(incident, (step.contact,), call, now)
            effects += pages
    return incident, effects


def escalate_now(
    incident: Incident, state: DeskState, now: float, rules: Rules, by: str
) -> IncidentAndEffects:
    """Take the next step at once, because a person wants it; after the last one the first again.

    A step that would page only that person, or who acknowledged it already, is skipped.
    """
    steps = policy_of(incident, rules).steps or (EscalationStep(0.0, MENTION),)
    escalation = begun_escalation(incident.notification.escalation) or EscalationState(now)
    for _ in steps:
        if escalation.step >= len(steps):
            escalation = replace(escalation, started_at=now, step=0)
        step, escalation = steps[escalation.step], replace(escalation, step=escalation.step + 1)
        tried = _with_escalation(incident, escalation)
        after, effects = _take_step(tried, step, state, now, rules, by)
        paged = {
            one
            for effect in effects
            if isinstance(effect, Send)
            and isinstance(effect.body, Reply)
            and isinstance(entry := effect.body.entry, PagedEntry)
            for one in (*entry.mentioned, *entry.contact_points)
        }
        if paged - {DM, by, incident.life.acknowledged_by}:
            return after, effects
    return incident, []


def _with_escalation(incident: Incident, escalation: EscalationState) -> Incident:
    return replace(incident, notification=replace(incident.notification, escalation=escalation))


def _take_step(
    incident: Incident,
    step: EscalationStep,
    state: DeskState,
    now: float,
    rules: Rules,
    by: str = "",
) -> IncidentAndEffects:
    steps = policy_of(incident, rules).steps
    number = steps.index(step) + 1 if step in steps else None
    call = Call(incident.id, CallReason.UNACKNOWLEDGED, now, number)
    if step.contact not in {MENTION, DM, NEXT}:
        return _page(incident, (step.contact,), call, now, by)
    names, escalation = (
        who_to_mention(state, rules),
        begun_escalation(incident.notification.escalation),
    )
    notified = escalation.notified if escalation else ()
    if step.contact == NEXT:
        source, overrides = state.on_call_source(rules), state.overrides
        shift = next_shift_to_notify(source, overrides, now, notified=notified) if source else None
        names = (shift.person,) if shift else ()
    if not names:
        return incident, []
    effects: list[DeskEffect] = []
    is_direct = step.contact != MENTION and names[0][0] in PERSON_ID_PREFIXES
    if is_direct:
        names = names[:1]
        key = f"{incident.id}:direct:{incident.message.replies + 1}"
        body = DirectMessage(incident.id, names[0])
        effects.append(Send(key, f"direct:{incident.id}", body, call=call))
    if escalation:
        escalation = replace(escalation, notified=tuple({*notified, *names}))
        incident = _with_escalation(incident, escalation)
    entry = PagedEntry(now, names, (DM,) if is_direct else (), by)
    incident, reply = notifications.add_entry(incident, entry, None if is_direct else call)
    return incident, [*effects, reply]


def _page(
    incident: Incident, contact_points: tuple[str, ...], call: Call, now: float, by: str = ""
) -> IncidentAndEffects:
    paged_at = {**incident.notification.paged_at, **dict.fromkeys(contact_points, now)}
    incident = replace(incident, notification=replace(incident.notification, paged_at=paged_at))
    entry = PagedEntry(now, contact_points=contact_points, by=by)
    incident, reply = notifications.add_entry(incident, entry)
    pages = (
        notifications.page_contact_point(incident, name, PagerAction.TRIGGER, call)
        for name in contact_points
    )
    return incident, [*pages, reply]


def is_needless(delivery: Delivery, state: DeskState) -> bool:
    """Tell whether it calls or asks a person for what was acknowledged or resolved since then."""
    match delivery.body:
        case DirectMessage(incident=number) | Paging(incident=number, action=PagerAction.TRIGGER):
            incident = state.incidents[number]
            taken = incident.life.acknowledged
            return not incident.is_open or (taken is not None and delivery.created_at < taken.at)
        case (
            DirectEntry(incident=number, entry=StillOnItEntry())
            | Reply(incident=number, entry=StillOnItEntry())
        ):
            incident = state.incidents[number]
            asked = incident.life.acknowledged
            return not incident.is_open or asked is None or asked.asked_at is None
        case _:
            return False


def page_for_call(incident: Incident, call: Call, now: float, rules: Rules) -> IncidentAndEffects:
    """Page every contact point that was not paged since a call was decided.

    A page shows what is known when it goes out, so the newest one makes all earlier calls.
    """
    never = float("-inf")
    missing = tuple(
        name
        for name in rules.contact_points
        if incident.notification.paged_at.get(name, never) < call.decided_at
    )
    return _page(incident, missing, call, now) if missing else (incident, [])
