"""The database, in SQLite or PostgreSQL: the `Store` port of `bot/ports.py`.

| module | what is in it |
| --- | --- |
| store | the port: one thread, one transaction a call; a change into rows, rows into a snapshot |
| database | what the port needs of a database |
| sqlite_file | a file: lock, check, restore, create, migrate; what SQLite's errors mean |
| postgresql | a server: connect, hold the lease, migrate; what PostgreSQL's errors mean |
| damage | whether a file or its log is damaged |
| backups | copies beside the file |
| copying | from one database to another, of either kind |
| schema | the tables, the same on both |
| migrations | how older databases become newer ones |
"""

from bot.store.copying import copy_all
from bot.store.database import inspect_database
from bot.store.store import SqlStore, maintain_hourly, open_store

__all__ = ["SqlStore", "copy_all", "inspect_database", "maintain_hourly", "open_store"]
