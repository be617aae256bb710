"""Answers to what one person asked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome
from bot.core.model.request import Request, Verb
from bot.core.state.outbox import Answer
from bot.slack.render.command_results import begun, changed, result
from bot.slack.render.help import help_texts, how_to
from bot.slack.render.incident_line import alerts
from bot.slack.render.oncall import on_call_now
from bot.slack.render.report import report, span_of
from bot.slack.render.silences import silence_list
from bot.slack.render.status import health, status
from bot.slack.render.text import COMMAND, Rendered, escaped, listing, paragraphs, when
from bot.slack.render.verdict import why_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.access import Audited
    from bot.ports import View

_OUTCOMES = {
    CommandOutcome.DONE: "done",
    CommandOutcome.ALREADY: "was so already",
    CommandOutcome.REFUSED: "refused",
    CommandOutcome.NO_SUCH: "no such",
    CommandOutcome.TOO_LATE: "too late",
    CommandOutcome.NOBODY: "nobody to call",
    CommandOutcome.INVALID: "not clear",
}


def answer(said: Answer, view: View) -> Rendered:
    """Render the answer to a request as things stand now."""
    request = said.request
    if said.result is not None:
        return changed(request, said.result, view)
    if request.verb is Verb.RUN:
        return begun(request, view) if said.is_first else result(said, view)
    return _READ.get(request.verb, _unknown)(request, view)


def _why(request: Request, view: View) -> Rendered:
    """Explain the incident with this number; without one the newest, an open one first."""
    incidents = view.desk.incidents
    named = request.argument.removeprefix("#")
    if not named:
        newest = max(incidents.values(), key=lambda i: (i.is_open, i.id), default=None)
        texts = why_text(newest) if newest else ["There is no incident to explain."]
        return paragraphs(*texts)
    for number, incident in incidents.items():
        if named == str(number):
            return paragraphs(*why_text(incident))
    return paragraphs(f"There is no incident `{escaped(named, 40)}`: see `{COMMAND} alerts`.")


def _report(request: Request, view: View) -> Rendered:
    span_s = span_of(request.argument)
    return paragraphs(how_to(Verb.REPORT)) if span_s is None else report(view, span_s)


def _unknown(request: Request, _view: View) -> Rendered:
    said = f"I don't know `{escaped(request.argument, 40)}`."
    if not request.nearest:
        return paragraphs(said, *help_texts())
    near = f"Did you mean `{COMMAND} {request.nearest}`?"
    return paragraphs(f"{said} {near} All that you can ask: `{COMMAND} help`")


def _audit(_request: Request, view: View) -> Rendered:
    lines = [_audited(line) for line in reversed(view.desk.audit)]
    return paragraphs(*listing(["*What people did, the newest first*", *lines]))


def _audited(line: Audited) -> str:
    about = f" · #{line.incident}" if line.incident else ""
    said = f"{line.verb} {escaped(line.argument, 80)}".strip()
    return f"• {when(line.at)} <@{line.user}> {said}{about}: {_OUTCOMES[line.outcome]}"


_READ: dict[Verb, Callable[[Request, View], Rendered]] = {
    Verb.STATUS: lambda _, view: status(view),
    Verb.ALERTS: lambda request, view: alerts(request.argument, view),
    Verb.WHY: _why,
    Verb.SILENCES: lambda _, view: silence_list(view),
    Verb.ONCALL: lambda _, view: on_call_now(view),
    Verb.REPORT: _report,
    Verb.HEALTH: lambda _, view: health(view),
    Verb.AUDIT: _audit,
    Verb.HELP: lambda request, _: paragraphs(*help_texts(request.argument)),
}
