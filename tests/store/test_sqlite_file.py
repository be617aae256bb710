"""Which files are opened, which are refused, and which are moved aside."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.core.state.desk import DeskState
from bot.core.state.tenant import TenantState
from bot.ports import Change, StoreError
from bot.store import SqlStore, inspect_database, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534
CHANGE = Change({"prod": TenantState(fingerprints=("x" * 20_000,))}, DeskState())


@pytest.fixture
async def closed(path: Path) -> Path:
    """A database of ours with something in it."""
    store = await open_store(str(path), 0.0)
    await store.commit(CHANGE)
    await store.close()
    return path


@pytest.fixture
def sealed() -> Iterator[Path]:
    """A directory that may not be written, for root neither."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        user = os.geteuid()
        os.seteuid(user or NOBODY)
        yield Path(name)
        os.seteuid(user)
        Path(name).chmod(0o700)


def content(path: Path) -> bytes:
    return path.read_bytes()


def zero_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))


def spoil_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * 8192)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def cut_in_the_header(path: Path) -> None:
    os.truncate(path, 50)


@pytest.mark.parametrize("damage", [zero_header, spoil_pages, cut_in_half, cut_in_the_header])
async def test_damaged_database(closed: Path, damage: Callable[[Path], None]) -> None:
    """It is moved aside, a new one is begun, and the caller is warned, once."""
    damage(closed)
    damaged = content(closed)

    store = await open_store(str(closed), 1234.5)

    aside = closed.with_name("bot.sqlite.corrupt-1234")
    assert str(aside) in store.warning
    assert content(aside) == damaged
    assert (await store.load(0.0)).tenants == {}
    await store.commit(CHANGE)
    await store.close()
    store = await open_store(str(closed), 2345.0)
    assert store.warning == ""
    assert (await store.load(0.0)).tenants == CHANGE.tenants
    await store.close()


async def test_log_of_a_lost_database(store: SqlStore, path: Path) -> None:
    """The log that a deleted database left behind is not replayed into the next one."""
    await store.commit(CHANGE)
    shutil.copy(f"{path}-wal", f"{path}.next-wal")

    following = await open_store(f"{path}.next", 0.0)

    assert (await following.load(0.0)).desk is None
    await following.close()


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE accounts (name TEXT)")


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (Path.touch, "is empty"),
        (lambda path: path.write_text("slack:\n  channel: C0123\n" * 9), "belongs to another"),
        (lambda path: path.write_bytes(b"\x7fELF"), "belongs to another"),
        (other_database, "belongs to another"),
        (Path.mkdir, "Is a directory"),
    ],
)
def test_file_that_is_not_ours(path: Path, make: Callable[[Path], None], what: str) -> None:
    """It is refused with a remedy, and left as it is."""
    make(path)
    before = path.stat()

    with pytest.raises(StoreError, match=what):
        asyncio.run(open_store(str(path), 0.0))

    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert path.stat().st_mode == before.st_mode


async def test_second_process(store: SqlStore, path: Path) -> None:
    """A database that is in use is refused at once, and free again when its user has closed it."""
    with pytest.raises(StoreError, match=r"in use by another auth0-check: stop that one"):
        await open_store(str(path), 0.0)

    await store.commit(CHANGE)


@pytest.mark.parametrize("is_new", [True, False])
async def test_second_process_by_a_hard_link(path: Path, tmp_path: Path, *, is_new: bool) -> None:
    """The file itself is locked: another path to it is refused, also by `doctor`."""
    store = await open_store(str(path), 0.0)
    if not is_new:
        await store.close()
        store = await open_store(str(path), 0.0)
    other = tmp_path / "other.sqlite"
    other.hardlink_to(path)

    with pytest.raises(StoreError, match=r"in use by another auth0-check: stop that one"):
        await open_store(str(other), 0.0)
    assert inspect_database(str(other)).is_in_use

    await store.close()
    await (await open_store(str(other), 0.0)).close()


async def test_newer_schema(closed: Path) -> None:
    """What a newer version migrated is refused and not touched."""
    with closing(sqlite3.connect(closed)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(StoreError, match=r"newer version of auth0-check \(schema 9999, this"):
        await open_store(str(closed), 0.0)

    with closing(sqlite3.connect(closed)) as connection:
        assert connection.execute("SELECT * FROM alembic_version").fetchone() == ("9999",)


async def test_missing_directory(tmp_path: Path) -> None:
    """A directory is not invented: its name may be misspelt."""
    with pytest.raises(StoreError, match=r"\(No such file or directory\): its directory must exi"):
        await open_store(str(tmp_path / "missing" / "bot.sqlite"), 0.0)


def test_sealed_directory(sealed: Path) -> None:
    """Without the right to write there the start fails with a remedy."""
    with pytest.raises(StoreError, match=r"\(Permission denied\): .* be writable to this process"):
        asyncio.run(open_store(str(sealed / "bot.sqlite"), 0.0))


async def test_address_of_a_file(closed: Path) -> None:
    """SQLAlchemy's way of naming a file is understood."""
    store = await open_store(f"sqlite:///{closed}", 0.0)

    assert (await store.load(0.0)).tenants == CHANGE.tenants
    await store.close()


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ("mysql://bot:hunter2@db/auth0", "give the path of a SQLite file"),
        ("sqlite://", "give the path of a SQLite file"),
        ("sqlite:///:memory:", "give the path of a SQLite file"),
        (":memory:", "give the path of a SQLite file"),
        ("sqlite:///x?mode=ro", "give the path of a SQLite file"),
        ("://hunter2", "give the path of a SQLite file"),
        ("x://hunter2:y@z:port", "give the path of a SQLite file"),
    ],
)
async def test_other_databases(database: str, said: str) -> None:
    """Anything but a file is refused in words, without its password."""
    with pytest.raises(StoreError, match=said) as caught:
        await open_store(database, 0.0)

    assert "hunter2" not in str(caught.value)
