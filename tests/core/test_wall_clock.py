from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.wall_clock import (
    RecurringTime,
    is_zone,
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
    """Daily and weekly times are parsed, anything else is refused."""
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
