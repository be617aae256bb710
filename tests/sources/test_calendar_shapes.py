"""On-call calendars in the shapes that people report: whose shifts they are, and when."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.core.oncall import Shift, Shifts, current_shift
from bot.sources.oncall_calendar import find_person, fold_name
from bot.sources.oncall_calendar_parser import parse_shifts

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
NEAR_S = 86_400
NAMES = {
    "anna@acme.example": "anna",
    "Ben Berg": "ben",
    "cleo@acme.example": "cleo",
    "S\u00f8ren \u00c5berg": "soren",
}
PEOPLE = {fold_name(name): person for name, person in NAMES.items()}
DAY = "DTSTART:20261123T090000Z\nDTEND:20261124T090000Z\n"
BERLIN = "DTSTART;TZID={0}:20261123T090000\nDTEND;TZID={0}:20261124T090000\n"
DAILY = (
    "DTSTART;TZID=Europe/Berlin:20261116T090000\nDTEND;TZID=Europe/Berlin:20261117T090000\n"
    "RRULE:FREQ=DAILY;{}\n"
)
MOVED = (
    "DTSTART;TZID=Europe/Berlin:20261123T120000\nDTEND;TZID=Europe/Berlin:20261124T090000\n"
    "SUMMARY:anna@acme.example\n"
)
RULES_OF_1601 = """\
BEGIN:VTIMEZONE
TZID:{}
BEGIN:STANDARD
DTSTART:16011028T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010325T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
END:VTIMEZONE
"""
LONDON = RULES_OF_1601.format("GMT").replace("+0100", "+0000").replace("+0200", "+0100")
BEN = "SUMMARY:Ben Berg\n"


def event(text: str, uid: str = "1") -> str:
    return f"BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20261101T000000Z\n{text}END:VEVENT\n"


def document(*parts: str) -> bytes:
    whole = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x//EN\n{''.join(parts)}END:VCALENDAR\n"
    return whole.replace("\n", "\r\n").encode()


def people(body: bytes, now: float = NOW, zone: str = "UTC") -> list[Shift]:
    return [
        Shift(person, row["since"], row["until"], "" if person else row["summary"])
        for row in parse_shifts(body, now, zone)["shifts"]
        for person in [find_person(row["attendees"], row["summary"], PEOPLE, row["declined"])]
    ]


def near(body: bytes) -> list[str]:
    """Return the shifts around now, as `23T08 24T08 ben`, in UTC."""
    found = [s for s in people(body) if s.until > NOW - NEAR_S and s.since < NOW + NEAR_S]
    return [
        " ".join(
            [
                *(datetime.fromtimestamp(at, UTC).strftime("%dT%H") for at in (s.since, s.until)),
                s.person,
            ]
        )
        for s in sorted(found, key=lambda shift: shift.since)
    ]


PAGERDUTY = """\
BEGIN:VCALENDAR
PRODID;X-RICAL-TZSOURCE=TZINFO:-//com.denhaven2/NONSGML ri_cal gem//EN
CALSCALE:GREGORIAN
VERSION:2.0
X-WR-CALNAME:On Call Schedule for Logins
BEGIN:VEVENT
DTEND;VALUE=DATE-TIME:20261123T200000Z
DTSTART;VALUE=DATE-TIME:20261123T080000Z
ATTENDEE:anna@acme.example
UID:Q1AAAAAAAAAAA
URL:https://acme.pagerduty.com/schedules#PAAAAAA
SUMMARY:On Call - Somebody - Logins and the rest of what our team looks a
 fter
