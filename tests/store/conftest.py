from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from bot.ports import Store
from bot.simulator.memory import MemoryStore
from bot.store import SqlStore, open_store
from tests.postgresql import GROUP

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgresql import PostgresqlServer

Reopen = Callable[[], Awaitable[Store]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bot.sqlite"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqlStore]:
    """An open SQLite store that has loaded nothing yet."""
    opened = await open_store(str(path), 0.0)
    yield opened
    await opened.close()


@pytest.fixture
def server_database(postgresql: PostgresqlServer) -> str:
    """The address of a new database on a server."""
    return postgresql.create_database()


class Opened(NamedTuple):
    """An open store that has loaded nothing yet, on one kind of database."""

    store: SqlStore
    query: Callable[[str], list[tuple[Any, ...]]]
    """Reads or writes behind the store's back."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=GROUP)])
async def opened(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Opened]:
    """An open store on each kind of database."""
    if request.param == "sqlite":
        database = str(path)

        def query(sql: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(path)) as connection, connection:
                return connection.execute(sql).fetchall()
    else:
        import psycopg  # noqa: PLC0415 - see tests/postgresql.py

        database = request.getfixturevalue("server_database")

        def query(sql: str) -> list[tuple[Any, ...]]:
            with psycopg.connect(database) as connection:
                cursor = connection.execute(sql.encode())
                return cursor.fetchall() if cursor.description else []

    store = await open_store(database, 0.0)
    yield Opened(store, query)
    await store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=GROUP), "memory"])
async def reopen(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Reopen]:
    """Give the store of this test, as after a restart; call it again for the next restart."""
    memory = MemoryStore()
    is_server = request.param == "postgresql"
    database = request.getfixturevalue("server_database") if is_server else str(path)
    opened: list[SqlStore] = []

    async def again() -> Store:
        if request.param == "memory":
            return memory
        for store in opened:
            await store.close()
        opened[:] = [await open_store(database, 0.0)]
        return opened[0]

    yield again
    for store in opened:
        await store.close()
