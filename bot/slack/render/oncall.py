"""Who is on call, until when, and who comes next. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.commands.shifts import SWAP
from bot.core.model.access import CommandOutcome
from bot.core.oncall.schedule import Group, Shifts, next_shift, on_call
from bot.core.state.silence import LONGEST_S
from bot.slack.render.help import how_to
from bot.slack.render.text import Rendered, escaped, paragraphs, span, when

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.model.request import Request
    from bot.core.oncall.schedule import Override, Shift
    from bot.core.state.outbox import Result
    from bot.ports import View

NOT_CONFIGURED = "Nobody takes turns here: `oncall` is not configured."
WHOM = "Whom? Please choose the person from the list that Slack shows after `@`."
HOW_LONG = f"For how long? {span(LONGEST_S)} at most."


def on_call_name(shift: Shift) -> str:
    """Name who is on call: a mention, or as the calendar calls them."""
    return f"<@{shift.person}>" if shift.person else escaped(shift.name, 80) or "nobody I know"


def on_call_now(view: View) -> Rendered:
    """Say who is on call now and next, and what was swapped."""
    source = view.desk.on_call(view.rules)
    if source is None:
        return paragraphs(NOT_CONFIGURED)
    overrides = [one for one in view.desk.overrides if one.until > view.now]
    if isinstance(source, Group) and not overrides:
        return paragraphs(f"*On call*: <!subteam^{source.id}>, whoever is in it.")
    now = on_call(source, overrides, view.now)
    after = next_shift(source, overrides, view.now)
    lines = [
        f"*On call*: {on_call_name(now)}, until {when(now.until)}" if now else "*On call*: nobody",
        f"*Next*: {on_call_name(after)}, from {when(after.since)}" if after else "",
        *_swapped(overrides),
    ]
    fault = _fault(source, view.now) if isinstance(source, Shifts) else ""
    return paragraphs("\n".join(line for line in lines if line), fault)


def _swapped(overrides: Iterable[Override]) -> list[str]:
    return [
        f"• swapped by <@{one.by}>: <@{one.person}> until {when(one.until)}" for one in overrides
    ]


def _fault(shifts: Shifts, now: float) -> str:
    if not shifts.fault:
        return ""
    read = f"as it was {span(now - shifts.at)} ago"
    return f":warning: The calendar cannot be read ({escaped(shifts.fault)}). This is {read}."


def swapped(request: Request, result: Result) -> Rendered:
    """Say what came of putting somebody on call."""
    if result.outcome is CommandOutcome.DONE and result.shift:
        who = on_call_name(result.shift)
        return paragraphs(f"On call until {when(result.shift.until)}: {who}")
    if result.outcome is CommandOutcome.NOBODY:
        return paragraphs(NOT_CONFIGURED)
    is_name = request.argument.removeprefix(SWAP).strip().startswith("@")
    return paragraphs(WHOM if is_name else HOW_LONG, how_to(request.verb))
