"""The command that changes who is on call."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.model.wall_clock import parse_until
from bot.core.oncall.schedule import Override, Shift
from bot.core.state.outbox import AnswerResult, OverrideAnnouncement
from bot.core.state.silence import MAX_SILENCE_S
from bot.core.state.stimulus import Send

if TYPE_CHECKING:
    from bot.core.commands.incidents import CommandResult
    from bot.core.model.request import Request
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules

OVERRIDE_WORD = "swap"
_USER_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def add_override(state: DeskState, request: Request, now: float, rules: Rules) -> CommandResult:
    """Put somebody on call for a while: `swap [@person] 8h`; without a name whoever sends it."""
    words = request.argument.split()[1:]
    named = _USER_MENTION.fullmatch(words[0]) if words else None
    until = parse_until(words[1:] if named else words, now, request.person.zone)
    if until is None or state.on_call_source(rules) is None:
        outcome = CommandOutcome.INVALID if until is None else CommandOutcome.NOBODY
        return state, [], AnswerResult(outcome)
    person, end = (named[1] if named else request.user), until[0]
    if not now < end <= now + MAX_SILENCE_S:
        return state, [], AnswerResult(CommandOutcome.INVALID)
    override = Override(person, now, end, request.user)
    active = (one for one in state.overrides if one.until > now)
    state = replace(state, overrides=(*active, override)).with_shift_over(now)
    shift, key = Shift(person, now, end), f"swap:{request.id}"
    announcement = Send(key, key, OverrideAnnouncement(shift, request.user))
    return state, [announcement], AnswerResult(CommandOutcome.DONE, shift=shift)


def is_override(request: Request) -> bool:
    """Tell whether a command about who is on call changes that."""
    words = request.argument.split()
    return request.verb is Verb.ONCALL and words[:1] == [OVERRIDE_WORD]
