"""Renders the answer to a request. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome
from bot.core.model.request import Request, Verb
from bot.core.state.outbox import Answer
from bot.slack.render.command_results import (
    render_check_result,
    render_check_started,
    render_command_result,
)
from bot.slack.render.help import help_texts, usage_hint
from bot.slack.render.incident_line import render_alerts
from bot.slack.render.oncall import render_on_call
from bot.slack.render.report import parse_span, render_report
from bot.slack.render.silences import render_silences
from bot.slack.render.status import render_health, render_status
from bot.slack.render.text import (
    COMMAND,
    RenderedMessage,
    date_and_time,
    escape,
    join_lines,
    render_paragraphs,
)
from bot.slack.render.verdict import explain_verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.ports import View

_OUTCOME_NAMES = {
    CommandOutcome.DONE: "done",
    CommandOutcome.ALREADY: "was so already",
    CommandOutcome.REFUSED: "refused",
    CommandOutcome.NO_SUCH: "no such",
    CommandOutcome.TOO_LATE: "too late",
    CommandOutcome.NOBODY: "nobody to call",
    CommandOutcome.INVALID: "not clear",
}


def render_answer(answer: Answer, view: View) -> RenderedMessage:
    """Render the answer to a request as things stand now."""
    request = answer.request
    if answer.result is not None:
        return render_command_result(request, answer.result, view)
    if request.verb is Verb.RUN and answer.is_first:
        return render_check_started(request, view)
    if request.verb is Verb.RUN:
        return render_check_result(answer, view)
    return _RENDERERS.get(request.verb, _render_unknown)(request, view)


def _render_why(request: Request, view: View) -> RenderedMessage:
    """Explain the incident with this number; without one the newest, an open one first."""
    incidents = view.desk.incidents
    number = request.argument.removeprefix("#")
    if number:
        incident = next((i for i in incidents.values() if number == str(i.id)), None)
        unknown = f"There is no incident `{escape(number, 40)}`: see `{COMMAND} alerts`."
    else:
        incident = max(incidents.values(), key=lambda i: (i.is_open, i.id), default=None)
        unknown = "There is no incident to explain."
    return render_paragraphs(*(explain_verdict(incident) if incident else [unknown]))


def _render_report(request: Request, view: View) -> RenderedMessage:
    span_s = parse_span(request.argument)
    if span_s is None:
        return render_paragraphs(usage_hint(Verb.REPORT))
    return render_report(view, span_s)


def _render_unknown(request: Request, _view: View) -> RenderedMessage:
    unknown = f"I don't know `{escape(request.argument, 40)}`."
    if not request.nearest:
        return render_paragraphs(unknown, *help_texts())
    near = f"Did you mean `{COMMAND} {request.nearest}`?"
    return render_paragraphs(f"{unknown} {near} All that you can ask: `{COMMAND} help`")


def _render_audit(_request: Request, view: View) -> RenderedMessage:
    lines = [
        f"• {date_and_time(one.at)} <@{one.user}> "
        + f"{one.verb} {escape(one.argument, 80)}".strip()
        + (f" · #{one.incident}" if one.incident else "")
        + f": {_OUTCOME_NAMES[one.outcome]}"
        for one in reversed(view.desk.audit)
    ]
    return render_paragraphs(*join_lines(["*What people did, the newest first*", *lines]))


_RENDERERS: dict[Verb, Callable[[Request, View], RenderedMessage]] = {
    Verb.STATUS: lambda _, view: render_status(view),
    Verb.ALERTS: lambda request, view: render_alerts(request.argument, view),
    Verb.WHY: _render_why,
    Verb.SILENCES: lambda _, view: render_silences(view),
    Verb.ONCALL: lambda _, view: render_on_call(view),
    Verb.REPORT: _render_report,
    Verb.HEALTH: lambda _, view: render_health(view),
    Verb.AUDIT: _render_audit,
    Verb.HELP: lambda request, _: render_paragraphs(*help_texts(request.argument)),
}
