"""The first schema."""

from alembic import op
from sqlalchemy import Boolean, Column, Double, Integer, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "partition",
        Column("name", Text, primary_key=True),
        Column("revision", Integer, nullable=False),
        Column("body", Text, nullable=False),
    )
    op.create_table(
        "incident",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("state", Text, nullable=False),
        Column("opened_at", Double, nullable=False),
        Column("resolved_at", Double),
        Column("body", Text, nullable=False),
    )
    op.create_table(
        "outbox",
        Column("key", Text, primary_key=True),
        Column("lane", Text, nullable=False),
        Column("seq", Integer, nullable=False),
        Column("status", Text, nullable=False),
        Column("created_at", Double, nullable=False),
        Column("body", Text, nullable=False),
    )
    op.create_table(
        "inbox",
        Column("id", Text, primary_key=True),
        Column("received_at", Double, nullable=False),
        Column("is_handled", Boolean, nullable=False),
        Column("body", Text, nullable=False),
    )
