"""What came of something that a person wanted changed, kindly said. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.audit import Outcome
from bot.core.request import Verb
from bot.slack.access import refused
from bot.slack.buttons import LEFT_ALONE
from bot.slack.help import how_to
from bot.slack.incidents import incident_list
from bot.slack.on_call import swapped
from bot.slack.rendered import Rendered, paragraphs
from bot.slack.silences import silence_ended_by_hand, silence_set
from bot.slack.wording import COMMAND, quoted, when

if TYPE_CHECKING:
    from bot.core.incident import Incident
    from bot.core.outbox import Result
    from bot.core.request import Request
    from bot.ports import View

_OVER = "{incident} is over already, since {ended}"
_SENTENCES = {
    (Verb.ACK, Outcome.DONE): "{incident} is yours: nobody else is called.",
    (Verb.ACK, Outcome.ALREADY): "{owner} {incident} already, since {acked}.",
    (Verb.ACK, Outcome.TOO_LATE): f"{_OVER}: there is nothing left to take.",
    (Verb.RESOLVE, Outcome.DONE): "{incident} is resolved.{left}",
    (Verb.RESOLVE, Outcome.ALREADY): f"{_OVER}.",
    (Verb.NOTE, Outcome.DONE): "Noted at {incident}.",
    (Verb.NOTE, Outcome.INVALID): "What is to be noted at {incident}?",
    (Verb.FALSE_ALARM, Outcome.DONE): "{incident} is marked as a false alarm, and the report "
    f"counts it. If it still goes on: `{COMMAND} resolve {{number}}`",
    (Verb.FALSE_ALARM, Outcome.ALREADY): "{incident} is marked as a false alarm already: {reason}",
    (Verb.FALSE_ALARM, Outcome.INVALID): "Why was {incident} none? A word or two helps the report.",
    (Verb.ESCALATE, Outcome.DONE): "The next step for {incident} is taken: its thread says whom "
    "it called.",
    (Verb.ESCALATE, Outcome.TOO_LATE): f"{_OVER}: nobody was called.",
    (Verb.ESCALATE, Outcome.NOBODY): "There is nobody to call for {incident}: neither who is on "
    "call nor whom to mention is configured, or all were told.",
}


def changed(request: Request, result: Result, view: View) -> Rendered:
    """Say what came of it."""
    if result.refused:
        return paragraphs(refused(result.refused))
    if request.verb is Verb.SILENCE:
        return silence_set(request, result, view)
    if request.verb is Verb.UNSILENCE:
        return silence_ended_by_hand(request, result, view)
    if request.verb is Verb.ONCALL:
        return swapped(request, result)
    incident = view.desk.incidents.get(result.incident or 0)
    return _handled(request, result, incident) if incident else _no_such(request, view)


def _handled(request: Request, result: Result, incident: Incident) -> Rendered:
    sentence = _SENTENCES[request.verb, result.outcome].format(**_words(request, incident))
    is_unclear = result.outcome is Outcome.INVALID
    return paragraphs(sentence, how_to(request.verb) if is_unclear else "")


def _words(request: Request, incident: Incident) -> dict[str, str]:
    mine = incident.acknowledged_by == request.user
    by = f", by <@{incident.resolved_by}>" if incident.resolved_by else ""
    left = ", ".join(incident.left[:5])
    return {
        "incident": f"#{incident.id}",
        "number": str(incident.id),
        "owner": "You have" if mine else f"<@{incident.acknowledged_by}> has",
        "acked": when(incident.acknowledged_at or 0.0),
        "ended": when(incident.resolved_at or 0.0) + by,
        "reason": quoted(incident.false_alarm),
        "left": f" Still failing: {left}. {LEFT_ALONE}" if left else "",
    }


def _no_such(request: Request, view: View) -> Rendered:
    """Say which incidents there are."""
    still_open = view.desk.open_incidents
    named = request.argument.split(" ")[0].removeprefix("#")
    if named.isdecimal():
        said = f"There is no incident #{named[:9]} of the last seven days."
    else:
        said = "Which incident? Please say its number." if still_open else "No incident is open."
    return paragraphs(said, *incident_list(still_open, view), how_to(request.verb))
