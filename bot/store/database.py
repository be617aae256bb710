"""What the store needs of a database, whatever its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.store.postgresql import PostgresqlDatabase, is_server
from bot.store.sqlite_file import SqliteDatabase, parse_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from bot.store.schema import DatabaseInspection


class Database(Protocol):
    """One database. Each method may block, and raises `StoreError` of one line.

    One thread opens and uses it. `back_up`, `note_unsaved`, `may_send` and `inspect` may run in
    any.
    """

    name: str
    """What messages call it. It has no password."""
    warning: str
    """Once it is open: what operators must know about how it was opened; mostly empty."""
    was_unsaved: bool
    """Once it is open: the process before ran from memory when it ended, or what it saved is lost.
    """
    on_lost: Callable[[str], object]
    """Called in any thread, with the reason, once this process may no longer act."""

    def inspect(self) -> DatabaseInspection:
        """Say what the bot would find at its start. Nothing is changed."""

    def open(self, now: float) -> None:
        """Take it for this process alone, and bring it to the newest schema. `now` names files."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Return a transaction that sees one state of all tables."""

    def writing(self) -> AbstractContextManager[Connection]:
        """Return a transaction: all or nothing. After an error the next one may succeed."""

    def back_up(self) -> None:
        """Copy it, where nobody else does."""

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        """Note for the next process whether this one can save what it does, if that is possible."""

    def may_send(self, *, is_urgent: bool) -> bool:
        """See the port `Store`."""

    def close(self) -> None:
        """Let the next process have it."""


def find_database(database: str) -> Database:
    """Return the database that the setting `database` names, not opened yet.

    Args:
        database: the path of a SQLite file, `sqlite:///path` or `postgresql://…`.

    Raises StoreError if it names none.
    """
    return (
        PostgresqlDatabase(database)
        if is_server(database)
        else SqliteDatabase(parse_path(database))
    )


def inspect_database(database: str) -> DatabaseInspection:
    """Say what the bot would do with the database. Raises `StoreError` if it cannot use it."""
    return find_database(database).inspect()
