"""Keeps a database that fails or hangs from holding up the watch."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from bot.ports import Change, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.core.state.incident import Incident
    from bot.ports import Snapshot, Store, Unfinished

log = logging.getLogger(__name__)
T = TypeVar("T")

COMMIT_LIMIT_S = 5.0
"""Real seconds for one commit; a disk that is merely busy is faster."""
LOAD_LIMIT_S = 60.0
"""For what was committed, at the start: it deletes what is past its retention, too."""
UNSURE_S = 600.0
"""Real seconds: what was sent so shortly before a crash may not have been saved as sent."""
HANGS = "The database does not answer: see whether its disk works, or its server, and the log"


class GuardedStore:
    """The `Store` port around another store: each commit is done in time, or fails.

    A commit that hangs is not cancelled, and may be written in the end. Until it is over, all other
    commits fail at once.
    """

    def __init__(self, store: Store) -> None:
        self.problem = ""
        """Why the last commit failed; empty: it did not."""
        self._store = store
        self._turn = asyncio.Lock()
        self._late: tuple[asyncio.Task[None], Change] | None = None
        """The commit that took too long, and what it writes."""
        self._failed_at = float("-inf")
        self._is_marked = False

    async def load(self, now: float) -> Snapshot:
        """Read what was committed; see the port. Nothing can be done without it, so it may last."""
        try:
            async with asyncio.timeout(LOAD_LIMIT_S):
                snapshot = await self._store.load(now)
        except TimeoutError:
            raise StoreError(HANGS) from None
        if snapshot.was_unsaved:
            self._is_marked, self._failed_at = True, _loop_time()
        return snapshot

    async def commit(self, change: Change) -> None:
        """Write a change; see the port."""
        writing: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(COMMIT_LIMIT_S), self._turn:
                change = self._check_late(change)
                writing = asyncio.ensure_future(self._store.commit(change))
                await asyncio.shield(writing)
        except TimeoutError:
            if writing is not None:
                writing.add_done_callback(_log_late_end)
                self._late = writing, change
            self._note_failure(HANGS)
            raise StoreError(HANGS) from None
        except StoreError as error:
            self._note_failure(str(error))
            raise
        if self.problem:
            log.warning("state is saved again")
        self.problem = ""
        if self._is_marked and _loop_time() - self._failed_at >= UNSURE_S:
            self._is_marked = False
            self._store.note_unsaved(is_unsaved=False)

    async def has_received(self, received_id: str) -> bool:
        """Tell whether an inbox item was committed before; see the port."""
        return await self._read(lambda: self._store.has_received(received_id))

    async def read_unfinished(self) -> Unfinished:
        """Read what is to be done; see the port."""
        return await self._read(self._store.read_unfinished)

    async def read_past_incidents(self, after: int) -> tuple[Incident, ...]:
        """Read the next resolved incidents after this number; see the port."""
        return await self._read(lambda: self._store.read_past_incidents(after))

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        """Note it for the next process; see the port."""
        self._store.note_unsaved(is_unsaved=is_unsaved)

    def may_send(self, *, is_urgent: bool) -> bool:
        """Tell whether this process may send now; see the port."""
        return self._store.may_send(is_urgent=is_urgent)

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(COMMIT_LIMIT_S), self._turn:
                self._check_late(Change())
                return await read()
        except TimeoutError:
            raise StoreError(HANGS) from None

    def _check_late(self, change: Change) -> Change:
        """Return the change without what a late commit has written meanwhile.

        Raises StoreError while that commit still hangs.
        """
        if self._late is None:
            return change
        writing, late = self._late
        if not writing.done():
            raise StoreError(HANGS)
        self._late = None
        if writing.cancelled() or writing.exception():
            return change
        # All else may be written twice; an entry of the audit log would be there twice.
        fresh = [entry for entry in change.audit_entries if entry not in late.audit_entries]
        return replace(change, audit_entries=fresh)

    def _note_failure(self, problem: str) -> None:
        if problem != self.problem:  # once: the full disk may be the log's own
            log.error("state not saved; going on from memory: %s", problem)
        self.problem, self._failed_at = problem, _loop_time()
        if not self._is_marked:
            self._is_marked = True
            self._store.note_unsaved(is_unsaved=True)


def _log_late_end(writing: asyncio.Task[None]) -> None:
    if not writing.cancelled() and (error := writing.exception()):
        log.warning("the commit that hung has failed: %s", error)


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
