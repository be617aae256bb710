"""The connection to SQLite, and what its errors mean to an operator."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from bot.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_RIGHTS = "give this process's user the right to write the file and its directory"
_MEANING = {
    sqlite3.SQLITE_FULL: "its disk is full: free some space",
    sqlite3.SQLITE_IOERR: "its disk is full or fails: free some space, or see the system log",
    sqlite3.SQLITE_READONLY: f"it is read-only: {_RIGHTS}",
    sqlite3.SQLITE_CANTOPEN: f"it cannot be opened: {_RIGHTS}",
    sqlite3.SQLITE_BUSY: "another program has locked it: close that",
    sqlite3.SQLITE_CONSTRAINT: "another process has written to it: stop all but one and restart it",
    **dict.fromkeys(DAMAGE, "it is damaged: restart, and it is moved aside and begun afresh"),
}


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    """Open a connection whose every transaction begins by taking the write lock.

    A deferred transaction that reads and then writes fails "locked" at once, whatever the time-out.
    """
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    with engine.connect() as connection:
        yield connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong with the database into a `StoreError` of one line."""
    try:
        yield
    except (DBAPIError, sqlite3.Error) as error:
        code = error_code(error)
        meaning = _MEANING.get(code, f"SQLite refuses (error {code})")
        raise StoreError(f"The database {path} cannot be used: {meaning}") from error
    except OSError as error:
        raise StoreError(
            f"The database {path} cannot be used ({error.strerror}): its directory must exist,"
            " be writable to this process's user and have space left"
        ) from error


def error_code(error: DBAPIError | sqlite3.Error) -> int:
    """Return SQLite's primary result code (https://sqlite.org/rescode.html), 0 without one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    extended: int = getattr(cause, "sqlite_errorcode", 0)
    return extended & 0xFF


def _prepare(raw: Any, _record: object) -> None:
    raw.isolation_level = None  # transactions begin in `_begin`, not by the driver's own rules
    raw.execute("PRAGMA busy_timeout = 5000")
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
