"""Wall-clock times of a time zone, correct on the days on which its clocks change.

A wall-clock time means the first instant at which the zone's clocks show it or a later one: a time
that comes twice in autumn means the first one, a time that spring skips means the end of the gap.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DAY_S = 86400.0
WEEK_S = 7 * DAY_S
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS_S = {"m": 60.0, "h": 3600.0, "d": DAY_S}
_SPAN = re.compile(r"(\d{1,5})([mhd])", re.ASCII)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}
_RECURRING = re.compile(
    rf"(?:(?:({'|'.join(WEEKS)}) )?({'|'.join(WEEKDAYS)})(?:[a-z]*day)? |(\d\d?)(?:st|nd|rd|th) )?"
    r"(\d\d?):(\d\d)",
    re.ASCII | re.IGNORECASE,
)
_NEARBY_DAYS = {1: range(-8, 9), 7: range(-8, 9), 28: range(-64, 65)}
"""By period: days around a date that include the last and the next occurrence, even if a zone
skipped a whole day (Pacific/Apia, 2011-12-30) and a month has no 31st."""
_CRON_DAYS = 8 * 366 + 1
"""Days after which a day that a cron expression names has come: the 29th of February is left out in
1900 and 2100."""


class Occurrence(NamedTuple):
    """One occurrence of a recurring time."""

    wall: datetime
    """What the zone's clocks show; a naive time."""
    at: float

    @property
    def day(self) -> date:
        """The day by the zone's calendar."""
        return self.wall.date()


