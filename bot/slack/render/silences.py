"""Silences and on-call overrides: what was set, what ended, what is silenced now. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome, Verb
from bot.core.model.command import ALL_SIGNALS, SilenceRefusal
from bot.core.state.silence import MAX_SILENCE_S, covers, is_window_active, parts_within
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
    from bot.core.model.command import Request
    from bot.core.state.outbox import AnswerResult, OverrideAnnouncement
    from bot.core.state.silence import Silence
    from bot.ports import View

MAX_NAMED = 10
"""Names shown of a list; the incidents of the preview beyond it are counted."""
_REFUSAL_TEXTS = {
    SilenceRefusal.NO_SUCH: "I know no tenant, signal or incident {what}.",
    SilenceRefusal.NO_TIME: "For how long, or until when?",
    SilenceRefusal.PAST: "That time is over already.",
    SilenceRefusal.TOO_LONG: f"That is too long: {duration(MAX_SILENCE_S)} at most. "
    "What is to be silent for longer should not be watched.",
    SilenceRefusal.NO_REASON: "Why? A silence needs a reason: others will wonder.",
}


def render_silence_result(request: Request, result: AnswerResult, view: View) -> RenderedMessage:
    """Say that a silence is set and what it would have hidden, or why it was refused."""
    silence = result.silence
    if silence is None:
        refusal = result.silence_refusal or SilenceRefusal.NO_TIME
        text = _REFUSAL_TEXTS[refusal].format(what=quote(request.words.split(" ")[0], 40))
        tenants = f"Tenants: {', '.join([*view.rules.tenants][:MAX_NAMED])}."
        is_unknown = refusal is SilenceRefusal.NO_SUCH
        return render_paragraphs(
            f"{text} {tenants if is_unknown else ''}", usage_hint(Verb.SILENCE)
        )
    # For an incident that is only partly silenced people are still called.
    partly = [
        f"#{one.id} reaches further and goes on calling people: `{COMMAND} silence #{one.id} …`"
        for one in view.desk.open_incidents
        if not covers(silence, one) and parts_within(silence.about, one)
    ]
    return render_paragraphs(
        f"{SILENCED_MARK} *{silence_target(silence)}* is silenced until "
        f"{date_and_time(silence.until)}: {quote(silence.reason)}",
        f"{preview_text(result.hidden)} The end of an incident is posted all the same. "
        f"To end it: `{COMMAND} unsilence S{silence.id}`",
        *partly[:MAX_NAMED],
    )


def preview_text(hidden: tuple[int, ...]) -> str:
    """Say which incidents of the last day a silence would have hidden."""
    if not hidden:
        return "It would have hidden nothing in the last day."
    named = ", ".join(f"#{number}" for number in hidden[:MAX_NAMED])
    more = f" and {len(hidden) - MAX_NAMED} more" if len(hidden) > MAX_NAMED else ""
    count = "1 incident" if len(hidden) == 1 else f"{len(hidden)} incidents"
    return f"It would have hidden {count} of the last day: {named}{more}."


def render_unsilence_result(request: Request, result: AnswerResult, view: View) -> RenderedMessage:
    """Say that a silence is ended, or why not."""
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
    asked = request.words
    text = f"There is no silence {quote(asked, 40)}." if asked else "Which silence?"
    return render_paragraphs(text, *running_silence_lines(view), usage_hint(Verb.UNSILENCE))


def render_silences(view: View) -> RenderedMessage:
    """List what is silenced now: by people, and by our own maintenance."""
    silences = running_silence_lines(view) or ["Nothing is silenced."]
    windows = [
        f"{MAINTENANCE_MARK} *{name}*: {escape(window.reason) or 'maintenance'}"
        for window in view.rules.maintenance_windows
        for name in view.rules.tenants
        if is_window_active(window, name, view.now)
    ]
    maintenance = join_lines(["*In maintenance*", *windows]) if windows else []
    return render_paragraphs(*silences, *maintenance)


def running_silence_lines(view: View) -> list[str]:
    """List the silences that are running, one line each."""
    lines = [silence_line(silence) for silence in view.desk.active_silences]
    return join_lines(["*Silences*", *lines]) if lines else []


def silence_line(silence: Silence) -> str:
    """Say what is silenced, until when, by whom, why, and how many alerts that hid."""
    return (
        f"{SILENCED_MARK} S{silence.id} *{silence_target(silence)}* "
        f"until {date_and_time(silence.until)} by <@{silence.by}>: {quote(silence.reason)}; "
        f"{suppressed_text(silence)}"
    )


def silence_target(silence: Silence) -> str:
    """Name what a silence covers."""
    return "everything" if silence.about == ALL_SIGNALS else silence.words


def suppressed_text(silence: Silence) -> str:
    """Say how many alerts a silence hid."""
    count = {0: "no alert", 1: "1 alert"}.get(silence.suppressed, f"{silence.suppressed} alerts")
    return f"it hid {count}"


def render_silence_change(silence: Silence, view: View) -> RenderedMessage:
    """Say that a silence was set and why, or that it ended, what it hid and what still goes on."""
    if silence.ended_at is None:
        return render_paragraphs(
            f":no_bell: *{silence_target(silence)}* is silenced by <@{silence.by}> until "
            f"{date_and_time(silence.until)}: {quote(silence.reason)} (S{silence.id})"
        )
    by = f" by <@{silence.ended_by}>" if silence.ended_by else ""
    going_on = [one for one in view.desk.open_incidents if covers(silence, one)]
    return render_paragraphs(
        f":bell: Silence S{silence.id} over *{silence_target(silence)}* ended{by}; "
        f"{suppressed_text(silence)}. It was: {quote(silence.reason)}",
        *(["*Still going on*", *incident_list(going_on, view)] if going_on else []),
    )


def render_override(announcement: OverrideAnnouncement) -> RenderedMessage:
    """Say who is on call by an override; the mention notifies that person."""
    shift, by = announcement.shift, announcement.by
    return render_paragraphs(
        f":bust_in_silhouette: <@{shift.person}> is on call until {date_and_time(shift.until)}"
        + (f", by <@{by}>." if by != shift.person else ".")
    )
