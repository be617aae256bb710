"""Who is paged about an open incident: the first mention, then the escalation."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
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
    CalledNow,
    DirectMessage,
    NobodyReached,
    PagerAction,
    Paging,
    Reply,
)
from bot.core.state.problem import Impact
from bot.core.state.stimulus import DeskEffect, Send
from bot.core.state.timeline import MentionEntry, PagedEntry, UnreachedEntry
from bot.core.triage.context import measure_known

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.desk import DeskState
    from bot.core.state.problem import Known
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

PERSON_ID_PREFIXES = "UW"
"""A person's id begins with one of these; only people get direct messages."""
NOBODY_FOUND = "nobody_found"
"""Why a step reached nobody: none is on call, or all others were called."""
IncidentAndEffects = tuple[Incident, list[DeskEffect]]


def who_to_mention(state: DeskState, rules: Rules) -> tuple[str, ...]:
    """Return who is mentioned first: who is on call, else the user group, else `mention`."""
    if state.shift is not None and state.shift.person:
        return (state.shift.person,)
    if isinstance(rules.on_call, UserGroup):
        return (rules.on_call.id,)
    return split_mention(rules)


def split_mention(rules: Rules) -> tuple[str, ...]:
    """Return who is mentioned if nobody is on call: `slack.mention`."""
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
    """Page whoever is due: the first time in the message itself, if that is just being posted.

    A step that finds nobody is skipped at once to the next one.
    """
    effects: list[DeskEffect] = []
    call: Call | None = None
    waiting = incident.notification.escalation
    if isinstance(waiting, AwaitingMention):
        names = _who_to_call(incident, state, now, rules)
        incident, effects = _call(incident, names, measure_known(incident, tenants, rules), now)
        is_without_steps = bool(rules.contact_points) and not policy_of(incident, rules).steps
        if not names and (state.on_call_source(rules) or is_without_steps):
            call = Call(incident.id, waiting.reason, now)
    incident, more = _take_due_steps(incident, call, state, now, rules)
    return incident, [*effects, *more]


def _take_due_steps(
    incident: Incident, call: Call | None, state: DeskState, now: float, rules: Rules
) -> IncidentAndEffects:
    """Take all steps that are due, and those after a `call` or a step that has found nobody."""
    effects: list[DeskEffect] = []
    escalation = begun_escalation(incident.notification.escalation)
    is_mentioned_now = bool(escalation and escalation.notified and escalation.started_at == now)
    while escalation is not None:
        escalation, steps = policy_of(incident, rules).advance(escalation, now)
        incident = _with_escalation(incident, escalation)
        found: list[DeskEffect] = []
        for step in steps:
            call = None
            if step.contact != MENTION or not is_mentioned_now:
                call = _call_of_step(incident, step, now, rules)
                incident, pages = _take_step(incident, step, call, state, now, rules)
                found += pages
        effects += found
        if call is None or any(isinstance(each, Send) and each.call for each in found):
            break
        escalation = begun_escalation(incident.notification.escalation)
        incident, more = try_next(incident, call, state, now, rules)
        effects += more
        sooner, call = begun_escalation(incident.notification.escalation), None
        escalation = None if sooner == escalation else sooner
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
    known = incident.notification.known
    if reason in {CallReason.BACK, CallReason.FLAPPING}:
        # Few tries do not tell a part from half.
        parts = {n: Impact.DOWN for n, each in current.impacts.items() if each is Impact.PART}
        current = replace(current, impacts={**current.impacts, **parts})
    elif known:
        current = known.join(current)  # a window that happens to be better makes it no less known
    notification = replace(
        incident.notification,
        has_mentioned=True,
        escalation=EscalationState(now, notified=names),
        called_at=now,
        known=current,
        healed=(),
        told_cause=incident.verdict.stated_cause,
    )
    is_in_message = incident.life.opened_at == now and reason is not CallReason.FLAPPING
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
            incident, pages = page(incident, (step.contact,), call, now)
            effects += pages
    return incident, effects


def escalate_now(
    incident: Incident,
    state: DeskState,
    now: float,
    rules: Rules,
    by: str,
    *,
    is_round: bool = True,
) -> IncidentAndEffects:
    """Take the next step at once, because a person wants it.

    A step that would page only that person, or who acknowledged it already, is skipped.

    Args:
        incident: which.
        state: knows who is on call.
        now: the time.
        rules: have the steps.
        by: the person's id.
        is_round: after the last step the first one follows.
    """
    steps = policy_of(incident, rules).steps or (EscalationStep(0.0, MENTION),)
    escalation = begun_escalation(incident.notification.escalation) or EscalationState(now)
    for _ in steps:
        if escalation.step >= len(steps):
            if not is_round:
                break
            escalation = replace(escalation, started_at=now, step=0)
        step, escalation = steps[escalation.step], replace(escalation, step=escalation.step + 1)
        tried = _with_escalation(incident, escalation)
        call = replace(_call_of_step(tried, step, now, rules), by=by)
        after, effects = _take_step(tried, step, call, state, now, rules)
        called = {name for each in list_called(effects) for name in each.people or (each.contact,)}
        if called - {by, incident.life.acknowledged_by}:
            return after, effects
    return incident, []


def list_called(effects: Iterable[DeskEffect]) -> tuple[CalledNow, ...]:
    """List who is called by effects."""
    called: list[CalledNow] = []
    for effect in effects:
        match effect:
            case Send(body=Reply(entry=PagedEntry(mentioned=names)), call=Call()):
                called.append(CalledNow(MENTION, names))
            case Send(body=DirectMessage(person=person)):
                called.append(CalledNow(DM, (person,)))
            case Send(body=Paging(contact_point=name, action=PagerAction.TRIGGER)):
                called.append(CalledNow(name))
    return tuple(called)


