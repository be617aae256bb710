from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bot.core.model.access import AuditEntry, CommandOutcome, Verb
from bot.ports import Change, StoreError
from bot.runtime.guarded_store import COMMIT_LIMIT_S, HANGS, LOAD_LIMIT_S, UNSURE_S, GuardedStore
from bot.simulator.memory import MemoryStore
from bot.simulator.virtual import run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bot.ports import Snapshot

ENTRY = AuditEntry(1000.0, "U1", Verb.ACK, "1", 1, CommandOutcome.DONE)


@dataclass
class Disk(MemoryStore):
    """A store in memory behind a disk that may be slow or full."""

    takes_s: float = 0.0
    is_full: bool = False
    started: int = 0
    written: list[AuditEntry] = field(default_factory=list)
    noted: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    async def commit(self, change: Change) -> None:
        self.started += 1
        await asyncio.sleep(self.takes_s)
        if self.is_full:
            raise StoreError("disk full")
        self.written += change.audit_entries

    async def load(self, now: float) -> Snapshot:
        await asyncio.sleep(self.takes_s)
        return await super().load(now)

    async def has_received(self, received_id: str) -> bool:
        await asyncio.sleep(self.takes_s)
        return await super().has_received(received_id)

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        self.noted.append(is_unsaved)


def with_disk(what: Callable[[Disk, GuardedStore], Coroutine[Any, Any, None]]) -> Disk:
    disk = Disk()
    run_virtually(lambda _: what(disk, GuardedStore(disk)))
    return disk


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_commit_that_hangs_fails_in_time_and_the_next_ones_at_once() -> None:
    """So does a question whether something was received."""

    async def hang(disk: Disk, store: GuardedStore) -> None:
        disk.takes_s = 100.0
        for limit_s in (COMMIT_LIMIT_S, 0.0, 0.0):
            begin = now()
            with pytest.raises(StoreError, match="does not answer"):
                await store.commit(Change())
            assert now() - begin == limit_s
        with pytest.raises(StoreError):
            await store.has_received("r1")
        assert (now(), store.problem) == (COMMIT_LIMIT_S, HANGS)
        await asyncio.sleep(100.0)
        disk.takes_s = 0.0
        await store.commit(Change())
        assert store.problem == ""

    assert with_disk(hang).started == 2


def test_a_start_from_a_disk_that_hangs_fails_in_time() -> None:
    """Without what was committed there is nothing to go on from."""

    async def hang(disk: Disk, store: GuardedStore) -> None:
        disk.takes_s = 1000.0
        with pytest.raises(StoreError, match="does not answer"):
            await store.load(now())
        assert now() == LOAD_LIMIT_S

    with_disk(hang)


def test_commits_of_a_slow_disk_wait_for_each_other_within_the_limit() -> None:
    """What had no turn within the limit is not begun, and fails."""

    async def wait(disk: Disk, store: GuardedStore) -> None:
        disk.takes_s = 2.0
        done = await asyncio.gather(
            *(store.commit(Change()) for _ in range(4)), return_exceptions=True
        )
        assert [type(each) for each in done] == [type(None), type(None), StoreError, StoreError]

    assert with_disk(wait).started == 3


def test_a_late_commit_leaves_no_audit_entry_twice() -> None:
    """It was written in the end; the engine, which could not know, commits its entry again."""

    async def be_late(disk: Disk, store: GuardedStore) -> None:
        disk.takes_s = 6.0
        with pytest.raises(StoreError):
            await store.commit(Change(audit_entries=[ENTRY]))
        disk.takes_s = 0.0
        await asyncio.sleep(6.0)
        await store.commit(Change(audit_entries=[ENTRY]))

    assert with_disk(be_late).written == [ENTRY]


def test_a_late_commit_that_fails_is_written_by_the_next_one() -> None:
    """Nothing of it is left out then."""

    async def fail(disk: Disk, store: GuardedStore) -> None:
        disk.takes_s, disk.is_full = 6.0, True
        with pytest.raises(StoreError):
            await store.commit(Change(audit_entries=[ENTRY]))
        await asyncio.sleep(6.0)
        disk.takes_s, disk.is_full = 0.0, False
        await store.commit(Change(audit_entries=[ENTRY]))

    assert with_disk(fail).written == [ENTRY]


def test_the_next_process_learns_whether_this_one_ran_from_memory() -> None:
    """Until everything has been saved for ten minutes."""

    async def recover(disk: Disk, store: GuardedStore) -> None:
        disk.is_full = True
        for _ in range(3):
            with pytest.raises(StoreError):
                await store.commit(Change())
        disk.is_full = False
        await store.commit(Change())
        assert disk.noted == [True]
        await asyncio.sleep(UNSURE_S)
        await store.commit(Change())

    assert with_disk(recover).noted == [True, False]
