"""The database, in SQLite: the `Store` port of `bot/ports.py`.

| module | what is in it |
| --- | --- |
| store | the port: one thread, one transaction a call; a change into rows, rows into a snapshot |
| sqlite_file | opens the file: lock, check, create, migrate; what SQLite's errors mean |
| schema | the tables, portable to PostgreSQL |
| migrations | how older databases become newer ones |
"""

from bot.store.sqlite_file import inspect_database
from bot.store.store import SqlStore, open_store

__all__ = ["SqlStore", "inspect_database", "open_store"]
