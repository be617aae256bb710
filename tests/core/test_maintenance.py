from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from bot.core.model.wall_clock import RecurringTime, parse_cron
from bot.core.state.silence import MaintenanceWindow, is_window_active

BERLIN = "Europe/Berlin"
FIRST_SUNDAYS = MaintenanceWindow(RecurringTime(time(2), 6, week=1), 4 * 3600.0, BERLIN)
SUNDAYS = MaintenanceWindow(RecurringTime(time(2), 6), 7200.0, BERLIN, ("prod",), "import")
ONCE = MaintenanceWindow(datetime.fromisoformat("2026-12-01 22:00"), 14400.0, BERLIN)

NIGHTLY = parse_cron("30 1 * * mon-fri")
assert NIGHTLY
NIGHTS = MaintenanceWindow(NIGHTLY, 1200.0, BERLIN)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("UTC")).timestamp()


@pytest.mark.parametrize(
    ("window", "begin", "end"),
    [
        (SUNDAYS, "2026-11-22 01:00", "2026-11-22 03:00"),
        (SUNDAYS, "2026-03-29 01:00", "2026-03-29 02:00"),
        (SUNDAYS, "2026-10-25 00:00", "2026-10-25 03:00"),
        (ONCE, "2026-12-01 21:00", "2026-12-02 01:00"),
        (FIRST_SUNDAYS, "2026-12-06 01:00", "2026-12-06 05:00"),
        (NIGHTS, "2026-11-24 00:30", "2026-11-24 00:50"),
        (
            MaintenanceWindow(RecurringTime(time(23)), 7200.0, BERLIN),
            "2026-03-28 22:00",
            "2026-03-29 00:00",
        ),
        (
            MaintenanceWindow(RecurringTime(time(2, 30)), 3600.0, BERLIN),
            "2026-03-29 01:00",
            "2026-03-29 01:30",
        ),
    ],
)
def test_begins_and_ends(window: MaintenanceWindow, begin: str, end: str) -> None:
    """A window begins and ends at its wall-clock times, even if the clocks change within it."""
    begin_at, end_at = at(begin), at(end)

    found = [
        is_window_active(window, "prod", now)
        for now in (begin_at - 1, begin_at, end_at - 1, end_at)
    ]
    assert found == [False, True, True, False]


def test_skipped_hour() -> None:
    """A window within the hour that spring skips does not exist on that night."""
    window = MaintenanceWindow(RecurringTime(time(2)), 3600.0, BERLIN)
    night = range(int(at("2026-03-28 22:00")), int(at("2026-03-29 12:00")), 600)

    assert not any(is_window_active(window, "prod", now) for now in night)


def test_tenants() -> None:
    """A window applies to the tenants that it names, or to all."""
    assert not is_window_active(SUNDAYS, "staging", at("2026-11-22 01:30"))
    assert is_window_active(ONCE, "staging", at("2026-12-01 22:30"))
