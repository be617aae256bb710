from __future__ import annotations

import json
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from feedgen.feed import FeedGenerator

from bot.sources.sandbox import DocumentRefused
from bot.sources.status_page_parser import parse_feed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.drills import Repeats
    from tests.sources.conftest import Atom

RSS = b"""<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Auth0 Status - acme.us.auth0.com</title><link>https://status.auth0.com</link>
<lastBuildDate>Wed, 22 Apr 2026 20:15:12 GMT</lastBuildDate><docs>https://a.test</docs>
<item><title><![CDATA[Login errors]]></title><link>https://status.auth0.com/incidents/k2v9</link>
<guid>k2v9</guid><pubDate>Wed, 22 Apr 2026 20:15:12 GMT</pubDate>
<content:encoded><![CDATA[<p><small>Apr 22, 20:14 UTC</small><br><strong>Resolved</strong> - It
is over.</p><p><small>Apr 22, 19:40 UTC</small><br><strong>Investigating</strong> - Logins fail.
</p>]]></content:encoded></item></channel></rss>"""
ATOM_START = b'<feed xmlns="http://www.w3.org/2005/Atom"><updated>2026-04-22T20:00:00Z</updated>'


def test_atom(atom: Atom, incident: str, now: float) -> None:
    """Auth0's Atom format is parsed, with milliseconds and CDATA."""
    (read,) = parse_feed(atom(incident), now)["incidents"]
    assert read == {
        "id": "id0",
        "title": "Login errors 0",
        "phase": "monitoring",
        "text": "A fix is in.",
        "link": "https://status.auth0.com/incidents/id0",
        "posted_at": now - 50 * 60,
        "updated_at": now - 16 * 60,
    }


def test_rss(now: float) -> None:
    """Auth0's RSS format is parsed: the body is in content:encoded, there is no description."""
    said = parse_feed(RSS, now)
    (read,) = said["incidents"]
    assert (read["id"], read["phase"], read["text"]) == ("k2v9", "resolved", "It is over.")
    assert read["link"] == "https://status.auth0.com/incidents/k2v9"
    assert said["updated"] == said["newest"] == now - 14 * 60 - 48


@pytest.mark.parametrize("kind", ["atom", "rss"])
def test_feedgen(kind: str, incident: str, now: float) -> None:
    """Feeds of a third-party generator are parsed, newest first."""
    made = FeedGenerator()
    made.id("https://status.test")
    made.title("Status")
    made.description("Status")
    made.link(href="https://status.test")
    for number in range(3):
        item = made.add_entry()
        item.id(f"id{number}")
        item.title(f"Incident {number}")
        item.content(incident.replace("20:14", f"20:1{number}"), type="html")
        item.updated(datetime.fromtimestamp(now, UTC) - timedelta(minutes=10 - number))
        item.published(datetime.fromtimestamp(now, UTC) - timedelta(minutes=10 - number))
    body = made.atom_str() if kind == "atom" else made.rss_str()
    read = parse_feed(body, now)["incidents"]
    assert [each["id"] for each in read] == ["id2", "id1", "id0"]
    assert {each["phase"] for each in read} == {"monitoring"}


def test_description_only(now: float) -> None:
    """Without content:encoded the body is the description."""
    body = b"<rss version='2.0'><channel><item><description>Resolved - x</description></item>"
    (read,) = parse_feed(body + b"</channel></rss>", now)["incidents"]
    assert (read["phase"], read["text"]) == ("resolved", "x")


def test_no_entries(atom: Atom, now: float) -> None:
    """A feed without entries is a feed."""
    assert parse_feed(atom(), now)["incidents"] == []


def test_dates_from_the_future(atom: Atom, incident: str, now: float) -> None:
    """A date far in the future is not the document's date."""
    body = atom(incident, updated="9999-01-01T00:00:00Z", entry_updated="9999-01-01T00:00:00Z")
    said = parse_feed(body, now)
    assert (said["updated"], said["newest"]) == (None, None)


