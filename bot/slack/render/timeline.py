"""Lines in the thread of an incident's message. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.oncall.escalation import DM
from bot.core.state.incident import TimelineEntry, TimelineKind
from bot.core.triage.context import join_names
from bot.slack.render.incident import status_incident_line, verdict_text
from bot.slack.render.incident_line import headline, state_mark
from bot.slack.render.text import (
    ACKNOWLEDGED_MARK,
    RESOLVED_MARK,
    SILENCED_MARK,
    date_and_time,
    duration,
    escape,
    mentions,
    quote,
    render_paragraphs,
)
from bot.slack.render.verdict import explain_verdict, time_to_detect_text

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.slack.render.text import RenderedMessage

NOTE_CHARS = 500


def render_timeline_entry(entry: TimelineEntry, incident: Incident, now: float) -> RenderedMessage:
    """Render one line of an incident's thread."""
    if entry.kind is TimelineKind.WHY:
        return render_paragraphs(*explain_verdict(incident))
    return render_paragraphs(_entry_text(entry, incident, now))


def _entry_text(entry: TimelineEntry, incident: Incident, now: float) -> str:
    """Say a line. The kinds whose words depend on more than the incident have their own."""
    match entry.kind:
        case TimelineKind.VERDICT if entry.verdict:
            facts = "; ".join(escape(fact.text) for fact in entry.new_evidence[:3])
            because = f" What changed it: {facts}." if facts else ""
            return f"New verdict.{because}\n{verdict_text(entry.verdict)}"
        case TimelineKind.STATUS_UPDATE if entry.status_incident:
            said = escape(entry.status_incident.text, 200)
            return f"Auth0 status page: {status_incident_line(entry.status_incident, now)}\n>{said}"
        case TimelineKind.MENTION | TimelineKind.PAGED | TimelineKind.HAND_OVER:
            return _notification_text(entry, incident)
        case (
            TimelineKind.ACKNOWLEDGED
            | TimelineKind.NOTE
            | TimelineKind.FALSE_ALARM
            | TimelineKind.SILENCED
        ):
            return _command_text(entry)
    return _lifecycle_text(entry, incident)


def _lifecycle_text(entry: TimelineEntry, incident: Incident) -> str:
    """Say how the incident itself went."""
    who = entry.problem.tenant if entry.problem else join_names(incident.tenants)
    lasted = duration(entry.at - incident.since)
    by = f" by <@{entry.by}>" if entry.by else ""
    end = f"{state_mark(incident) if entry.by else RESOLVED_MARK} Resolved{by} after {lasted}"
    left = (
        f"Failing still: {join_names(incident.sticky_resolve)}\n"
        if entry.by and incident.sticky_resolve
        else ""
    )
    return {
        TimelineKind.RECOVERED: f"{join_names(entry.tenants or (who,))} "
        f"{'work' if entry.tenants[1:] else 'works'} again",
        TimelineKind.JOINED: f"{join_names(entry.tenants)} {'fail' if entry.tenants[1:] else 'fails'} too",
        TimelineKind.MERGED: f"The same cause as #{incident.merged_into}, which goes on there",
        TimelineKind.RESOLVED: f"{end}\n{left}{time_to_detect_text(incident)}".strip(),
        TimelineKind.REOPENED: "Failing again: the incident is open again",
        TimelineKind.SEVERITY_RAISED: f"Now {entry.severity or incident.severity}: most logins fail",
    }.get(entry.kind, entry.kind.value)


def _command_text(entry: TimelineEntry) -> str:
    """Say what a person did, with their own words."""
    said = quote(entry.text, NOTE_CHARS) if entry.text else ""
    until = f" until {date_and_time(entry.until)}" if entry.until else ""
    did = {
        TimelineKind.ACKNOWLEDGED: f"{ACKNOWLEDGED_MARK} <@{entry.by}> is on it",
        TimelineKind.NOTE: f":memo: <@{entry.by}>",
        TimelineKind.FALSE_ALARM: f"<@{entry.by}> calls it a false alarm",
        TimelineKind.SILENCED: f"{SILENCED_MARK} Silenced by <@{entry.by}>{until}",
    }[entry.kind]
    return f"{did}: {said}" if said else did


def _notification_text(entry: TimelineEntry, incident: Incident) -> str:
    """Call people, or say how they were called."""
    whom = mentions(entry.mentioned)
    owner = f"<@{incident.acknowledged_by}> has" if _is_acknowledged(entry, incident) else ""
    what = f"{headline(incident)}, for {duration(entry.at - incident.since)} now"
    asked = f" <@{entry.by}> asks for help." if entry.by else ""
    if entry.kind is TimelineKind.HAND_OVER:
        return f"{whom or 'Nobody'} is on call now. {what}" + (f"; {owner} it" if owner else "")
    if entry.kind is TimelineKind.MENTION:
        return f"{whom} {what}".strip()
    if not entry.contact_points:
        return f"{whom} {what}; {owner or 'nobody has'} acknowledged it.{asked}"
    if DM in entry.contact_points:
        return f":bell: {whom} is told directly.{asked}"
    return f":bell: Paged by {escape(join_names(entry.contact_points))}.{asked}"


def _is_acknowledged(entry: TimelineEntry, incident: Incident) -> bool:
    return incident.acknowledged_at is not None and incident.acknowledged_at <= entry.at
