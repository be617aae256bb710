"""The tables, how long rows are kept, and the step that migrates an older database.

Both kinds of database have these. A row's body is JSON; the columns beside it are those that
queries search by. Instants are seconds since the Unix epoch, UTC. A change needs a migration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    inspect,
    select,
    text,
)

from bot.core.model.wall_clock import DAY_S
from bot.core.state.outbox import FINAL_STATUSES
from bot.ports import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

METADATA = MetaData()

PARTITION = Table(
    "partition",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
)
"""The state of each tenant, and of the desk. Each commit adds one to the revision."""

INCIDENT = Table(
    "incident",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("opened_at", Double, nullable=False),
    Column("resolved_at", Double),
    Column("body", Text, nullable=False),
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("lane", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("status", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("body", Text, nullable=False),
)

INBOX = Table(
    "inbox",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("received_at", Double, nullable=False),
    Column("is_handled", Boolean, nullable=False),
    Column("body", Text, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("user", Text, nullable=False),
    Column("body", Text, nullable=False),
)
"""What people did, for auditors. Only written: the newest lines are in the desk's state, too."""


LEASE = Table(
    "lease",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("is_unsaved", Boolean, nullable=False),
)
"""One row: which process may write to a server's database. A file has a lock in its place."""

STORED_INCIDENT_RETENTION_S = 90 * DAY_S
"""After their end. They are loaded for `INCIDENT_RETENTION_S` only."""
AUDIT_RETENTION_S = 400 * DAY_S
"""A year, and time to review it."""
OUTBOX_RETENTION_S = 7 * DAY_S
INBOX_RETENTION_S = DAY_S
"""Slack delivers a click or a mention again within minutes, if at all."""


def delete_expired(connection: Connection, now: float, most: int | None = None) -> int:
    """Delete rows that are past their retention, at most so many of each table; count them."""
    is_final = OUTBOX.c.status.in_(FINAL_STATUSES)
    expired = (
        (OUTBOX, and_(is_final, OUTBOX.c.created_at < now - OUTBOX_RETENTION_S)),
        (INBOX, and_(INBOX.c.is_handled, INBOX.c.received_at < now - INBOX_RETENTION_S)),
        (INCIDENT, INCIDENT.c.resolved_at < now - STORED_INCIDENT_RETENTION_S),
        (AUDIT, AUDIT.c.at < now - AUDIT_RETENTION_S),
    )
    count = 0
    for table, is_expired in expired:
        (key,) = table.primary_key
        some = select(key).where(is_expired).limit(most)
        count += connection.execute(delete(table).where(key.in_(some))).rowcount
    return count


HEAD = "0004"
"""The newest migration. It stands here so that only a migration imports Alembic (11 MB)."""
MIGRATIONS = Path(__file__).with_name("migrations")


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, within the caller's transaction.

    Raises `StoreError` if a newer version has migrated it, or if a row cannot be read.
    """
    revision = read_revision(connection)
    if revision == HEAD:
        return
    from alembic import command, util  # noqa: PLC0415 - see HEAD
    from alembic.config import Config  # noqa: PLC0415 - see HEAD

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except util.CommandError:
        raise StoreError(
            f"The database was written by a newer version of auth0-check (schema {revision}, this"
            f" version knows {HEAD}): start that version, or give another `database`"
        ) from None


@dataclass(frozen=True, slots=True)
class DatabaseInspection:
    """What the bot would find at its start. Nothing was changed."""

    detail: str
    is_in_use: bool = False
    """A bot runs with it."""
    is_new: bool = False
    """It has no tables yet, or is not there."""


def describe_revision(name: str, revision: str, act: str) -> DatabaseInspection:
    """Say what the bot would do at its start with a database of this schema.

    Raises `StoreError` if a newer version has migrated it.
    """
    if revision > HEAD:
        raise StoreError(f"The database {name} was written by a newer version: start that one")
    is_old = revision < HEAD
    state = f"is older: the bot {act} it at its start" if is_old else "is up to date"
    return DatabaseInspection(f"{name} {state}")


def read_revision(connection: Connection) -> str | None:
    """Return the newest migration of a database; None: it is new."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return str(found.version_num) if found else None