def nested(depth: int) -> bytes:
    return ATOM_START + b"<a>" * depth + b"</a>" * depth + b"</feed>"


def laughs() -> bytes:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE f [<!ENTITY l0 "ha">{levels}]><feed>&l9;</feed>'.encode()


def attributes(count: int) -> bytes:
    pairs = " ".join(f'a{number}=""' for number in range(count))
    return ATOM_START + f"<entry {pairs}/></feed>".encode()


REFUSED = {
    "billion laughs": (laughs(), "doctype"),
    "external entity": (
        b'<!DOCTYPE f [<!ENTITY x SYSTEM "file:///etc/passwd">]><feed>&x;</feed>',
        "doctype",
    ),
    "HTML login page": (b"<!DOCTYPE html><html><body><form>Log in<br></form>", "doctype"),
    "XHTML page": (b"<html xmlns='http://www.w3.org/1999/xhtml'><body/></html>", "not_a_feed"),
    "HTML without a doctype": (b"<html><body><p>Sorry<br></body></html>", "not_well_formed"),
    "40,000 attributes": (attributes(40_000), "too_complex"),
    "101 attributes": (attributes(101), "too_complex"),
    "100,000 deep": (nested(100_000), "too_complex"),
    "100,000 items": (ATOM_START + b"<entry/>" * 100_000 + b"</feed>", "too_complex"),
    "JSON": (b'{"page": {"status": "ok"}}', "not_well_formed"),
    "empty body": (b"", "not_well_formed"),
    "a sentence": (b"Domain is required.", "not_well_formed"),
    "surrogate reference": (ATOM_START + b"<entry><title>&#xD800;", "not_well_formed"),
    "unbound prefix": (ATOM_START + b"<a:b/></feed>", "not_well_formed"),
    "georss": (
        ATOM_START + b'<entry><pos xmlns="http://www.opengis.net/gml">1 2</pos></entry></feed>',
        "parser_failed",
    ),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused(body: bytes, reason: str, now: float) -> None:
    """A document that is no feed, or a hostile one, is refused at once with its reason."""
    before = time.thread_time()
    with pytest.raises(DocumentRefused, match=f"^{reason}$"):
        parse_feed(body, now)
    assert time.thread_time() - before < 10


TITLES: dict[str, tuple[str, Callable[[str], bytes]]] = {
    "a blank line before the declaration": ("Login errors", lambda text: f"\n {text}".encode()),
    "a byte order mark": ("Login errors", lambda text: b"\xef\xbb\xbf" + text.encode()),
    "HTML's names of characters": ("Login&nbsp;errors &mdash; EU", str.encode),
    "XML's names and numbers": ("A &amp;amp; B &#38;amp; C&#160;D", str.encode),
    "bare ampersands": ("Login & sign-up &c; &; &unknown; &#", str.encode),
    "a control character": ("Login\x0b errors\x00", str.encode),
    "CDATA": ("<![CDATA[Login &nbsp; &amp; <b>&</b> errors]]>", str.encode),
    "Latin-1": ("Störung", lambda text: text.replace("utf-8", "iso-8859-1").encode("latin-1")),
    "Windows' quotes": ("Auth0\u2019s logins", lambda text: text.encode("cp1252")),
    "UTF-16": ("Störung", lambda text: text.replace("utf-8", "utf-16").encode("utf-16")),
    "UTF-16 without a mark": ("Störung", lambda text: text.encode("utf-16-le")),
    "big-endian UTF-16": ("Störung", lambda text: text.encode("utf-16-be")),
    "a style sheet": (
        "Login errors",
        lambda t: t.replace("<rss", "<?xml-stylesheet?><rss").encode(),
    ),
}
READ_AS = {
    "HTML's names of characters": "Login errors \u2014 EU",
    "XML's names and numbers": "A & B & C D",
    "bare ampersands": "Login & sign-up &c; &; &unknown; &#",
    "CDATA": "Login & & errors",
}


@pytest.mark.parametrize("name", TITLES)
def test_what_generators_get_wrong(name: str, now: float) -> None:
    """Other encodings, HTML's entities, bare ampersands and blanks before the document are read."""
    title, encode = TITLES[name]
    text = RSS.decode().replace("<![CDATA[Login errors]]>", title)
    (read,) = parse_feed(encode(text), now)["incidents"]

    assert read["title"] == READ_AS.get(name, title.replace("\x0b", "").replace("\x00", ""))
    assert (read["phase"], read["text"]) == ("resolved", "It is over.")


def test_a_bare_ampersand_in_a_link(now: float) -> None:
    """An address with a query is a link."""
    body = RSS.replace(b"/incidents/k2v9</link>", b"/incidents/k2v9?a=1&b=2</link>")
    (read,) = parse_feed(body, now)["incidents"]

    assert read["link"] == "https://status.auth0.com/incidents/k2v9?a=1&b=2"


def test_many_unclosed_sections_take_no_time(now: float) -> None:
    """Mending is linear."""
    before = time.thread_time()
    with pytest.raises(DocumentRefused, match="not_well_formed"):
        parse_feed(b"<a><![CDATA[&" * 150_000, now)
    assert time.thread_time() - before < 10


def test_declared_encoding_is_ignored(atom: Atom, incident: str, now: float) -> None:
    """A document is UTF-8 even if it calls itself punycode, which makes feedparser raise."""
    body = atom(incident).replace(b"utf-8", b"punycode")
    assert parse_feed(body, now)["incidents"][0]["phase"] == "monitoring"


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.999])
def test_truncated(kept: float, atom: Atom, incident: str, now: float) -> None:
    """A cut document gives no half incident."""
    body = atom(incident, incident)
    with pytest.raises(DocumentRefused, match="not_well_formed"):
        parse_feed(body[: int(len(body) * kept)], now)


