"""Brings a database's schema to what this version knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from bot.ports import StoreError

if TYPE_CHECKING:
    from sqlalchemy import Connection

HEAD = "0002"
"""The newest migration. Known here so that a start without one need not import Alembic (11 MB)."""
MIGRATIONS = Path(__file__).with_name("migrations")


def is_older(connection: Connection) -> bool:
    """Tell whether there is something to migrate."""
    revision = _revision(connection)
    return revision is not None and revision < HEAD


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, within the caller's transaction.

    Raises `StoreError` if a newer version was here.
    """
    revision = _revision(connection)
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


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return str(found.version_num) if found else None
