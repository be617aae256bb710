"""Lines in the thread of an incident's message. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.oncall.escalation import DM
from bot.core.state.incident import Entry, EntryKind
from bot.core.triage.context import listed
from bot.slack.render.incident import notice_line, verdict_text
from bot.slack.render.incident_line import headline, mark
from bot.slack.render.text import (
    ACKNOWLEDGED_MARK,
    RESOLVED_MARK,
    SILENCED_MARK,
    escaped,
    mentions,
    paragraphs,
    quoted,
    span,
    when,
)
from bot.slack.render.verdict import lead_text, why_text

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.slack.render.text import Rendered

NOTE_CHARS = 500


def timeline(entry: Entry, incident: Incident, now: float) -> Rendered:
    """Render one line of an incident's thread."""
    if entry.kind is EntryKind.WHY:
        return paragraphs(*why_text(incident))
    return paragraphs(_entry(entry, incident, now))


def _entry(entry: Entry, incident: Incident, now: float) -> str:
    """Say a line. The kinds whose words depend on more than the incident have their own."""
    match entry.kind:
        case EntryKind.VERDICT if entry.verdict:
            facts = "; ".join(escaped(fact.text) for fact in entry.news[:3])
            because = f" What changed it: {facts}." if facts else ""
            return f"New verdict.{because}\n{verdict_text(entry.verdict)}"
        case EntryKind.NOTICE if entry.notice:
            said = escaped(entry.notice.text, 200)
            return f"Auth0 status page: {notice_line(entry.notice, now)}\n>{said}"
        case EntryKind.MENTION | EntryKind.PAGED | EntryKind.HAND_OVER:
            return _call(entry, incident)
        case EntryKind.ACKNOWLEDGED | EntryKind.NOTE | EntryKind.FALSE_ALARM | EntryKind.SILENCED:
            return _deed(entry)
    return _course(entry, incident)


def _course(entry: Entry, incident: Incident) -> str:
    """Say how the incident itself went."""
    who = entry.trouble.tenant if entry.trouble else listed(incident.tenants)
    lasted = span(entry.at - incident.since)
    by = f" by <@{entry.by}>" if entry.by else ""
    end = f"{mark(incident) if entry.by else RESOLVED_MARK} Resolved{by} after {lasted}"
    left = f"Failing still: {listed(incident.left)}\n" if entry.by and incident.left else ""
    return {
        EntryKind.RECOVERED: f"{listed(entry.tenants or (who,))} "
        f"{'work' if entry.tenants[1:] else 'works'} again",
        EntryKind.JOINED: f"{listed(entry.tenants)} {'fail' if entry.tenants[1:] else 'fails'} too",
        EntryKind.MERGED: f"The same cause as #{incident.merged_into}, which goes on there",
        EntryKind.RESOLVED: f"{end}\n{left}{lead_text(incident)}".strip(),
        EntryKind.REOPENED: "Failing again: the incident is open again",
        EntryKind.GRAVER: f"Now {entry.severity or incident.severity}: most logins fail",
    }.get(entry.kind, entry.kind.value)


def _deed(entry: Entry) -> str:
    """Say what a person did, with their own words."""
    said = quoted(entry.text, NOTE_CHARS) if entry.text else ""
    until = f" until {when(entry.until)}" if entry.until else ""
    did = {
        EntryKind.ACKNOWLEDGED: f"{ACKNOWLEDGED_MARK} <@{entry.by}> is on it",
        EntryKind.NOTE: f":memo: <@{entry.by}>",
        EntryKind.FALSE_ALARM: f"<@{entry.by}> calls it a false alarm",
        EntryKind.SILENCED: f"{SILENCED_MARK} Silenced by <@{entry.by}>{until}",
    }[entry.kind]
    return f"{did}: {said}" if said else did


def _call(entry: Entry, incident: Incident) -> str:
    """Call people, or say how they were called."""
    whom = mentions(entry.whom)
    owner = f"<@{incident.acknowledged_by}> has" if _is_taken(entry, incident) else ""
    what = f"{headline(incident)}, for {span(entry.at - incident.since)} now"
    asked = f" <@{entry.by}> asks for help." if entry.by else ""
    if entry.kind is EntryKind.HAND_OVER:
        return f"{whom or 'Nobody'} is on call now. {what}" + (f"; {owner} it" if owner else "")
    if entry.kind is EntryKind.MENTION:
        return f"{whom} {what}".strip()
    if not entry.ways:
        return f"{whom} {what}; {owner or 'nobody has'} acknowledged it.{asked}"
    if DM in entry.ways:
        return f":bell: {whom} is told directly.{asked}"
    return f":bell: Paged by {escaped(listed(entry.ways))}.{asked}"


def _is_taken(entry: Entry, incident: Incident) -> bool:
    return incident.acknowledged_at is not None and incident.acknowledged_at <= entry.at
