"""Decides who is notified about each open incident: muting, paging, escalation, hand-over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import acknowledgements, calls, paging
from bot.core.alerting.calls import FOR_WHAT_WAS_KNOWN
from bot.core.incidents import notifications
from bot.core.incidents.grouping import is_deferred
from bot.core.model.observation import Severity
from bot.core.oncall import (
    AwaitingMention,
    CallReason,
    EscalationState,
    begun_escalation,
    current_shift,
)
from bot.core.state.incident import Incident, IncidentState
from bot.core.state.outbox import Call, IncidentBody, Post, Reply, SilenceAnnouncement
from bot.core.state.silence import find_covering, is_window_active
from bot.core.state.stimulus import DeskEffect, IncidentChanged, Send
from bot.core.state.timeline import (
    HandOverEntry,
    MentionEntry,
    SeverityRaisedEntry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules
    from bot.core.state.silence import Silence
    from bot.core.state.tenant import Tenants

MUTED_RETRY_S = 30.0
"""A page for a muted incident is postponed by so much, until the incident is no longer muted."""


def apply_notification_policy(
    before: DeskState, state: DeskState, tenants: Tenants, now: float, rules: Rules
) -> StateAndEffects:
    """Return the state after all that time, silences and maintenance do to the incidents.

    Its effects, like those of the step itself, then pass `drop_muted`.
    """
    state, effects = _hand_over(state, now, rules)
    for silence in state.active_silences:
        if silence.until <= now:
            state, announcements = end_silence(state, silence, silence.until, rules)
            effects += announcements
    for incident in _select_concerned(before, state, now, rules):
        is_new = incident.id not in before.incidents
        after, changes, state = _apply_to_incident(
            incident, state, tenants, now, rules, is_new=is_new
        )
        effects += changes
        if not after.notification.is_muted:
            after, changes = notifications.cross_post(after, rules)
            effects += changes
        if after.state is not incident.state:  # a call has ended the acknowledgement
            after, edit = notifications.edit_message(after, now)
            effects += [IncidentChanged(after), edit]
        if after is not incident:
            state = state.with_incident(after)
        if after.notification.is_muted and not incident.notification.is_muted:
            hiding = find_covering(state.active_silences, after, now)
            counted = {one.id: replace(one, suppressed=one.suppressed + 1) for one in hiding}
            state = replace(state, silences={**state.silences, **counted})
    return state, effects


def due_at(state: DeskState, rules: Rules) -> float | None:
    """Return when the next person is to be paged.

    The end of a maintenance window is noticed at the next poll of a feed or control endpoint.
    """
    pages = (_due_at(incident, rules) for incident in state.open_incidents)
    return min((at for at in pages if at is not None), default=None)


def _select_concerned(
    before: DeskState, state: DeskState, now: float, rules: Rules
) -> Sequence[Incident]:
    """Return the open incidents for which something may be decided now.

    In a storm nothing more is known of an incident until its next evaluation, which comes soon.
    """
    if not is_deferred(before, now, rules) or state.silences is not before.silences:
        return state.open_incidents
    dues = ((incident, _due_at(incident, rules)) for incident in state.open_incidents)
    return [
        incident
        for incident, due in dues
        if incident is not before.incidents.get(incident.id) or (due is not None and due <= now)
    ]


def _due_at(incident: Incident, rules: Rules) -> float | None:
    """Return when people are paged next, or asked whether they are still on it."""
    if incident.life.acknowledged is not None:
        return acknowledgements.due_at(incident, rules)
    return paging.due_at(incident, rules)


def drop_muted(
    effects: Iterable[DeskEffect], before: DeskState, state: DeskState
) -> Iterator[DeskEffect]:
    """Yield what is sent: of a muted incident nothing, and nothing before its first message."""
    unposted = {number for number, one in before.incidents.items() if one.notification.is_muted}
    for effect in effects:
        body = effect.body if isinstance(effect, Send) else None
        if isinstance(body, IncidentBody):
            if state.incidents[body.incident].notification.is_muted:
                continue
            if isinstance(body, Post):
                unposted.discard(body.incident)
            if body.incident in unposted:
                continue
        yield effect


def drop_repeated(effects: Iterable[DeskEffect]) -> Iterator[DeskEffect]:
    """Yield what is sent, without "Now critical" where a call of the same step says as much."""
    effects = tuple(effects)
    bodies = [one.body for one in effects if isinstance(one, Send)]
    replies = [body for body in bodies if isinstance(body, Reply)]
    worse = {
        body.incident
        for body in replies
        if isinstance(body.entry, MentionEntry) and body.entry.reason is CallReason.WORSE
    }
    for effect in effects:
        sent = effect.body if isinstance(effect, Send) else None
        said = sent.entry if isinstance(sent, Reply) and sent.incident in worse else None
        if not isinstance(said, SeverityRaisedEntry):
            yield effect


def is_in_maintenance(incident: Incident, now: float, rules: Rules) -> bool:
    """Tell whether all of an incident's tenants are in a maintenance window of ours."""
    return bool(incident.tenants) and all(
        any(is_window_active(window, tenant, now) for window in rules.maintenance_windows)
        for tenant in incident.tenants
    )