@dataclass(frozen=True, slots=True)
class RecurringTime:
    """A wall-clock time of each day, of one day of the week, or of one day of the month."""

    at: time
    weekday: int | None = None
    """0 is Monday; None: every day."""
    week: int | None = None
    """The first (1) to fourth (4) such weekday of a month, or the last (-1); None: every one."""
    month_day: int | None = None
    """Of each month that has it; None: every day."""

    @property
    def period_days(self) -> int:
        """The least days from one occurrence to the next."""
        if self.week is not None or self.month_day is not None:
            return 28
        return 1 if self.weekday is None else 7

    def last(self, now: float, zone: str) -> Occurrence:
        """Return the latest occurrence up to now."""
        return max(each for each in self._nearby_occurrences(now, zone) if each.at <= now)

    def next(self, now: float, zone: str) -> Occurrence:
        """Return the first occurrence after now."""
        return min(each for each in self._nearby_occurrences(now, zone) if each.at > now)

    def _nearby_occurrences(self, now: float, zone: str) -> list[Occurrence]:
        today = wall_clock(now, zone).date()
        days = (today + timedelta(days=offset) for offset in _NEARBY_DAYS[self.period_days])
        walls = (datetime.combine(day, self.at) for day in days if self._is_on(day))
        return [Occurrence(wall, to_instant(wall, zone)) for wall in walls]

    def _is_on(self, day: date) -> bool:
        if self.weekday not in {None, day.weekday()} or self.month_day not in {None, day.day}:
            return False
        is_last = (day + timedelta(days=7)).month != day.month
        return self.week in {None, (day.day - 1) // 7 + 1, -1 if is_last else None}


def parse_recurring_time(text: str) -> RecurringTime | None:
    """Parse a time that comes every day, week or month; None for anything else.

    `09:00`, `Mon 09:00`, `15th 09:00`, `first Mon 09:00`, `last Mon 09:00`.
    """
    match = _RECURRING.fullmatch(text)
    if match is None:
        return None
    week, weekday, month_day = match[1], match[2], int(match[3] or 0)
    try:
        at = time(int(match[4]), int(match[5]))
    except ValueError:
        return None
    if match[3] and not 1 <= month_day <= 31:  # noqa: PLR2004 - the days of a month
        return None
    return RecurringTime(
        at,
        WEEKDAYS.index(weekday.lower()) if weekday else None,
        WEEKS[week.lower()] if week else None,
        month_day or None,
    )


@dataclass(frozen=True, slots=True)
class CronTime:
    """The wall-clock times of a cron expression."""

    times: tuple[time, ...]
    """Of each such day, the earliest first."""
    month_days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Monday."""
    is_either_day: bool
    """Both kinds of day are limited: then cron takes the days of either."""

    def last(self, now: float, zone: str) -> Occurrence | None:
        """Return the latest occurrence up to now; None: none within eight years."""
        found = self._occurrences(now, zone, -1)
        return next((each for each in found if each.at <= now), None)

    def next(self, now: float, zone: str) -> Occurrence | None:
        """Return the first occurrence after now; None: none within eight years."""
        found = self._occurrences(now, zone, 1)
        return next((each for each in found if each.at > now), None)

    def _occurrences(self, now: float, zone: str, step: int) -> Iterator[Occurrence]:
        """Yield those from now on, or back; the first may lie on the other side."""
        today = wall_clock(now, zone).date()
        for offset in range(_CRON_DAYS):
            day = today + timedelta(days=step * offset)
            fits = (day.day in self.month_days, day.weekday() in self.weekdays)
            is_day = any(fits) if self.is_either_day else all(fits)
            if is_day and day.month in self.months:
                for at in self.times[::step]:
                    wall = datetime.combine(day, at)
                    yield Occurrence(wall, to_instant(wall, zone))


def parse_cron(text: str) -> CronTime | None:
    """Parse a cron expression of five fields, as of crontab(5); None for anything else.

    Minute, hour, day of the month, month, day of the week, each with `*`, lists, ranges, steps;
    months and weekdays also by name, and Sunday as 0 and 7.
    """
    fields = text.lower().split()
    if len(fields) != 5:  # noqa: PLR2004 - as said
        return None
    sundays_first = (WEEKDAYS[-1], *WEEKDAYS)
    try:
        minutes = _parse_cron_field(fields[0], 0, 59)
        hours = _parse_cron_field(fields[1], 0, 23)
        month_days = _parse_cron_field(fields[2], 1, 31)
        months = _parse_cron_field(fields[3], 1, 12, MONTHS)
        weekdays = _parse_cron_field(fields[4], 0, 7, sundays_first)
    except ValueError:
        return None
    return CronTime(
        times=tuple(time(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)),
        month_days=month_days,
        months=months,
        weekdays=frozenset((day - 1) % 7 for day in weekdays),
        is_either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )


def _parse_cron_field(
    text: str, low: int, high: int, names: tuple[str, ...] = ()
) -> frozenset[int]:
    """Return the numbers that one field names. Raises ValueError."""

    def number(word: str) -> int:
        found = names.index(word) + low if word in names else int(word)
        if not (low <= found <= high and word.isascii()):
            raise ValueError(word)
        return found

    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        begin, dash, end = span.partition("-")
        first = low if span == "*" else number(begin)
        last = number(end) if dash else high if slash or span == "*" else first
        numbers = range(first, last + 1, int(step) if slash else 1)
        if not numbers:
            raise ValueError(part)
        found.update(numbers)
    return frozenset(found)


def is_zone(name: str) -> bool:
    """Tell whether a time zone of this IANA name (`Europe/Berlin`) is known here."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; no such path; a folder of zones
        return False
    return True


def wall_clock(at: float, zone: str) -> datetime:
    """Return what a zone's clocks show at an instant, as a naive time."""
    return datetime.fromtimestamp(at, ZoneInfo(zone)).replace(tzinfo=None)


def parse_iso(text: str) -> float | None:
    """Parse an ISO 8601 date, in UTC if it names no offset; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def to_instant(wall: datetime, zone: str) -> float:
    """Return when a zone's clocks first show this naive time, or a later one."""
    of_zone = wall.replace(tzinfo=ZoneInfo(zone))
    first, second = of_zone.timestamp(), of_zone.replace(fold=1).timestamp()
    if first <= second:
        return first
    # In a gap the two use the offsets before and after it, so the end of the gap is between them.
    around = range(int(second), int(first) + 1)
    return float(around[bisect_left(around, wall, key=lambda at: wall_clock(at, zone))])


def parse_span(text: str) -> float | None:
    """Parse `30m`, `2h` or `1d` into seconds; None for anything else."""
    match = _SPAN.fullmatch(text.lower())
    return int(match[1]) * UNITS_S[match[2]] if match else None


def parse_until(words: Sequence[str], now: float, zone: str) -> tuple[float, int] | None:
    """Parse an end time from the first words of a text.

    `30m`, `2h`, `1d`, `until 14:00`, `until tomorrow 09:00`, `until Mon 09:00`, by the clocks of
    the zone, or in UTC if the zone is unknown here. Returns the instant and how many words it took,
    or None.
    """
    if not words:
        return None
    if (span_s := parse_span(words[0])) is not None:
        return now + span_s, 1
    if words[0].lower() != "until":
        return None
    zone = zone if is_zone(zone) else "UTC"
    for count in (1, 2):
        text = " ".join(words[1 : 1 + count]).lower()
        wanted = parse_recurring_time(text.removeprefix("tomorrow "))
        if wanted and text.startswith("tomorrow "):
            tomorrow = wall_clock(now, zone).date() + timedelta(days=1)
            return to_instant(datetime.combine(tomorrow, wanted.at), zone), 1 + count
        if wanted:
            return wanted.next(now, zone).at, 1 + count
    return None
