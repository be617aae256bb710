"""The database's file: where it is, who holds it, whose it is, whether it is sound."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.ports import StoreError
from bot.store.sqlite import DAMAGE, error_code

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE = 0o600
"""The mode of our files: they hold addresses that let their reader post to Slack."""
APPLICATION_ID = 0x4130434B
"""Marks our databases in SQLite's header: "A0CK"."""
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_APPLICATION_ID_AT = 68
"""Offsets by https://sqlite.org/fileformat2.html, section 1.3, read 2026-11."""


def path_of(database: str) -> Path:
    """Return the file that the setting `database` names: a path, or `sqlite:///path`."""
    if database.startswith("postgres") and "://" in database:
        raise StoreError(
            "`database`: PostgreSQL is not supported yet; give the path of a SQLite file"
        )
    name = database.removeprefix("sqlite:///")
    if name in ("", ":memory:") or "://" in name or "?" in name:
        raise StoreError("`database`: give the path of a SQLite file, or sqlite:///path")
    return Path(name).resolve()


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Keep other processes off this database, as long as this one lives."""
    handle = os.open(f"{path}.lock", os.O_CREAT | os.O_RDWR, PRIVATE)
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StoreError(
            f"The database {path} is in use by another auth0-check: stop that one, or give this"
            " one a `database` of its own"
        ) from None


def is_damaged(path: Path) -> bool:
    """Look through the whole file. Raises `StoreError` if it is not one of ours."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if not _is_ours(header):
        what = "belongs to another program" if header else "is empty"
        raise StoreError(
            f"The file {path} {what}: give another `database`, or move it away to begin afresh"
        )
    try:
        with closing(sqlite3.connect(path)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error_code(error) not in DAMAGE:
            raise
        return True
    return bool(verdict != "ok")


def _is_ours(header: bytes) -> bool:
    """Tell by the header; one that was cut or zeroed gets the benefit of the doubt."""
    if header.startswith(_MAGIC) and len(header) == _HEADER_BYTES:
        return header[_APPLICATION_ID_AT:].startswith(APPLICATION_ID.to_bytes(4, "big"))
    is_zeroed = not header.strip(b"\0")
    return header != b"" and (is_zeroed or header.startswith(_MAGIC))


def move_aside(path: Path, now: float) -> Path:
    """Give a damaged database another name, its log first: a log left behind would be replayed."""
    aside = Path(f"{path}.corrupt-{now:.0f}")
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside


def copy(path: Path, to: Path) -> None:
    """Copy a database with what is in its log, in place of an older copy, whole or not at all."""
    draft = Path(f"{to}.new")
    draft.unlink(missing_ok=True)
    draft.touch(PRIVATE)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("VACUUM INTO ?", (str(draft),))
    sync(draft)  # VACUUM INTO leaves that to its caller
    draft.rename(to)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file's content, or a directory's new name, survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
