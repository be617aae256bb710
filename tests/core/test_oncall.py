from __future__ import annotations

from datetime import date, datetime, time
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.wall_clock import RecurringTime, to_instant, wall_clock
from bot.core.oncall import (
    OnCallSource,
    Override,
    Rotation,
    Shift,
    Shifts,
    UserGroup,
    current_shift,
    later_shifts,
    next_shift_to_notify,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

BERLIN = "Europe/Berlin"
PEOPLE = ("U1", "U2", "U3")
WEEKLY = Rotation(PEOPLE, RecurringTime(time(9), 0), BERLIN, date(2026, 11, 23))
DAY_S = 86400.0

hand_overs = st.builds(
    RecurringTime,
    st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    st.none() | st.integers(0, 6),
)
rotations = st.builds(
    Rotation,
    st.just(PEOPLE),
    hand_overs,
    st.sampled_from((BERLIN, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")),
    st.dates(date(2009, 1, 1), date(2028, 1, 1)),
)
instants = st.floats(1.26e9, 1.8e9)


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def who(source: OnCallSource, now: float, *overrides: Override) -> str:
    shift = current_shift(source, overrides, now)
    return shift.person if shift else ""


def list_from(source: OnCallSource, now: float, *overrides: Override) -> Iterator[Shift]:
    """All shifts from now on, one after the other."""
    shift = current_shift(source, overrides, now)
    while shift:
        yield shift
        shift = current_shift(source, overrides, shift.until)


def _end_of_a_gap(now: float, zone: str) -> float | None:
    """The instant, if the zone's clocks have just been put forward."""
    skipped = wall_clock(now, zone) - wall_clock(now - 1, zone)
    return now if skipped.total_seconds() > 1 else None


@pytest.mark.parametrize(
    ("now", "person"),
    [
        ("2026-11-23 08:59", "U3"),
        ("2026-11-23 09:00", "U1"),
        ("2026-11-30 08:59", "U1"),
        ("2026-11-30 09:00", "U2"),
        ("2026-12-14 09:00", "U1"),
        ("2027-03-29 08:59", "U3"),
        ("2027-03-29 09:00", "U1"),
    ],
)
def test_weekly(now: str, person: str) -> None:
    """Turns change on Mondays at nine by the wall clock, also before the start date."""
    assert who(WEEKLY, at(now)) == person


@pytest.mark.parametrize(
    ("start", "person"), [("2026-11-24", "U3"), ("2026-11-30", "U3"), ("2026-12-01", "U2")]
)
def test_start(start: str, person: str) -> None:
    """The first person's turn begins with the first hand-over from the start on."""
    rotation = Rotation(PEOPLE, WEEKLY.hand_over, BERLIN, date.fromisoformat(start))

    assert who(rotation, at("2026-11-25 12:00")) == person


@settings(deadline=None)
@given(rotation=rotations, now=instants)
def test_shifts_follow_each_other(rotation: Rotation, now: float) -> None:
    """Without gap or overlap, each at the hand-over's wall-clock time."""
    walk = list_from(rotation, now)
    shifts = [next(walk) for _ in range(8)]

    assert shifts[0].since <= now < shifts[0].until
    assert all(one.until == other.since for one, other in pairwise(shifts))
    for shift in shifts:
        day = wall_clock(shift.since, rotation.zone).date()
        wall = datetime.combine(day, rotation.hand_over.at)
        assert shift.since in {
            to_instant(wall, rotation.zone),
            _end_of_a_gap(shift.since, rotation.zone),
        }


@settings(deadline=None)
@given(rotation=rotations, now=instants, share=st.floats(0, 0.999))
def test_a_shift_is_the_same_throughout(rotation: Rotation, now: float, share: float) -> None:
    """At every moment, also after a restart, a shift is the same."""
    shift = current_shift(rotation, (), now)

    assert shift
    assert current_shift(rotation, (), shift.since + share * (shift.until - shift.since)) == shift
    assert next(later_shifts(rotation, (), now), None) == current_shift(rotation, (), shift.until)


def test_an_override_cuts_the_shifts_around_it() -> None:
    """An override is one shift, even over a hand-over; the shifts around it end and begin there."""
    override = Override("U9", at("2026-11-29 09:00"), at("2026-12-01 09:00"), by="U1")
    walk = list_from(WEEKLY, at("2026-11-27 12:00"), override)

    assert [next(walk) for _ in range(3)] == [
        Shift("U1", at("2026-11-23 09:00"), override.since),
        Shift("U9", override.since, override.until),
        Shift("U2", override.until, at("2026-12-07 09:00")),
    ]


def test_of_two_overrides_the_later_one_counts() -> None:
    """The last person entered is on call; an override that ends before it begins does not count."""
    long = Override("U8", at("2026-11-24 00:00"), at("2026-11-26 00:00"), by="U1")
    short = Override("U9", at("2026-11-25 00:00"), at("2026-11-25 12:00"), by="U1")
    never = Override("U7", long.until, long.since, by="U1")
    now = at("2026-11-25 06:00")

    assert who(WEEKLY, now, long, short, never) == "U9"
    assert who(WEEKLY, now, short, long) == "U8"


def test_next_shifts_to_notify() -> None:
    """Escalation goes on to whose turn comes next, to nobody twice, and ends."""
    now = at("2026-11-25 12:00")
    notified = ["U1"]
    while shift := next_shift_to_notify(WEEKLY, (), now, notified=notified):
        notified.append(shift.person)

    assert notified == ["U1", "U2", "U3"]


def test_a_group() -> None:
    """No member of a group is known individually, unless somebody took over."""
    now = at("2026-11-25 12:00")
    override = Override("U9", now, now + DAY_S, by="U9")

    assert current_shift(UserGroup("S1"), (), now) is None
    assert next_shift_to_notify(UserGroup("S1"), (), now, notified=()) is None
    assert who(UserGroup("S1"), now, override) == "U9"


def test_a_calendar() -> None:
    """A calendar may have gaps and exceptions; a person without a Slack id is skipped."""
    week = Shift("U1", 0, 7 * DAY_S)
    exception = Shift("U2", 2 * DAY_S, 3 * DAY_S)
    stranger = Shift("", 8 * DAY_S, 9 * DAY_S, "Anna")
    calendar = Shifts(0, (exception, stranger, Shift("U3", 9 * DAY_S, 10 * DAY_S), week))

    assert [who(calendar, day * DAY_S) for day in (1, 2, 3, 7, 8)] == ["U1", "U2", "U1", "", ""]
    assert next(later_shifts(calendar, (), 2 * DAY_S), None) == Shift("U1", 3 * DAY_S, 7 * DAY_S)
    assert next(later_shifts(calendar, (), 7.5 * DAY_S), None) == stranger
    assert next(later_shifts(calendar, (), 9 * DAY_S), None) is None
    found = next_shift_to_notify(calendar, (), 3 * DAY_S, notified={"U1"})
    assert found
    assert found.person == "U3"


def test_an_entry_that_names_nobody_takes_no_shift_away() -> None:
    """During a holiday or a meeting the same person is on call, in one piece."""
    week = Shift("U1", 0, 7 * DAY_S)
    holiday = Shift("", 2 * DAY_S, 3 * DAY_S, "Public holiday")

    assert current_shift(Shifts(0, (week, holiday)), (), 2.5 * DAY_S) == week
    assert current_shift(Shifts(0, (holiday,)), (), 2.5 * DAY_S) == holiday


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50), st.sampled_from(PEOPLE))),
    st.integers(0, 100),
)
def test_a_shift_in_one_piece(entries: list[tuple[int, int, str]], now: int) -> None:
    """However entries overlap, one person is on call from a shift's start to its end."""
    calendar = Shifts(0, tuple(Shift(who, begin, begin + span) for begin, span, who in entries))
    shift = current_shift(calendar, (), now)

    if shift:
        assert shift.since <= now < shift.until
        inside = range(int(shift.since), int(shift.until))
        assert {current_shift(calendar, (), moment) for moment in inside} == {shift}
    later = next(later_shifts(calendar, (), now), None)
    starts = (current_shift(calendar, (), moment) for moment in range(now + 1, 102))
    assert later == next((each for each in starts if each and each != shift), None)
