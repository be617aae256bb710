"""Calendars in the shape in which others export them, over a real server; hostile ones too."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.oncall import Shift, Shifts, current_shift
from bot.http import Fetcher, LoopLag
from bot.sources.oncall_calendar import ShiftCalendar, find_person, fold_name
from bot.sources.oncall_calendar_parser import parse_shifts
from bot.sources.sandbox import DocumentRefused, parse_in_sandbox
from tests.sources.conftest import Direct

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.sources.conftest import FixedClock

CALENDARS = Path(__file__).parent / "calendars"
BERLIN = "Europe/Berlin"
PEOPLE = {"Anna@Acme.example": "U1", "Ben Berg": "U2", "Ben": "U3"}
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
PAGERDUTY = (CALENDARS / "pagerduty.ics").read_bytes()
GOOGLE = (CALENDARS / "google.ics").read_bytes()
FLOATING = """\
BEGIN:VEVENT
DTSTART:20261123T090000
DURATION:P1D
UID:1
SUMMARY:anna@acme.example is on call
END:VEVENT
BEGIN:VEVENT
DTSTART:20261124T090000
DTEND:20261125T090000
UID:2
SUMMARY:<!channel> Cleo\\, <b>new</b>
END:VEVENT
"""
BROKEN = """\
BEGIN:VEVENT
UID:3
SUMMARY:without a begin
END:VEVENT
BEGIN:VEVENT
DTSTART:garbage
UID:4
END:VEVENT
BEGIN:VEVENT
DTSTART:20261124T000000Z
RRULE:FREQ=SOMETIMES
UID:5
END:VEVENT
BEGIN:VEVENT
DTSTART:20261124T000000Z
UID:6
SUMMARY:without a length
END:VEVENT
"""
BOMB = """\
BEGIN:VEVENT
DTSTART:19700101T000000Z
RRULE:FREQ=SECONDLY
UID:1
END:VEVENT
"""
HOURLY = BOMB.replace("19700101", "20261101").replace("SECONDLY", "HOURLY;COUNT=900\nDURATION:PT1H")


def at(day: int, hour: int, month: int = 11) -> float:
    """An hour in UTC."""
    return datetime(2026, month, day, hour, tzinfo=UTC).timestamp()


def document(entries: str) -> bytes:
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{entries}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def rows(whole: bytes) -> list[tuple[float, float, str]]:
    said = parse_shifts(whole, NOW, BERLIN)["shifts"]
    return [(row["since"], row["until"], row["summary"]) for row in said]


class Server(Protocol):
    """A web server whose answer is set by the test."""

    status: int
    body: bytes
    asked: int
    calendar: ShiftCalendar


@pytest.fixture
async def server(clock: FixedClock) -> AsyncIterator[Server]:
    class Serving:
        status, body, asked = 200, b"", 0
        calendar: ShiftCalendar

        async def answer(self, _request: web.Request) -> web.Response:
            self.asked += 1
            return web.Response(status=self.status, body=self.body)

    clock.at = NOW
    serving = Serving()
    app = web.Application()
    app.router.add_get("/secret-canary.ics", serving.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    fetcher = Fetcher(clock, Direct(), LoopLag(60.0))
    url = f"http://{host}:{port}/secret-canary.ics"
    serving.calendar = ShiftCalendar(url, PEOPLE, BERLIN, fetcher)
    yield serving
    await runner.cleanup()


def test_pagerduty() -> None:
    """PagerDuty's format: UTC, attendees without `mailto:`, folded lines."""
    assert rows(PAGERDUTY) == [
        (at(23, 8), at(30, 8), "On Call - Anna Smith - Primary"),
        (at(30, 8), at(7, 8, 12), "On Call - Ben Berg - Primary"),
    ]


def test_google() -> None:
    """Google's format: overnight, weekly over the end of summer time, an exception, all-day."""
    nights = [row for row in rows(GOOGLE) if row[0] < at(1, 0, month=12)]
    later = sorted(row for row in rows(GOOGLE) if row[0] > at(1, 0, month=12))

    assert nights == [(at(day, 19), at(day + 1, 7), "Night") for day in (9, 16, 23)]
    assert later[0] == (at(7, 21, 12), at(8, 7, 12), "Night: Ben")
    assert (at(24, 23, 12), at(26, 23, 12), "Ben Berg for Anna") in later
    assert len(later) == 1 + 6 + 1


def test_without_time_zone() -> None:
    """A time without a time zone is in the configured one."""
    assert [row[:2] for row in rows(document(FLOATING))] == [
        (at(23, 8), at(24, 8)),
        (at(24, 8), at(25, 8)),
    ]


def test_broken_entries_hide_no_others() -> None:
    """An event without a start, a length or a meaning is left out."""
    assert rows(document(BROKEN + FLOATING)) == rows(document(FLOATING))


@pytest.mark.parametrize("body", [b"", b"<html>Log in</html>", b"\xff\xfe", b"BEGIN:VCALENDAR"])
def test_what_is_no_calendar(body: bytes) -> None:
    """A login page is no empty calendar."""
    with pytest.raises(DocumentRefused, match="no_calendar"):
        parse_shifts(body, NOW, BERLIN)


