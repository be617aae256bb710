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
    from collections.abc import Sequence

DAY_S = 86400.0
WEEK_S = 7 * DAY_S
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
UNITS_S = {"m": 60.0, "h": 3600.0, "d": DAY_S}
_SPAN = re.compile(r"(\d{1,5})([mhd])", re.ASCII)
_RECURRING = re.compile(
    rf"(?:({'|'.join(WEEKDAYS)})(?:[a-z]*day)? )?(\d\d?):(\d\d)", re.ASCII | re.IGNORECASE
)
_NEARBY_DAYS = range(-8, 9)
"""Days around a date that include the last and the next occurrence of a weekly time, even if a zone
skipped a whole day (Pacific/Apia, 2011-12-30)."""


class Occurrence(NamedTuple):
    """One occurrence of a recurring time."""

    day: date
    """By the zone's calendar."""
    at: float


@dataclass(frozen=True, slots=True)
class RecurringTime:
    """A wall-clock time of each day, or of one day of the week."""

    at: time
    weekday: int | None = None
    """0 is Monday; None: every day."""

    @property
    def period_days(self) -> int:
        """The days from one occurrence to the next."""
        return 1 if self.weekday is None else 7

    def last(self, now: float, zone: str) -> Occurrence:
        """Return the latest occurrence up to now."""
        return max(each for each in self._nearby_occurrences(now, zone) if each.at <= now)

    def next(self, now: float, zone: str) -> Occurrence:
        """Return the first occurrence after now."""
        return min(each for each in self._nearby_occurrences(now, zone) if each.at > now)

    def _nearby_occurrences(self, now: float, zone: str) -> list[Occurrence]:
        today = wall_clock(now, zone).date()
        days = (today + timedelta(days=offset) for offset in _NEARBY_DAYS)
        return [
            Occurrence(day, to_instant(datetime.combine(day, self.at), zone))
            for day in days
            if self.weekday in {None, day.weekday()}
        ]


def parse_recurring_time(text: str) -> RecurringTime | None:
    """Parse `09:00` (every day) or `Mon 09:00` (every week); None for anything else."""
    match = _RECURRING.fullmatch(text)
    if match is None:
        return None
    try:
        at = time(int(match[2]), int(match[3]))
    except ValueError:
        return None
    return RecurringTime(at, WEEKDAYS.index(match[1].lower()) if match[1] else None)


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
