"""Silences and on-call overrides: what was set, what ended, and what is muted now. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.state.silence import (
    MAX_SILENCE_S,
    SilenceRefusal,
    SilenceScope,
    covers,
    is_in_maintenance,
    is_touched,
)
from bot.slack.render.help import usage_hint
from bot.slack.render.incident_line import incident_list
from bot.slack.render.text import (
    COMMAND,
    MAINTENANCE_MARK,
    SILENCED_MARK,
    RenderedMessage,
    date_and_time,
    duration,
    escape,
    join_lines,
    quote,
    render_paragraphs,
)

if TYPE_CHECKING:
    from bot.core.model.request import Request
    from bot.core.state.outbox import AnswerResult, OverrideAnnouncement
    from bot.core.state.silence import Silence
    from bot.ports import View

MAX_NAMED = 10
"""Incidents of the preview that are named; the others are counted."""
_REFUSAL_TEXTS = {
    SilenceRefusal.NO_SUCH: "I know no tenant, signal or incident {what}.",
    SilenceRefusal.NO_TIME: "For how long, or until when?",
    SilenceRefusal.PAST: "That time is over already.",
    SilenceRefusal.TOO_LONG: f"That is too long: {duration(MAX_SILENCE_S)} at most. "
    "What is to be silent for longer should not be watched.",
    SilenceRefusal.NO_REASON: "Why? A silence needs a reason: others will wonder.",
}


def render_silence_result(request: Request, result: AnswerResult, view: View) -> RenderedMessage:
    """Say that a silence is set and what it would have hidden, or why it could not be."""
    silence = result.silence
    if silence is None:
        what = quote(request.argument.split(" ")[0], 40)
        said = _REFUSAL_TEXTS[result.silence_refusal or SilenceRefusal.NO_TIME].format(what=what)
        tenants = f"Tenants: {', '.join([*view.rules.tenants][:MAX_NAMED])}."
        is_unknown = result.silence_refusal is SilenceRefusal.NO_SUCH
        return render_paragraphs(
            f"{said} {tenants if is_unknown else ''}", usage_hint(Verb.SILENCE)
        )
    return render_paragraphs(
        f"{SILENCED_MARK} *{silence_target(silence)}* is silenced until {date_and_time(silence.until)}: "
        f"{quote(silence.reason)}",
        f"{preview_text(result.hidden)} What ends is told all the same. "
        f"To end it: `{COMMAND} unsilence S{silence.id}`",
        *_partly_silenced_lines(silence, view),
    )


def _partly_silenced_lines(silence: Silence, view: View) -> list[str]:
    """Name what is open and only partly muted: people are still called for it."""
    partly = [
        incident
        for incident in view.desk.open_incidents
        if not covers(silence, incident) and is_touched(silence, incident)
    ]
    return [
        f"#{one.id} reaches further and goes on calling people: `{COMMAND} silence #{one.id} …`"
        for one in partly[:MAX_NAMED]
    ]


def preview_text(hidden: tuple[int, ...]) -> str:
    """Say which incidents of the last day a silence would have hidden."""
    if not hidden:
        return "It would have hidden nothing in the last day."
    named = ", ".join(f"#{number}" for number in hidden[:MAX_NAMED])
    more = f" and {len(hidden) - MAX_NAMED} more" if len(hidden) > MAX_NAMED else ""
    count = "1 incident" if len(hidden) == 1 else f"{len(hidden)} incidents"
    return f"It would have hidden {count} of the last day: {named}{more}."


def render_unsilence_result(request: Request, result: AnswerResult, view: View) -> RenderedMessage:
    """Say what came of ending a silence."""
    silence = result.silence
    if result.outcome is CommandOutcome.DONE and silence:
        return render_paragraphs(
            f"S{silence.id} over *{silence_target(silence)}* is ended; {suppressed_text(silence)}."
        )
    if silence and silence.ended_at is not None:
        by = f", ended by <@{silence.ended_by}>" if silence.ended_by else ""
        return render_paragraphs(
            f"S{silence.id} is over already, since {date_and_time(silence.ended_at)}{by}."
        )
    asked = request.argument
    said = f"There is no silence {quote(asked, 40)}." if asked else "Which silence?"
    return render_paragraphs(said, *running_silence_lines(view), usage_hint(Verb.UNSILENCE))


def render_silences(view: View) -> RenderedMessage:
    """List what is muted now: people's silences, and our own maintenance."""
    return render_paragraphs(
        *(running_silence_lines(view) or ["Nothing is silenced."]), *_maintenance_lines(view)
    )


def running_silence_lines(view: View) -> list[str]:
    """Say each running silence in a line."""
    lines = [silence_line(silence) for silence in view.desk.active_silences]
    return join_lines(["*Silences*", *lines]) if lines else []


def silence_line(silence: Silence) -> str:
    """Say what is muted, until when, by whom, why, and how much it hid."""
    return (
        f"{SILENCED_MARK} S{silence.id} *{silence_target(silence)}* until {date_and_time(silence.until)} "
        f"by <@{silence.by}>: {quote(silence.reason)}; {suppressed_text(silence)}"
    )


def silence_target(silence: Silence) -> str:
    """Name what a silence is over."""
    if silence.scope is SilenceScope.ALL:
        return "everything"
    return f"#{silence.name}" if silence.scope is SilenceScope.INCIDENT else silence.name


def suppressed_text(silence: Silence) -> str:
    """Say how many alerts a silence hid."""
    count = {0: "no alert", 1: "1 alert"}.get(silence.suppressed, f"{silence.suppressed} alerts")
    return f"it hid {count}"


def _maintenance_lines(view: View) -> list[str]:
    lines = [
        f"{MAINTENANCE_MARK} *{name}*: {escape(window.reason) or 'maintenance'}"
        for window in view.rules.maintenance_windows
        for name in view.rules.tenants
        if is_in_maintenance(window, name, view.now)
    ]
    return join_lines(["*In maintenance*", *lines]) if lines else []


def render_silence_change(silence: Silence, view: View) -> RenderedMessage:
    """Say that nobody is alerted, and why; when it is over, what it hid and what still goes on."""
    if silence.ended_at is None:
        return render_paragraphs(
            f":no_bell: *{silence_target(silence)}* is silenced by <@{silence.by}> until "
            f"{date_and_time(silence.until)}: {quote(silence.reason)} (S{silence.id})"
        )
    by = f" by <@{silence.ended_by}>" if silence.ended_by else ""
    head = f":bell: Silence S{silence.id} over *{silence_target(silence)}* ended{by}; {suppressed_text(silence)}."
    going_on = [one for one in view.desk.open_incidents if covers(silence, one)]
    still = ["*Still going on*", *incident_list(going_on, view)] if going_on else []
    return render_paragraphs(f"{head} It was: {quote(silence.reason)}", *still)


def render_override(swap: OverrideAnnouncement) -> RenderedMessage:
    """Say who is on call, to them as well."""
    by = f", by <@{swap.by}>" if swap.by != swap.shift.person else ""
    who = f"<@{swap.shift.person}>"
    return render_paragraphs(
        f":bust_in_silhouette: {who} is on call until {date_and_time(swap.shift.until)}{by}."
    )
