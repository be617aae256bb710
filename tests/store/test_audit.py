"""What people did, in the database."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from bot.core.model.access import AuditEntry, CommandOutcome, Verb
from bot.ports import Change

if TYPE_CHECKING:
    from pathlib import Path

    from bot.store import SqlStore

DAY_S = 86400.0
NOW = 1000 * DAY_S


def lines(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM audit").fetchall()


def line(at: float) -> AuditEntry:
    return AuditEntry(at, "U1", Verb.WHY, "42", 42, CommandOutcome.NO_SUCH)


async def test_lines_are_kept_in_order(store: SqlStore, path: Path) -> None:
    """Each line is a row of its own, the same thing done twice too."""
    await store.commit(Change(audit_entries=[line(NOW), line(NOW)]))
    await store.commit(Change(audit_entries=[line(NOW + 1)]))

    (first, *_, at, user, body), *others = (row for row in lines(path))
    assert (first, at, user) == (1, NOW, "U1")
    assert json.loads(str(body)) == {
        "at": NOW,
        "user": "U1",
        "verb": "why",
        "argument": "42",
        "incident": 42,
        "outcome": "no_such",
    }
    assert [row[:2] for row in others] == [(2, NOW), (3, NOW + 1)]


async def test_retention(store: SqlStore, path: Path) -> None:
    """A line is forgotten after 400 days."""
    await store.commit(Change(audit_entries=[line(NOW - 401 * DAY_S), line(NOW - 399 * DAY_S)]))

    await store.load(NOW)

    assert [row[1] for row in lines(path)] == [NOW - 399 * DAY_S]
