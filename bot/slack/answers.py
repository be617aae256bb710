"""Answers to what one person asked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.audit import Outcome
from bot.core.outbox import Answer
from bot.core.request import Request, Verb
from bot.slack.health import health
from bot.slack.help import help_texts, how_to
from bot.slack.incidents import alerts
from bot.slack.looks import begun, result
from bot.slack.on_call import on_call_now
from bot.slack.outcomes import changed
from bot.slack.rendered import Rendered, paragraphs
from bot.slack.report import report, span_of
from bot.slack.silences import silence_list
from bot.slack.status import status
from bot.slack.why import why_text
from bot.slack.wording import COMMAND, escaped, listing, when

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.audit import Audited
    from bot.ports import View

_OUTCOMES = {
    Outcome.DONE: "done",
    Outcome.ALREADY: "was so already",
    Outcome.REFUSED: "refused",
    Outcome.NO_SUCH: "no such",
    Outcome.TOO_LATE: "too late",
    Outcome.NOBODY: "nobody to call",
    Outcome.INVALID: "not clear",
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