def is_covered(incident: Incident, silences: Iterable[Silence], now: float, rules: Rules) -> bool:
    """Tell whether nobody is to be notified: for active silences, or for maintenance."""
    is_silenced = bool(find_covering(silences, incident, now))
    return is_silenced or is_in_maintenance(incident, now, rules)


def find_incident_to_call(
    state: DeskState, call: Call, now: float, rules: Rules
) -> Incident | None:
    """Return the incident of a call by which people are still to be called."""
    incident = state.incidents.get(call.incident)
    while incident is not None and incident.life.merged_into is not None:
        incident = state.incidents.get(incident.life.merged_into)
    if incident is None or not incident.is_open:
        return None
    if is_covered(incident, state.active_silences, now, rules):
        return None
    acknowledged = incident.life.acknowledged
    if incident.notification.is_muted or not paging.may_call(incident, now, rules):
        return None
    return None if acknowledged and call.decided_at <= acknowledged.at else incident


def page_for_call(
    incident: Incident, call: Call, now: float, rules: Rules
) -> paging.IncidentAndEffects:
    """Page every contact point that was not paged since a call was decided.

    A page shows what is known when it goes out, so the newest one makes all earlier calls. The
    alert and the first mention are one call.
    """
    never, paged_at = float("-inf"), incident.notification.paged_at
    is_first = call.reason is CallReason.BEGUN
    since = min(call.decided_at, incident.life.opened_at) if is_first else call.decided_at
    missing = [n for n in rules.contact_points if paged_at.get(n, never) < since]
    return paging.page(incident, missing, replace(call, decided_at=now), now)


def call_beyond_slack(state: DeskState, call: Call, now: float, rules: Rules) -> StateAndEffects:
    """Page the contact points for a call that Slack has not taken, if people are still needed."""
    incident = find_incident_to_call(state, call, now, rules)
    if incident is None:
        return state, []
    after, effects = page_for_call(incident, call, now, rules)
    if not effects:
        after, effects = paging.fall_back(incident, call, state, now, rules)
    return state.with_incident(after), effects


def _apply_to_incident(
    incident: Incident,
    state: DeskState,
    tenants: Tenants,
    now: float,
    rules: Rules,
    *,
    is_new: bool,
) -> tuple[Incident, list[DeskEffect], DeskState]:
    incident, effects, state = _decide_call(incident, state, tenants, now, rules)
    hidden = is_covered(incident, state.active_silences, now, rules)
    if hidden and (is_new or incident.notification.is_muted):
        muted = replace(incident.notification, is_muted=True)
        return replace(incident, notification=muted), effects, state
    if incident.notification.is_muted:
        incident, posts = unmute(incident, now, rules)
        effects += posts
    due = _due_at(incident, rules)
    if due is None or due > now:
        return incident, effects, state
    if hidden or not paging.may_call(incident, now, rules):
        return _postpone(incident, now + MUTED_RETRY_S - due), effects, state
    if incident.life.acknowledged is not None:
        incident, questions = acknowledgements.ask_or_expire(incident, now)
        effects += questions
    if incident.state is IncidentState.OPEN:
        incident, pages = paging.notify_due(incident, state, tenants, now, rules)
        effects += pages
    return incident, effects, state


