"""Whom the incidents reach after a step of the desk: muted, called, escalated, handed over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import paging
from bot.core.incidents import notifications
from bot.core.model.observation import Severity
from bot.core.oncall.schedule import on_call
from bot.core.state import silence
from bot.core.state.incident import Entry, EntryKind, Incident, Kind
from bot.core.state.outbox import OfIncident, Post, SilenceTold
from bot.core.state.silence import covering
from bot.core.state.stimulus import Effect, Send

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.core.state.desk import DeskState, Stepped
    from bot.core.state.rules import Rules
    from bot.core.state.silence import Silence

HOLD_S = 30.0
"""A call that is muted is put off by so much, until it no longer is."""


def reached(before: DeskState, state: DeskState, now: float, rules: Rules) -> Stepped:
    """Return the state after all that time and people's wishes do to the incidents.

    What is muted is not said; see `heard` for the effects of the step itself.
    """
    state, effects = _handed_over(state, now, rules)
    state, told = _silences_ended(state, now)
    effects += told
    for incident in state.open_incidents:
        is_new = incident.id not in before.incidents
        after, told = _reached(incident, state, now, rules, is_new=is_new)
        if after is not incident:
            state = state.with_incident(after)
            state = _counted(state, incident, after, now)
        effects += told
    return state, effects


def due_at(state: DeskState, rules: Rules) -> float | None:
    """Return when the next person is to be called, or a silence or a shift ends.

    That maintenance ended is noticed with the next look at a feed or a neutral host.
    """
    calls = (paging.due_at(incident, rules) for incident in state.open_incidents)
    ends = (silence.until for silence in state.running_silences)
    shift = (state.shift.until,) if state.shift else ()
    return min((at for at in (*calls, *ends, *shift) if at is not None), default=None)


def heard(effects: Iterable[Effect], before: DeskState, state: DeskState) -> Iterator[Effect]:
    """Yield what goes out: of a muted incident nothing, and nothing before its first message."""
    unheard = {number for number, one in before.incidents.items() if one.is_muted}
    for effect in effects:
        body = effect.body if isinstance(effect, Send) else None
        if isinstance(body, OfIncident):
            if state.incidents[body.incident].is_muted:
                continue
            if isinstance(body, Post):
                unheard.discard(body.incident)
            if body.incident in unheard:
                continue
        yield effect


def is_muted(incident: Incident, state: DeskState, now: float, rules: Rules) -> bool:
    """Tell whether silences or maintenance cover all of an incident."""
    return bool(covering(state.running_silences, incident, now)) or in_maintenance(
        incident, now, rules
    )


def in_maintenance(incident: Incident, now: float, rules: Rules) -> bool:
    """Tell whether we work on all of an incident's tenants ourselves."""
    return bool(incident.tenants) and all(
        any(silence.is_on(window, tenant, now) for window in rules.windows)
        for tenant in incident.tenants
    )


def _reached(
    incident: Incident, state: DeskState, now: float, rules: Rules, *, is_new: bool
) -> paging.Called:
    is_covered = is_muted(incident, state, now, rules)
    if is_covered and (is_new or incident.is_muted):
        return (incident, []) if incident.is_muted else (replace(incident, is_muted=True), [])
    effects: list[Effect] = []
    if incident.is_muted:
        incident, effects = unmuted(incident, now)
    due = paging.due_at(incident, rules)
    if due is None or due > now:
        return incident, effects
    if is_covered:
        return _held(incident, now + HOLD_S - due), effects
    incident, told = paging.called(incident, state, now, rules)
    return incident, [*effects, *told]


def unmuted(incident: Incident, now: float) -> paging.Called:
    """Tell an incident that began while it was muted, and still goes on."""
    call_at = now if incident.severity is Severity.CRITICAL else None
    incident = replace(incident, is_muted=False, mention_at=call_at, is_mentioned=False)
    post = Send(
        f"{incident.id}:post:{incident.posts}", notifications.lane(incident.id), Post(incident.id)
    )
    if incident.kind is not Kind.FAILING:
        return incident, [post]
    incident, why = notifications.reply(incident, Entry(now, EntryKind.WHY))
    return incident, [post, why]


def _held(incident: Incident, span_s: float) -> Incident:
    """Put a call off while the incident is muted."""
    if incident.mention_at is not None:
        return replace(incident, mention_at=incident.mention_at + span_s)
    ladder = incident.ladder
    if ladder is None:
        return incident
    return replace(incident, ladder=replace(ladder, begun_at=ladder.begun_at + span_s))


def _counted(state: DeskState, before: Incident, after: Incident, now: float) -> DeskState:
    """Count an alert that silences hid."""
    if before.is_muted or not after.is_muted:
        return state
    hid = covering(state.running_silences, after, now)
    more = {one.id: replace(one, suppressed=one.suppressed + 1) for one in hid}
    return replace(state, silences={**state.silences, **more})


def _silences_ended(state: DeskState, now: float) -> Stepped:
    effects: list[Effect] = []
    for one in state.running_silences:
        if one.until <= now:
            state, told = ended(state, one, one.until)
            effects += told
    return state, effects


def ended(state: DeskState, silence: Silence, at: float, by: str = "") -> Stepped:
    """End a silence, and say what it hid."""
    over = replace(silence, ended_at=at, ended_by=by)
    state = replace(state, silences={**state.silences, over.id: over})
    key = f"silence:{over.id}:end"
    return state, [Send(key, key, SilenceTold(over))]


def _handed_over(state: DeskState, now: float, rules: Rules) -> Stepped:
    """Note whose turn it is; who comes on call is told of what goes on."""
    source, before = state.on_call(rules), state.shift
    if before is not None and before.since <= now < before.until:
        return state, []
    shift = on_call(source, state.overrides, now) if source else None
    state = state if shift == before else replace(state, shift=shift)
    if shift is None or before is None or shift.person == before.person:
        return state, []
    effects: list[Effect] = []
    for incident in state.open_incidents:
        if incident.is_mentioned and not incident.is_muted:
            entry = Entry(now, EntryKind.HAND_OVER, whom=(shift.person,) if shift.person else ())
            after, told = notifications.reply(incident, entry)
            state, effects = state.with_incident(after), [*effects, told]
    return state, effects
