"""Kills processes that commit, or that create their database, and checks what they left.

A script, so that it can fork before any thread was started: each part of its work is done in a
child, because libpq hangs in a process that was forked after it was used. Its argument is a folder,
or the address of a database on a server.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
import traceback
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import alembic.command  # noqa: F401 - once here, not in each child
import psycopg

from bot.core.model.command import Request, RunCheck
from bot.core.state.desk import DeskState
from bot.core.state.outbox import Delivery, Post
from bot.core.state.tenant import TenantState
from bot.ports import Change, Snapshot
from bot.store import open_store
from bot.store.postgresql import is_server

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


def load(database: str) -> Snapshot:
    """Read what the killed process left, after its lease has run out."""
    if is_server(database):
        with psycopg.connect(database) as connection, suppress(psycopg.errors.UndefinedTable):
            connection.execute("UPDATE lease SET expires_at = 1")

    async def read() -> Snapshot:
        store = await open_store(database, 0.0)
        assert not store.warning
        snapshot = await store.load(0.0)
        await store.close()
        return snapshot

    return asyncio.run(read())


def do_in_child(work: Callable[[], object]) -> None:
    """Do it in a process of its own. Raises what says that it failed; its traceback is printed."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - whatever it is, the child ends here
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert status == 0


async def commit_for_ever(database: str, reports: int) -> None:
    """Commit change after change and report the number of each, once it returned."""
    store = await open_store(database, 0.0)
    before = await store.load(0.0)
    number = before.desk.next_id if before.desk else 0
    while True:
        number += 1
        await store.commit(change(number))
        os.write(reports, number.to_bytes(4, "big"))


def killed(database: str, wait: Callable[[int], bytes]) -> int:
    """Kill a committing child after a wait. Returns the last number that it reported, or 0."""
    reports, report = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio.run(commit_for_ever(database, report))
    os.close(report)
    numbers = wait(reports)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reports, "rb") as pipe:
        numbers += pipe.read()
    return int.from_bytes(numbers[-4:], "big")


def verify(database: str, last: int) -> None:
    """The database is sound and holds exactly one change: the last one reported, or the next."""
    if not is_server(database):
        with closing(sqlite3.connect(database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    found = load(database)
    assert found.desk is not None
    number = found.desk.next_id
    assert number in (last, last + 1), (number, last)
    expected = change(number)
    assert found.tenants == expected.tenants
    assert found.deliveries == expected.deliveries
    assert list(found.inbox_items) == expected.inbox_items


def verify_new(database: str, last: int) -> None:
    """The database holds what was reported, or one change more; a server's is empty again."""
    desk = load(database).desk
    assert (desk.next_id if desk else 0) in (last, last + 1)
    if is_server(database):
        with psycopg.connect(database) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")


def main(where: str) -> None:
    """Run all rounds; any failed assertion ends the script."""
    dice = random.Random(1)  # noqa: S311 - not for a secret
    longest_s = 0.15 if is_server(where) else 0.06
    """About as long as it takes to open a new database."""

    def while_committing(reports: int) -> bytes:
        first = os.read(reports, 4)
        time.sleep(dice.uniform(0.0, 0.04))
        return first

    def while_opening(_: int) -> bytes:
        time.sleep(dice.uniform(0.0, longest_s))
        return b""

    database = where if is_server(where) else f"{where}/db"
    openings, commits = (2, 5) if is_server(where) else (10, 20)
    for turn in range(openings):
        new = where if is_server(where) else f"{where}/new-{turn}"
        do_in_child(partial(verify_new, new, killed(new, while_opening)))
    for _ in range(commits):
        do_in_child(partial(verify, database, killed(database, while_committing)))
    sys.stdout.write(f"{commits} kills while committing, {openings} while opening\n")


if __name__ == "__main__":
    main(sys.argv[1])
