"""Opens the SQLite file: lock, check, create, migrate; and says what SQLite's errors mean."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import sqlite3
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from bot.ports import StoreError
from bot.store.backups import (
    PRIVATE,
    back_up,
    copy_database,
    list_backups,
    restore_newest,
    sync_to_disk,
    write_copy,
)
from bot.store.damage import (
    APPLICATION_ID,
    DAMAGE_CODES,
    error_code,
    is_damaged,
    is_log_damaged,
)
from bot.store.schema import (
    HEAD,
    DatabaseInspection,
    describe_revision,
    read_revision,
    upgrade,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)


def parse_path(database: str) -> Path:
    """Return the file that the setting `database` names: a path, or `sqlite:///path`."""
    name = database.removeprefix("sqlite:///")
    if name in ("", ":memory:") or "://" in name or "?" in name:
        raise StoreError(
            "`database`: give the path of a SQLite file, or postgresql://USER@HOST/NAME"
        )
    return Path(name).resolve()


_UNSAVED, _SAVED = b"U", b"S"
"""What the lock file holds: whether the process that had it ran from memory, with nothing saved.
A byte that is there already can be changed on a full disk."""


@contextmanager
def hold_lock(path: Path) -> Iterator[bool]:
    """Lock the database against other processes, as long as this one lives.

    Yields whether the process before ran from memory when it ended.
    """
    handle = os.open(_lock_path(path), os.O_CREAT | os.O_RDWR, PRIVATE)
    try:
        _lock(handle, path)
        noted = os.pread(handle, 1, 0)
        if not noted:
            os.pwrite(handle, _SAVED, 0)
        yield noted == _UNSAVED
    finally:
        os.close(handle)


@contextmanager
def hold_identity(path: Path) -> Iterator[None]:
    """Lock the file itself as well: it may have a second path, by a hard link or a mount.

    SQLite's own locks are of another kind and do not conflict. Closing the handle would drop them,
    so it is opened before SQLite opens the file, and closed after it.
    """
    handle = os.open(path, os.O_RDONLY)
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


def note_unsaved(path: Path, *, is_unsaved: bool) -> None:
    """Note for the next process whether this one can save what it does, if the disk lets us."""
    with suppress(OSError):
        handle = os.open(_lock_path(path), os.O_RDWR)
        try:
            os.pwrite(handle, _UNSAVED if is_unsaved else _SAVED, 0)
        finally:
            os.close(handle)


def _lock_path(path: Path) -> str:
    return f"{path}.lock"


def move_aside(path: Path, now: float) -> Path:
    """Rename a damaged database, its log first: SQLite would replay a log that is left behind."""
    aside = Path(f"{path}.corrupt-{now:.0f}")
    for suffix in ("-wal", "-shm", ""):
        part = Path(f"{path}{suffix}")
        if part.exists():
            part.rename(f"{aside}{suffix}")
    return aside


LOG_DAMAGED = (
    "The database's log was damaged: its newest entries are lost. Messages of the next ten minutes"
    " may be doubles"
)
RESTORED = (
    "; {backup}, at most an hour older, was restored. Messages of the next ten minutes may be"
    " doubles"
)
FORGOTTEN = "; a new one was begun. What was known is forgotten: what still fails is posted again"


MIN_FREE = 100_000_000
"""Bytes. A year of a small team takes about a tenth of it."""


class SqliteDatabase:
    """The `Database` in a file of this machine's; only one process uses it.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)
        self.warning = ""
        self.was_unsaved = False
        self.on_lost: Callable[[str], object] = lambda _: None
        self.connection: Connection
        """The only one."""
        self._resources = ExitStack()
        """The connection and the lock."""
        self._identity = 0, 0
        """Device and number of the file."""
        self._opened_at = 0.0

    def open(self, now: float) -> None:
        """Lock, check and migrate it; create it if it is missing (but not its directory).

        A damaged database is moved aside, named by `now`. If it or a missing one has a backup, that
        is restored, else a new one is begun, with a warning: a bot without its history helps people
        on call more than one that does not start.
        An older database is copied before it is migrated, so that people can go back a version.
        """
        path, self._opened_at = self.path, now
        with explain_errors(path), ExitStack() as resources:
            was_unsaved = resources.enter_context(hold_lock(path))
            warning = ""
            if path.exists():
                resources.enter_context(hold_identity(path))
                warning = LOG_DAMAGED if is_log_damaged(Path(f"{path}-wal")) else ""
                if is_damaged(path):  # this takes the log up, as far as it goes
                    warning = f"The database was damaged and is now {move_aside(path, now)}"
            elif list_backups(path):
                warning = f"The database {path} was gone"
            if not path.exists():
                if backup := restore_newest(path):
                    warning += RESTORED.format(backup=backup.name)
                else:
                    _create_database(path)
                    warning += FORGOTTEN if warning else ""
                resources.enter_context(hold_identity(path))
            path.chmod(PRIVATE)
            self.connection = resources.enter_context(connect(path))
            with self.connection.begin():
                is_migrated = (read_revision(self.connection) or HEAD) < HEAD
            if is_migrated:
                copy_database(path, Path(f"{path}.before-{HEAD}"))
            with self.connection.begin():
                upgrade(self.connection)
            self.warning, self.was_unsaved = warning, was_unsaved or bool(warning)
            self._identity, self._resources = _identity_of(path), resources.pop_all()

    def inspect(self) -> DatabaseInspection:
        """See the protocol."""
        path, folder = self.path, self.path.parent
        with explain_errors(path):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise OSError(errno.EACCES, "no right to write" if folder.exists() else "not there")
            if shutil.disk_usage(folder).free < MIN_FREE:
                raise OSError(errno.ENOSPC, "less than 100 MB are free")
            if not path.exists():
                return DatabaseInspection(f"{path} will be made", is_new=True)
            if not os.access(path, os.W_OK):
                raise OSError(errno.EACCES, "no right to write")
            if _is_locked(path):
                return DatabaseInspection(f"{path} is in use by a running bot", is_in_use=True)
            if is_damaged(path):
                detail = (
                    "is damaged: the bot moves it aside at its start, and restores its newest copy"
                )
                return DatabaseInspection(f"{path} {detail}")
            with connect(path) as connection, connection.begin():
                revision = read_revision(connection) or HEAD
        return describe_revision(str(path), revision, "copies and migrates")

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See the protocol. Each transaction takes the write lock: nothing else would be faster."""
        with explain_errors(self.path), self.connection.begin():
            yield self.connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See the protocol. A file that somebody deleted is written again before."""
        if self._is_gone:
            self._write_again()
        with self.reading() as connection:
            yield connection

    @property
    def _is_gone(self) -> bool:
        """Whether somebody deleted the file. Raises `StoreError` if it is another one now."""
        if not self.path.exists():
            return True
        if _identity_of(self.path) != self._identity:
            raise StoreError(
                f"The database {self.path} was replaced while it was in use: restart the bot"
            )
        return False

    def _write_again(self) -> None:
        """Write a deleted file from what the open one still holds."""
        with explain_errors(self.path):
            raw = self.connection.connection.dbapi_connection
            assert raw is not None  # noqa: S101 - it is open
            write_copy(raw, self.path)
        self._resources.close()
        warning, was_unsaved = self.warning, self.was_unsaved
        self.open(self._opened_at)
        self.warning, self.was_unsaved = warning, was_unsaved
        log.error("%s was deleted, and written again", self.path)

    def back_up(self) -> None:
        """Copy it as the newest backup, and forget the oldest one."""
        with explain_errors(self.path):
            back_up(self.path)

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        """See the protocol."""
        note_unsaved(self.path, is_unsaved=is_unsaved)

    def may_send(self, *, is_urgent: bool) -> bool:  # noqa: ARG002 - others wait for nothing
        """See the protocol: the file's lock keeps others out for as long as this process lives."""
        return True

    def close(self) -> None:
        """See the protocol."""
        self._resources.close()


