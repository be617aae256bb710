"""What people did, in the database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.core.model.access import AuditEntry, CommandOutcome, Verb
from bot.ports import Change

if TYPE_CHECKING:
    from tests.store.conftest import Opened

DAY_S = 86400.0
NOW = 1000 * DAY_S
LINES = "SELECT * FROM audit ORDER BY id"


def line(at: float) -> AuditEntry:
    return AuditEntry(at, "U1", Verb.WHY, "42", 42, CommandOutcome.NO_SUCH)


async def test_lines_are_kept_in_order(opened: Opened) -> None:
    """Each line is a row of its own, the same thing done twice too."""
    await opened.store.commit(Change(audit_entries=[line(NOW), line(NOW)]))
    await opened.store.commit(Change(audit_entries=[line(NOW + 1)]))

    (first, *_, at, user, body), *others = (row for row in opened.query(LINES))
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


async def test_retention(opened: Opened) -> None:
    """A line is forgotten after 400 days."""
    await opened.store.commit(
        Change(audit_entries=[line(NOW - 401 * DAY_S), line(NOW - 399 * DAY_S)])
    )

    await opened.store.load(NOW)

    assert [row[1] for row in opened.query(LINES)] == [NOW - 399 * DAY_S]
