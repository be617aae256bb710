"""The `Store` port over SQL. One thread runs all of it, so that the event loop never waits."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from bot.ports import StoreError
from bot.store import rows
from bot.store.sqlite_file import note_unsaved, open_database, parse_database_path

if TYPE_CHECKING:
    from bot.ports import Change, Snapshot, Unfinished
    from bot.store.sqlite_file import Database

log = logging.getLogger(__name__)

OPEN_LIMIT_S = 60.0
"""Real seconds. To check and migrate a large database may last; a disk that hangs never answers."""
CLOSE_LIMIT_S = 5.0


async def open_store(database: str, now: float, limit_s: float = OPEN_LIMIT_S) -> SqlStore:
    """Open the database that the setting `database` names. Raises `StoreError`.

    Args:
        database: the path of a SQLite file, or `sqlite:///path`.
        now: becomes part of the name of a damaged database that is moved aside.
        limit_s: real seconds.
    """
    path = parse_database_path(database)
    thread = ThreadPoolExecutor(1, thread_name_prefix="store")
    opening = asyncio.get_running_loop().run_in_executor(thread, open_database, path, now)
    try:
        async with asyncio.timeout(limit_s):
            return SqlStore(await opening, thread)
    except TimeoutError:
        thread.shutdown(wait=False)
        raise StoreError(
            f"the database {path} could not be opened within {limit_s:g} s: see whether"
            " its disk works, and the system log"
        ) from None
    except Exception:
        thread.shutdown()
        raise
    except BaseException:  # cancelled, perhaps while the disk hangs
        thread.shutdown(wait=False)
        raise


class SqlStore:
    """A database that only this process uses."""

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        """Use a database that was opened in this thread, and close both in the end."""
        self.warning = database.warning
        """What the log and the channel must say about how it was opened; mostly empty."""
        self._database = database
        self._thread = thread
        self._run_in_thread = asyncio.get_running_loop().run_in_executor
        self._revisions: rows.Revisions = {}

    async def load(self, now: float) -> Snapshot:
        """Read what was committed, and delete what is past its retention."""
        return await self._run_in_thread(self._thread, self._load, now)

    async def commit(self, change: Change) -> None:
        """Write a change durably. Nobody may alter it meanwhile. Raises `StoreError`.

        After an error nothing is written, and the next commit may succeed.
        A commit that is cancelled may still be written.
        """
        await self._run_in_thread(self._thread, self._commit, change)

    async def has_received(self, received_id: str) -> bool:
        """Return whether an inbox item was committed before, handled or not."""
        return await self._run_in_thread(self._thread, self._has_received, received_id)

    async def read_unfinished(self) -> Unfinished:
        """Read the open incidents, and the deliveries that are not done."""
        return await self._run_in_thread(self._thread, self._read_unfinished)

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        """Note it for the next process; see the port.

        It has a thread of its own, which the end of the process does not wait for: a disk that
        hangs may hold this up as well.
        """
        note = partial(note_unsaved, self._database.path, is_unsaved=is_unsaved)
        Thread(target=note, daemon=True).start()

    async def close(self, limit_s: float = CLOSE_LIMIT_S) -> None:
        """Finish what was begun and close the database; give up if its disk hangs."""
        closing = asyncio.ensure_future(
            self._run_in_thread(self._thread, self._database.resources.close)
        )
        done, _ = await asyncio.wait({closing}, timeout=limit_s)
        if not done:
            log.error("the database %s does not answer; leaving it open", self._database.path)
            self._thread.shutdown(wait=False)
            return
        self._thread.shutdown()
        await closing

    def _load(self, now: float) -> Snapshot:
        with self._database.transaction() as connection:
            snapshot, self._revisions = rows.read_snapshot(connection, now)
        return replace(snapshot, was_unsaved=self._database.was_unsaved)

    def _commit(self, change: Change) -> None:
        with self._database.transaction() as connection:
            written = rows.write_change(connection, change, self._revisions)
        self._revisions |= written

    def _read_unfinished(self) -> Unfinished:
        with self._database.transaction() as connection:
            return rows.read_unfinished(connection)

    def _has_received(self, received_id: str) -> bool:
        with self._database.transaction() as connection:
            return rows.has_received(connection, received_id)
