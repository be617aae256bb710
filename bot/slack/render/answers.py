"""Renders the answer to a request. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from bot.core.model.access import CommandOutcome, Verb
from bot.core.model.command import (
    ExplainVerdict,
    Question,
    RunCheck,
    ShowAlerts,
    ShowAudit,
    ShowDoctor,
    ShowHealth,
    ShowHelp,
    ShowOnCall,
    ShowReport,
    ShowSilences,
    ShowStatus,
    UnclearQuestion,
    Unknown,
)
from bot.slack.render.command_results import (
    render_check,
    render_command_result,
    render_unknown_check,
)
from bot.slack.render.help import help_texts, usage_hint
from bot.slack.render.incident_line import render_alerts
from bot.slack.render.oncall import render_on_call
from bot.slack.render.report import render_report
from bot.slack.render.silences import render_silences
from bot.slack.render.status import render_health, render_status
from bot.slack.render.text import (
    COMMAND,
    RenderedMessage,
    context,
    date_and_time,
    escape,
    join_lines,
    render_paragraphs,
)
from bot.slack.render.verdict import explain_verdict

if TYPE_CHECKING:
    from bot.core.state.outbox import Answer
    from bot.ports import View

_OUTCOME_NAMES = {
    CommandOutcome.DONE: "done",
    CommandOutcome.ALREADY: "was so already",
    CommandOutcome.REFUSED: "refused",
    CommandOutcome.NO_SUCH: "no such",
    CommandOutcome.TOO_LATE: "too late",
    CommandOutcome.NOBODY: "nobody to call",
    CommandOutcome.UNCONFIRMED: "asked first",
    CommandOutcome.INVALID: "not clear",
    CommandOutcome.OUTDATED: "not done",
}


def render_answer(answer: Answer, view: View) -> RenderedMessage:
    """Render the answer to a request as things stand now."""
    if answer.is_share_refused:
        message = render_answer(replace(answer, is_share_refused=False), view)
        note = "You shared many answers in a minute, so only you see this one."
        return RenderedMessage(f"{message.text}\n{note}", [*message.blocks, context(note)])
    request, result = answer.request, answer.result
    if result is not None and result.outcome is not CommandOutcome.OUTDATED:
        return render_command_result(request, result, view)
    command = request.command
    if isinstance(command, RunCheck):
        return render_check(command, answer, view)
    if isinstance(command, Question):
        return _render_question(command, view)
    return render_paragraphs("I was updated before I could do that. Please ask again.")


def _render_question(question: Question, view: View) -> RenderedMessage:  # noqa: C901, PLR0911, PLR0912
    match question:
        case ShowStatus():
            return render_status(view)
        case ShowAlerts():
            return render_alerts(question, view)
        case ExplainVerdict():
            return _explain_verdict(question, view)
        case ShowSilences():
            return render_silences(view)
        case ShowOnCall():
            return render_on_call(view)
        case ShowReport(span_s=span_s):
            return render_report(view, span_s)
        case ShowHealth():
            return render_health(view)
        case ShowAudit():
            return _render_audit(view)
        case ShowDoctor():
            return render_paragraphs(f"Only you may see this answer: `{COMMAND} doctor`")
        case ShowHelp(topic=topic):
            return render_paragraphs(*help_texts(topic))
        case Unknown():
            unknown = f"I don't know `{escape(question.word, 40)}`."
            if not question.nearest:
                return render_paragraphs(unknown, *help_texts())
            near = f"Did you mean `{COMMAND} {question.nearest}`?"
            return render_paragraphs(f"{unknown} {near} All that you can ask: `{COMMAND} help`")
        case UnclearQuestion():
            return _render_unclear(question, view)
        case _:
            assert_never(question)


def _explain_verdict(question: ExplainVerdict, view: View) -> RenderedMessage:
    """Explain the incident with this number; without one the newest, an open one first."""
    incidents, number = view.desk.incidents, question.incident
    newest = max(incidents.values(), key=lambda i: (i.is_open, i.id), default=None)
    incident = newest if number is None else incidents.get(number)
    if incident is None:
        unknown = "There is no incident to explain."
        return render_paragraphs(unknown if number is None else _unknown_incident(str(number)))
    paragraphs = explain_verdict(incident, has_details=question.has_details)
    return render_paragraphs(*paragraphs)


def _unknown_incident(named: str) -> str:
    return f"There is no incident `{escape(named, 40)}`: see `{COMMAND} alerts`."


def _render_unclear(question: UnclearQuestion, view: View) -> RenderedMessage:
    word = question.word
    match question.verb:
        case Verb.RUN:
            return render_unknown_check(word, view)
        case Verb.WHY:
            return render_paragraphs(_unknown_incident(word))
        case Verb.ALERTS:
            unknown = f"I don't know alerts `{escape(word, 40)}`."
            return render_paragraphs(unknown, usage_hint(Verb.ALERTS))
        case Verb.REPORT:
            return render_paragraphs(usage_hint(Verb.REPORT))
        case _:
            assert_never(question.verb)


def _render_audit(view: View) -> RenderedMessage:
    lines = [
        f"• {date_and_time(one.at)} <@{one.user}> "
        + f"{one.verb} {escape(one.argument, 80)}".strip()
        + (f" · #{one.incident}" if one.incident else "")
        + f": {_OUTCOME_NAMES[one.outcome]}"
        for one in reversed(view.desk.audit)
    ]
    return render_paragraphs(*join_lines(["*What people did, the newest first*", *lines]))
