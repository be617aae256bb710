"""Copies of the database beside it, from which a lost or damaged one is restored."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bot.ports import StoreError
from bot.store.damage import is_damaged

PRIVATE = 0o600
"""The mode of our files: they hold addresses that let their reader post to Slack."""
BACKUPS = 3
"""How many are kept; each is an hour older than the one before."""


def copy_database(path: Path, to: Path) -> None:
    """Copy a database and what is in its log, whole or not at all. Replaces an older copy."""
    # Opened in another way, a database that was deleted would be made anew, and be empty.
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as connection:
        write_copy(connection, to)


def write_copy(connection: Any, to: Path) -> None:
    """Copy what a connection sees."""
    draft = Path(f"{to}.new")
    draft.unlink(missing_ok=True)
    draft.touch(PRIVATE)
    connection.execute("VACUUM INTO ?", (str(draft),))
    sync_to_disk(draft)  # VACUUM INTO leaves that to its caller
    draft.rename(to)
    sync_to_disk(to.parent)


def sync_to_disk(path: Path) -> None:
    """Make a file's content, or the names in a directory, survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_backups(path: Path) -> list[Path]:
    """Return the copies that are there, the newest first."""
    named = (Path(f"{path}.backup-{number}") for number in range(BACKUPS + 1))
    return [each for each in named if each.exists()]


def back_up(path: Path) -> None:
    """Copy the database as the newest backup, and forget the oldest one."""
    copy_database(path, Path(f"{path}.backup-0"))
    for number in range(BACKUPS, 0, -1):
        with suppress(FileNotFoundError):
            Path(f"{path}.backup-{number - 1}").rename(f"{path}.backup-{number}")


def restore_newest(path: Path) -> Path | None:
    """Put the newest undamaged backup where no database is; None: there is none."""
    for backup in list_backups(path):
        with suppress(StoreError):
            if not is_damaged(backup):
                for suffix in ("-wal", "-shm"):  # SQLite would replay an old log
                    Path(f"{path}{suffix}").unlink(missing_ok=True)
                copy_database(backup, path)
                return backup
    return None
