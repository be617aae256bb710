"""Timeline entries: the lines in the thread of an incident's message. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from bot.core import oncall
from bot.core.alerting.deliveries import NO_ANSWER
from bot.core.model.observation import Cause
from bot.core.oncall import DM, CallReason
from bot.core.state.incident import IncidentKind
from bot.core.state.timeline import (
    AcknowledgedEntry,
    CommandEntry,
    CorrectedEntry,
    FalseAlarmEntry,
    HandOverEntry,
    JoinedEntry,
    MentionEntry,
    MergedEntry,
    NoteEntry,
    PagedEntry,
    RecoveredEntry,
    ReopenedEntry,
    ResolvedEntry,
    SeverityRaisedEntry,
    SilencedEntry,
    StatusUpdateEntry,
    StillOnItEntry,
    TimelineEntry,
    UnreachedEntry,
    VerdictEntry,
)
from bot.slack.render.advice import advise, still_on_it_buttons
from bot.slack.render.first_line import describe_effect, first_line, state_of
from bot.slack.render.incident import status_incident_line
from bot.slack.render.text import (
    ACKNOWLEDGED_MARK,
    CAUSES,
    IMPACTS,
    RESOLVED_MARK,
    SILENCED_MARK,
    capitalize,
    date_and_time,
    duration,
    escape,
    join_names,
    link,
    mentions,
    quote,
    render_paragraphs,
)
from bot.slack.render.verdict import (
    certainty_text,
    evidence_text,
    is_cause_stated,
    noticed_text,
)

if TYPE_CHECKING:
    from bot.core.model.observation import Verdict
    from bot.core.state.incident import Incident
    from bot.ports import View
    from bot.slack.render.text import RenderedMessage

NOTE_CHARS = 500
IN_DND, USER_INACTIVE, USER_NOT_FOUND = "in_dnd", "user_is_inactive", "user_not_found"
"""Why Slack does not notify a person."""
UNREACHED_ERRORS = {
    IN_DND: "in Do Not Disturb, so Slack makes no sound",
    USER_INACTIVE: "the account is deactivated in Slack",
    USER_NOT_FOUND: "Slack does not know this person",
    NO_ANSWER: "not taken for a minute; I go on trying",
}


def render_timeline_entry(
    entry: TimelineEntry, incident: Incident, view: View, permalink: str | None = None
) -> RenderedMessage:
    """Render one timeline entry as a message of the thread.

    With the permalink of the incident's message it is one of its own, which links that.
    """
    where = "" if permalink is None else f" {link(permalink, f'#{incident.id}')}"
    message = render_paragraphs(f"{_entry_text(entry, incident, view)}{where}")
    if isinstance(entry, StillOnItEntry):
        return replace(message, blocks=[*message.blocks, still_on_it_buttons(incident)])
    return message


def _entry_text(  # noqa: C901, PLR0911, PLR0912 - one case a kind
    entry: TimelineEntry, incident: Incident, view: View
) -> str:
    match entry:
        case VerdictEntry():
            new = " · ".join(escape(evidence_text(one)) for one in entry.new_evidence[:3])
            line = capitalize(f"{_cause_text(entry.verdict)}.")
            return f"{line} {f'New: {new}.' if new else 'What spoke for another cause is gone.'}"
        case StatusUpdateEntry():
            line = status_incident_line(entry.status_incident, view)
            return f"Auth0 status page: {line}\n>{escape(entry.status_incident.text, 200)}"
        case SeverityRaisedEntry() | JoinedEntry() | RecoveredEntry():
            return _extent_text(entry, incident)
        case MergedEntry():
            return f"The same cause as #{incident.life.merged_into}, which goes on there"
        case ResolvedEntry():
            return _resolved_text(entry, incident)
        case ReopenedEntry():
            return "Failing again: the incident is open again"
        case MentionEntry():
            return _call_text(entry, incident, view)
        case CorrectedEntry():
            what_to_do = advise(incident, view)
            correction = f"Correction: it is not {CAUSES[entry.told].split(':')[0]}"
            now = f" Do now: {what_to_do}" if what_to_do else ""
            said = f"{correction}; {_cause_text(entry.verdict)}.{now}"
            return f"{mentions(entry.mentioned)} {said}".strip()
        case PagedEntry():
            return _paged_text(entry, incident, view)
        case UnreachedEntry():
            return _unreached_text(entry)
        case HandOverEntry():
            owner = f" {_owner(entry.at, incident)} it." if _owner(entry.at, incident) else ""
            person = mentions(entry.mentioned) or "Nobody"
            return f"{person} is on call now. {_so_far(entry.at, incident, view)}{owner}"
        case StillOnItEntry():
            taken = entry.acknowledged
            return (
                f"<@{taken.by}>, are you still on it? You have #{incident.id} for "
                f"{duration(entry.at - taken.at)}. {_so_far(entry.at, incident, view)}\n"
                f"Without an answer I call others at {date_and_time(entry.until)}."
            )
        case AcknowledgedEntry() | NoteEntry() | FalseAlarmEntry() | SilencedEntry():
            action = _action_text(entry)
            return f"{action}: {quote(entry.text, NOTE_CHARS)}" if entry.text else action
        case _:
            assert_never(entry)


def _names_and_verb(names: tuple[str, ...], verb: str) -> str:
    return f"{join_names(names)} {verb if len(names) > 1 else verb + 's'}"


def _extent_text(
    entry: SeverityRaisedEntry | JoinedEntry | RecoveredEntry, incident: Incident
) -> str:
    """Say how much fails now, or cannot be checked."""
    is_own_side = incident.verdict.stated_cause is Cause.NETWORK
    is_no_data = is_own_side or incident.kind is IncidentKind.NO_DATA
    if isinstance(entry, SeverityRaisedEntry):
        is_nothing_checked = incident.kind is IncidentKind.NO_DATA
        what = "I cannot check any tenant" if is_nothing_checked else describe_effect(incident)
        return f"Now {entry.severity}: {what}"
    names = join_names(entry.tenants)
    if isinstance(entry, JoinedEntry):
        fail = f"{_names_and_verb(entry.tenants, 'fail')} too"
        return f"I cannot check {names} either" if is_no_data else fail
    work = f"{_names_and_verb(entry.tenants, 'work')} again"
    return f"I can check {names} again" if is_no_data else work


def _cause_text(verdict: Verdict) -> str:
    return f"it is {certainty_text(verdict)}" if is_cause_stated(verdict) else "cause not clear yet"


def _call_text(entry: MentionEntry, incident: Incident, view: View) -> str:
    """Say why people are called, and who had acknowledged what was known before."""
    so_far = _so_far(entry.at, incident, view)
    line = escape(first_line(incident, view))
    had = entry.acknowledged
    owner = f" <@{had.by}> had it while {IMPACTS[had.impact]}." if had else ""
    match entry.reason:
        case CallReason.WORSE:
            text = f"It got worse. {so_far}"
        case CallReason.WIDER:
            text = f"{_names_and_verb(entry.tenants, 'fail')} too."
            taken = _owner(entry.at, incident)
            owner = f" {taken} acknowledged what failed before." if taken else ""
        case CallReason.BACK:
            times = len(incident.life.returned_at) + 1
            text = f"It fails again, time {times}. {line}"
        case CallReason.FLAPPING:
            text = f"It comes and goes. I call at most once an hour. {line}"
        case CallReason.EXPIRED if had:
            span = duration(entry.at - (had.asked_at or had.at))
            text = f"Nobody has it now: <@{had.by}> has not answered for {span}. {so_far}"
            owner = ""
        case CallReason.HANDED_OVER if had:
            text, owner = f"<@{had.by}> hands it over: nobody has it now. {so_far}", ""
        case _:
            text = so_far
    return f"{mentions(entry.mentioned)} {text}{owner}".strip()


def _resolved_text(entry: ResolvedEntry, incident: Incident) -> str:
    ended_at = incident.ended_at if incident.ended_at and not entry.by else entry.at
    mark, by = (state_of(incident).mark, f" by <@{entry.by}>") if entry.by else (RESOLVED_MARK, "")
    end = f"{mark} Resolved{by} after {duration(max(ended_at - incident.failing_since, 0.0))}"
    if entry.by and incident.life.still_failing:
        end += f". Still failing: {join_names([str(one) for one in incident.life.still_failing])}"
    known = "" if incident.own_fault else noticed_text(incident)
    return f"{end}{known and ', '}{known}"


def _action_text(entry: CommandEntry) -> str:
    """Say what a person did."""
    match entry:
        case AcknowledgedEntry(taken_from=owner):
            took = f"took it over from <@{owner}>" if owner else "is on it"
            return f"{ACKNOWLEDGED_MARK} <@{entry.by}> {took}"
        case NoteEntry():
            return f":memo: <@{entry.by}>"
        case FalseAlarmEntry():
            return f"<@{entry.by}> calls it a false alarm"
        case SilencedEntry():
            return f"{SILENCED_MARK} Silenced by <@{entry.by}> until {date_and_time(entry.until)}"
        case _:
            assert_never(entry)


def _paged_text(entry: PagedEntry, incident: Incident, view: View) -> str:
    """Notify people, or say how they were notified."""
    people = mentions(entry.mentioned)
    asked = f" <@{entry.by}> asks for help." if entry.by else ""
    if not entry.contact_points:
        owner = _owner(entry.at, incident)
        taken = f"{owner} it." if owner else "Nobody has acknowledged it."
        return f"{people} {_so_far(entry.at, incident, view)} {taken}{asked}"
    if DM in entry.contact_points:
        return f":bell: {people} got a direct message.{asked}"
    return f":bell: Paged by {escape(join_names(entry.contact_points))}.{asked}"


def _unreached_text(entry: UnreachedEntry) -> str:
    """Say who could not be called, and why."""
    error = UNREACHED_ERRORS.get(entry.error, entry.error)
    if entry.people:
        return f":warning: {mentions(entry.people)} cannot be reached: {escape(error)}"
    match entry.contact_point:
        case oncall.MENTION | oncall.DM:
            return ":warning: Nobody is on call: this step called nobody"
        case oncall.NEXT:
            return ":warning: This step called nobody: nobody is left to call next"
        case name:
            return f":warning: Paging by {escape(name)} failed: {escape(error)}"


def _so_far(at: float, incident: Incident, view: View) -> str:
    return f"{escape(first_line(incident, view))} For {duration(at - incident.failing_since)}."


def _owner(at: float, incident: Incident) -> str:
    """Say who had acknowledged an incident at an instant; empty: nobody."""
    taken = incident.life.acknowledged
    return f"<@{taken.by}> has" if taken and taken.at <= at else ""
