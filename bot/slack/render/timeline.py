"""Timeline entries: the lines in the thread of an incident's message. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.oncall.escalation import DM
from bot.core.state.incident import TimelineEntry, TimelineKind
from bot.slack.render.evidence import evidence_text
from bot.slack.render.incident import status_incident_line, verdict_text
from bot.slack.render.incident_line import headline, state_mark
from bot.slack.render.text import (
    ACKNOWLEDGED_MARK,
    RESOLVED_MARK,
    SILENCED_MARK,
    date_and_time,
    duration,
    escape,
    join_names,
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
    """Render one timeline entry as a message of the thread."""
    if entry.kind is TimelineKind.WHY:
        return render_paragraphs(*explain_verdict(incident))
    return render_paragraphs(_entry_text(entry, incident, now))


def _entry_text(entry: TimelineEntry, incident: Incident, now: float) -> str:
    """Return the text of an entry; some kinds need more than the incident."""
    match entry.kind:
        case TimelineKind.VERDICT if entry.verdict:
            evidence = "; ".join(escape(evidence_text(one)) for one in entry.new_evidence[:3])
            because = f" What changed it: {evidence}." if evidence else ""
            return f"New verdict.{because}\n{verdict_text(entry.verdict)}"
        case TimelineKind.STATUS_UPDATE if entry.status_incident:
            line = status_incident_line(entry.status_incident, now)
            return f"Auth0 status page: {line}\n>{escape(entry.status_incident.text, 200)}"
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
    """Say what happened to the incident itself."""
    tenant = entry.problem.tenant if entry.problem else join_names(incident.tenants)
    names, is_plural = join_names(entry.tenants), len(entry.tenants) > 1
    mark, by = (state_mark(incident), f" by <@{entry.by}>") if entry.by else (RESOLVED_MARK, "")
    end = f"{mark} Resolved{by} after {duration(entry.at - incident.since)}"
    if entry.by and incident.sticky_resolve:
        end += f"\nFailing still: {join_names(incident.sticky_resolve)}"
    return {
        TimelineKind.RECOVERED: f"{names or tenant} {'work' if is_plural else 'works'} again",
        TimelineKind.JOINED: f"{names} {'fail' if is_plural else 'fails'} too",
        TimelineKind.MERGED: f"The same cause as #{incident.merged_into}, which goes on there",
        TimelineKind.RESOLVED: f"{end}\n{time_to_detect_text(incident)}".strip(),
        TimelineKind.REOPENED: "Failing again: the incident is open again",
        TimelineKind.SEVERITY_RAISED: (
            f"Now {entry.severity or incident.severity}: most logins fail"
        ),
    }.get(entry.kind, entry.kind.value)


def _command_text(entry: TimelineEntry) -> str:
    """Say what a person did, and quote what they wrote."""
    until = f" until {date_and_time(entry.until)}" if entry.until else ""
    action = {
        TimelineKind.ACKNOWLEDGED: f"{ACKNOWLEDGED_MARK} <@{entry.by}> is on it",
        TimelineKind.NOTE: f":memo: <@{entry.by}>",
        TimelineKind.FALSE_ALARM: f"<@{entry.by}> calls it a false alarm",
        TimelineKind.SILENCED: f"{SILENCED_MARK} Silenced by <@{entry.by}>{until}",
    }[entry.kind]
    return f"{action}: {quote(entry.text, NOTE_CHARS)}" if entry.text else action


def _notification_text(entry: TimelineEntry, incident: Incident) -> str:
    """Notify people, or say how they were notified."""
    people = mentions(entry.mentioned)
    acknowledged_at = incident.acknowledged_at
    is_acknowledged = acknowledged_at is not None and acknowledged_at <= entry.at
    owner = f"<@{incident.acknowledged_by}> has" if is_acknowledged else ""
    what = f"{headline(incident)}, for {duration(entry.at - incident.since)} now"
    asked = f" <@{entry.by}> asks for help." if entry.by else ""
    if entry.kind is TimelineKind.HAND_OVER:
        return f"{people or 'Nobody'} is on call now. {what}" + (f"; {owner} it" if owner else "")
    if entry.kind is TimelineKind.MENTION:
        return f"{people} {what}".strip()
    if not entry.contact_points:
        return f"{people} {what}; {owner or 'nobody has'} acknowledged it.{asked}"
    if DM in entry.contact_points:
        return f":bell: {people} is told directly.{asked}"
    return f":bell: Paged by {escape(join_names(entry.contact_points))}.{asked}"
