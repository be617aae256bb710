"""What people did."""

from alembic import op
from sqlalchemy import Column, Double, Integer, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "audit",
        Column("id", Integer, primary_key=True),
        Column("at", Double, nullable=False),
        Column("user", Text, nullable=False),
        Column("body", Text, nullable=False),
    )
