"""A database on a PostgreSQL server: connect, hold the lease, migrate; and what its errors mean.

Which of several processes may write stands in a row, the lease: whoever holds it renews it, and
whoever finds that it has run out takes it, with an epoch that is one higher. Each transaction that
writes checks its epoch and locks the row, so what a former holder still writes is refused. All
times are the server's. A session's lock would not do: a holder that is paused keeps it for good.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from threading import Event, Thread, Timer
from typing import TYPE_CHECKING
from weakref import WeakSet

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from bot.ports import LeaseHeldError, LeaseLostError, StoreError
from bot.store.schema import LEASE, DatabaseInspection, describe_revision, read_revision, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg
    from sqlalchemy import Executable

log = logging.getLogger(__name__)

LEASE_S = 10.0
RENEW_EVERY_S = 3.0
GIVE_UP_S = LEASE_S * 2 / 3
"""After a renewal: then this process no longer sends what can wait. It measures that itself."""
ALONE_S = 300.0
"""After its lease has run out, so long a process goes on from memory if it cannot reach the server.
Whoever cannot reach it either cannot take over."""
WRITE_LIMIT_MS, READ_LIMIT_MS = 5_000, 60_000
"""For one statement, and for a pause between two. A process that is stopped in a transaction keeps
the lease's row locked: less than `LEASE_S`."""
CUT_OFF_S = 6.0
"""For a renewal on a server that keeps the connection open, and neither answers nor ends it."""
CONNECT = {
    "connect_timeout": 5,
    "application_name": "auth0-check",
    "client_encoding": "utf8",
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
"""Libpq's options (its manual, 34.1.2, read 2026-12), where the address has no others."""
MIGRATION_LOCK = 0x4130434B
"""For the time of a migration only: "A0CK"."""
_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
_NOW = func.extract("epoch", func.clock_timestamp())


def is_server(database: str) -> bool:
    """Tell whether the setting `database` names a server."""
    return database.partition("://")[0] in _SCHEMES and "://" in database


class PostgresqlDatabase:
    """The `Database` on a server; several processes may wait for it, and one uses it.

    Args:
        address: `postgresql://user:password@host:port/name?option=value`. What is left out comes
            from where libpq finds it: PGPASSWORD, PGSERVICE, ~/.pgpass …

    Raises StoreError if the address cannot be read.
    """

    def __init__(self, address: str) -> None:
        try:
            url = make_url(address)
        except (ArgumentError, ValueError):
            url = None
        if url is None:
            raise StoreError(
                "`database`: give postgresql://USER@HOST/NAME, with %40 for @ in a password"
            )
        self.name = URL.create(
            "postgresql", url.username, None, url.host, url.port, url.database
        ).render_as_string()
        self.warning = ""
        self.was_unsaved = False
        self.on_lost: Callable[[str], object] = lambda _: None
        self.epoch = 0
        """Of the lease, once it is held."""
        options = {key: value for key, value in CONNECT.items() if key not in url.query}
        self._engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            # Transactions may go to any of a pooler's connections: none prepares statements.
            connect_args=options | {"prepare_threshold": None},
            use_native_hstore=False,  # else each connection begins with a query for that type
            pool_size=2,  # one for the store, one for the lease
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
        )
        event.listen(self._engine, "begin", _set_limits)
        self._connections: WeakSet[psycopg.Connection] = WeakSet()
        event.listen(self._engine, "connect", lambda made, _: self._connections.add(made))
        self._keeper = Thread(target=self._keep_lease, name="lease", daemon=True)
        self._is_closing, self._is_noted = Event(), Event()
        self._is_unsaved = False
        self._renewed_at, self._failed_at = 0.0, float("-inf")

    def inspect(self) -> DatabaseInspection:
        """See the protocol."""
        with ExitStack() as stack:
            stack.callback(self._engine.dispose)
            connection = stack.enter_context(self.reading())
            revision = read_revision(connection)
            if revision is None:
                may_create = func.has_schema_privilege(func.current_schema(), "CREATE")
                if not connection.execute(select(may_create)).scalar():
                    raise StoreError(f"{self._cannot} {_NO_RIGHTS}")
                return DatabaseInspection(f"{self.name}: tables will be made", is_new=True)
            if holder := _find_holder(connection):
                return DatabaseInspection(f"{self.name} is in use by {holder}", is_in_use=True)
        return describe_revision(self.name, revision, "migrates")

    def open(self, now: float) -> None:  # noqa: ARG002 - there are no files to name
        """See the protocol. Raises `LeaseHeldError` while another process has it."""
        holder = f"{socket.gethostname()}:{os.getpid()}"
        with ExitStack() as stack, self._explain_errors():
            stack.callback(self._engine.dispose)
            with self._limited(READ_LIMIT_MS).begin() as connection:
                encoding = connection.exec_driver_sql("SHOW server_encoding").scalar()
                if encoding != "UTF8":
                    raise StoreError(f"{self._cannot} it has {encoding}: make one with UTF8")
                connection.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
                if not inspect(connection).has_table(LEASE.name):
                    upgrade(connection)
                self.epoch, self.was_unsaved = self._take_lease(connection, holder)
                upgrade(connection)
            stack.pop_all()
        self._is_unsaved, self._renewed_at = self.was_unsaved, _elapsed()
        self._keeper.start()

    def _take_lease(self, connection: Connection, holder: str) -> tuple[int, bool]:
        """Return the new epoch, and whether the holder before may have run from memory."""
        # A server that was restarted has been away: the holder could not save what it did then.
        renewed_at = func.to_timestamp(LEASE.c.expires_at - LEASE_S)
        was_away = func.pg_postmaster_start_time() > renewed_at
        may_be_unsaved = LEASE.c.is_unsaved | ((LEASE.c.expires_at > 0.0) & was_away)
        taken = connection.execute(
            update(LEASE)
            .where(LEASE.c.expires_at < _NOW)
            .values(
                holder=holder,
                epoch=LEASE.c.epoch + 1,
                expires_at=_NOW + LEASE_S,
                is_unsaved=may_be_unsaved,
            )
            .returning(LEASE.c.epoch, LEASE.c.is_unsaved)
        ).first()
        if taken is None:
            raise LeaseHeldError(self.name, _find_holder(connection))
        return taken.epoch, taken.is_unsaved

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """See the protocol."""
        engine = self._limited(READ_LIMIT_MS).execution_options(isolation_level="REPEATABLE READ")
        with self._explain_errors(), engine.begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """See the protocol. Raises `LeaseLostError` if another process has the lease.

        Read committed is enough: the lease keeps other writers out, and `_write_partition` compares
        and sets what it writes.
        """
        ours = select(LEASE).where(LEASE.c.epoch == self.epoch).with_for_update(read=True)
        try:
            with self._explain_errors(), self._limited(WRITE_LIMIT_MS).begin() as connection:
                self._change_lease(connection, ours)
                yield connection
        except LeaseLostError as error:
            self.on_lost(str(error))
            raise

    def back_up(self) -> None:
        """Do nothing: whoever runs the server backs it up."""

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        """See the protocol. The note goes along with the lease, now and at each renewal."""
        self._is_unsaved = is_unsaved
        self._is_noted.set()

    def may_send(self, *, is_urgent: bool) -> bool:
        """See the protocol. A process that was paused hears first whether it has the lease."""
        now = _elapsed()
        is_alone = self._renewed_at < self._failed_at and now < self._failed_at + LEASE_S
        return now < self._renewed_at + GIVE_UP_S or (is_urgent and is_alone)

    def close(self) -> None:
        """See the protocol."""
        self._is_closing.set()
        self._is_noted.set()
        if self.epoch:
            self._keeper.join()
            with suppress(StoreError):
                self._renew(for_s=None)
        self._engine.dispose()

    def _keep_lease(self) -> None:
        """Renew the lease, until it is lost or the store is closed."""
        problem = ""
        while not self._is_closing.is_set():
            self._is_noted.wait(RENEW_EVERY_S)
            self._is_noted.clear()
            if self._is_closing.is_set():
                return
            try:
                self._renew(LEASE_S)
            except LeaseLostError as error:
                self.on_lost(str(error))
                return
            except (StoreError, RuntimeError) as error:  # or no thread can be started
                self._failed_at = _elapsed()
                if str(error) != problem:  # once, not every three seconds
                    log.warning("the lease was not renewed: %s", error)
                problem = str(error)
            else:
                problem = ""
            alone_s = _elapsed() - self._renewed_at - LEASE_S
            if alone_s > ALONE_S:
                self.on_lost(f"{self._cannot} it has not answered for {alone_s:.0f} s")
                return

    def _renew(self, for_s: float | None) -> None:
        """Hold the lease for so long from now on; None: give it back. Raises `StoreError`."""
        begun_at, expires_at = _elapsed(), 0.0 if for_s is None else _NOW + for_s
        ours = update(LEASE).where(LEASE.c.epoch == self.epoch)
        change = ours.values(expires_at=expires_at, is_unsaved=self._is_unsaved)
        with ExitStack() as stack:
            cut_off = Timer(CUT_OFF_S, self._cut_off)
            cut_off.start()
            stack.callback(cut_off.cancel)
            stack.enter_context(self._explain_errors())
            connection = stack.enter_context(self._limited(WRITE_LIMIT_MS).begin())
            self._change_lease(connection, change)
        self._renewed_at = begun_at

    def _cut_off(self) -> None:
        """End whatever waits for the server, in any thread: libpq itself would wait for ever."""
        from psycopg import Error  # noqa: PLC0415 - only whoever has a server needs it

        for connection in tuple(self._connections):
            with suppress(Error, OSError), ExitStack() as stack:
                shared = socket.socket(fileno=os.dup(connection.fileno()))
                stack.enter_context(shared).shutdown(socket.SHUT_RDWR)

    def _change_lease(self, connection: Connection, ours: Executable) -> None:
        if not connection.execute(ours).rowcount:
            raise LeaseLostError(self.name, _find_holder(connection))

    def _limited(self, limit_ms: int) -> Engine:
        return self._engine.execution_options(limit_ms=limit_ms)

    @property
    def _cannot(self) -> str:
        return f"The database {self.name} cannot be used:"

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        """Turn errors into a `StoreError` of one line, without what the statement was about.

        PostgreSQL's own text of an error has the values of the row.
        """
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(f"{self._cannot} {_explain(error)}") from None


