"""What stores in SQL promise beyond the contract: durability, isolation, retention."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import sys
import traceback
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from bot.core.model.command import Request, RunCheck, ShowHelp
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.state.desk import INCIDENT_RETENTION_S, DeskState
from bot.core.state.incident import Incident, IncidentKind, IncidentLife, Resolution
from bot.core.state.outbox import Delivery, DeliveryStatus, Post
from bot.core.state.tenant import TenantState
from bot.ports import Change, StoreError
from bot.store import maintain_hourly, open_store
from bot.store.schema import HEAD, METADATA, MIGRATIONS
from bot.store.sqlite_file import SqliteDatabase
from bot.store.store import DELETED_ROWS
from tests.postgresql import GROUP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from bot.store import SqlStore
    from tests.store.conftest import Opened

DAY_S = 86400.0
NOW = 100 * DAY_S
SMALL = Change(desk=DeskState(), inbox_items=[Request("small", NOW, RunCheck())])
BIG = Change(
    {"prod": TenantState(fingerprints=("x" * 100_000, "hunter2"))},
    inbox_items=[Request("big", NOW, RunCheck())],
)


def ended(number: int, at: float) -> Incident:
    verdict = Verdict(Cause.BLIP, Scope.TENANT, 1.0)
    life = IncidentLife(at, resolved=Resolution(at))
    return Incident(number, IncidentKind.FAILING, Severity.INFO, ("prod",), at, verdict, life)


def connection_of(store: SqlStore) -> Connection:
    assert isinstance(store._database, SqliteDatabase)
    return store._database.connection


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    """Read or write behind the store's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(query).fetchall()


async def test_durable_by_its_settings(store: SqlStore, path: Path) -> None:
    """A commit is on the disk when it returns, and nobody else may read the file."""
    connection = connection_of(store)

    def pragma(name: str) -> object:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    with connection.begin():
        assert pragma("journal_mode") == "wal"
        assert pragma("synchronous") == 2
        assert pragma("foreign_keys") == 1
        assert pragma("busy_timeout") == 5000
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("is_running", [False, True])
async def test_retention(opened: Opened, *, is_running: bool) -> None:
    """A start deletes what is past its time, and so does each hour; nothing that still waits."""
    long_ago = NOW - 91 * DAY_S
    deliveries = [
        Delivery("sent", "l", 1, Post(1), NOW - 8 * DAY_S, DeliveryStatus.SENT),
        Delivery("sent lately", "l", 2, Post(1), NOW - 6 * DAY_S, DeliveryStatus.SENT),
        Delivery("waiting", "l", 3, Post(1), long_ago),
    ]
    requests = {"handled": NOW - 2 * DAY_S, "handled lately": NOW - 3600, "waiting": long_ago}
    await opened.store.commit(
        Change(
            incidents={1: ended(1, long_ago), 2: ended(2, NOW - 89 * DAY_S)},
            deliveries={delivery.key: delivery for delivery in deliveries},
            inbox_items=[Request(key, at, ShowHelp()) for key, at in requests.items()],
            handled_ids=["handled", "handled lately"],
        )
    )

    if is_running:
        assert await opened.store.delete_expired(NOW) == 3
        assert await opened.store.delete_expired(NOW) == 0
    else:
        await opened.store.load(NOW)

    assert opened.query("SELECT id FROM incident") == [(2,)]
    assert set(opened.query("SELECT key FROM outbox")) == {("sent lately",), ("waiting",)}
    assert set(opened.query("SELECT id FROM inbox")) == {("handled lately",), ("waiting",)}


def test_old_incidents_leave_memory_as_well() -> None:
    """With each new incident go those that a start would not load any more."""
    old, kept = ended(1, NOW - INCIDENT_RETENTION_S - 1), ended(2, NOW - INCIDENT_RETENTION_S + 1)
    is_open = replace(ended(3, NOW - 30 * DAY_S), life=IncidentLife(NOW - 30 * DAY_S))
    desk = DeskState({1: old, 2: kept, 3: is_open})

    assert {*desk.with_incident(replace(old, severity=Severity.WARNING)).incidents} == {1, 2, 3}
    assert {*desk.with_incident(ended(4, NOW)).incidents} == {2, 3, 4}


async def test_old_rows_go_in_small_steps(opened: Opened) -> None:
    """Commits come in between; the hourly task goes on until nothing is left."""
    many = DELETED_ROWS + 20
    old = {number: ended(number, NOW - 91 * DAY_S) for number in range(1, many + 1)}
    await opened.store.commit(Change(incidents=old))
    assert await opened.store.delete_expired(NOW) == DELETED_ROWS
    assert opened.query("SELECT count(*) FROM incident") == [(20,)]

    clock = OneHour()
    with pytest.raises(asyncio.CancelledError):
        await maintain_hourly(opened.store, clock)

    assert clock.asked_s == [3600.0, 3600.0]
    assert opened.query("SELECT count(*) FROM incident") == [(0,)]


class OneHour:
    """A clock for one hour: the second sleep is cancelled."""

    speed = 1.0
    is_wall_time = False

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    def now(self) -> float:
        return NOW

    async def sleep(self, span_s: float) -> None:
        self.asked_s.append(span_s)
        if len(self.asked_s) > 1:
            raise asyncio.CancelledError


