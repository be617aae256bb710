"""Moves all that a database holds to another one, which may be of the other kind."""

from __future__ import annotations

from contextlib import ExitStack
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import Table, func, insert, select

from bot.ports import StoreError
from bot.store.database import find_database
from bot.store.schema import AUDIT, LEASE, METADATA

if TYPE_CHECKING:
    from sqlalchemy import Connection

TABLES = tuple(table for table in METADATA.sorted_tables if table is not LEASE)
"""Who uses a database is no content of it."""
ROWS = 1000
"""Copied at a time."""


def copy_all(source: str, target: str, now: float) -> dict[str, int]:
    """Copy every row, and compare what arrived. Returns how many rows each table has.

    Nobody may use either database meanwhile, and the target must have no content. An error leaves
    it so. An older source is migrated first, as the bot does it.

    Raises StoreError.
    """
    old, new = find_database(source), find_database(target)
    if old.inspect().is_new:
        raise StoreError(f"There is no database {old.name}: correct the name")
    with ExitStack() as stack:
        for database in (old, new):
            database.open(now)
            stack.callback(database.close)
        reading, writing = stack.enter_context(old.reading()), stack.enter_context(new.writing())
        for table in TABLES:
            if writing.execute(select(table).limit(1)).first() is not None:
                raise StoreError(f"The database {new.name} has content: give an empty one")
        for table in TABLES:
            for rows in reading.execute(select(table)).mappings().partitions(ROWS):
                writing.execute(insert(table), [dict(row) for row in rows])
        if writing.dialect.name == "postgresql":
            newest = select(func.max(AUDIT.c.id)).scalar_subquery()
            sequence = func.pg_get_serial_sequence(AUDIT.name, AUDIT.c.id.name)
            writing.execute(select(func.setval(sequence, newest)))
        new.note_unsaved(is_unsaved=old.was_unsaved)
        return {table.name: _compare(table, reading, writing) for table in TABLES}


def _compare(table: Table, old: Connection, new: Connection) -> int:
    """Return how many rows a table has. Raises StoreError if they are not the same."""
    rows = select(table)
    before, after = (  # sorted by hashes: databases order texts by rules of their own
        sorted(sha256(repr(tuple(row)).encode()).digest() for row in each.execute(rows))
        for each in (old, new)
    )
    if before != after:
        raise StoreError(f"What arrived in the table {table.name} differs: nothing was copied")
    return len(before)
