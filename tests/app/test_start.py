"""What a start loads before the first probe."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("alembic", "apprise", "icalendar", "psycopg", "pygments", "rich")


def test_what_the_start_does_not_need_is_not_loaded() -> None:
    """No migration, no table for a terminal, no calendar, no driver of another database."""
    code = f"import sys, bot.cli, bot.app.bot; print([m for m in {HEAVY} if m in sys.modules])"
    ended = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert ended.stdout == "[]\n"
