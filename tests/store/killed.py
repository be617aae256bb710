"""Kills processes that commit, or that create their database, and checks what they left.

A script, so that it can fork before any thread was started.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import alembic.command  # noqa: F401 - once here, not in each child

from bot.core.model.command import Request, RunCheck
from bot.core.state.desk import DeskState
from bot.core.state.outbox import Delivery, Post
from bot.core.state.tenant import TenantState
from bot.ports import Change, Snapshot
from bot.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable


def change(number: int) -> Change:
    """Make a change that has its number in every part."""
    tenant, key = TenantState(phase=number), str(number)
    return Change(
        tenants={"a": tenant, "b": tenant},
        desk=DeskState(next_id=number),
        deliveries={"k": Delivery("k", "l", number, Post(number), 0.0)},
        inbox_items=[Request(key, 0.0, RunCheck())],
        handled_ids=[str(number - 1)],
    )


async def load(path: Path) -> Snapshot:
    store = await open_store(str(path), 0.0)
    assert not store.warning
    snapshot = await store.load(0.0)
    await store.close()
    return snapshot


async def commit_for_ever(path: Path, reports: int) -> None:
    """Commit change after change and report the number of each, once it returned."""
    store = await open_store(str(path), 0.0)
    before = await store.load(0.0)
    number = before.desk.next_id if before.desk else 0
    while True:
        number += 1
        await store.commit(change(number))
        os.write(reports, number.to_bytes(4, "big"))


def killed(path: Path, wait: Callable[[int], bytes]) -> int:
    """Kill a committing child after a wait. Returns the last number that it reported, or 0."""
    reports, report = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio.run(commit_for_ever(path, report))
    os.close(report)
    numbers = wait(reports)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reports, "rb") as pipe:
        numbers += pipe.read()
    return int.from_bytes(numbers[-4:], "big")


def verify(path: Path, last: int) -> None:
    """The database is sound and holds exactly one change: the last one reported, or the next."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = asyncio.run(load(path))
    assert found.desk is not None
    number = found.desk.next_id
    assert number in (last, last + 1), (number, last)
    expected = change(number)
    assert found.tenants == expected.tenants
    assert found.deliveries == expected.deliveries
    assert list(found.inbox_items) == expected.inbox_items


def main(directory: Path) -> None:
    """Run all rounds; any failed assertion ends the script."""
    dice = random.Random(1)  # noqa: S311 - not for a secret

    def while_committing(reports: int) -> bytes:
        first = os.read(reports, 4)
        time.sleep(dice.uniform(0.0, 0.04))
        return first

    def while_opening(_: int) -> bytes:
        time.sleep(dice.uniform(0.0, 0.06))
        return b""

    for _ in range(20):
        verify(directory / "db", killed(directory / "db", while_committing))
    for turn in range(10):
        path = directory / f"new-{turn}"
        last = killed(path, while_opening)
        desk = asyncio.run(load(path)).desk
        assert (desk.next_id if desk else 0) in (last, last + 1)
    sys.stdout.write("20 kills while committing, 10 while opening\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
