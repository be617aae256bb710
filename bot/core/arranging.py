"""What people arrange beside single incidents: silences, and who is on call."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core import reaching, telling
from bot.core.audit import Outcome
from bot.core.calendar import until
from bot.core.incident import Entry, EntryKind
from bot.core.oncall import Override, Shift
from bot.core.outbox import Result, SilenceTold, SwapTold
from bot.core.request import Verb
from bot.core.silence import (
    EVERYTHING,
    LONGEST_S,
    Over,
    Refusal,
    Silence,
    covers,
    preview,
    wanted,
)
from bot.core.stimulus import Effect, Send

if TYPE_CHECKING:
    from bot.core.desk_state import DeskState
    from bot.core.handling import Handled
    from bot.core.request import Request
    from bot.core.rules import Rules

DAY_S = 86400.0
REMEMBERED_S = 7 * DAY_S
SWAP = "swap"
VERBS = frozenset({Verb.SILENCE, Verb.UNSILENCE})
_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def silenced(state: DeskState, request: Request, now: float, rules: Rules) -> Handled:
    """Set a silence; incidents that it covers and that people know of say so in their threads."""
    read = wanted(request.argument, now, request.person.zone, rules, state.incidents)
    if isinstance(read, Refusal):
        return state, [], Result(Outcome.INVALID, unreadable=read)
    silence = Silence(
        state.next_silence, read.over, read.name, now, read.until, request.user, read.reason
    )
    hidden = preview(read.over, read.name, state.incidents.values(), now - DAY_S)
    kept = {
        number: one
        for number, one in state.silences.items()
        if one.ended_at is None or now - one.ended_at < REMEMBERED_S
    }
    state = replace(
        state, silences={**kept, silence.id: silence}, next_silence=state.next_silence + 1
    )
    key = f"silence:{silence.id}:begin"
    effects: list[Effect] = [Send(key, key, SilenceTold(silence))]
    if silence.over is Over.INCIDENT:
        effects.clear()  # its thread is told
    for incident in state.open_incidents:
        if covers(silence, incident) and not incident.is_muted:
            entry = Entry(
                now, EntryKind.SILENCED, by=request.user, text=read.reason, until=read.until
            )
            after, shown = telling.edit(incident, now)
            after, told = telling.reply(after, entry)
            state, effects = state.with_incident(after), [*effects, shown, told]
    return state, effects, Result(Outcome.DONE, silence=silence, hidden=hidden)


def unsilenced(state: DeskState, request: Request, now: float) -> Handled:
    """End a silence before its time: by its number, or by what it is over."""
    found = _meant(request.argument, state)
    if found is None or found.ended_at is not None:
        return state, [], Result(Outcome.ALREADY if found else Outcome.NO_SUCH, silence=found)
    state, effects = reaching.ended(state, found, now, request.user)
    return state, effects, Result(Outcome.DONE, silence=state.silences[found.id])


def _meant(argument: str, state: DeskState) -> Silence | None:
    """Find a silence by its number (`S3`, `3`), else a running one by what it is over."""
    words = argument.lower().split()[:1]
    named = {_written(one): one for one in state.running_silences}
    numbers = {f"{s}{number}": one for number, one in state.silences.items() for s in ("s", "")}
    return {**named, **numbers}.get(words[0]) if words else None


def _written(silence: Silence) -> str:
    if silence.over is Over.INCIDENT:
        return f"#{silence.name}"
    return (silence.name or EVERYTHING).lower()


def swapped(state: DeskState, request: Request, now: float, rules: Rules) -> Handled:
    """Put somebody on call for a while: `swap [@person] 8h`; without a name whoever asks."""
    words = request.argument.split()[1:]
    named = _USER.fullmatch(words[0]) if words else None
    read = until(words[1:] if named else words, now, request.person.zone)
    if read is None or state.on_call(rules) is None:
        outcome = Outcome.INVALID if read is None else Outcome.NOBODY
        return state, [], Result(outcome)
    person, end = (named[1] if named else request.user), read[0]
    if not now < end <= now + LONGEST_S:
        return state, [], Result(Outcome.INVALID)
    override = Override(person, now, end, request.user)
    going_on = tuple(one for one in state.overrides if one.until > now)
    state = replace(state, overrides=(*going_on, override)).with_shift_over(now)
    shift, key = Shift(person, now, end), f"swap:{request.id}"
    return state, [Send(key, key, SwapTold(shift, request.user))], Result(Outcome.DONE, shift=shift)


def is_swap(request: Request) -> bool:
    """Tell whether a request about who is on call changes it."""
    words = request.argument.split()
    return request.verb is Verb.ONCALL and words[:1] == [SWAP]


def is_over_all(request: Request, state: DeskState) -> bool:
    """Tell whether a request mutes everything, or ends what does."""
    if request.verb is Verb.SILENCE:
        return request.argument.lower().split()[:1] == [EVERYTHING]
    silence = _meant(request.argument, state) if request.verb is Verb.UNSILENCE else None
    return silence is not None and silence.over is Over.ALL
