"""The database, in SQLite: the `Store` port of `bot/ports.py`.

| module | what is in it |
| --- | --- |
| store | the port: one thread, one transaction a call; a change into rows, rows into a snapshot |
| sqlite_file | opens the file: lock, check, restore, create, migrate; what SQLite's errors mean |
| damage | whether a file or its log is damaged |
| backups | copies beside the file |
| schema | the tables, portable to PostgreSQL |
| migrations | how older databases become newer ones |
"""

from bot.store.sqlite_file import inspect_database
from bot.store.store import SqlStore, back_up_hourly, open_store

__all__ = ["SqlStore", "back_up_hourly", "inspect_database", "open_store"]
