from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import pytest

from bot.core.model.observation import Phase
from bot.sources.status_page import (
    FeedEntry,
    keep_newest,
    keep_times,
    parse_entry,
    parse_instant,
    to_plain_text,
)

NOW = datetime(2026, 4, 22, 20, 30, tzinfo=UTC).timestamp()


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def update(date: str, word: str, text: str = "Text.") -> str:
    return f"<p><small>{date} UTC</small><br><strong>{word}</strong> - {text}</p>"


def entry(*updates: str, updated: str = "2026-04-22T20:15:12.000Z") -> FeedEntry:
    return FeedEntry(id="a1", title="T", updated=updated, body="".join(updates))


class Case(NamedTuple):
    claim: str
    entry: FeedEntry
    phase: Phase
    posted: str
    updated: str


INVESTIGATING = update("Apr 22, 19:40", "Investigating")
RESOLVED = update("Apr 22, 20:14", "Resolved")
CASES = [
    Case(
        "The newest paragraph decides",
        entry(RESOLVED, INVESTIGATING),
        Phase.RESOLVED,
        "2026-04-22T19:40",
        "2026-04-22T20:14",
    ),
    Case(
        "What was reopened is open, though Resolved still stands in it",
        entry(update("Apr 22, 20:20", "Identified"), RESOLVED, INVESTIGATING),
        Phase.IDENTIFIED,
        "2026-04-22T19:40",
        "2026-04-22T20:20",
    ),
    Case(
        "Update keeps the next older phase and its date",
        entry(update("Apr 22, 20:14", "Update"), INVESTIGATING),
        Phase.INVESTIGATING,
        "2026-04-22T19:40",
        "2026-04-22T19:40",
    ),
    Case(
        "An unknown word keeps the next older phase",
        entry(update("Apr 22, 20:14", "Mitigated"), INVESTIGATING),
        Phase.INVESTIGATING,
        "2026-04-22T19:40",
        "2026-04-22T19:40",
    ),
    Case(
        "The same phase told twice began with the first telling",
        entry(update("Apr 22, 20:14", "Investigating"), INVESTIGATING),
        Phase.INVESTIGATING,
        "2026-04-22T19:40",
        "2026-04-22T19:40",
    ),
    Case(
        "A post-mortem leaves it resolved, and resolved when it was",
        entry(
            update("Apr 22, 20:25", "Postmortem"),
            update("Apr 2, 10:00", "Resolved"),
            update("Apr 2, 09:00", "Identified"),
        ),
        Phase.RESOLVED,
        "2026-04-02T09:00",
        "2026-04-02T10:00",
    ),
    Case(
        "A retroactive post is resolved from the start",
        entry(RESOLVED),
        Phase.RESOLVED,
        "2026-04-22T20:14",
        "2026-04-22T20:14",
    ),
    Case(
        "Maintenance in two words",
        entry(update("Apr 22, 20:00", "In progress"), update("Apr 20, 08:00", "Scheduled")),
        Phase.IN_PROGRESS,
        "2026-04-20T08:00",
        "2026-04-22T20:00",
    ),
    Case(
        "Maintenance that is over",
        entry(update("Apr 22, 20:10", "Completed"), update("Apr 22, 20:05", "Verifying")),
        Phase.COMPLETED,
        "2026-04-22T20:05",
        "2026-04-22T20:10",
    ),
    Case(
        "Statuspage marks up its dates",
        entry(
            "<p><small>Apr <var>22</var>, <var>20:14</var> UTC</small><br/><b>Monitoring</b> - x"
        ),
        Phase.MONITORING,
        "2026-04-22T20:14",
        "2026-04-22T20:14",
    ),
    Case(
        "Several paragraphs and words inside one update begin no other",
        entry(update("Apr 22, 20:14", "Identified", "a</p><p>Resolved: EU-1</p><p>b"), RESOLVED),
        Phase.IDENTIFIED,
        "2026-04-22T20:14",
        "2026-04-22T20:14",
    ),
    Case(
        "Plain text with a status word at its start; the entry's date counts",
        entry("Resolved - All is well.\nIdentified - We know."),
        Phase.RESOLVED,
        "2026-04-22T20:15:12",
        "2026-04-22T20:15:12",
    ),
    Case(
        "A label before the word",
        entry("<b>Status: Monitoring</b><br>Text."),
        Phase.MONITORING,
        "2026-04-22T20:15:12",
        "2026-04-22T20:15:12",
    ),
    Case(
        "A status word in a sentence proves nothing",
        entry("<p>We hope to have it Resolved - soon.</p>"),
        Phase.UNKNOWN,
        "2026-04-22T20:15:12",
        "2026-04-22T20:15:12",
    ),
    Case("An empty body", entry(), Phase.UNKNOWN, "2026-04-22T20:15:12", "2026-04-22T20:15:12"),
    Case(
        "A zone other than UTC is no date; the entry's counts",
        entry("<p><small>Apr 22, 20:14 BST</small><br><strong>Resolved</strong> - x</p>"),
        Phase.RESOLVED,
        "2026-04-22T20:15:12",
        "2026-04-22T20:15:12",
    ),
    Case(
        "A false alarm is over",
        entry(update("Apr 22, 20:14", "False alarm"), update("Apr 22, 19:40", "Investigating")),
        Phase.RESOLVED,
        "2026-04-22T19:40",
        "2026-04-22T20:14",
    ),
    Case(
        "A cancelled maintenance is over",
        entry(update("Apr 22, 20:14", "Canceled"), update("Apr 20, 19:40", "Scheduled")),
        Phase.COMPLETED,
        "2026-04-20T19:40",
        "2026-04-22T20:14",
    ),
    Case(
        "A part that is resolved changes nothing",
        entry(update("Apr 22, 20:14", "Partially resolved"), update("Apr 22, 19:40", "Identified")),
        Phase.IDENTIFIED,
        "2026-04-22T19:40",
        "2026-04-22T19:40",
    ),
    Case(
        "12-hour times are no dates; the entry's counts",
        entry(update("Apr 22, 8:14 PM", "Resolved"), update("Apr 22, 7:30 PM", "Investigating")),
        Phase.RESOLVED,
        "2026-04-22T20:15:12",
        "2026-04-22T20:15:12",
    ),
    Case(
        "31 April exists nowhere",
        entry(update("Apr 31, 10:00", "Resolved")),
        Phase.RESOLVED,
        "2026-04-22T20:15:12",
        "2026-04-22T20:15:12",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.claim for case in CASES])
