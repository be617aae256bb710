"""Lines in the thread of an incident's message. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.case import listed
from bot.core.incident import Entry, EntryKind
from bot.slack.card import TEXT_CHARS, headline, notice_line, verdict_text
from bot.slack.rendered import Rendered
from bot.slack.why import lead_text, why_text
from bot.slack.wording import RESOLVED_MARK, escaped, plain, section, span

if TYPE_CHECKING:
    from bot.core.incident import Incident


def timeline(entry: Entry, incident: Incident, now: float, mention: str = "") -> Rendered:
    """Render one line of an incident's thread."""
    if entry.kind is EntryKind.WHY:
        paragraphs = why_text(incident)
        text = plain(" ".join(paragraphs).replace("*", ""), TEXT_CHARS)
        return Rendered(text, [section(paragraph) for paragraph in paragraphs])
    said = _entry(entry, incident, now, mention)
    return Rendered(plain(said.replace("*", ""), TEXT_CHARS), [section(said)])


def _entry(entry: Entry, incident: Incident, now: float, mention: str) -> str:
    who = entry.trouble.tenant if entry.trouble else incident.tenants[-1]
    lasted = span(entry.at - incident.since)
    if entry.kind is EntryKind.VERDICT and entry.verdict:
        facts = "; ".join(escaped(fact.text) for fact in entry.news[:3])
        because = f" What changed it: {facts}." if facts else ""
        return f"New verdict.{because}\n{verdict_text(entry.verdict)}"
    if entry.kind is EntryKind.NOTICE and entry.notice:
        said = escaped(entry.notice.text, 200)
        return f"Auth0 status page: {notice_line(entry.notice, now)}\n>{said}"
    return {
        EntryKind.RECOVERED: f"{who} works again",
        EntryKind.JOINED: f"{listed(entry.tenants)} {'fail' if entry.tenants[1:] else 'fails'} too",
        EntryKind.MERGED: f"The same cause as #{incident.merged_into}, which goes on there",
        EntryKind.MENTION: f"{mention} {headline(incident)}, for {lasted} now".strip(),
        EntryKind.RESOLVED: f"{RESOLVED_MARK} Resolved after {lasted}\n{lead_text(incident)}",
        EntryKind.REOPENED: "Failing again: the incident is open again",
        EntryKind.GRAVER: f"Now {entry.severity or incident.severity}: most logins fail",
    }.get(entry.kind, entry.kind.value)