END:VEVENT
BEGIN:VEVENT
ATTENDEE;CN=cleo@acme.example:mailto:cleo@acme.example
DTEND:20261124T080000Z
DTSTART:20261123T200000Z
SUMMARY:On Call - Logins - out of hours
TRANSP:TRANSPARENT
UID:Q2BBBBBBBBBBB
END:VEVENT
END:VCALENDAR
"""
ONE_DAY = ["23T09 24T09 ben"]
SHAPES = {
    "PagerDuty's export": (
        PAGERDUTY.replace("\n", "\r\n").encode(),
        ["23T08 23T20 anna", "23T20 24T08 cleo"],
    ),
    "an address that is folded in its middle": (
        document(event(DAY + "SUMMARY:Duty\nATTENDEE;CN=Anna:mailto:anna@ac\n me.example\n")),
        ["23T09 24T09 anna"],
    ),
    "times without a zone, and Google's zone of the calendar": (
        document(
            "X-WR-TIMEZONE:Asia/Taipei\n",
            event("DTSTART:20261123T090000\nDTEND:20261124T090000\n" + BEN),
        ),
        ["23T01 24T01 ben"],
    ),
    "Outlook's name of a zone, without its rules": (
        document(event(BERLIN.format('"W. Europe Standard Time"') + BEN)),
        ["23T08 24T08 ben"],
    ),
    "Outlook's own zone with rules of 1601": (
        document(
            RULES_OF_1601.format("Customized Time Zone"),
            event(BERLIN.format('"Customized Time Zone"') + BEN),
        ),
        ["23T08 24T08 ben"],
    ),
    "an unknown zone without rules": (
        document(event(BERLIN.format("Our Zone") + BEN)),
        ["23T09 24T09 ben"],
    ),
    "one day moved, told in another zone": (
        document(
            event(DAILY.format("COUNT=20") + BEN), event("RECURRENCE-ID:20261123T080000Z\n" + MOVED)
        ),
        ["22T08 23T08 ben", "23T11 24T08 anna", "24T08 25T08 ben"],
    ),
    "one day left out, told in UTC": (
        document(event(DAILY.format("COUNT=20") + "EXDATE:20261123T080000Z\n" + BEN)),
        ["22T08 23T08 ben", "24T08 25T08 ben"],
    ),
    "a last day without a time": (
        document(event(DAILY.format("UNTIL=20261123") + BEN)),
        ["22T08 23T08 ben"],
    ),
    "a list of days": (
        document(
            event(
                "DTSTART;TZID=Europe/Berlin:20261120T090000\nDURATION:P1D\n"
                "RDATE;TZID=Europe/Berlin:20261122T090000,20261124T090000\n" + BEN
            )
        ),
        ["22T08 23T08 ben", "24T08 25T08 ben"],
    ),
    "cancelled in small letters": (document(event(DAY + "STATUS:cancelled\n" + BEN)), []),
    "who declined, and who accepted": (
        document(
            event(
                DAY + "SUMMARY:Duty\nATTENDEE;PARTSTAT=DECLINED:mailto:anna@acme.example\n"
                "ATTENDEE;PARTSTAT=ACCEPTED:MAILTO:Cleo@acme.example\n"
            )
        ),
        ["23T09 24T09 cleo"],
    ),
    "an organiser who is no attendee": (
        document(event(DAY + "SUMMARY:Duty\nORGANIZER:mailto:anna@acme.example\n")),
        ["23T09 24T09 "],
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + document(event(DAY + BEN)), ONE_DAY),
    "bare line feeds": (document(event(DAY + BEN)).replace(b"\r\n", b"\n"), ONE_DAY),
    "two calendars in a file": (document(event(DAY + BEN)) + document(), ONE_DAY),
    "a letter of two characters": (
        document(event(DAY + "SUMMARY:S\u00f8ren A\u030aberg\n")),
        ["23T09 24T09 soren"],
    ),
    "a mark before the name": (document(event(DAY + "SUMMARY:[L1] Ben Berg\n")), ONE_DAY),
    "a control character": (document(event(DAY + BEN + "DESCRIPTION:a\x0bb\n")), ONE_DAY),
    "a line without a colon": (document(event(DAY + BEN + "X-ALT-DESC\n")), ONE_DAY),
    "a text that is not folded": (
        document(event(DAY + BEN + "DESCRIPTION:first\nsecond line without a colon\n")),
        ONE_DAY,
    ),
    "no entry": (document(), []),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    """Whatever wrote the calendar, each shift has its hours and its person."""
    body, expected = SHAPES[name]

    assert near(body) == expected


@pytest.mark.parametrize(
    "beside",
    [
        "DTSTART;VALUE=DATE:20261123\nDTEND;VALUE=DATE:20261124\nSUMMARY:Public holiday\n",
        "DTSTART:20261123T113000Z\nDTEND:20261123T123000Z\nSUMMARY:Team lunch\n",
    ],
)
def test_what_names_nobody_is_no_shift(beside: str) -> None:
    """A holiday and a meeting in the same calendar take the shift from nobody."""
    two_weeks = "DTSTART:20261116T080000Z\nDTEND:20261130T080000Z\n" + BEN
    shifts = people(document(event(two_weeks), event(beside, "2")))
    shift = current_shift(Shifts(NOW, tuple(shifts)), (), NOW)

    assert shift
    assert shift.person == "ben"


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_zone_of_the_file_counts_by_its_own_rules(quote: str) -> None:
    """Some call London's time GMT: in July nine o'clock there is eight o'clock in UTC."""
    july = datetime(2026, 7, 21, 12, tzinfo=UTC).timestamp()
    zone = f"TZID={quote}GMT{quote}"
    begin, end = f"DTSTART;{zone}:20260720T090000\n", f"DTEND;{zone}:20260727T090000\n"
    (shift,) = people(document(LONDON, event(begin + end + BEN)), july)

    assert datetime.fromtimestamp(shift.since, UTC).hour == 8