async def test_migrations_make_the_tables(opened: Opened) -> None:
    """The migrations lead to exactly what the code expects, and `HEAD` is their last."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))

    with opened.store._database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_another_writer_is_noticed(opened: Opened) -> None:
    """A state that somebody else changed is not overwritten, and the whole change is dropped."""
    await opened.store.commit(Change({"a": TenantState(), "b": TenantState()}))
    opened.query("UPDATE partition SET revision = revision + 1 WHERE name = 'tenant:b'")
    change = Change(
        {"a": TenantState(phase=0.5), "b": TenantState(phase=0.5)},
        incidents={1: ended(1, NOW)},
        deliveries={"k": Delivery("k", "l", 1, Post(1), NOW)},
        inbox_items=[Request("r", NOW, RunCheck())],
    )

    with pytest.raises(StoreError, match=r"another process has written tenant:b: stop all but"):
        await opened.store.commit(change)

    after = await opened.store.load(NOW)
    assert after.tenants == {"a": TenantState(), "b": TenantState()}
    assert (after.deliveries, after.inbox_items) == ({}, ())
    assert opened.query("SELECT count(*) FROM incident") == [(0,)]
    await opened.store.commit(change)


async def test_another_first_writer_is_noticed(opened: Opened) -> None:
    """A state that appeared behind our back is not overwritten either."""
    opened.query("INSERT INTO partition VALUES ('desk', 1, '{}')")

    with pytest.raises(StoreError, match="another process has written to it"):
        await opened.store.commit(SMALL)


async def test_unreadable_body_stops_the_start(opened: Opened) -> None:
    """One row of another version and nothing is loaded, nothing deleted."""
    old = Delivery("old", "l", 1, Post(1), NOW - 8 * DAY_S, DeliveryStatus.SENT)
    await opened.store.commit(Change(desk=DeskState(), deliveries={"old": old}))
    opened.query("UPDATE partition SET body = '{\"tomorrow\": 1}'")

    with pytest.raises(StoreError, match=r"^desk in the database .* \(tomorrow does not fit\)"):
        await opened.store.load(NOW)

    assert opened.query("SELECT key FROM outbox") == [("old",)]


async def test_locked_file_does_not_stop_the_loop(store: SqlStore, path: Path) -> None:
    """While another program holds the database a commit waits, and the event loop does not."""
    await store.commit(SMALL)
    request = Request("r", NOW, RunCheck())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM inbox")
        commit = asyncio.create_task(store.commit(Change(inbox_items=[request])))
        await asyncio.sleep(0.05)
        assert not commit.done()
        other.execute("COMMIT")
    await commit

    assert await store.has_received(request.id)


@contextmanager
def no_more_pages(store: SqlStore) -> Iterator[None]:
    """Let the database not grow: SQLite says what it says on a full disk."""
    connection = connection_of(store)

    def limit(pages: int) -> None:
        with connection.begin():
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

    limit(1)
    try:
        yield
    finally:
        limit(1_000_000)


@contextmanager
def no_more_bytes(store: SqlStore) -> Iterator[None]:
    """Let the system refuse to make any file larger."""
    largest = Path(f"{store._database.name}-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 10_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(
    ("full", "said"),
    [(no_more_pages, "its disk is full: free"), (no_more_bytes, "its disk is full or fails: free")],
)
async def test_full_disk(store: SqlStore, path: Path, full: type, said: str) -> None:
    """A commit that finds no space leaves nothing, says why but not what, and may come again."""
    await store.commit(SMALL)
    with full(store):
        with pytest.raises(StoreError, match=said) as caught:
            await store.commit(BIG)
        assert "hunter2" not in "".join(traceback.format_exception(caught.value))
        assert not await store.has_received("big")
        assert (await store.load(NOW)).tenants == {}

    await store.commit(BIG)

    assert (await store.load(NOW)).tenants == BIG.tenants
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=GROUP)])
def test_killed_while_committing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """After kill -9 at any moment a commit is there or not; what had returned is there."""
    where = tmp_path if kind == "sqlite" else request.getfixturevalue("server_database")
    script = Path(__file__).with_name("killed.py")
    root = script.parents[2]

    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, script, where],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    commits, openings = (20, 10) if kind == "sqlite" else (5, 2)
    assert done.stdout == f"{commits} kills while committing, {openings} while opening\n"


async def test_a_disk_that_hangs_ends_the_start(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so in one line, for a supervisor to start the bot again."""
    released = Event()
    monkeypatch.setattr(SqliteDatabase, "open", lambda *_: released.wait())
    with pytest.raises(StoreError, match="could not be opened within"):
        await open_store(str(path), 0.0, limit_s=0.05)
    released.set()


async def test_a_disk_that_hangs_does_not_keep_the_process(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The store gives up closing after a while."""
    store = await open_store(str(path), 0.0)
    released = Event()
    hanging = asyncio.get_running_loop().run_in_executor(store._thread, released.wait)
    await store.close(limit_s=0.05)
    released.set()
    await hanging

    assert "does not answer; leaving it open" in caplog.text
