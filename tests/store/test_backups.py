"""Copies of the database, and what becomes of one that is lost, damaged or deleted."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.core.state.desk import DeskState
from bot.core.state.tenant import TenantState
from bot.ports import Change, StoreError
from bot.store import open_store
from bot.store.backups import BACKUPS, list_backups
from bot.store.damage import is_log_damaged

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.store import SqlStore

FRAME = 24 + 4096


def saying(text: str) -> Change:
    return Change({"prod": TenantState(fingerprints=(text, "x" * 20_000))}, DeskState())


async def read(store: SqlStore) -> str:
    return (await store.load(0.0)).tenants["prod"].fingerprints[0]


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 8192)


def remove(path: Path) -> None:
    path.unlink()


def replace_by_copy(path: Path) -> None:
    shutil.copy(path, f"{path}.other")
    Path(f"{path}.other").rename(path)


def copy_as_killed(path: Path, spoil_log: Callable[[bytes], bytes]) -> Path:
    """Copy what a process leaves behind that is killed now."""
    killed = Path(f"{path}.killed")
    shutil.copy(path, killed)
    log = Path(f"{path}-wal").read_bytes()
    assert len(log) > 32 + 5 * FRAME
    Path(f"{killed}-wal").write_bytes(spoil_log(log))
    return killed


async def test_the_newest_copies_are_kept(path: Path) -> None:
    """Each copy is a whole database; the oldest one is forgotten."""
    store = await open_store(str(path), 0.0)
    for number in range(BACKUPS + 2):
        await store.commit(saying(str(number)))
        store.back_up().join()
    await store.close()

    said = []
    for backup in list_backups(path):
        copy = await open_store(str(backup), 0.0)
        said.append(await read(copy))
        await copy.close()
    assert said == ["4", "3", "2"]


@pytest.mark.parametrize("is_gone", [True, False])
@pytest.mark.parametrize(("spoilt", "expected"), [(0, "2"), (1, "1")])
async def test_the_newest_good_copy_is_restored(
    path: Path, spoilt: int, expected: str, *, is_gone: bool
) -> None:
    """If the database is gone or damaged; the warning says so, and messages may be doubles."""
    store = await open_store(str(path), 0.0)
    for number in (1, 2):
        await store.commit(saying(str(number)))
        store.back_up().join()
    await store.commit(saying("3"))
    await store.close()
    for backup in list_backups(path)[:spoilt]:
        spoil(backup)
    (remove if is_gone else spoil)(path)

    store = await open_store(str(path), 1234.0)

    assert await read(store) == expected
    assert (await store.load(0.0)).was_unsaved
    assert ("gone" in store.warning) is is_gone
    assert f"bot.sqlite.backup-{1 + spoilt}, at most an hour older, was restored" in store.warning
    await store.close()


async def test_no_copy_is_good(path: Path) -> None:
    """Then a new database is begun, and the warning says what that means."""
    store = await open_store(str(path), 0.0)
    await store.commit(saying("1"))
    store.back_up().join()
    await store.close()
    spoil(path)
    spoil(list_backups(path)[0])

    store = await open_store(str(path), 1234.0)

    assert "What was known is forgotten" in store.warning
    assert (await store.load(0.0)).desk is None
    await store.close()


async def test_deleted_while_it_runs(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The next commit writes the file again, with all that was in it."""
    store = await open_store(str(path), 0.0)
    await store.commit(saying("1"))
    remove(path)

    await store.commit(Change(desk=DeskState(next_id=7)))
    await store.commit(Change(desk=DeskState(next_id=8)))
    await store.close()

    assert "was deleted, and written again" in caplog.text
    store = await open_store(str(path), 0.0)
    assert await read(store) == "1"
    desk = (await store.load(0.0)).desk
    assert desk
    assert desk.next_id == 8
    assert store.warning == ""
    await store.close()


async def test_a_deleted_database_makes_no_empty_copy(path: Path) -> None:
    """It would push the good copies out."""
    store = await open_store(str(path), 0.0)
    remove(path)
    store.back_up().join()

    assert list_backups(path) == []
    await store.commit(saying("1"))
    assert await read(store) == "1"
    await store.close()


async def test_replaced_while_it_runs(path: Path) -> None:
    """Nothing is written over another file, and nothing into one that nobody finds again."""
    store = await open_store(str(path), 0.0)
    replace_by_copy(path)

    with pytest.raises(StoreError, match="was replaced while it was in use: restart the bot"):
        await store.commit(saying("1"))
    await store.close()


def garbage(count: int) -> bytes:
    return random.Random(7).randbytes(count)  # noqa: S311 - repeatable, not secret


LOGS: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "whole": (lambda log: log, False),
    "empty": (lambda _: b"", False),
    "zeros": (lambda log: bytes(len(log)), False),
    "the last frame cut": (lambda log: log[:-100], False),
    "the last frame torn": (lambda log: log[:-100] + garbage(100), False),
    "all garbage": (lambda log: garbage(len(log)), True),
    "head": (lambda log: garbage(32) + log[32:], True),
    "a frame in the middle": (
        lambda log: log[: 32 + FRAME] + garbage(FRAME) + log[32 + 2 * FRAME :],
        True,
    ),
    "a page in the middle": (
        lambda log: log[: 60 + FRAME] + garbage(100) + log[160 + FRAME :],
        True,
    ),
    "from a frame on": (lambda log: log[: 32 + FRAME] + garbage(len(log) - 32 - FRAME), True),
}


@pytest.mark.parametrize("name", LOGS)
async def test_a_damaged_log(path: Path, name: str) -> None:
    """SQLite leaves out what it cannot read: we say so. What a kill leaves is no damage."""
    spoil_log, is_damaged = LOGS[name]
    store = await open_store(str(path), 0.0)
    for number in range(5):
        await store.commit(saying(str(number)))
    killed = copy_as_killed(path, spoil_log)
    await store.close()

    opened = await open_store(str(killed), 0.0)

    assert ("log was damaged" in opened.warning) is is_damaged
    await opened.close()


@pytest.mark.no_cover
async def test_a_log_that_began_again(path: Path) -> None:
    """Frames of earlier generations of the log are no damage."""
    store = await open_store(str(path), 0.0)
    seen = []
    for number in range(60):
        await store.commit(saying(f"{number}{'x' * 200_000}"))
        if number % 6 == 0:
            seen.append(is_log_damaged(Path(f"{path}-wal")))
    await store.close()

    assert not any(seen)
