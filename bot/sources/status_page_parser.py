"""The child process that parses a status feed: bytes on stdin, JSON on stdout.

A process of its own, because feedparser 6.0.14 cannot be limited from inside: an `<author>` of
40 KB keeps one regular expression, and with it every thread, busy for 4 s (quadratic: hours for
2 MB), and 40,000 categories take 20 s. The child is killed instead. It costs 0.1 s and 25 MB,
only when the document has changed; a plain feed near the cap of 2 MB takes 0.9 s.
"""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any
from xml.parsers import expat

import feedparser

from bot.sources.sandbox import DocumentRefused, run_parser
from bot.sources.status_page import FeedEntry, keep_newest, parse_entry, parse_instant

MAX_ATTRIBUTES = 100
MAX_DEPTH = 100
MAX_ELEMENTS = 50_000
"""A year of incidents has a few hundred."""
FUTURE_TOLERANCE_S = 3_600.0


class ComplexityLimit:
    """Counts the elements of a document, and refuses it at the first excess."""

    def __init__(self) -> None:
        self.depth = 0
        self.elements = 0

    def enter_element(self, _name: str, attributes: list[str]) -> None:
        """Enter an element; `attributes` alternates names and values."""
        self.depth += 1
        self.elements += 1
        if (
            self.depth > MAX_DEPTH
            or self.elements > MAX_ELEMENTS
            or len(attributes) > 2 * MAX_ATTRIBUTES
        ):
            raise DocumentRefused("too_complex")

    def leave_element(self, _name: str) -> None:
        """Leave an element."""
        self.depth -= 1

    def refuse_doctype(self, *_: object) -> None:
        """Refuse a doctype: web pages and entity bombs have one, feeds do not."""
        raise DocumentRefused("doctype")


def check_document(body: bytes) -> None:
    """Raise DocumentRefused unless the document is well-formed, plain and small.

    A cut document must not pass: feedparser would make an incident of half an entry.
    Refuses every bomb in at most 0.05 s; a normal 2 MB takes 0.02 s.
    """
    # UTF-8 whatever the document claims: Auth0 writes nothing else, and so both parsers agree.
    parser = expat.ParserCreate("utf-8", " ")
    limit = ComplexityLimit()
    parser.ordered_attributes = True
    parser.StartElementHandler = limit.enter_element
    parser.EndElementHandler = limit.leave_element
    parser.StartDoctypeDeclHandler = limit.refuse_doctype
    try:
        parser.Parse(body, True)  # noqa: FBT003 - expat takes it by position only
    except expat.ExpatError as error:
        raise DocumentRefused("not_well_formed", str(error)) from error


def parse_feed(body: bytes, now: float) -> dict[str, Any]:
    """Parse the feed's date, its newest entry's date and its incidents. Raises DocumentRefused."""
    check_document(body)
    try:
        feed = feedparser.parse(
            io.BytesIO(body),  # bytes or text could be taken for a file's name
            response_headers={"content-type": "application/xml; charset=utf-8"},
            resolve_relative_uris=False,
            sanitize_html=False,
        )
        entries = [_to_entry(found) for found in feed.entries]
    except Exception as error:  # it raises six kinds, KeyError and UnicodeError among them
        raise DocumentRefused("parser_failed", type(error).__name__) from error
    if feed.bozo or not feed.version:
        raise DocumentRefused("not_a_feed")
    return {
        "updated": _newest_past([_get_text(feed.feed, "updated")], now),
        "newest": _newest_past([entry.updated for entry in entries], now),
        "incidents": [
            asdict(each) for each in keep_newest([parse_entry(entry, now) for entry in entries])
        ],
    }


def _to_entry(found: Any) -> FeedEntry:
    published = _get_text(found, "published")
    bodies = [_get_text(content, "value") for content in found.get("content", ())]
    return FeedEntry(
        id=_get_text(found, "id"),
        title=_get_text(found, "title"),
        link=_get_text(found, "link"),
        published=published,
        updated=_get_text(found, "updated") or published,
        body=next(filter(None, bodies), "") or _get_text(found, "summary"),
    )


def _get_text(found: dict[str, Any], key: str) -> str:
    """Return a text as feedparser stored it, without its aliases, which warn and guess."""
    value = dict.get(found, key)
    return value if isinstance(value, str) else ""


def _newest_past(dates: list[str], now: float) -> float | None:
    """Return the newest of these dates, but none from the future: nothing could follow it."""
    parsed = [at for date in dates if (at := parse_instant(date)) is not None]
    return max((at for at in parsed if at <= now + FUTURE_TOLERANCE_S), default=None)


if __name__ == "__main__":
    run_parser(lambda body, now: parse_feed(body, float(now)))
