"""Decides when people are called again: worse, wider, back, coming and going, corrected.

Every call is compared with what was known when people were last called or did something. A call
that is due waits in the incident's escalation, and `paging` makes it like the first one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import paging
from bot.core.incidents import notifications
from bot.core.incidents.recurrence import DAMPED_CALL_EVERY_S, damp_if_flapping
from bot.core.model.observation import Cause, Severity, SignalState
from bot.core.oncall import AwaitingMention, CallReason, begun_escalation
from bot.core.signals.probe_threshold import has_met_threshold
from bot.core.state.incident import Incident, IncidentKind, NotificationState
from bot.core.state.outbox import Call
from bot.core.state.problem import Impact, Known
from bot.core.state.timeline import CorrectedEntry
from bot.core.triage.context import (
    MOST_SHARE,
    are_logins_well,
    is_about_half,
    is_mixed,
    measure_known,
    unbroken_since,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

GRACE_S = 120.0
"""What happens so soon after a call is named in the thread only: people are on their way."""
WIDER_EVERY_S = 300.0
"""In an outage that spreads from tenant to tenant, people are called for that so often at most."""
UNBROKEN_S = 300.0
"""If every try failed for so long, it no longer comes and goes."""
SURE_TRIES, SURE_SHARE = 10, 0.9
"""Of a half outage one run of ten tries in a hundred shows so many failures: where a part failed
before, so many tries must tell that all fails now."""
CORRECTION_CONFIDENCE = 0.8
"""From this confidence on, another cause is a correction."""
FOR_WHAT_WAS_KNOWN = frozenset({CallReason.BEGUN, CallReason.EXPIRED, CallReason.HANDED_OVER})
"""Reasons of calls that are about nothing new: a silence of the incident holds for them."""
NOTHING_TO_CHANGE = frozenset({Cause.AUTH0, Cause.UPSTREAM})
"""Causes with the advice to change nothing of ours: what follows from another one is news."""


def decide_call(
    incident: Incident, state: DeskState, tenants: Tenants, now: float, rules: Rules
) -> paging.IncidentAndEffects:
    """Return the incident with the call that is due now, if what is known gives a reason."""
    if incident.kind is not IncidentKind.FAILING or not paging.may_call(incident, now, rules):
        return incident, []
    incident, correction = _correct(incident, state, now, rules)
    incident, call = _compare_with_known(incident, state, tenants, now, rules)
    return incident, [*correction, *call]


def _compare_with_known(
    incident: Incident, state: DeskState, tenants: Tenants, now: float, rules: Rules
) -> paging.IncidentAndEffects:
    current = measure_known(incident, tenants, rules)
    notification = incident.notification
    if isinstance(notification.escalation, AwaitingMention):
        return incident, []
    if incident.life.returning is not None:
        return _decide_return(incident, state, tenants, current, now=now, rules=rules), []
    if incident.severity is not Severity.CRITICAL or current.worst < Impact.DOWN:
        return incident, []
    if notification.known is None:
        return _await_first_call(incident, current, now, rules), []
    if notification.damping is not None:
        incident = _decide_damped(incident, tenants, current, now, rules)
    return _call_for_more(incident, state, tenants, current, now=now, rules=rules)


def _call_for_more(
    incident: Incident,
    state: DeskState,
    tenants: Tenants,
    current: Known,
    *,
    now: float,
    rules: Rules,
) -> paging.IncidentAndEffects:
    """Call people for what is worse than they know, or wider."""
    notification = incident.notification
    known, called_at = notification.known, notification.called_at
    if known is None or isinstance(notification.escalation, AwaitingMention):
        return incident, []
    if called_at is not None and now - called_at <= GRACE_S:
        return _know(incident, current), []
    certain = measure_known(incident, tenants, rules, is_certain=True)
    is_worse = known.is_exceeded_by(certain)
    down = certain.names_from(Impact.DOWN)
    if back := tuple(name for name in notification.healed if name in down):
        reason = CallReason.WORSE if is_worse else CallReason.BACK
        return _call_for_healed(incident, state, tenants, current, reason, back, now, rules), []
    if is_worse:
        return await_call(incident, CallReason.WORSE, now), []
    wider_at = notification.called_wider_at
    joined = tuple(
        name
        for name in down
        if name not in known.impacts
        if rules.may_call(name, now) and not _is_same_problem(name, tenants, rules)
    )
    if joined and (wider_at is None or now - wider_at >= WIDER_EVERY_S):
        return paging.call_for_joined(incident, joined, state, now, current=current, rules=rules)
    # As long as some logins work, a number that rises to and fro is nothing new.
    mixed = {
        name: min(impact, Impact.DOWN) if is_about_half(name, tenants, rules) else impact
        for name, impact in current.impacts.items()
        if name in known.impacts and is_mixed(name, tenants, rules)
    }
    return _know(incident, replace(current, impacts=mixed)), []


def forget_healed(incident: Incident, tenants: Tenants, rules: Rules) -> Incident:
    """Forget what was known of tenants whose logins work again: their next outage is news.

    Unless only a part failed: then the next failure is the same problem. If it has turned out that
    about half fails, all is more than was known, whatever a window happened to show.
    """
    known = incident.notification.known
    if incident.kind is not IncidentKind.FAILING or known is None or incident.life.returning:
        return incident
    current = measure_known(incident, tenants, rules)
    impacts, healed = dict(known.impacts), dict.fromkeys(incident.notification.healed)
    for name, impact in known.impacts.items():
        if impact < Impact.MOST or name not in tenants.states:
            continue
        now = current.impacts.get(name, Impact.NONE)
        if now <= Impact.PART and are_logins_well(name, tenants, rules):
            impacts[name], healed[name] = now, None
        elif is_mixed(name, tenants, rules) and is_about_half(name, tenants, rules):
            impacts[name] = Impact.DOWN
    if impacts == known.impacts:
        return incident
    kept = {name: impact for name, impact in impacts.items() if impact}
    return _with_notification(incident, known=replace(known, impacts=kept), healed=(*healed,))


def _await_first_call(incident: Incident, current: Known, now: float, rules: Rules) -> Incident:
    """Call people for the first time: what began as a warning has become critical.

    Version 0.1.0 did not keep what was known when it called: what fails now stands for it.
    """
    if incident.notification.has_mentioned:
        return _know(incident, current)
    wait_s = max((rules.mention_after_s.get(name, 0.0) for name in incident.tenants), default=0.0)
    is_begin = now - incident.life.opened_at <= GRACE_S
    reason = CallReason.BEGUN if is_begin else CallReason.WORSE
    return await_call(incident, reason, max(now, incident.since + wait_s))


def await_call(incident: Incident, reason: CallReason, at: float) -> Incident:
    """Let people be called at an instant: the incident is nobody's until it is acknowledged anew.

    Silences of just this incident end: they were set for what was known then.
    """
    begun = begun_escalation(incident.notification.escalation)
    life = replace(
        incident.life,
        acknowledged=None,
        acknowledgement_ended=incident.life.acknowledged or incident.life.acknowledgement_ended,
        returning=None,
    )
    return _with_notification(
        replace(incident, life=life), escalation=AwaitingMention(at, begun, reason)
    )


def _know(incident: Incident, current: Known) -> Incident:
    known = incident.notification.known
    joined = known.join(current) if known else current
    return incident if joined == known else _with_notification(incident, known=joined)


def bind(incident: Incident, tenants: Tenants, rules: Rules) -> Incident:
    """Return the incident with what is known now, for what a person does about it."""
    return _know(incident, measure_known(incident, tenants, rules))


def _with_notification(incident: Incident, **changes: object) -> Incident:
    notification: NotificationState = replace(incident.notification, **changes)  # type: ignore[arg-type]  # its own fields
    return replace(incident, notification=notification)


def _decide_return(
    incident: Incident,
    state: DeskState,
    tenants: Tenants,
    current: Known,
    *,
    now: float,
    rules: Rules,
) -> Incident:
    """Decide what a return is, once a login has met its own threshold again."""
    returning = incident.life.returning
    logins = [
        probe
        for name in incident.tenants
        for login in rules.tenants[name].logins
        if has_met_threshold(
            probe := tenants.states[name].probes[login], rules.tenants[name].limits_of(login)
        )
    ]
    if returning is None or not (logins or current.worst >= Impact.DOWN):
        return incident
    was_partial = bool(logins) and all(0 < each.earlier_share < MOST_SHARE for each in logins)
    is_all = any(each.span.failed_share >= MOST_SHARE for each in logins)
    if was_partial and is_all and max(each.span.tries for each in logins) < SURE_TRIES:
        return incident
    life = replace(incident.life, returning=None)
    good_s = returning.since - life.past[-1].until
    is_same_problem = was_partial and all(
        each.span.failed < SURE_SHARE * each.span.tries for each in logins
    )
    known, called_at = incident.notification.known, incident.notification.called_at
    is_on_their_way = called_at is not None and returning.since - called_at <= GRACE_S
    if is_same_problem or is_on_their_way or incident.severity is not Severity.CRITICAL:
        escalation = returning.escalation
        if isinstance(escalation, AwaitingMention):
            escalation = replace(escalation, at=escalation.at + good_s)
        elif escalation is not None:
            escalation = replace(escalation, started_at=escalation.started_at + good_s)
        if known and is_same_problem:  # in which, as has turned out, only a part fails
            impacts = {n: min(impact, Impact.DOWN) for n, impact in known.impacts.items()}
            known = replace(known, impacts=impacts)
        return _with_notification(replace(incident, life=life), escalation=escalation, known=known)
    bad = tuple(name for name in incident.tenants if [*_bad_logins(name, tenants, rules)])
    return _call_for_return(
        replace(incident, life=life), state, current, CallReason.BACK, bad, good_s=good_s, now=now
    )


def _call_for_healed(
    incident: Incident,
    state: DeskState,
    tenants: Tenants,
    current: Known,
    reason: CallReason,
    back: tuple[str, ...],
    now: float,
    rules: Rules,
) -> Incident:
    """Call people for tenants that fail again while others have failed on; not right after a call.

    A few good tries in between were luck then: people are on their way.
    """
    called_at = incident.notification.called_at
    begins = [each.since or now for name in back for each in _bad_logins(name, tenants, rules)]
    if called_at is not None and begins and max(begins) - called_at <= GRACE_S:
        healed = tuple(name for name in incident.notification.healed if name not in back)
        return _with_notification(_know(incident, current), healed=healed)
    return _call_for_return(incident, state, current, reason, back, good_s=0.0, now=now)


def _call_for_return(
    incident: Incident,
    state: DeskState,
    current: Known,
    reason: CallReason,
    back: tuple[str, ...],
    *,
    good_s: float,
    now: float,
) -> Incident:
    """Call people for tenants that are back, unless these come and go and people know that."""
    damping, called_at = incident.notification.damping, incident.notification.called_at
    if damping is None:
        damping = damp_if_flapping(state.incidents.values(), incident.tenants, now)
        reason = CallReason.FLAPPING if damping else reason
        damping = damping and replace(damping, tenants=back)
    else:
        longest_s, down = max(damping.longest_good_s, good_s), current.names_from(Impact.DOWN)
        is_known = not damping.tenants or {*down} <= {*damping.tenants}
        together = tuple(dict.fromkeys((*damping.tenants, *back))) if damping.tenants else ()
        damping = replace(damping, longest_good_s=longest_s, tenants=together)
        if is_known and called_at is not None and now - called_at < DAMPED_CALL_EVERY_S:
            return _know(_with_notification(incident, damping=damping), current)
        reason = CallReason.FLAPPING if is_known else reason
    life = replace(incident.life, returned_at=(*incident.life.returned_at, now)[-10:])
    incident = _with_notification(replace(incident, life=life), damping=damping)
    return await_call(incident, reason, now)


def _bad_logins(name: str, tenants: Tenants, rules: Rules) -> Iterator[ProbeState]:
    """Yield the logins of a tenant that failed last, or have not been good for long enough."""
    logins = (tenants.states[name].probes[login] for login in rules.tenants[name].logins)
    return (login for login in logins if login.state is not SignalState.OK)


def _is_same_problem(name: str, tenants: Tenants, rules: Rules) -> bool:
    """Tell whether a part of a tenant's logins fails again soon after a part of them failed."""
    logins = [tenants.states[name].probes[login] for login in rules.tenants[name].logins]
    failing = [each for each in logins if each.is_failing]
    return bool(failing) and all(
        each.relapses
        and 0 < each.earlier_share < MOST_SHARE
        and each.span.failed < SURE_SHARE * each.span.tries
        for each in failing
    )


