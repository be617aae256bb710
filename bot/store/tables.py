"""The tables. Their bodies are JSON; the columns beside a body are what is searched by.

Instants are seconds since the Unix epoch, UTC. A change here needs a migration.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Double, Integer, MetaData, Table, Text

METADATA = MetaData()

PARTITION = Table(
    "partition",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("revision", Integer, nullable=False),
    Column("body", Text, nullable=False),
)
"""What is stepped as a whole: the desk, and each tenant. One more revision a commit."""

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
"""What people did. Written only: the newest are in the desk's state, all of them for an auditor."""
