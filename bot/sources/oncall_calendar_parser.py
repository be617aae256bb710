"""The child process that parses an iCalendar document: bytes on stdin, JSON on stdout.

A process of its own, because `RRULE:FREQ=SECONDLY` in 200 bytes makes millions of events, and
neither icalendar 7.3 nor recurring-ical-events 3.8 can be limited from inside.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import icalendar
import recurring_ical_events

from bot.core.model.wall_clock import to_instant
from bot.sources.sandbox import DocumentRefused, run_parser

BACK = timedelta(days=14)
AHEAD = timedelta(days=60)
MAX_SHIFTS = 500
"""Shifts in these 74 days: more than four people a day need."""


def parse_shifts(body: bytes, now: float, zone: str) -> dict[str, Any]:
    """Return the shifts around now; a time without a time zone is in `zone`.

    Raises DocumentRefused.
    """
    today = datetime.fromtimestamp(now, UTC)
    try:
        calendar = icalendar.Calendar.from_ical(body)
        # One broken event, which is perhaps nobody's shift, must not hide all others.
        calendar.subcomponents = [
            each for each in calendar.subcomponents if each.name != "VEVENT" or "DTSTART" in each
        ]
        query = recurring_ical_events.of(calendar, components=["VEVENT"], skip_bad_series=True)
        events = query.between(today - BACK, today + AHEAD)
        rows = [_to_row(event, zone) for event in events if event.get("STATUS") != "CANCELLED"]
    except Exception as error:  # both libraries raise many kinds on malformed input
        raise DocumentRefused("no_calendar", type(error).__name__) from error
    if len(rows) > MAX_SHIFTS:
        raise DocumentRefused("too_many")
    return {"shifts": [row for row in rows if row["since"] < row["until"]]}


def _to_row(event: icalendar.Event, zone: str) -> dict[str, Any]:
    attendees = event.attendees
    mails = [str(each).lower().removeprefix("mailto:") for each in attendees]
    names = [str(each.params["CN"]) for each in attendees if "CN" in each.params]
    return {
        "since": _to_instant(event.start, zone),
        "until": _to_instant(event.end, zone),
        "attendees": [*mails, *names],
        "summary": str(event.get("SUMMARY", "")),
    }


def _to_instant(at: date | datetime, zone: str) -> float:
    if not isinstance(at, datetime):
        return to_instant(datetime.combine(at, time()), zone)
    return at.timestamp() if at.tzinfo else to_instant(at, zone)


if __name__ == "__main__":
    run_parser(lambda body, now, zone: parse_shifts(body, float(now), zone))