def test_paragraphs(case: Case) -> None:
    """Phase and dates follow from the updates as in the table."""
    read = parse_entry(case.entry, NOW)
    assert (read.phase, read.posted_at, read.updated_at) == (
        case.phase,
        at(case.posted),
        at(case.updated),
    )


@pytest.mark.parametrize(
    "body",
    ["", "No incidents reported today.", "There were errors until 08:30. Everything works now."],
)
def test_an_entry_without_a_phase_is_no_open_post(body: str) -> None:
    """A placeholder, and an end in prose, are neither open nor work."""
    read = parse_entry(FeedEntry(title="All systems operational", body=body), NOW)
    assert (read.phase, read.is_open, read.is_maintenance) == (Phase.UNKNOWN, False, False)


@pytest.mark.parametrize(
    ("date", "updated", "expected"),
    [
        ("Dec 31, 23:50", "2027-01-01T00:05:00Z", "2026-12-31T23:50"),
        ("Jan 1, 00:05", "2027-01-01T00:05:10Z", "2027-01-01T00:05"),
        ("Jan 1, 00:00", "2026-12-31T23:59:58Z", "2027-01-01T00:00"),
        ("Dec 20, 10:00", "2027-01-05T09:00:00Z", "2026-12-20T10:00"),
    ],
)
def test_year_is_inferred(date: str, updated: str, expected: str) -> None:
    """The missing year is the last one in which the update is not after its entry."""
    read = parse_entry(entry(update(date, "Resolved"), updated=updated), at("2027-01-05T12:00"))
    assert read.updated_at == at(expected)


def test_29_february() -> None:
    """A leap day is found in the year after."""
    read = parse_entry(
        entry(update("Feb 29, 10:00", "Resolved"), updated="2028-03-01T00:00:00Z"),
        at("2028-03-02T00:00"),
    )
    assert read.updated_at == at("2028-02-29T10:00")