@pytest.mark.parametrize("bad", [BOMB, HOURLY], ids=["endless", "too many"])
def test_a_bad_rule_hides_no_others(bad: str) -> None:
    """A series with an event every second, or with hundreds, is left out alone."""
    assert rows(document(bad + FLOATING.replace("UID:", "UID:x"))) == rows(document(FLOATING))


def test_two_calendars_in_one_file() -> None:
    """The shifts of all are read, as where exports were put together."""
    assert rows(PAGERDUTY + GOOGLE) == [*rows(PAGERDUTY), *rows(GOOGLE)]


def test_cancelled_in_any_letters() -> None:
    """A cancelled event is no shift, however its status is written."""
    cancelled = FLOATING.replace("UID:2", "UID:2\nSTATUS:cancelled")
    assert rows(document(cancelled)) == rows(document(FLOATING))[:1]


@pytest.mark.no_cover
def test_too_many() -> None:
    """More entries than are plausible are refused."""
    event = "BEGIN:VEVENT\nDTSTART:20261123T090000Z\nDURATION:PT1H\nUID:{}\nEND:VEVENT\n"
    with pytest.raises(DocumentRefused, match="too_many"):
        rows(document("".join(event.format(number) for number in range(2001))))


@settings(deadline=None)
@given(st.binary(max_size=60), st.integers(0, 1500))
def test_mutated(junk: bytes, where: int) -> None:
    """Every document is parsed or refused."""
    with suppress(DocumentRefused):
        parse_shifts(GOOGLE[:where] + junk + GOOGLE[where + len(junk) :], NOW, BERLIN)


async def test_what_takes_too_long_is_killed() -> None:
    """A parser that has not answered in time is stopped."""
    with pytest.raises(DocumentRefused, match="too_slow"):
        await parse_in_sandbox(
            "bot.sources.oncall_calendar_parser", PAGERDUTY, repr(NOW), BERLIN, within_s=0.001
        )


@pytest.mark.parametrize(
    ("who", "summary", "person"),
    [
        (["anna@acme.example"], "Ben", "U1"),
        (["zoe@acme.example", "BEN BERG"], "", "U2"),
        ([], "On Call - Ben Berg - Primary", "U2"),
        ([], "ben swaps with anna@acme.example", "U3"),
        ([], "Bender", ""),
        (["zoe@acme.example"], "Zoe", ""),
    ],
)
def test_person(who: list[str], summary: str, person: str) -> None:
    """An attendee counts first, then the first person in the title, by whole words."""
    people = {fold_name(name): known for name, known in PEOPLE.items()}
    assert find_person(who, summary, people) == person


def test_a_name_is_found_however_its_letters_are_composed() -> None:
    """Some calendars send an umlaut as two characters."""
    people = {fold_name("J\u00f6rg M\u00fcller"): "U4"}

    assert find_person([], "On call: Jo\u0308rg Mu\u0308ller", people) == "U4"
    assert find_person(["JO\u0308RG MU\u0308LLER"], "", people) == "U4"


async def test_who_declined_is_not_on_call(server: Server) -> None:
    """Not by the invitation, nor by the title; whoever accepted is."""
    event = FLOATING.replace("SUMMARY:anna@acme.example is on call", "SUMMARY:Anna@acme.example")
    anna = "ATTENDEE;PARTSTAT=DECLINED;CN=Anna:mailto:anna@acme.example\n"
    ben = "ATTENDEE;PARTSTAT=ACCEPTED;CN=Ben:mailto:ben@acme.example\n"
    for invited, person in ((anna + ben, "U3"), (anna, "")):
        server.body = document(event.replace("UID:1\n", f"UID:1\n{invited}"))
        assert (await server.calendar.poll()).shifts[0].person == person


async def test_read(server: Server) -> None:
    """A calendar is polled over HTTP; people are found, others stay plain text."""
    server.body = PAGERDUTY
    assert current_shift(await server.calendar.poll(), (), NOW) == Shift("U1", at(23, 8), at(30, 8))

    server.body = document(FLOATING)
    assert (await server.calendar.poll()).shifts[1].name == "Cleo, new"


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (404, b"", "HTTP 404: check the address"),
        (503, b"", "HTTP 503"),
        (302, b"", "HTTP 302: it has moved, or wants a person to log in"),
        (200, b"<html>", "no calendar"),
        (200, b"x" * 2_000_001, "too large"),
    ],
)
async def test_faults(server: Server, status: int, body: bytes, fault: str) -> None:
    """The failure is reported without the URL, which is a secret."""
    server.status, server.body = status, body
    read = await server.calendar.poll()

    assert read.fault == fault
    assert read == Shifts(read.at, fault=fault)
    assert "canary" not in f"{read!r} {server.calendar!r} {vars(server.calendar)}"


async def test_the_same_document(server: Server) -> None:
    """The same document is not parsed again; a changed one is."""
    server.body = document(FLOATING)
    first = await server.calendar.poll()
    assert (await server.calendar.poll()).shifts is first.shifts
    server.body = PAGERDUTY
    assert (await server.calendar.poll()).shifts != first.shifts
    assert server.asked == 3
