"""The child process that parses a status feed: bytes on stdin, JSON on stdout.

A process of its own, because feedparser 6.0.14 cannot be limited from inside: an `<author>` of
40 KB keeps one regular expression, and with it every thread, busy for 4 s (quadratic: hours for
2 MB), and 40,000 categories take 20 s. The child is killed instead. It costs 0.1 s and 25 MB,
only when the document has changed; a plain feed near the cap of 2 MB takes 0.9 s.
"""

from __future__ import annotations

import io
import re
from dataclasses import asdict
from html.entities import html5
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
ENCODING_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"<\x00": "utf-16-le",
    b"\x00<": "utf-16-be",
}
"""How a document begins. What it declares is not asked: servers write it over wrong."""
_DECLARATION = re.compile(r"\A\s*(?:<\?xml\b[^<>]{0,500}\?>)?")
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_AMPERSAND = re.compile(r"&(#\w{1,10};|[A-Za-z]\w{1,30};)?")


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
    # It is UTF-8 by now, whatever it declared, and so both parsers agree.
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


def mend_document(body: bytes) -> bytes:
    """Return a document as plain UTF-8, without what generators often get wrong.

    That is: text before the declaration, another encoding, the entities of HTML, a bare `&`, and
    control characters. What is in CDATA is text, and stays.
    """
    encoding = next((name for mark, name in ENCODING_MARKS.items() if body.startswith(mark)), "")
    try:
        text = body.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        text = body.decode(encoding or "cp1252", "replace")  # and so ISO 8859-1
    text = _NO_XML.sub("", _DECLARATION.sub("", text))
    begin, *rest = text.split("<![CDATA[")
    parts = [_AMPERSAND.sub(_mend_reference, begin)]
    for each in rest:
        inside, end, outside = each.partition("]]>")
        parts += ["<![CDATA[", inside, end, _AMPERSAND.sub(_mend_reference, outside)]
    return "".join(parts).encode()


def _mend_reference(found: re.Match[str]) -> str:
    """Write HTML's name of a character as XML's number, and a bare `&` as XML's name."""
    name = found[1] or ""
    if name.startswith("#") or name in {"amp;", "lt;", "gt;", "quot;", "apos;"}:
        return found[0]
    if (characters := html5.get(name)) is None:
        return f"&amp;{name}"
    return "".join(f"&#{ord(each)};" for each in characters)


def parse_feed(body: bytes, now: float) -> dict[str, Any]:
    """Parse the feed's date, its newest entry's date and its incidents. Raises DocumentRefused."""
    body = mend_document(body)
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
