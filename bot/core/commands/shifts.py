"""The command that changes who is on call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome
from bot.core.oncall import Override, Shift
from bot.core.state.outbox import AnswerResult, OverrideAnnouncement
from bot.core.state.silence import refuse_end
from bot.core.state.stimulus import Send

if TYPE_CHECKING:
    from bot.core.commands.incidents import CommandResult
    from bot.core.model.command import AddOverride, Request
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules


def add_override(
    state: DeskState, request: Request, command: AddOverride, now: float, rules: Rules
) -> CommandResult:
    """Put somebody on call for a while."""
    if state.on_call_source(rules) is None:
        return state, [], AnswerResult(CommandOutcome.NOBODY)
    if refuse_end(command.until, now):
        return state, [], AnswerResult(CommandOutcome.INVALID)
    override = Override(command.person, now, command.until, request.user)
    active = (one for one in state.overrides if one.until > now)
    state = replace(state, overrides=(*active, override)).with_shift_over(now)
    shift, key = Shift(command.person, now, command.until), f"swap:{request.id}"
    announcement = Send(key, key, OverrideAnnouncement(shift, request.user))
    return state, [announcement], AnswerResult(CommandOutcome.DONE, shift=shift)
