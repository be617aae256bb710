"""Whom the incidents reach after a step of the desk: muted, called, escalated, handed over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import paging
from bot.core.incidents import notifications
from bot.core.model.observation import Severity
from bot.core.oncall.schedule import current_shift
from bot.core.state import silence
from bot.core.state.incident import Incident, IncidentKind, TimelineEntry, TimelineKind
from bot.core.state.outbox import IncidentBody, Post, SilenceAnnouncement
from bot.core.state.silence import find_covering
from bot.core.state.stimulus import Effect, Send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules
    from bot.core.state.silence import Silence

MUTED_RETRY_S = 30.0
"""A call that is muted is put off by so much, until it no longer is."""


def apply_notification_policy(
    before: DeskState, state: DeskState, now: float, rules: Rules
) -> StateAndEffects:
    """Return the state after all that time and people's wishes do to the incidents.

    What is muted is not said; see `heard` for the effects of the step itself.
    """
    state, effects = _hand_over(state, now, rules)
    state, told = _end_silences(state, now)
    effects += told
    for incident in state.open_incidents:
        is_new = incident.id not in before.incidents
        after, told = _apply_to_incident(incident, state, now, rules, is_new=is_new)
        if after is not incident:
            state = state.with_incident(after)
            state = _count_suppressed(state, incident, after, now)
        effects += told
    return state, effects


def due_at(state: DeskState, rules: Rules) -> float | None:
    """Return when the next person is to be called, or a silence or a shift ends.

    That maintenance ended is noticed with the next look at a feed or a neutral host.
    """
    calls = (paging.due_at(incident, rules) for incident in state.open_incidents)
    ends = (silence.until for silence in state.active_silences)
    shift = (state.shift.until,) if state.shift else ()
    return min((at for at in (*calls, *ends, *shift) if at is not None), default=None)


def drop_muted(effects: Iterable[Effect], before: DeskState, state: DeskState) -> Iterator[Effect]:
    """Yield what goes out: of a muted incident nothing, and nothing before its first message."""
    unheard = {number for number, one in before.incidents.items() if one.is_muted}
    for effect in effects:
        body = effect.body if isinstance(effect, Send) else None
        if isinstance(body, IncidentBody):
            if state.incidents[body.incident].is_muted:
                continue
            if isinstance(body, Post):
                unheard.discard(body.incident)
            if body.incident in unheard:
                continue
        yield effect


def is_muted(incident: Incident, state: DeskState, now: float, rules: Rules) -> bool:
    """Tell whether silences or maintenance cover all of an incident."""
    return bool(find_covering(state.active_silences, incident, now)) or is_in_maintenance(
        incident, now, rules
    )


def is_in_maintenance(incident: Incident, now: float, rules: Rules) -> bool:
    """Tell whether we work on all of an incident's tenants ourselves."""
    return bool(incident.tenants) and all(
        any(silence.is_in_maintenance(window, tenant, now) for window in rules.maintenance_windows)
        for tenant in incident.tenants
    )


def _apply_to_incident(
    incident: Incident, state: DeskState, now: float, rules: Rules, *, is_new: bool
) -> paging.IncidentAndEffects:
    is_covered = is_muted(incident, state, now, rules)
    if is_covered and (is_new or incident.is_muted):
        return (incident, []) if incident.is_muted else (replace(incident, is_muted=True), [])
    effects: list[Effect] = []
    if incident.is_muted:
        incident, effects = unmute(incident, now)
    due = paging.due_at(incident, rules)
    if due is None or due > now:
        return incident, effects
    if is_covered:
        return _postpone(incident, now + MUTED_RETRY_S - due), effects
    incident, told = paging.notify_due(incident, state, now, rules)
    return incident, [*effects, *told]


def unmute(incident: Incident, now: float) -> paging.IncidentAndEffects:
    """Tell an incident that began while it was muted, and still goes on."""
    call_at = now if incident.severity is Severity.CRITICAL else None
    incident = replace(incident, is_muted=False, mention_at=call_at, has_mentioned=False)
    post = Send(
        f"{incident.id}:post:{incident.posts}", notifications.lane(incident.id), Post(incident.id)
    )
    if incident.kind is not IncidentKind.FAILING:
        return incident, [post]
    incident, why = notifications.add_entry(incident, TimelineEntry(now, TimelineKind.WHY))
    return incident, [post, why]


def _postpone(incident: Incident, span_s: float) -> Incident:
    """Put a call off while the incident is muted."""
    if incident.mention_at is not None:
        return replace(incident, mention_at=incident.mention_at + span_s)
    ladder = incident.escalation
    if ladder is None:
        return incident
    return replace(incident, escalation=replace(ladder, started_at=ladder.started_at + span_s))


def _count_suppressed(state: DeskState, before: Incident, after: Incident, now: float) -> DeskState:
    """Count an alert that silences hid."""
    if before.is_muted or not after.is_muted:
        return state
    hid = find_covering(state.active_silences, after, now)
    more = {one.id: replace(one, suppressed=one.suppressed + 1) for one in hid}
    return replace(state, silences={**state.silences, **more})


def _end_silences(state: DeskState, now: float) -> StateAndEffects:
    effects: list[Effect] = []
    for one in state.active_silences:
        if one.until <= now:
            state, told = end_silence(state, one, one.until)
            effects += told
    return state, effects


def end_silence(state: DeskState, silence: Silence, at: float, by: str = "") -> StateAndEffects:
    """End a silence, and say what it hid."""
    over = replace(silence, ended_at=at, ended_by=by)
    state = replace(state, silences={**state.silences, over.id: over})
    key = f"silence:{over.id}:end"
    return state, [Send(key, key, SilenceAnnouncement(over))]


def _hand_over(state: DeskState, now: float, rules: Rules) -> StateAndEffects:
    """Note whose turn it is; who comes on call is told of what goes on."""
    source, before = state.on_call_source(rules), state.shift
    if before is not None and before.since <= now < before.until:
        return state, []
    shift = current_shift(source, state.overrides, now) if source else None
    state = state if shift == before else replace(state, shift=shift)
    if shift is None or before is None or shift.person == before.person:
        return state, []
    effects: list[Effect] = []
    for incident in state.open_incidents:
        if incident.has_mentioned and not incident.is_muted:
            entry = TimelineEntry(
                now, TimelineKind.HAND_OVER, mentioned=(shift.person,) if shift.person else ()
            )
            after, told = notifications.add_entry(incident, entry)
            state, effects = state.with_incident(after), [*effects, told]
    return state, effects
