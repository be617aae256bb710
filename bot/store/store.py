"""The `Store` port over SQL. One thread does all of it, so that the event loop never waits."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from bot.store import rows
from bot.store.sqlite_file import open_database, parse_database_path

if TYPE_CHECKING:
    from bot.ports import Change, Snapshot
    from bot.store.sqlite_file import Database


async def open_store(database: str, now: float) -> SqlStore:
    """Open what the setting `database` names. Raises `StoreError`.

    Args:
        database: the path of a SQLite file, or `sqlite:///path`.
        now: names the file that a damaged database is moved to.
    """
    path = parse_database_path(database)
    thread = ThreadPoolExecutor(1, thread_name_prefix="store")
    opening = asyncio.get_running_loop().run_in_executor(thread, open_database, path, now)
    try:
        return SqlStore(await opening, thread)
    except BaseException:
        thread.shutdown(wait=False)
        raise


class SqlStore:
    """What was committed, in a database that this process alone holds."""

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        """Take over a database that was opened in this thread."""
        self.warning = database.warning
        """What the log and the channel must say about the opening; mostly empty."""
        self._database = database
        self._thread = thread
        self._run_in_thread = asyncio.get_running_loop().run_in_executor
        self._revisions: rows.Revisions = {}

    async def load(self, now: float) -> Snapshot:
        """Read what was committed, and forget what is older than its retention."""
        return await self._run_in_thread(self._thread, self._load, now)

    async def commit(self, change: Change) -> None:
        """Write a change durably, which nobody alters meanwhile. Raises `StoreError`.

        After an error nothing is written, and the next commit may succeed.
        Cancelled, it may still be written.
        """
        await self._run_in_thread(self._thread, self._commit, change)

    async def has_received(self, received_id: str) -> bool:
        """Tell whether something was committed before, handled or not."""
        return await self._run_in_thread(self._thread, self._has_received, received_id)

    async def close(self) -> None:
        """Finish what was begun and let go of the database."""
        await self._run_in_thread(self._thread, self._database.resources.close)
        self._thread.shutdown()

    def _load(self, now: float) -> Snapshot:
        with self._database.transaction() as connection:
            snapshot, self._revisions = rows.read_snapshot(connection, now)
        return snapshot

    def _commit(self, change: Change) -> None:
        with self._database.transaction() as connection:
            written = rows.write_change(connection, change, self._revisions)
        self._revisions |= written

    def _has_received(self, received_id: str) -> bool:
        with self._database.transaction() as connection:
            return rows.has_received(connection, received_id)
