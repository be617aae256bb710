"""The command that changes who is on call."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.model.wall_clock import until
from bot.core.oncall.schedule import Override, Shift
from bot.core.state.outbox import Result, SwapTold
from bot.core.state.silence import (
    LONGEST_S,
)
from bot.core.state.stimulus import Send

if TYPE_CHECKING:
    from bot.core.commands.incidents import Handled
    from bot.core.model.request import Request
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules


SWAP = "swap"


_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def swapped(state: DeskState, request: Request, now: float, rules: Rules) -> Handled:
    """Put somebody on call for a while: `swap [@person] 8h`; without a name whoever asks."""
    words = request.argument.split()[1:]
    named = _USER.fullmatch(words[0]) if words else None
    read = until(words[1:] if named else words, now, request.person.zone)
    if read is None or state.on_call(rules) is None:
        outcome = CommandOutcome.INVALID if read is None else CommandOutcome.NOBODY
        return state, [], Result(outcome)
    person, end = (named[1] if named else request.user), read[0]
    if not now < end <= now + LONGEST_S:
        return state, [], Result(CommandOutcome.INVALID)
    override = Override(person, now, end, request.user)
    going_on = tuple(one for one in state.overrides if one.until > now)
    state = replace(state, overrides=(*going_on, override)).with_shift_over(now)
    shift, key = Shift(person, now, end), f"swap:{request.id}"
    return (
        state,
        [Send(key, key, SwapTold(shift, request.user))],
        Result(CommandOutcome.DONE, shift=shift),
    )


def is_swap(request: Request) -> bool:
    """Tell whether a request about who is on call changes it."""
    words = request.argument.split()
    return request.verb is Verb.ONCALL and words[:1] == [SWAP]
