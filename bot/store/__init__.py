"""What the process must not forget, in SQLite: the `Store` port of `bot/ports.py`.

sql_store   the port: one thread, one connection, one transaction a call
opening     lock, check, create or move aside, migrate
file        the file itself: whose it is, whether it is sound
sqlite      the connection, and what SQLite's errors mean to an operator
rows        a change into rows, rows into a snapshot
codec       a value into JSON and back
tables, schema, migrations   the schema, portable to PostgreSQL
"""

from bot.store.store import SqlStore, open_store

__all__ = ["SqlStore", "open_store"]