def _elapsed() -> float:
    """Return seconds that no clock setting changes, and that go on while the host is suspended."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _set_limits(connection: Connection) -> None:
    """Limit the transaction, not the session, which a pooler may give to others."""
    limit_ms = connection.get_execution_options().get("limit_ms", WRITE_LIMIT_MS)
    connection.exec_driver_sql(
        f"SET LOCAL statement_timeout = {limit_ms};"
        f" SET LOCAL idle_in_transaction_session_timeout = {limit_ms}"
    )


def _find_holder(connection: Connection) -> str:
    """Return which process holds the lease now; empty: none."""
    held = select(LEASE.c.holder).where(LEASE.c.expires_at >= _NOW)
    is_there = inspect(connection).has_table(LEASE.name)
    return str(connection.execute(held).scalar() or "") if is_there else ""


_NO_RIGHTS = (
    "its user lacks the right: GRANT CREATE ON SCHEMA public TO that user, who must own the tables"
)
_BY_STATE = {
    "23": "another process has written to it: stop all but one and restart it",
    "25006": "it is a read-only copy: give the address of the primary server",
    "3F000": _NO_RIGHTS,
    "40": "another process has written to it: stop all but one and restart it",
    "42501": _NO_RIGHTS,
    "53100": "the server's disk is full: free some space there",
    "53": "the server has no memory or connections left: see its log",
    "57014": "the server took too long: see what else it does",
    "57P": "the server stops or restarts: see its log",
}
"""By the beginning of the code (PostgreSQL's manual, appendix A, read 2026-12), longest first."""
_BY_TEXT = {
    "Connection refused|No such file or directory": (
        "nothing answers there: see whether PostgreSQL runs, and listens on that host and port"
    ),
    "resolve host|translate host": "its host is unknown: correct it, or see whether DNS works",
    "no pg_hba.conf entry": "the server admits no such user from here: see its pg_hba.conf",
    "authentication failed|no password supplied|role .* does not exist": (
        "the server refuses the user or the password: correct them, or ~/.pgpass"
    ),
    "permission denied for database": (
        "its user may not connect: GRANT CONNECT ON DATABASE … TO that user"
    ),
    "database .* does not exist": "the server has none of that name: make it with createdb",
    "SSL|certificate": "TLS fails: see its sslmode and sslrootcert, and the server's log",
    "timeout|timed out": "its server does not answer: see firewalls, and the host",
    "too many clients|connection slots": "the server needs a higher max_connections",
    "starting up|shutting down|recovery mode": "the server starts or stops: wait for it",
    "unreachable|No route": "no network leads to its host: see this machine's routes",
    "connection option|service .* not found": "its address has an option that libpq does not know",
}
"""By libpq's text where no connection was made: there is no code then."""


def _explain(error: SQLAlchemyError) -> str:
    """Return what is wrong and the remedy."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    if state:
        found = (text for start, text in _BY_STATE.items() if state.startswith(start))
        return next(found, f"PostgreSQL refuses (error {state})")
    said = str(cause)
    for pattern, text in _BY_TEXT.items():
        if re.search(pattern, said):
            return text
    return "the connection broke: see whether the server runs, and its log"
