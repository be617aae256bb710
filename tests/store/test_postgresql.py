"""A database on a PostgreSQL server: who may use it, and what is said where that is impossible."""

from __future__ import annotations

import asyncio
import time
import traceback
from threading import Thread
from typing import TYPE_CHECKING

import psycopg
import pytest

from bot.core.state.desk import DeskState
from bot.core.state.tenant import TenantState
from bot.ports import Change, LeaseHeldError, LeaseLostError, StoreError
from bot.store import SqlStore, inspect_database, open_store, postgresql
from bot.store.postgresql import PostgresqlDatabase
from tests.postgresql import GROUP, PASSWORD

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from tests.postgresql import PostgresqlServer

pytestmark = GROUP
CHANGE = Change({"prod": TenantState(fingerprints=("hunter2",))}, DeskState())
NAMED = Change({"hunter2": TenantState()})
OTHER = Change({"prod": TenantState(fingerprints=("other",))})
PATIENCE_S = 60.0


class Paused(PostgresqlDatabase):
    """What a process has open that was stopped: it does not renew its lease."""

    def _keep_lease(self) -> None:
        pass


def query(address: str, sql: str) -> list[tuple[object, ...]]:
    """Read or write behind the store's back."""
    with psycopg.connect(address) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def expire(address: str) -> None:
    """Let the lease run out, as ten seconds after its holder was killed or stopped."""
    query(address, "UPDATE lease SET expires_at = 1")


