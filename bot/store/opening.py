"""From a path to a database that can be relied on, or a `StoreError` that says why not."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bot.store.file import APPLICATION_ID, PRIVATE, copy, held, is_damaged, move_aside, sync
from bot.store.schema import HEAD, is_older, upgrade
from bot.store.sqlite import connected, explained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Database:
    """A sound database at the newest schema, and the only connection to it."""

    path: Path
    warning: str
    """What an operator must know about its opening; mostly empty."""
    connection: Connection
    resources: ExitStack
    """The connection and the lock; to be closed."""

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing. Raises `StoreError`; the next transaction may succeed."""
        with explained(self.path), self.connection.begin():
            yield self.connection


def open_database(path: Path, now: float) -> Database:
    """Lock, check and migrate a database; make it if it is missing (its directory is not made).

    A damaged one is moved aside, named by `now`, and begun afresh with a warning: a bot that
    watches without its memory serves the people on call better than one that does not start.
    An older one is copied before it is migrated, for whoever has to go back a version.
    """
    with explained(path), ExitStack() as resources:
        resources.enter_context(held(path))
        warning = ""
        if path.exists() and is_damaged(path):
            warning = _lost(move_aside(path, now))
        if not path.exists():
            _create(path)
        path.chmod(PRIVATE)
        connection = resources.enter_context(connected(path))
        with connection.begin():
            is_migrated = is_older(connection)
        if is_migrated:
            copy(path, Path(f"{path}.before-{HEAD}"))
        with connection.begin():
            upgrade(connection)
        return Database(path, warning, connection, resources.pop_all())


def _lost(aside: Path) -> str:
    return (
        f"The database was damaged and is now {aside}; a new one was begun. What was known is"
        " forgotten: what still fails is posted again, and older messages stay as they are"
    )


def _create(path: Path) -> None:
    """Make an empty database under another name first: killed in between, nothing half remains."""
    draft = Path(f"{path}.new")
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)  # a log left behind would be replayed
        Path(f"{draft}{suffix}").unlink(missing_ok=True)
    draft.touch(PRIVATE, exist_ok=False)
    with connected(draft) as connection, connection.begin():
        connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
        upgrade(connection)
    draft.rename(path)
    sync(path.parent)