def try_next(
    incident: Incident, call: Call, state: DeskState, now: float, rules: Rules
) -> IncidentAndEffects:
    """Try the next way, as a call reached nobody: the next step, at once, or whatever is left."""
    escalation = incident.notification.escalation
    if isinstance(escalation, AwaitingMention):
        return incident, []  # people are about to be called anew
    if isinstance(escalation, EscalationState):
        policy, taken = policy_of(incident, rules), call.step
        if taken is None:  # the first mention may be some steps
            first = takewhile(lambda one: one.contact == MENTION and not one.after_s, policy.steps)
            taken = len(tuple(first))
        if taken < escalation.step:
            return incident, []  # a later step was taken, and what comes of that decides
        if incident.state is not IncidentState.OPEN:
            after, effects = escalate_now(incident, state, now, rules, call.by, is_round=False)
            if effects:
                return after, effects
        elif sooner := policy.skip_wait(escalation, now):
            return _with_escalation(incident, sooner), []
    return fall_back(incident, call, state, now, rules)


def fall_back(
    incident: Incident, call: Call, state: DeskState, now: float, rules: Rules
) -> IncidentAndEffects:
    """Try every contact point that is left, then `slack.mention`; then say that nobody is there."""
    notification = incident.notification
    if any(until > now for until in notification.awaited_until.values()):
        return incident, []
    called_at, never = notification.called_at, float("-inf")
    since = min(call.decided_at, incident.life.opened_at if called_at is None else called_at)
    left = [n for n in rules.contact_points if notification.paged_at.get(n, never) < since]
    reached_at = never if notification.reached_at is None else notification.reached_at
    is_reached_since = reached_at >= call.decided_at
    call = replace(call, decided_at=now)
    if left:
        return page(incident, left, call, now)
    if is_reached_since:
        return incident, []
    names = split_mention(rules)
    if (
        names
        and names != who_to_mention(state, rules)
        and (notification.fell_back_at or never) < since
    ):
        incident = replace(incident, notification=replace(notification, fell_back_at=now))
        incident, reply = notifications.add_entry(incident, PagedEntry(now, names), call)
        return incident, [reply]
    is_said = (notification.nobody_at or never) >= since
    if reached_at >= since or is_said or not rules.has_somebody_to_call:
        return incident, []
    incident = replace(incident, notification=replace(notification, nobody_at=now))
    body = NobodyReached(incident.id, incident.message.channel)
    return incident, [
        Send(f"{incident.id}:nobody:{now:.3f}", notifications.lane(incident.id), body)
    ]


def _with_escalation(incident: Incident, escalation: EscalationState) -> Incident:
    return replace(incident, notification=replace(incident.notification, escalation=escalation))


def _call_of_step(incident: Incident, step: EscalationStep, now: float, rules: Rules) -> Call:
    steps = policy_of(incident, rules).steps
    number = steps.index(step) + 1 if step in steps else None
    return Call(incident.id, CallReason.UNACKNOWLEDGED, now, number)


def _take_step(
    incident: Incident, step: EscalationStep, call: Call, state: DeskState, now: float, rules: Rules
) -> IncidentAndEffects:
    """Take a step: whoever it finds is called, and that nobody was found is said."""
    if step.contact not in {MENTION, DM, NEXT}:
        return page(incident, (step.contact,), call, now)
    escalation = begun_escalation(incident.notification.escalation)
    notified = escalation.notified if escalation else ()
    names = who_to_mention(state, rules)
    if step.contact == NEXT:
        source, overrides = state.on_call_source(rules), state.overrides
        shift = next_shift_to_notify(source, overrides, now, notified=notified) if source else None
        names = (shift.person,) if shift else ()
    if not names:
        entry = UnreachedEntry(now, step.contact, NOBODY_FOUND)
        incident, reply = notifications.add_entry(incident, entry)
        return incident, [reply]
    is_direct = step.contact != MENTION and names[0][0] in PERSON_ID_PREFIXES
    names = names[:1] if is_direct else names
    if escalation:
        escalation = replace(escalation, notified=tuple({*notified, *names}))
        incident = _with_escalation(incident, escalation)
    if not is_direct:
        incident, reply = notifications.add_entry(
            incident, PagedEntry(now, names, by=call.by), call
        )
        return incident, [reply]
    notification = incident.notification
    incident = replace(incident, notification=replace(notification, calls=notification.calls + 1))
    key = f"{incident.id}:direct:{notification.calls + 1}"
    body = DirectMessage(incident.id, names[0])
    return incident, [Send(key, f"direct:{incident.id}", body, call=call)]


def page(
    incident: Incident, contact_points: Iterable[str], call: Call, now: float
) -> IncidentAndEffects:
    """Page contact points. The thread says so once they have taken the page."""
    pages: list[DeskEffect] = []
    for name in contact_points:
        notification = incident.notification
        number = notifications.count_pages(incident, name) + 1
        notification = replace(
            notification,
            paged_at={**notification.paged_at, name: now},
            pages={**notification.pages, name: number},
            calls=notification.calls + 1,
        )
        incident = replace(incident, notification=notification)
        pages.append(notifications.page_contact_point(incident, name, PagerAction.TRIGGER, call))
    return incident, pages
