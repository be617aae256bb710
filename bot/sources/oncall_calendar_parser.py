"""The child process that parses an iCalendar document: bytes on stdin, JSON on stdout.

A process of its own, because `RRULE:FREQ=SECONDLY` in 200 bytes makes millions of events, and
neither icalendar 7.3 nor recurring-ical-events 3.8 can be limited from inside. Each series has a
limit of its own as well, so that one such rule does not hide the shifts of all others.
"""

from __future__ import annotations

import re
import signal
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import icalendar
import recurring_ical_events

from bot.core.model.wall_clock import to_instant
from bot.sources.sandbox import DocumentRefused, run_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

BACK = timedelta(days=14)
AHEAD = timedelta(days=60)
MAX_SHIFTS = 2000
"""Entries in these 74 days: a team's whole calendar, not only its shifts, has fewer."""
MAX_IN_SERIES = 500
"""Of one recurrence rule: more than six shifts a day need."""
OWN_ZONE = re.compile(rb"^TZID:(GMT|UTC|EST|MST|HST|CET|EET|MET|WET)\s*$", re.MULTILINE)
"""A document's own zone of a name that says nothing about summer time."""
SERIES_CPU_S = 0.5
"""CPU seconds for one recurrence rule: thirty years of daily shifts take 0.05."""


class _SeriesTooLong(BaseException):
    """A recurrence rule makes too many events. The libraries catch every `Exception`."""


def parse_shifts(body: bytes, now: float, zone: str) -> dict[str, Any]:
    """Return the shifts around now; a time without a time zone is in `zone`.

    Raises DocumentRefused.
    """
    today = datetime.fromtimestamp(now, UTC)
    rows: list[dict[str, Any]] = []
    try:
        # icalendar takes `GMT` and such for the well-known zones; but some call London's time so.
        for name in {found[1] for found in OWN_ZONE.finditer(body)}:
            body = re.sub(rb'(TZID[:=])"?%b"?(?=[:;\s])' % name, rb"\g<1>own-%b" % name, body)
        calendars = icalendar.Calendar.from_ical(body, multiple=True)
        for part in chain.from_iterable(map(_split_series, calendars)):
            events = _expand(part, today)
            rows += [
                _to_row(event, zone)
                for event in events
                if str(event.get("STATUS", "")).upper() != "CANCELLED"
            ]
    except Exception as error:  # both libraries raise many kinds on malformed input
        raise DocumentRefused("no_calendar", type(error).__name__) from error
    if not calendars:
        raise DocumentRefused("no_calendar", "empty")
    if len(rows) > MAX_SHIFTS:
        raise DocumentRefused("too_many")
    return {"shifts": [row for row in rows if row["since"] < row["until"]]}


def _split_series(calendar: icalendar.Calendar) -> Iterator[icalendar.Calendar]:
    """Yield each series that recurs as a calendar of its own, and all other events as one.

    An event without a start, which is perhaps nobody's shift, must not hide all others.
    """
    events = [each for each in calendar.events if "DTSTART" in each]
    recurring = {each.get("UID") for each in events if "RRULE" in each or "RDATE" in each}
    groups: dict[str | None, list[icalendar.Event]] = {}
    for event in events:
        uid = event.get("UID")
        groups.setdefault(uid if uid in recurring else None, []).append(event)
    for group in groups.values():
        part = calendar.copy()
        part.subcomponents = [*calendar.timezones, *group]
        yield part


def _expand(calendar: icalendar.Calendar, today: datetime) -> list[icalendar.Event]:
    """Return the events around today; of a series that is too long none."""
    query = recurring_ical_events.of(calendar, components=["VEVENT"], skip_bad_series=True)
    window = today - BACK, today + AHEAD
    if not any("RRULE" in event for event in calendar.events):
        return list(query.between(*window))
    try:
        with _limited_cpu():
            found: list[icalendar.Event] = list(query.between(*window))
    except _SeriesTooLong:
        return []
    return found if len(found) <= MAX_IN_SERIES else []


@contextmanager
def _limited_cpu() -> Iterator[None]:
    """Raise _SeriesTooLong after `SERIES_CPU_S` of this process's own work."""

    def stop(_signal: int, _frame: object) -> None:
        raise _SeriesTooLong

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SERIES_CPU_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _to_row(event: icalendar.Event, zone: str) -> dict[str, Any]:
    names: dict[bool, list[str]] = {True: [], False: []}
    for each in event.attendees:
        has_declined = str(each.params.get("PARTSTAT", "")).upper() == "DECLINED"
        mail = str(each).lower().removeprefix("mailto:")
        names[has_declined] += [mail, str(each.params.get("CN", mail))]
    return {
        "since": _to_instant(event.start, zone),
        "until": _to_instant(event.end, zone),
        "attendees": names[False],
        "declined": names[True],
        "summary": str(event.get("SUMMARY", "")),
    }


def _to_instant(at: date | datetime, zone: str) -> float:
    if not isinstance(at, datetime):
        return to_instant(datetime.combine(at, time()), zone)
    return at.timestamp() if at.tzinfo else to_instant(at, zone)


if __name__ == "__main__":
    run_parser(lambda body, now, zone: parse_shifts(body, float(now), zone))