@pytest.mark.parametrize(
    ("updated", "expected"),
    [
        ("2026-04-22T20:29:00Z", NOW - 60),
        ("Wed, 22 Apr 2026 20:29:00 GMT", NOW - 60),
        ("2026-04-22T21:29:00+01:00", NOW - 60),
        ("9999-12-31T00:00:00Z", NOW),
        ("2021-01-27T21:09:00Z", NOW - 30 * 86_400),
        ("Wed, 22 Apr 2026 21:29:00 BST", NOW),
        ("2026-04-22T20:29:00", NOW),
        ("0000-00-00", NOW),
        ("-001-01-01", NOW),
        ("1776888000", NOW),
        ("31 Feb 2026 10:00:00 GMT", NOW),
        ("Wed, 22 Apr 2026 20:29:00 +9999", NOW),
        ("", NOW),
    ],
)
def test_dates_are_hints(updated: str, expected: float) -> None:
    """A date is within the last 30 days; an unreadable one means now."""
    read = parse_entry(FeedEntry(id="a", updated=updated), NOW)
    assert (read.posted_at, read.updated_at) == (expected, expected)


def test_milliseconds() -> None:
    """The milliseconds of the npm library `feed` are parsed."""
    assert parse_instant("2026-04-22T20:15:12.500Z") == at("2026-04-22T20:15:12.500")


@pytest.mark.parametrize(
    ("markup", "expected"),
    [
        ("<b>Login</b> &amp; <i>MFA</i>", "Login & MFA"),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("a &lt;!channel&gt; <@U1> 2 < 3", "a <!channel> <@U1> 2 < 3"),
        ("a<br/>b\x00\x07 \u202e\u2066c\u200b\ufeffd\ud800&#8238;&#10;e", "a b cd e"),
        ("x" * 201, "x" * 199 + "\u2026"),
        ("&#" + "9" * 5_000 + ";", "&#" + "9" * 197 + "\u2026"),
        ("<" * 5_000, "<" * 199 + "\u2026"),
    ],
)
def test_plain(markup: str, expected: str) -> None:
    """Text is plain, unescaped once, visible and cut."""
    assert to_plain_text(markup, 200).replace("\ufffd", "&#" + "9" * 197 + "\u2026") == expected


def test_text_is_the_newest_paragraph() -> None:
    """The text is the whole newest update, and nothing of the older ones."""
    newer = update("Apr 22, 20:14", "Update", "It <b>lasts</b>.</p><p>Sorry.")
    assert parse_entry(entry(newer, INVESTIGATING), NOW).text == "It lasts. Sorry."


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://status.auth0.com/incidents/rb4z1181bd4z?a=1#x", True),
        ("https://status.auth0.com", True),
        ("http://status.auth0.com/", False),
        ("javascript:alert(1)", False),
        ("https://status.auth0.com@evil.example/", False),
        ("https://status.auth0.com/|label>", False),
        ("https://status.auth0.com/a b\n", False),
        ("", False),
    ],
)
def test_links(link: str, *, shown: bool) -> None:
    """Only a plain https URL without user information is kept."""
    assert parse_entry(FeedEntry(id="a", link=link), NOW).link == (link if shown else "")


def test_missing_id() -> None:
    """Without an id, link and title make one: the same each time, and different for others."""
    same, again, other = (
        parse_entry(FeedEntry(title=title, link="https://a/"), NOW).id for title in ("a", "a", "b")
    )
    assert same == again != other
    assert len(same) == 32


def test_newest_first_once_each() -> None:
    """Of two entries with one id the newer counts; the newest comes first."""
    dates = {"a": "20:00", "b": "20:10"}
    notices = [
        parse_entry(FeedEntry(id=key, title=title, updated=f"2026-04-22T{dates[key]}:00Z"), NOW)
        for key, title in [("a", "1"), ("b", "2"), ("b", "3")]
    ]
    assert [(each.id, each.title) for each in keep_newest(notices)] == [("b", "2"), ("a", "1")]


def test_edit_moves_no_date() -> None:
    """An entry edited in the same phase keeps its dates; another phase has its own."""
    before = parse_entry(
        FeedEntry(id="a", updated="2026-04-22T20:00:00Z", body="Monitoring - x"), NOW
    )
    edited = parse_entry(
        FeedEntry(id="a", updated="2026-04-22T20:20:00Z", body="Monitoring - y"), NOW
    )
    closed = parse_entry(
        FeedEntry(id="a", updated="2026-04-22T20:20:00Z", body="Resolved - y"), NOW
    )
    (kept,) = keep_times((edited,), (before,))
    assert (kept.text, kept.updated_at) == ("y", before.updated_at)
    assert keep_times((closed,), (before,)) == (closed,)
