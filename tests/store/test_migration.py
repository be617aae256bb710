"""A database of an older version."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bot.core.state.desk import DeskState
from bot.core.state.tenant import TenantState
from bot.ports import Change, StoreError
from bot.store import open_store
from bot.store.schema import HEAD

if TYPE_CHECKING:
    from pathlib import Path

    from bot.ports import Snapshot

CHANGE = Change({"prod": TenantState(fingerprints=("x" * 20_000,))}, DeskState())

OLD_TENANT = (
    "json_set(json_remove(body, '$.data'),"
    " '$.usable_at', null, '$.blind_since', null, '$.sighted_since', null)"
)
"""Its form before schema 0003, as far as the migration needs it."""


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        ((found,),) = connection.execute("SELECT version_num FROM alembic_version")
    return str(found)


def start(path: Path) -> Snapshot:
    """Open the store once, and give what it remembers."""

    async def loaded() -> Snapshot:
        store = await open_store(str(path), 0.0)
        assert store.warning == ""
        snapshot = await store.load(0.0)
        await store.close()
        return snapshot

    return asyncio.run(loaded())


async def make_old(made: Path, path: Path) -> None:
    store = await open_store(str(made), 0.0)
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.executescript("DROP TABLE audit; DROP TABLE lease")
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    await store.commit(CHANGE)
    with closing(sqlite3.connect(made)) as connection, connection:
        connection.execute(f"UPDATE partition SET body = {OLD_TENANT} WHERE name = 'tenant:prod'")  # noqa: S608
    for suffix in ("", "-wal"):
        shutil.copy(f"{made}{suffix}", f"{path}{suffix}")
    await store.close()


@pytest.fixture
def old(path: Path) -> Path:
    """A database of the first schema, its content still in its log as after a crash."""
    asyncio.run(make_old(path.with_name("made"), path))
    return path


@pytest.fixture
def copy(path: Path) -> Path:
    return path.with_name(f"{path.name}.before-{HEAD}")


def test_nothing_is_lost(old: Path) -> None:
    """It is migrated when it is opened, and all that it held is there."""
    assert start(old).tenants == CHANGE.tenants
    assert revision(old) == HEAD


def test_a_copy_is_made(old: Path, copy: Path) -> None:
    """It has the old schema, the whole content, our mark, and is as private."""
    start(old)

    assert revision(copy) == "0001"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert start(copy).tenants == CHANGE.tenants


def test_only_a_migration_makes_a_copy(old: Path, copy: Path) -> None:
    """Neither a new database nor one that was migrated before is copied."""
    start(old)
    copy.unlink()

    start(old)
    start(old.with_name("new"))

    assert not list(old.parent.glob("*.before-*"))


def test_an_older_copy_is_replaced(old: Path, copy: Path) -> None:
    """What an earlier try left, half a copy too, does not stop the start."""
    copy.write_text("of an earlier try")
    copy.with_name(f"{copy.name}.new").write_text("killed in between")

    start(old)

    assert revision(copy) == "0001"
    assert [each.name for each in old.parent.glob("*.before-*")] == [copy.name]


def test_no_migration_without_a_copy(old: Path, copy: Path) -> None:
    """Where no copy can be made the start is refused, and the database stays as it was."""
    copy.mkdir()

    with pytest.raises(StoreError, match=r"cannot be used \(Is a directory\)"):
        start(old)

    assert revision(old) == "0001"