def check(said: dict[str, Any]) -> None:
    for each in said["incidents"]:
        assert len(each["id"]) <= 200 >= len(each["title"])
        assert len(each["text"]) <= 500
        assert (each["id"] + each["title"] + each["text"]).isprintable()
    json.dumps(said)


SPLICES = (
        b"<", b">", b"&", b"&#0;", b"&#xD800;", b"&#99999999;", b"&#8238;", b"\x00", b"\xff", b"",
        b"]]>", b"<![CDATA[", b"<p>", b"</entry>", b"<entry>", b"<updated>9999-12-31</updated>",
        b"<updated>-001-01-01</updated>", b"Feb 30, 99:99 UTC", b"Resolved - ", b"Update: ",
        b'<where xmlns="http://www.georss.org/georss"/>', b'<content type="xhtml"><a/></content>',
        b'<summary mode="base64">####</summary>', b"<links a='1'/>", b"<source url='x'/>",
        b"<id a='1'/>", b"<author>a@b.c</author>", b"<image/>", b"<textinput/>", b"<rights>",
        "\u202e\u200b".encode(), b"&amp;#8238;", b"&amp;#" + b"9" * 5_000 + b";", b"x" * 3_000,
)  # fmt: skip


@pytest.mark.no_cover
@pytest.mark.drill(few=300, full=10_000)
def test_mutated_feeds(atom: Atom, incident: str, now: float, repeats: Repeats) -> None:
    """A mutated status feed is parsed or refused; what is read is printable and has its limits."""
    dice, bodies = repeats.dice, (RSS, atom(incident, incident))
    for _ in repeats:
        body = dice.choice(bodies)
        for _ in range(dice.randrange(1, 5)):
            start, length = dice.randrange(len(body)), dice.randrange(61)
            body = body[:start] + dice.choice(SPLICES) + body[start + length :]
        with suppress(DocumentRefused):
            check(parse_feed(body, now))