def _decide_call(
    incident: Incident, state: DeskState, tenants: Tenants, now: float, rules: Rules
) -> tuple[Incident, list[DeskEffect], DeskState]:
    """Call people again if that is due, unless they asked for silence or work on the tenants.

    A silence of just this incident was set for what was known then: it ends with the call for more.
    """
    incident = calls.forget_healed(incident, tenants, rules)
    own = [silence for silence in state.active_silences if silence.about == incident.id]
    own = [] if incident.notification.is_muted else own
    others = [silence for silence in state.active_silences if silence not in own]
    if is_covered(incident, others, now, rules):
        return incident, [], state
    incident, effects = calls.decide_call(incident, state, tenants, now, rules)
    is_call = any(isinstance(each, Send) and each.call for each in effects)
    waiting = incident.notification.escalation
    is_due = isinstance(waiting, AwaitingMention) and waiting.reason not in FOR_WHAT_WAS_KNOWN
    if is_call or is_due:
        for silence in own:
            state, announcements = end_silence(state, silence, now, rules)
            effects += announcements
    return incident, effects, state


def _postpone(incident: Incident, by_s: float) -> Incident:
    if incident.life.acknowledged is not None:
        return acknowledgements.postpone(incident, by_s)
    later = incident.notification.escalation
    if isinstance(later, AwaitingMention):
        later = replace(later, at=later.at + by_s)
    elif later is not None:
        later = replace(later, started_at=later.started_at + by_s)
    return replace(incident, notification=replace(incident.notification, escalation=later))


def unmute(incident: Incident, now: float, rules: Rules) -> paging.IncidentAndEffects:
    """Post an incident that began while it was muted, and is still open."""
    channel = rules.channels.home(incident.tenants[0], incident.severity)
    incident = replace(incident, message=replace(incident.message, channel=channel))
    begun = begun_escalation(incident.notification.escalation)
    escalation: AwaitingMention | EscalationState | None = begun
    is_call = incident.severity is Severity.CRITICAL and incident.life.acknowledged is None
    if is_call:
        escalation = AwaitingMention(now, begun)
    notification = replace(
        incident.notification, is_muted=False, escalation=escalation, has_mentioned=False
    )
    incident = replace(incident, notification=notification)
    is_call = is_call and paging.may_call(incident, now, rules)
    call = Call(incident.id, CallReason.BEGUN, now) if is_call else None
    post = notifications.post_message(incident, call)
    return incident, [post]


def end_silence(
    state: DeskState, silence: Silence, at: float, rules: Rules, by: str = ""
) -> StateAndEffects:
    """End a silence, and announce what it hid."""
    ended = replace(silence, ended_at=at, ended_by=by)
    state = replace(state, silences={**state.silences, ended.id: ended})
    return state, announce_silence(ended, "end", state, rules)


def announce_silence(
    silence: Silence, change: str, state: DeskState, rules: Rules
) -> list[DeskEffect]:
    """Announce in every channel whose alerts a silence hides that it begins or ended."""
    if isinstance(silence.about, int):
        incident = state.incidents.get(silence.about)
        channels: tuple[str, ...] = (incident.message.channel if incident else "",)
    else:
        owner = silence.about.owner
        tenants = (owner,) if owner in rules.tenants else tuple(rules.tenants)
        channels = rules.channels.concerned(tenants, (Severity.CRITICAL, Severity.WARNING))
    keys = (f"silence:{silence.id}:{change}{f':{n}' if n else ''}" for n in range(len(channels)))
    return [
        Send(key, key, SilenceAnnouncement(silence, channel))
        for key, channel in zip(keys, channels, strict=True)
    ]


def _hand_over(state: DeskState, now: float, rules: Rules) -> StateAndEffects:
    """Record who is on call; notify whoever comes on call of the open incidents."""
    source, before = state.on_call_source(rules), state.shift
    if before is not None and before.since <= now < before.until:
        return state, []
    shift = current_shift(source, state.overrides, now) if source else None
    state = state if shift == before else replace(state, shift=shift)
    if shift is None or before is None or shift.person == before.person:
        return state, []
    effects: list[DeskEffect] = []
    mentioned = (shift.person,) if shift.person else ()
    for incident in state.open_incidents:
        if incident.notification.has_mentioned and not incident.notification.is_muted:
            after, reply = notifications.add_entry(incident, HandOverEntry(now, mentioned))
            state, effects = state.with_incident(after), [*effects, reply]
    return state, effects