def _identity_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _create_database(path: Path) -> None:
    """Create an empty database under another name first: a kill in between leaves no half one."""
    draft = Path(f"{path}.new")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)  # SQLite would replay an old log
        Path(f"{draft}{suffix}").unlink(missing_ok=True)
    draft.touch(PRIVATE, exist_ok=False)
    with connect(draft) as connection, connection.begin():
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        upgrade(connection)
    draft.rename(path)
    sync_to_disk(path.parent)


_RIGHTS = "give this process's user the right to write the file and its directory"
_MEANING = {
    sqlite3.SQLITE_FULL: "its disk is full: free some space",
    sqlite3.SQLITE_IOERR: "its disk is full or fails: free some space, or see the system log",
    sqlite3.SQLITE_READONLY: f"it is read-only: {_RIGHTS}",
    sqlite3.SQLITE_CANTOPEN: f"it cannot be opened: {_RIGHTS}",
    sqlite3.SQLITE_BUSY: "another program has locked it: close that",
    sqlite3.SQLITE_CONSTRAINT: "another process has written to it: stop all but one and restart it",
    **dict.fromkeys(DAMAGE_CODES, "it is damaged: restart, and its newest copy is restored"),
}


@contextmanager
def connect(path: Path) -> Iterator[Connection]:
    """Open a connection. Each of its transactions takes the write lock when it begins.

    A deferred one that reads first and writes later fails at once ("locked"), without waiting.
    """
    url = URL.create("sqlite", database=str(path))
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    with engine.connect() as connection:
        yield connection


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn errors of the database into a `StoreError` of one line."""
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


def _set_pragmas(raw: Any, _record: object) -> None:
    raw.isolation_level = None  # transactions begin in `_begin`, not by the driver's own rules
    raw.execute("PRAGMA busy_timeout = 5000")
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("PRAGMA synchronous = FULL")
    raw.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_locked(path: Path) -> bool:
    """Tell whether a process has the database; by the path first, which this one may have."""
    for name in (Path(_lock_path(path)), path):
        try:
            with name.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            pass
    return False
