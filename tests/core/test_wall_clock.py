from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.wall_clock import (
    RecurringTime,
    is_zone,
    parse_cron,
    parse_recurring_time,
    parse_until,
    to_instant,
    wall_clock,
)

BERLIN = "Europe/Berlin"
ZONES = (BERLIN, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC")
MONDAY = datetime(2026, 11, 23, 10, 0, tzinfo=UTC).timestamp()
"""11:00 in Berlin."""


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("zone", "wall", "utc"),
    [
        (BERLIN, "2026-03-28 02:30", "2026-03-28 01:30"),
        (BERLIN, "2026-03-29 02:00", "2026-03-29 01:00"),
        (BERLIN, "2026-03-29 02:30", "2026-03-29 01:00"),
        (BERLIN, "2026-03-29 03:00", "2026-03-29 01:00"),
        (BERLIN, "2026-10-25 02:30", "2026-10-25 00:30"),
        (BERLIN, "2026-10-25 03:00", "2026-10-25 02:00"),
        ("America/New_York", "2026-03-08 02:59", "2026-03-08 07:00"),
        ("America/New_York", "2026-11-01 01:00", "2026-11-01 05:00"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:30"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45"),
        ("Pacific/Apia", "2011-12-30 09:00", "2011-12-30 10:00"),
    ],
)
def test_instant(zone: str, wall: str, utc: str) -> None:
    """A time that spring skips means the end of the gap, a time that comes twice the first one."""
    assert to_instant(datetime.fromisoformat(wall), zone) == at(utc)


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    wall=st.datetimes(datetime(2010, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - a wall clock's
)
def test_instant_is_the_first(zone: str, wall: datetime) -> None:
    """At the instant the clocks show this time or a later one; a second before, an earlier one."""
    wall = wall.replace(microsecond=0)
    found = to_instant(wall, zone)
    assert wall_clock(found, zone) >= wall
    assert wall_clock(found - 1, zone) < wall


@settings(deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    now=st.floats(1.26e9, 1.8e9),
    clock=st.times(),
    weekday=st.none() | st.integers(0, 6),
)
def test_last_and_next(zone: str, now: float, clock: time, weekday: int | None) -> None:
    """Last and next enclose now, with none between them, and the next of the last is the next."""
    each = RecurringTime(clock.replace(second=0, microsecond=0), weekday)
    last, following = each.last(now, zone), each.next(now, zone)

    assert last.at <= now < following.at
    assert each.next(last.at, zone) == following
    assert (following.day - last.day).days % each.period_days == 0
    assert following.at - last.at <= timedelta(days=each.period_days, hours=2).total_seconds()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("09:00", RecurringTime(time(9))),
        ("9:05", RecurringTime(time(9, 5))),
        ("Mon 09:00", RecurringTime(time(9), 0)),
        ("sunday 23:59", RecurringTime(time(23, 59), 6)),
        ("first mon 02:00", RecurringTime(time(2), 0, week=1)),
        ("Last Sunday 02:00", RecurringTime(time(2), 6, week=-1)),
        ("15th 02:00", RecurringTime(time(2), month_day=15)),
        ("31st 02:00", RecurringTime(time(2), month_day=31)),
        ("32nd 02:00", None),
        ("0th 02:00", None),
        ("first 02:00", None),
        ("24:00", None),
        ("09:60", None),
        ("Foo 09:00", None),
        ("Monk 09:00", None),
        ("Mon", None),
        ("9", None),
        ("\u0660\u0669:\u0660\u0660", None),
        ("09:00\n", None),
    ],
)
def test_recurring(text: str, expected: RecurringTime | None) -> None:
    """Daily, weekly and monthly times are parsed, anything else is refused."""
    assert parse_recurring_time(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "words"),
    [
        ("30m deploy", MONDAY + 1800, 1),
        ("2h", MONDAY + 7200, 1),
        ("1D deploy", MONDAY + 86400, 1),
        ("until 14:00 deploy", at("2026-11-23 14:00", BERLIN), 2),
        ("until 11:00 deploy", at("2026-11-24 11:00", BERLIN), 2),
        ("Until Tomorrow 09:00 we deploy", at("2026-11-24 09:00", BERLIN), 3),
        ("until Mon 09:00", at("2026-11-30 09:00", BERLIN), 3),
        ("until wed 9:00 import", at("2026-11-25 09:00", BERLIN), 3),
    ],
)
def test_until(text: str, expected: float, words: int) -> None:
    """Spans and wall-clock times are parsed from the first words; the other words are left."""
    assert parse_until(text.split(), MONDAY, BERLIN) == (expected, words)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "deploy",
        "30",
        "30s",
        "-5m",
        "until",
        "until soon",
        "until 25:00",
        "until tomorrow",
        "2 h",
    ],
)
def test_until_refuses(text: str) -> None:
    """A text that names no time gives None, not a guess."""
    assert parse_until(text.split(), MONDAY, BERLIN) is None


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-28 12:00", "2026-03-29 01:00"),
        ("2026-10-24 12:00", "2026-10-25 00:30"),
    ],
)
def test_until_over_a_change_of_the_clocks(now: str, expected: str) -> None:
    """Until 02:30 in the night of the change ends at that time, or at the end of the gap."""
    assert parse_until(["until", "02:30"], at(now), BERLIN) == (at(expected), 2)


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "a\0b", "/etc"])
def test_unknown_zones(name: str) -> None:
    """An unknown zone counts as UTC for a person, and never fails."""
    assert not is_zone(name)
    assert parse_until(["until", "14:00"], MONDAY, name) == (at("2026-11-23 14:00"), 2)


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("first Sun 02:00", ["2026-12-06", "2027-01-03", "2027-02-07"]),
        ("last Sun 02:00", ["2026-11-29", "2026-12-27", "2027-01-31"]),
        ("fourth Mon 02:00", ["2026-11-23", "2026-12-28", "2027-01-25"]),
        ("31st 02:00", ["2026-12-31", "2027-01-31", "2027-03-31"]),
    ],
)
def test_every_month(text: str, days: list[str]) -> None:
    """It comes in each month that has such a day, and last gives the same days as next."""
    each, now, found = parse_recurring_time(text), at("2026-11-20 00:00", BERLIN), []
    assert each
    for _ in days:
        following = each.next(now, BERLIN)
        assert each.last(following.at, BERLIN) == following
        found.append(str(following.day))
        now = following.at

    assert found == days


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("0 2 * * *", ["11-21 02:00", "11-22 02:00"]),
        ("30 1 * * mon-fri", ["11-23 01:30", "11-24 01:30"]),
        ("0 */8 * * 7", ["11-22 00:00", "11-22 08:00"]),
        ("5,35 4 1 * *", ["12-01 04:05", "12-01 04:35"]),
        ("0 3 13 * fri", ["11-27 03:00", "12-04 03:00"]),  # either, as cron has it
        ("0 3 */10 dec fri", ["12-11 03:00", "12-31 03:00"]),
        ("0 0 29 2 *", ["02-29 00:00", "02-29 00:00"]),
        ("10-20/5 6 * jan SUN", ["01-03 06:10", "01-03 06:15"]),
        ("50/5 23 24 12 0-1", ["12-06 23:50", "12-06 23:55"]),
    ],
)
def test_cron(text: str, following: list[str]) -> None:
    """Names, lists, ranges and steps, as crontab(5) describes them."""
    each, now, found = parse_cron(text), at("2026-11-20 12:00", BERLIN), []
    assert each
    for _ in following:
        occurrence = each.next(now, BERLIN)
        assert occurrence
        assert each.last(occurrence.at + 0.5, BERLIN) == occurrence
        found.append(f"{occurrence.wall:%m-%d %H:%M}")
        now = occurrence.at

    assert found == following


@pytest.mark.parametrize(
    "text",
    [
        "0 2 * *",
        "60 2 * * *",
        "0 24 * * *",
        "0 2 0 * *",
        "0 2 * 13 *",
        "0 2 * * 8",
        "0 2 * * son",
        "0 2 5-1 * *",
        "0 2 */0 * *",
        "* * , * *",
        "@daily",
        "\u0660 2 * * *",
    ],
)
def test_what_is_no_cron_expression(text: str) -> None:
    """It is refused, not guessed."""
    assert parse_cron(text) is None


def test_a_day_that_never_comes() -> None:
    """Looking for it ends."""
    never = parse_cron("0 2 30 2 *")
    assert never
    assert never.next(0.0, BERLIN) is never.last(0.0, BERLIN) is None
