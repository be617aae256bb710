"""Which process is the active one."""

from alembic import op
from sqlalchemy import Boolean, Column, Double, Integer, Text, insert

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table and its one row: nobody has held the lease yet."""
    lease = op.create_table(
        "lease",
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("holder", Text, nullable=False),
        Column("epoch", Integer, nullable=False),
        Column("expires_at", Double, nullable=False),
        Column("is_unsaved", Boolean, nullable=False),
    )
    nobody = {"id": 1, "holder": "", "epoch": 0, "expires_at": 0.0, "is_unsaved": False}
    op.execute(insert(lease).values(nobody))
