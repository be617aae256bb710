from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from bot.ports import Store
from bot.simulator.memory import MemoryStore
from bot.store import SqlStore, open_store

if TYPE_CHECKING:
    from pathlib import Path

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


@pytest.fixture(params=["sql", "memory"])
async def reopen(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Reopen]:
    """Give the store of this test, as after a restart; call it again for the next restart."""
    memory = MemoryStore()
    opened: list[SqlStore] = []

    async def again() -> Store:
        if request.param == "memory":
            return memory
        for store in opened:
            await store.close()
        opened[:] = [await open_store(str(path), 0.0)]
        return opened[0]

    yield again
    for store in opened:
        await store.close()
