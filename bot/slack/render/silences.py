"""Silences and on-call overrides: what was set, what ended, and what is muted now. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.state.silence import LONGEST_S, Over, Refusal, covers, is_on, is_touched
from bot.slack.render.help import how_to
from bot.slack.render.incident_line import incident_list
from bot.slack.render.text import (
    COMMAND,
    MAINTENANCE_MARK,
    SILENCED_MARK,
    Rendered,
    escaped,
    listing,
    paragraphs,
    quoted,
    span,
    when,
)

if TYPE_CHECKING:
    from bot.core.model.request import Request
    from bot.core.state.outbox import Result, SwapTold
    from bot.core.state.silence import Silence
    from bot.ports import View

NAMED = 10
"""Incidents of the preview that are named; the others are counted."""
_UNREADABLE = {
    Refusal.NO_SUCH: "I know no tenant, signal or incident {what}.",
    Refusal.NO_TIME: "For how long, or until when?",
    Refusal.PAST: "That time is over already.",
    Refusal.TOO_LONG: f"That is too long: {span(LONGEST_S)} at most. "
    "What is to be silent for longer should not be watched.",
    Refusal.NO_REASON: "Why? A silence needs a reason: others will wonder.",
}


def silence_set(request: Request, result: Result, view: View) -> Rendered:
    """Say that a silence is set and what it would have hidden, or why it could not be."""
    silence = result.silence
    if silence is None:
        what = quoted(request.argument.split(" ")[0], 40)
        said = _UNREADABLE[result.unreadable or Refusal.NO_TIME].format(what=what)
        tenants = f"Tenants: {', '.join([*view.rules.tenants][:NAMED])}."
        is_unknown = result.unreadable is Refusal.NO_SUCH
        return paragraphs(f"{said} {tenants if is_unknown else ''}", how_to(Verb.SILENCE))
    return paragraphs(
        f"{SILENCED_MARK} *{over(silence)}* is silenced until {when(silence.until)}: "
        f"{quoted(silence.reason)}",
        f"{preview_text(result.hidden)} What ends is told all the same. "
        f"To end it: `{COMMAND} unsilence S{silence.id}`",
        *_reaching_further(silence, view),
    )


def _reaching_further(silence: Silence, view: View) -> list[str]:
    """Name what is open and only partly muted: people are still called for it."""
    partly = [
        incident
        for incident in view.desk.open_incidents
        if not covers(silence, incident) and is_touched(silence, incident)
    ]
    return [
        f"#{one.id} reaches further and goes on calling people: `{COMMAND} silence #{one.id} …`"
        for one in partly[:NAMED]
    ]


def preview_text(hidden: tuple[int, ...]) -> str:
    """Say which incidents of the last day a silence would have hidden."""
    if not hidden:
        return "It would have hidden nothing in the last day."
    named = ", ".join(f"#{number}" for number in hidden[:NAMED])
    more = f" and {len(hidden) - NAMED} more" if len(hidden) > NAMED else ""
    count = "1 incident" if len(hidden) == 1 else f"{len(hidden)} incidents"
    return f"It would have hidden {count} of the last day: {named}{more}."


def silence_ended_by_hand(request: Request, result: Result, view: View) -> Rendered:
    """Say what came of ending a silence."""
    silence = result.silence
    if result.outcome is CommandOutcome.DONE and silence:
        return paragraphs(f"S{silence.id} over *{over(silence)}* is ended; {hid(silence)}.")
    if silence and silence.ended_at is not None:
        by = f", ended by <@{silence.ended_by}>" if silence.ended_by else ""
        return paragraphs(f"S{silence.id} is over already, since {when(silence.ended_at)}{by}.")
    asked = request.argument
    said = f"There is no silence {quoted(asked, 40)}." if asked else "Which silence?"
    return paragraphs(said, *running(view), how_to(Verb.UNSILENCE))


def silence_list(view: View) -> Rendered:
    """List what is muted now: people's silences, and our own maintenance."""
    return paragraphs(*(running(view) or ["Nothing is silenced."]), *_in_maintenance(view))


def running(view: View) -> list[str]:
    """Say each running silence in a line."""
    lines = [silence_line(silence) for silence in view.desk.running_silences]
    return listing(["*Silences*", *lines]) if lines else []


def silence_line(silence: Silence) -> str:
    """Say what is muted, until when, by whom, why, and how much it hid."""
    return (
        f"{SILENCED_MARK} S{silence.id} *{over(silence)}* until {when(silence.until)} "
        f"by <@{silence.by}>: {quoted(silence.reason)}; {hid(silence)}"
    )


def over(silence: Silence) -> str:
    """Name what a silence is over."""
    if silence.over is Over.ALL:
        return "everything"
    return f"#{silence.name}" if silence.over is Over.INCIDENT else silence.name


def hid(silence: Silence) -> str:
    """Say how many alerts a silence hid."""
    count = {0: "no alert", 1: "1 alert"}.get(silence.suppressed, f"{silence.suppressed} alerts")
    return f"it hid {count}"


def _in_maintenance(view: View) -> list[str]:
    lines = [
        f"{MAINTENANCE_MARK} *{name}*: {escaped(window.reason) or 'maintenance'}"
        for window in view.rules.windows
        for name in view.rules.tenants
        if is_on(window, name, view.now)
    ]
    return listing(["*In maintenance*", *lines]) if lines else []


def silence_told(silence: Silence, view: View) -> Rendered:
    """Say that nobody is alerted, and why; when it is over, what it hid and what still goes on."""
    if silence.ended_at is None:
        return paragraphs(
            f":no_bell: *{over(silence)}* is silenced by <@{silence.by}> until "
            f"{when(silence.until)}: {quoted(silence.reason)} (S{silence.id})"
        )
    by = f" by <@{silence.ended_by}>" if silence.ended_by else ""
    head = f":bell: Silence S{silence.id} over *{over(silence)}* ended{by}; {hid(silence)}."
    going_on = [one for one in view.desk.open_incidents if covers(silence, one)]
    still = ["*Still going on*", *incident_list(going_on, view)] if going_on else []
    return paragraphs(f"{head} It was: {quoted(silence.reason)}", *still)


def swap_told(swap: SwapTold) -> Rendered:
    """Say who is on call, to them as well."""
    by = f", by <@{swap.by}>" if swap.by != swap.shift.person else ""
    who = f"<@{swap.shift.person}>"
    return paragraphs(f":bust_in_silhouette: {who} is on call until {when(swap.shift.until)}{by}.")