def wait_until(is_so: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
async def old(
    server_database: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[SqlStore, list[str]]]:
    """The store of a process that was stopped, and why it may not act any more."""
    losses: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr("bot.store.database.PostgresqlDatabase", Paused)
        store = await open_store(server_database, 0.0)
    store.on_lost(losses.append)
    yield store, losses
    await store.close()


async def test_a_second_process_is_refused(server_database: str) -> None:
    """While one has the database; `doctor` says so as well. Once that is closed, at once not."""
    first = await open_store(server_database, 0.0)

    with pytest.raises(LeaseHeldError, match=r"is in use by [\w.-]+:\d+$"):
        await open_store(server_database, 0.0)
    assert inspect_database(server_database).is_in_use

    await first.close()
    assert not inspect_database(server_database).is_in_use
    await (await open_store(server_database, 0.0)).close()


async def test_whoever_takes_over_has_the_next_epoch(
    old: tuple[SqlStore, list[str]], server_database: str
) -> None:
    """What the process before still writes is refused, and it hears that it must not act."""
    store, losses = old
    await store.commit(CHANGE)
    expire(server_database)
    following = await open_store(server_database, 0.0)
    (epoch,) = query(server_database, "SELECT epoch FROM lease")

    with pytest.raises(LeaseLostError, match=r"was taken over by [\w.-]+:\d+: nothing was written"):
        await store.commit(OTHER)

    assert epoch == (2,)
    assert len(losses) == 1
    assert (await following.load(0.0)).tenants == CHANGE.tenants
    await following.close()


async def test_a_lease_that_nobody_took_goes_on(
    old: tuple[SqlStore, list[str]], server_database: str
) -> None:
    """A process that was stopped for long, with no other in between, may go on."""
    store, losses = old
    expire(server_database)

    await store.commit(CHANGE)

    assert losses == []


async def test_the_lease_is_renewed(server_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Again and again, and whoever renews it hears that it was taken."""
    monkeypatch.setattr(postgresql, "RENEW_EVERY_S", 0.02)
    losses: list[str] = []
    store = await open_store(server_database, 0.0)
    store.on_lost(losses.append)
    for _ in range(2):
        expire(server_database)
        wait_until(lambda: query(server_database, "SELECT expires_at FROM lease") != [(1.0,)])

    query(server_database, "UPDATE lease SET epoch = epoch + 1")
    wait_until(lambda: losses)
    assert "was taken over by" in losses[0]
    await store.close()


async def test_a_process_that_stopped_while_writing_keeps_nobody_out(
    old: tuple[SqlStore, list[str]], server_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends its transaction, which holds the lease's row, before the lease runs out."""
    assert postgresql.WRITE_LIMIT_MS < 1000 * postgresql.LEASE_S
    monkeypatch.setattr(postgresql, "WRITE_LIMIT_MS", 200)
    store, _ = old
    writing = store._database.writing()
    writing.__enter__()
    opening = Thread(target=lambda: expire(server_database))
    opening.start()
    opening.join(PATIENCE_S)

    await (await open_store(server_database, 0.0)).close()
    with pytest.raises(StoreError):
        writing.__exit__(None, None, None)


async def test_the_server_is_away(postgresql: PostgresqlServer, server_database: str) -> None:
    """A commit fails with one line, and the next one is written once the server is there again."""
    store = await open_store(server_database, 0.0)
    await store.commit(CHANGE)
    postgresql.stop()
    with pytest.raises(StoreError, match=r"cannot be used: nothing answers there: see whether"):
        await store.commit(OTHER)
    postgresql.start()

    await store.commit(OTHER)

    assert (await store.load(0.0)).tenants == OTHER.tenants
    await store.close()


@pytest.mark.parametrize("is_closed", [True, False])
async def test_after_the_server_was_away_messages_may_be_doubles(
    postgresql: PostgresqlServer, server_database: str, *, is_closed: bool
) -> None:
    """A process that was killed meanwhile may have sent what it could not save."""
    database = Paused(server_database)
    database.open(0.0)
    if is_closed:
        database.close()
    postgresql.stop()
    postgresql.start()
    if not is_closed:
        query(server_database, "UPDATE lease SET expires_at = expires_at - 11")

    following = await open_store(server_database, 0.0)

    assert (await following.load(0.0)).was_unsaved is not is_closed
    await following.close()
    database.close()


async def test_alone_for_five_minutes(
    postgresql: PostgresqlServer, server_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So long a process goes on without the server after its lease has run out, and no longer."""
    monkeypatch.setattr("bot.store.postgresql.RENEW_EVERY_S", 0.02)
    losses: list[str] = []
    database = PostgresqlDatabase(server_database)
    database.on_lost = losses.append
    database.open(0.0)
    postgresql.stop()
    database._renewed_at -= 290.0
    await asyncio.sleep(0.1)
    assert losses == []

    database._renewed_at -= 30.0
    wait_until(lambda: losses)

    assert "it has not answered for 31" in losses[0]
    postgresql.start()
    database.close()


async def test_what_waits_and_what_leaves_where_the_lease_is_unsure(
    postgresql: PostgresqlServer, server_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pause all waits for the server; while that is away, only what is urgent leaves."""
    database = PostgresqlDatabase(server_database)
    database.open(0.0)
    assert database.may_send(is_urgent=False)
    database._renewed_at -= 7.0  # as after a pause: there was no renewal that failed
    assert not database.may_send(is_urgent=True)
    monkeypatch.setattr("bot.store.postgresql.RENEW_EVERY_S", 0.02)
    database.note_unsaved(is_unsaved=False)  # wakes whoever renews it
    wait_until(lambda: database.may_send(is_urgent=False))

    postgresql.stop()
    database._renewed_at -= 7.0
    wait_until(lambda: database.may_send(is_urgent=True))
    assert not database.may_send(is_urgent=False)
    postgresql.start()
    wait_until(lambda: database.may_send(is_urgent=False))
    database.close()


class Threadless(PostgresqlDatabase):
    """On a machine that once cannot start a thread."""

    has_failed = False

    def _renew(self, for_s: float | None) -> None:
        if not self.has_failed:
            self.has_failed = True
            raise RuntimeError("can't start new thread")
        super()._renew(for_s)


async def test_a_renewal_without_a_thread_is_tried_again(
    server_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else nobody would renew the lease any more, and edits would wait for ever."""
    monkeypatch.setattr("bot.store.postgresql.RENEW_EVERY_S", 0.02)
    database = Threadless(server_database)
    database.open(0.0)
    expire(server_database)

    wait_until(lambda: query(server_database, "SELECT expires_at FROM lease") != [(1.0,)])

    assert database.has_failed
    database.close()


async def test_a_server_that_keeps_the_connection_and_never_answers(
    postgresql: PostgresqlServer, server_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped host behind a pooler looks like this: what waits for it fails, and tries again."""
    monkeypatch.setattr("bot.store.postgresql.RENEW_EVERY_S", 0.02)
    store = await open_store(f"{server_database}?connect_timeout=2", 0.0)
    postgresql.pause()
    try:
        with monkeypatch.context() as patch:
            patch.setattr("bot.store.postgresql.CUT_OFF_S", 0.3)
            with pytest.raises(StoreError, match="its server does not answer"):
                await asyncio.wait_for(store.commit(OTHER), PATIENCE_S)
    finally:
        postgresql.resume()
    before = query(server_database, "SELECT expires_at FROM lease")
    wait_until(lambda: query(server_database, "SELECT expires_at FROM lease") != before)

    await store.commit(CHANGE)

    assert (await store.load(0.0)).tenants == CHANGE.tenants
    await store.close()


GUEST = f"postgresql://guest:{PASSWORD}@"


@pytest.mark.parametrize(
    ("replaced", "by", "said"),
    [
        (r":{port}", ":1", "nothing answers there: see whether PostgreSQL runs"),
        ("127.0.0.1", "nowhere.invalid", "its host is unknown: correct it"),
        (PASSWORD, "hunter2", "the server refuses the user or the password"),
        (f":{PASSWORD}", "", "the server refuses the user or the password"),
        ("bot:", "nobody:", "the server refuses the user or the password"),
        ("/test", "/missing", "the server has none of that name: make it with createdb"),
        ("postgresql://bot:", "postgresql://guest:", "its user may not connect: GRANT CONNECT"),
        (r"{name}", "{name}?sslmode=require", "TLS fails: see its sslmode"),
        (r"{name}", "{name}?colour=hunter2", "its address has an option that libpq does not know"),
        (r"{name}", "?service=hunter2", "its address has an option that libpq does not know"),
        (r"{name}", "{name}?options=-cdefault_transaction_read_only=on", "it is a read-only copy"),
        (r"{name}", "latin", "it has LATIN1: make one with UTF8"),
    ],
)
async def test_what_is_wrong(
    postgresql: PostgresqlServer, server_database: str, replaced: str, by: str, said: str
) -> None:
    """One line says what and where, and the remedy; never the password."""
    name = server_database.rpartition("/")[2]
    if by == "latin":
        postgresql.make_once("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    postgresql.make_once(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    postgresql.execute(f"REVOKE CONNECT ON DATABASE {name} FROM public")
    place = {"port": postgresql.port, "name": name}
    address = server_database.replace(replaced.format(**place), by.format(**place))
    assert address != server_database

    with pytest.raises(StoreError) as caught:
        await open_store(address, 0.0)

    text = str(caught.value)
    assert text.startswith("The database postgresql://")
    assert said in text
    shown = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in shown
    assert PASSWORD not in shown


async def test_without_the_right_to_make_tables(
    postgresql: PostgresqlServer, server_database: str
) -> None:
    """PostgreSQL gives it to nobody but the owner since version 15; `doctor` finds that, too."""
    postgresql.make_once(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    address = server_database.replace("//bot:", "//guest:")

    with pytest.raises(StoreError, match="GRANT CREATE ON SCHEMA public"):
        await open_store(address, 0.0)
    with pytest.raises(StoreError, match="GRANT CREATE ON SCHEMA public"):
        inspect_database(address)


async def test_what_doctor_says(server_database: str) -> None:
    """Before the first start and after it, and of other versions."""
    assert inspect_database(server_database).detail.endswith(": tables will be made")
    await (await open_store(server_database, 0.0)).close()
    assert inspect_database(server_database).detail.endswith(" is up to date")
    query(server_database, "UPDATE alembic_version SET version_num = '0003'")
    assert "is older: the bot migrates it" in inspect_database(server_database).detail
    query(server_database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="newer version"):
        inspect_database(server_database)
    with pytest.raises(StoreError, match="newer version"):
        await open_store(server_database, 0.0)


async def test_an_error_does_not_show_what_was_written(server_database: str) -> None:
    """PostgreSQL's own text has the values of the row."""
    store = await open_store(server_database, 0.0)
    query(server_database, "ALTER TABLE partition ADD CHECK (name NOT LIKE '%hunter2%')")

    with pytest.raises(StoreError, match="another process has written to it") as caught:
        await store.commit(NAMED)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    await store.close()