def _decide_damped(
    incident: Incident, tenants: Tenants, current: Known, now: float, rules: Rules
) -> Incident:
    """End the damping of what no longer comes and goes; call, unless this outage has been called.

    That a tenant fails more or less meanwhile is no news; that others fail too is.
    """
    damping = incident.notification.damping
    come_and_go = damping.tenants if damping and damping.tenants else incident.tenants
    begins = [unbroken_since(name, tenants, rules) for name in come_and_go]
    unbroken = [at for at in begins if at is not None and now - at >= UNBROKEN_S]
    if not unbroken:
        notification, known = incident.notification, incident.notification.known or current
        before = {*known.impacts, *notification.healed} & {*come_and_go}
        again = {n: impact for n, impact in current.impacts.items() if n in before}
        healed = tuple(name for name in notification.healed if again.get(name, 0) < Impact.DOWN)
        incident = _with_notification(incident, healed=healed)
        return _know(incident, replace(current, impacts=again))
    ended = _with_notification(incident, damping=None, healed=())
    if (incident.notification.called_at or 0.0) >= max(unbroken):
        return ended
    return await_call(ended, CallReason.BACK, now)


def _correct(
    incident: Incident, state: DeskState, now: float, rules: Rules
) -> paging.IncidentAndEffects:
    """Correct the cause that people were called with; call those who now have to act."""
    told, verdict = incident.notification.told_cause, incident.verdict
    if (
        told is None
        or verdict.cause in {told, Cause.UNCLEAR}
        or verdict.confidence < CORRECTION_CONFIDENCE
    ):
        return incident, []
    if told is Cause.UNCLEAR:  # no cause was named, so that there is nothing to correct
        return _with_notification(incident, told_cause=verdict.cause), []
    is_call = told in NOTHING_TO_CHANGE and verdict.cause not in NOTHING_TO_CHANGE
    names = paging.who_to_mention(state, rules) if is_call else ()
    call = Call(incident.id, CallReason.CORRECTED, now) if is_call else None
    incident = _with_notification(incident, told_cause=verdict.cause)
    bare = replace(verdict, evidence_for=(), evidence_against=())
    entry = CorrectedEntry(now, bare, told, names)
    incident, reply = notifications.add_entry(incident, entry, call)
    return incident, [reply]
