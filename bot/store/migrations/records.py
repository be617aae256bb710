"""What a migration does to stored records: bodies of rows, and the records inside them.

A migration states as a table what it changes, by kind of record. What the table does not name
stays as it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Text, bindparam, column, select, table, update

from bot.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """How one kind of record changes. All fields are named as they were before."""

    renamed: Mapping[str, str] = field(default_factory=dict)
    """Old name -> new name."""
    one: Mapping[str, Record] = field(default_factory=dict)
    """Fields that hold one record, or null."""
    each: Mapping[str, Record] = field(default_factory=dict)
    """Fields that hold a list of records, or records by key."""
    convert: Callable[[Json], Json] | None = None
    """What else changes; done first."""


def migrate_record(old: Json, record: Record) -> Json:
    """Return a record in its new form, its fields in the same order."""
    new = {}
    for name, value in (record.convert(old) if record.convert else old).items():
        migrated = value
        if name in record.one and value is not None:
            migrated = migrate_record(value, record.one[name])
        elif name in record.each and isinstance(value, list):
            migrated = [migrate_record(one, record.each[name]) for one in value]
        elif name in record.each:
            migrated = {k: migrate_record(one, record.each[name]) for k, one in value.items()}
        new[record.renamed.get(name, name)] = migrated
    return new


def migrate_bodies(
    connection: Connection, name: str, key: str, record_of: Callable[[Any], Record]
) -> None:
    """Migrate the body of each row of a table.

    Args:
        connection: in a transaction, which the caller ends.
        name: the table's.
        key: the column that identifies a row.
        record_of: names the record in the row with this key.

    Raises StoreError where a body is not what the older version wrote.
    """
    rows = table(name, column(key), column("body", Text))
    change = update(rows).where(rows.c[key] == bindparam("row")).values(body=bindparam("new"))
    for row, body in connection.execute(select(rows.c[key], rows.c.body)).all():
        try:
            new = migrate_record(json.loads(body), record_of(row))
        except (ValueError, LookupError, TypeError, AttributeError):
            raise StoreError(
                f"{name} {row} in the database cannot be read, so nothing was migrated: start the"
                " version that wrote it, or move the database aside to begin afresh"
            ) from None
        connection.execute(change, {"row": row, "new": json.dumps(new, ensure_ascii=False)})
