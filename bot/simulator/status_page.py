"""The status page: its incidents as they are, and as the feed of an environment.

The feed's form is that of status.auth0.com `/feed` (Atom; public parsers' fixtures, 2026-10), which
looks like output of the npm library `feed`: no author, times with milliseconds.
"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import Phase, StatusIncident
from bot.simulator.scenario import StatusUpdate

if TYPE_CHECKING:
    from bot.simulator.scenario import Scenario

HOME = "https://status.auth0.com"
TEXT_LIMIT = 500
DAY_S = 86400.0
PHASE_BY_WORD = {phase.replace("_", ""): phase for phase in Phase if phase is not Phase.UNKNOWN}
PHASE_BY_WORD["postmortem"] = Phase.RESOLVED
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class PublishedUpdate(NamedTuple):
    """One update of a status incident."""

    at: float
    update: StatusUpdate


class StatusPage:
    """The status page, by environment."""

    def __init__(self, scenario: Scenario, begin_at: float) -> None:
        """Show the scenario's updates, and one incident that was over long before `begin_at`.

        Without that one a page without incidents would be an empty feed, which counts as no data.
        """
        self._began_at = begin_at - DAY_S / 24
        self._history = PublishedUpdate(begin_at - 20 * DAY_S, _OLD_UPDATE)
        self._updates = [
            PublishedUpdate(scenario.start_at + post.at_s, post) for post in scenario.feed
        ]

    def status_incidents(self, environment: str | None, at: float) -> tuple[StatusIncident, ...]:
        """Return the status incidents at an instant, the newest first."""
        found = [_status_incident(updates) for updates in self._incidents(environment, at)]
        return tuple(sorted(found, key=lambda incident: incident.updated_at, reverse=True))

    def render_atom(self, environment: str | None, at: float, *, is_empty: bool = False) -> str:
        """Render the feed at an instant."""
        incidents = self._incidents(environment, at)
        incidents.sort(key=lambda updates: updates[-1].at, reverse=True)
        updated = max(min(at, self._began_at), incidents[0][-1].at)
        entries = "" if is_empty else "".join(map(_render_entry, incidents))
        return _FEED.format(home=HOME, updated=_iso(updated), entries=entries)

    def _incidents(self, environment: str | None, at: float) -> list[list[PublishedUpdate]]:
        updates: dict[str, list[PublishedUpdate]] = {"": [self._history]}
        for paragraph in self._updates:
            if paragraph.at <= at and environment in paragraph.update.environments:
                updates.setdefault(paragraph.update.incident, []).append(paragraph)
        return list(updates.values())


def _status_incident(updates: list[PublishedUpdate]) -> StatusIncident:
    phase, since = Phase.UNKNOWN, updates[0].at
    for paragraph in updates:
        word = re.sub(r"[ _-]", "", paragraph.update.status).lower()
        if PHASE_BY_WORD.get(word, phase) is not phase:
            phase, since = PHASE_BY_WORD[word], paragraph.at
    newest = updates[-1].update
    return StatusIncident(
        id=newest.incident,
        title=_one_line(newest.title),
        phase=phase,
        text=_one_line(newest.text)[:TEXT_LIMIT],
        link=f"{HOME}/incidents/{newest.incident}",
        posted_at=updates[0].at,
        updated_at=since,
    )


def _render_entry(updates: list[PublishedUpdate]) -> str:
    newest = updates[-1]
    return _ENTRY.format(
        title=html.escape(_one_line(newest.update.title)),
        id=newest.update.incident,
        link=f"{HOME}/incidents/{newest.update.incident}",
        updated=_iso(newest.at),
        body="".join(_render_update(paragraph) for paragraph in reversed(updates)),
    )


def _render_update(paragraph: PublishedUpdate) -> str:
    when = datetime.fromtimestamp(paragraph.at, UTC)
    day = f"{_MONTHS[when.month - 1]} {when.day}, {when:%H:%M} UTC"
    status, text = (
        html.escape(_one_line(t)) for t in (paragraph.update.status, paragraph.update.text)
    )
    return f"<p><small>{day}</small><br><strong>{status}</strong> - {text}</p>"


def _one_line(text: str) -> str:
    """Make it one line, without characters that XML cannot hold."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


_OLD_UPDATE = StatusUpdate(
    at_s=0.0,
    incident="h4s1b7k0d2mq",
    title="Delayed e-mail delivery",
    status="Resolved",
    text="The issue is resolved.",
    environments=(),
)
_FEED = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
    <id>{home}</id>
    <title>Auth0 Status</title>
    <updated>{updated}</updated>
    <generator>https://github.com/jpmonette/feed</generator>
    <link rel="alternate" href="{home}"/>
{entries}</feed>
"""
_ENTRY = """    <entry>
        <title type="html"><![CDATA[{title}]]></title>
        <id>{id}</id>
        <link href="{link}"/>
        <updated>{updated}</updated>
        <content type="html"><![CDATA[{body}]]></content>
    </entry>
"""
