"""Who is on call, until when, and who is next. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.commands.parse import OVERRIDE_WORD
from bot.core.model.access import CommandOutcome, Verb
from bot.core.oncall import Shifts, UserGroup, current_shift, later_shifts
from bot.core.state.silence import MAX_SILENCE_S
from bot.slack.render.help import usage_hint
from bot.slack.render.text import (
    RenderedMessage,
    date_and_time,
    duration,
    escape,
    render_paragraphs,
)

if TYPE_CHECKING:
    from bot.core.model.command import Request
    from bot.core.oncall import Shift
    from bot.core.state.outbox import AnswerResult
    from bot.ports import View

NOT_CONFIGURED = "Nobody takes turns here: `oncall` is not configured."
CHOOSE_PERSON = "Who? Please choose the person from the list that Slack shows after `@`."
CHOOSE_TIME = f"For how long? {duration(MAX_SILENCE_S)} at most."


def on_call_name(shift: Shift) -> str:
    """Return a mention of the person on call, or their name in the calendar."""
    return f"<@{shift.person}>" if shift.person else escape(shift.name, 80) or "nobody I know"


def render_on_call(view: View) -> RenderedMessage:
    """Say who is on call now and next, and which overrides are set."""
    source = view.desk.on_call_source(view.rules)
    if source is None:
        return render_paragraphs(NOT_CONFIGURED)
    overrides = [one for one in view.desk.overrides if one.until > view.now]
    if isinstance(source, UserGroup) and not overrides:
        return render_paragraphs(f"*On call*: <!subteam^{source.id}>, whoever is in it.")
    now = current_shift(source, overrides, view.now)
    after = next(later_shifts(source, overrides, view.now), None)
    until = f"{on_call_name(now)}, until {date_and_time(now.until)}" if now else "nobody"
    lines = [f"*On call*: {until}"]
    if after:
        lines.append(f"*Next*: {on_call_name(after)}, from {date_and_time(after.since)}")
    lines += [
        f"• swapped by <@{one.by}>: <@{one.person}> until {date_and_time(one.until)}"
        for one in overrides
    ]
    warning = ""
    if isinstance(source, Shifts) and source.fault:
        age = duration(view.now - source.at)
        warning = (
            f":warning: The calendar cannot be read ({escape(source.fault)})."
            f" This is as it was {age} ago."
        )
    return render_paragraphs("\n".join(lines), warning)


def render_override_result(request: Request, result: AnswerResult) -> RenderedMessage:
    """Render what came of an override."""
    if result.outcome is CommandOutcome.DONE and result.shift:
        name = on_call_name(result.shift)
        return render_paragraphs(f"On call until {date_and_time(result.shift.until)}: {name}")
    if result.outcome is CommandOutcome.NOBODY:
        return render_paragraphs(NOT_CONFIGURED)
    is_name = request.words.removeprefix(OVERRIDE_WORD).strip().startswith("@")
    return render_paragraphs(CHOOSE_PERSON if is_name else CHOOSE_TIME, usage_hint(Verb.ONCALL))
