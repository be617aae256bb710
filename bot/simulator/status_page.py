"""The status page: its posts as a perfect reader knows them, and as the feed of an environment.

The feed's form is that of status.auth0.com `/feed` (Atom; public parsers' fixtures, 2026-10), which
looks like the work of the npm library `feed`: no author, times with milliseconds.
"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import Notice, Phase
from bot.simulator.scenario import Post

if TYPE_CHECKING:
    from bot.simulator.scenario import Scenario

HOME = "https://status.auth0.com"
TEXT_LIMIT = 500
DAY_S = 86400.0
WORDS = {phase.replace("_", ""): phase for phase in Phase if phase is not Phase.UNKNOWN}
WORDS["postmortem"] = Phase.RESOLVED
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Paragraph(NamedTuple):
    """One post of an incident."""

    at: float
    post: Post


class StatusPage:
    """What the page shows, each environment its own."""

    def __init__(self, scenario: Scenario, begin_at: float) -> None:
        """Show the scenario's posts, and one incident that was over long before `begin_at`.

        Without that one a page without news would be an empty feed, which says nothing.
        """
        self._began_at = begin_at - DAY_S / 24
        self._history = Paragraph(begin_at - 20 * DAY_S, _LONG_OVER)
        self._posts = [Paragraph(scenario.start_at + post.at_s, post) for post in scenario.feed]

    def notices(self, environment: str | None, at: float) -> tuple[Notice, ...]:
        """Read the page at an instant without any error; the newest first."""
        found = [_notice(told) for told in self._incidents(environment, at)]
        return tuple(sorted(found, key=lambda notice: notice.updated_at, reverse=True))

    def atom(self, environment: str | None, at: float, *, is_empty: bool = False) -> str:
        """Write the feed as it is at an instant."""
        incidents = self._incidents(environment, at)
        incidents.sort(key=lambda told: told[-1].at, reverse=True)
        updated = max(min(at, self._began_at), incidents[0][-1].at)
        entries = "" if is_empty else "".join(map(_entry, incidents))
        return _FEED.format(home=HOME, updated=_iso(updated), entries=entries)

    def _incidents(self, environment: str | None, at: float) -> list[list[Paragraph]]:
        told: dict[str, list[Paragraph]] = {"": [self._history]}
        for paragraph in self._posts:
            if paragraph.at <= at and environment in paragraph.post.environments:
                told.setdefault(paragraph.post.incident, []).append(paragraph)
        return list(told.values())


def _notice(told: list[Paragraph]) -> Notice:
    phase, since = Phase.UNKNOWN, told[0].at
    for paragraph in told:
        word = re.sub(r"[ _-]", "", paragraph.post.status).lower()
        if WORDS.get(word, phase) is not phase:
            phase, since = WORDS[word], paragraph.at
    newest = told[-1].post
    return Notice(
        id=newest.incident,
        title=_line(newest.title),
        phase=phase,
        text=_line(newest.text)[:TEXT_LIMIT],
        link=f"{HOME}/incidents/{newest.incident}",
        posted_at=told[0].at,
        updated_at=since,
    )


def _entry(told: list[Paragraph]) -> str:
    newest = told[-1]
    return _ENTRY.format(
        title=html.escape(_line(newest.post.title)),
        id=newest.post.incident,
        link=f"{HOME}/incidents/{newest.post.incident}",
        updated=_iso(newest.at),
        body="".join(_paragraph(paragraph) for paragraph in reversed(told)),
    )


def _paragraph(paragraph: Paragraph) -> str:
    when = datetime.fromtimestamp(paragraph.at, UTC)
    day = f"{_MONTHS[when.month - 1]} {when.day}, {when:%H:%M} UTC"
    status, text = (html.escape(_line(t)) for t in (paragraph.post.status, paragraph.post.text))
    return f"<p><small>{day}</small><br><strong>{status}</strong> - {text}</p>"


def _line(text: str) -> str:
    """Leave out what XML cannot carry."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


_LONG_OVER = Post(
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
