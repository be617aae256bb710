"""The `Store` port over SQL. One thread runs all of it, so that the event loop never waits.

A change is written as rows, and rows are read as a snapshot. A value becomes JSON, and JSON the
same value again, or a `StoreError`. Unknown keys are refused, so that this version does not drop
what a newer one wrote. Therefore a field that is renamed or removed needs a migration of the
bodies, and a new one needs a default.
"""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, Table, and_, bindparam, delete, insert, or_, select, update

from bot.core.state.desk import INCIDENT_RETENTION_S, DeskState
from bot.core.state.incident import Incident
from bot.core.state.outbox import DOUBLES_S, FINAL_STATUSES, Body, Delivery
from bot.core.state.tenant import TenantState
from bot.ports import Change, InboxItem, Snapshot, StoreError, Unfinished
from bot.store.database import find_database
from bot.store.schema import AUDIT, INBOX, INCIDENT, OUTBOX, PARTITION, delete_expired

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.ports import Clock
    from bot.store.database import Database

log = logging.getLogger(__name__)

MAINTAIN_EVERY_S = 3600.0
DELETED_ROWS = 500
"""Of each table at a time: commits wait meanwhile."""
OPEN_LIMIT_S = 60.0
"""Real seconds. To check and migrate a large database may last; a disk that hangs never answers."""
CLOSE_LIMIT_S = 5.0
PAST_INCIDENTS = 50
"""Read at a time: to decode so many takes 50 ms, in which nothing can be committed."""


async def open_store(database: str, now: float, limit_s: float = OPEN_LIMIT_S) -> SqlStore:
    """Open the database that the setting `database` names. Raises `StoreError`.

    Args:
        database: see `find_database`.
        now: becomes part of the name of a damaged database that is moved aside.
        limit_s: real seconds.
    """
    found = find_database(database)
    thread = ThreadPoolExecutor(1, thread_name_prefix="store")
    opening = asyncio.get_running_loop().run_in_executor(thread, found.open, now)
    try:
        async with asyncio.timeout(limit_s):
            await opening
            return SqlStore(found, thread)
    except TimeoutError:
        thread.shutdown(wait=False)
        raise StoreError(
            f"the database {found.name} could not be opened within {limit_s:g} s: see whether"
            " its disk works, or its server, and the system log"
        ) from None
    except Exception:
        thread.shutdown()
        raise
    except BaseException:  # cancelled, perhaps while the disk hangs
        thread.shutdown(wait=False)
        raise


async def maintain_hourly(store: SqlStore, clock: Clock) -> None:
    """Keep copies of the database from the last hours beside it, and delete what is too old."""
    while True:
        await clock.sleep(MAINTAIN_EVERY_S)
        store.back_up()
        try:
            deleted = 1
            while deleted:
                deleted = await store.delete_expired(clock.now())
        except StoreError as error:
            log.warning("old rows were not deleted: %s", error)


class SqlStore:
    """A database that only this process uses."""

    def __init__(self, database: Database, thread: ThreadPoolExecutor) -> None:
        """Use a database that was opened in this thread, and close both in the end."""
        self.warning = database.warning
        """What the log and the channel must say about how it was opened; mostly empty."""
        self._database = database
        self._thread = thread
        self._run_in_thread = asyncio.get_running_loop().run_in_executor
        self._revisions: Revisions = {}

    def on_lost(self, end: Callable[[str], object]) -> None:
        """Set what ends this process at once, from any thread, when it may no longer act."""
        self._database.on_lost = end

    async def load(self, now: float) -> Snapshot:
        """Read what was committed, and delete what is past its retention."""
        return await self._run_in_thread(self._thread, self._load, now)

    async def commit(self, change: Change) -> None:
        """Write a change durably. Nobody may alter it meanwhile. Raises `StoreError`.

        After an error nothing is written, and the next commit may succeed.
        A commit that is cancelled may still be written.
        """
        await self._run_in_thread(self._thread, self._commit, change)

    async def delete_expired(self, now: float) -> int:
        """Delete some rows that are past their retention; return how many. Raises `StoreError`."""
        return await self._run_in_thread(self._thread, self._delete_expired, now)

    async def has_received(self, received_id: str) -> bool:
        """Return whether an inbox item was committed before, handled or not."""
        return await self._run_in_thread(self._thread, self._has_received, received_id)

    async def read_unfinished(self) -> Unfinished:
        """Read the open incidents, and the deliveries that are not done."""
        return await self._run_in_thread(self._thread, self._read_unfinished)

    async def read_past_incidents(self, after: int) -> tuple[Incident, ...]:
        """Read the next resolved incidents after this number; see the port."""
        return await self._run_in_thread(self._thread, self._read_past_incidents, after)

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        """Note it for the next process; see the port.

        It has a thread of its own, which the end of the process does not wait for: a disk that
        hangs may hold this up as well.
        """
        note = partial(self._database.note_unsaved, is_unsaved=is_unsaved)
        Thread(target=note, daemon=True).start()

    def may_send(self, *, is_urgent: bool) -> bool:
        """Tell whether this process may send now; see the port."""
        return self._database.may_send(is_urgent=is_urgent)

    async def close(self, limit_s: float = CLOSE_LIMIT_S) -> None:
        """Finish what was begun and close the database; give up if its disk hangs."""
        closing = asyncio.ensure_future(self._run_in_thread(self._thread, self._database.close))
        done, _ = await asyncio.wait({closing}, timeout=limit_s)
        if not done:
            log.error("the database %s does not answer; leaving it open", self._database.name)
            self._thread.shutdown(wait=False)
            return
        self._thread.shutdown()
        await closing

    def _load(self, now: float) -> Snapshot:
        with self._database.writing() as connection:
            snapshot, self._revisions = read_snapshot(connection, now)
        return replace(snapshot, was_unsaved=self._database.was_unsaved)

    def back_up(self) -> Thread:
        """Begin to copy the database in a thread of its own, for a disk that hangs."""
        thread = Thread(target=self._back_up, daemon=True)
        thread.start()
        return thread

    def _back_up(self) -> None:
        try:
            self._database.back_up()
        except StoreError as error:
            log.warning("the hourly copy of the database failed: %s", error)

    def _delete_expired(self, now: float) -> int:
        with self._database.writing() as connection:
            return delete_expired(connection, now, DELETED_ROWS)

    def _commit(self, change: Change) -> None:
        with self._database.writing() as connection:
            written = write_change(connection, change, self._revisions)
        self._revisions |= written

    def _read_unfinished(self) -> Unfinished:
        is_waiting = OUTBOX.c.status.not_in(FINAL_STATUSES)
        with self._database.reading() as connection:
            incidents = connection.execute(select(INCIDENT).where(INCIDENT.c.resolved_at.is_(None)))
            waiting = connection.execute(select(OUTBOX).where(is_waiting))
            return Unfinished(
                tuple(decode(INCIDENT_JSON, row.body, f"incident {row.id}") for row in incidents),
                tuple(decode_delivery(row.body, f"outbox {row.key}") for row in waiting),
            )

    def _read_past_incidents(self, after: int) -> tuple[Incident, ...]:
        are_next = (INCIDENT.c.resolved_at.is_not(None), INCIDENT.c.id > after)
        found = select(INCIDENT).where(*are_next).order_by(INCIDENT.c.id).limit(PAST_INCIDENTS)
        with self._database.reading() as connection:
            rows = connection.execute(found)
            return tuple(decode(INCIDENT_JSON, row.body, f"incident {row.id}") for row in rows)

    def _has_received(self, received_id: str) -> bool:
        with self._database.reading() as connection:
            return has_received(connection, received_id)


T = TypeVar("T")

TENANT_JSON = TypeAdapter(TenantState)
DESK_JSON = TypeAdapter(DeskState)
INCIDENT_JSON = TypeAdapter(Incident)
INBOX_ITEM_JSON: TypeAdapter[InboxItem] = TypeAdapter(InboxItem)
_DELIVERY_JSON = TypeAdapter(Delivery)
BODIES = {kind.__name__.lower(): kind for kind in get_args(Body)}
"""By the tag that names a body's kind in a delivery's JSON."""
_BODIES_JSON = {tag: TypeAdapter[Body](kind) for tag, kind in BODIES.items()}


def encode(value: object) -> str:
    """Return a value's JSON, with `Infinity` and `NaN` as Python writes them.

    A lone surrogate, which no database accepts, becomes a question mark.
    """
    return _to_json(to_jsonable_python(value))


def decode(kind: TypeAdapter[T], text: str, name: str) -> T:
    """Read what `encode` wrote. A `StoreError` says by `name` which row cannot be read."""
    try:
        return kind.validate_json(text, extra="forbid")
    except ValidationError as error:
        raise _unreadable_error(name, error) from None


def encode_delivery(delivery: Delivery) -> str:
    """Return a delivery's JSON, with a tag: bodies of several kinds have the same fields."""
    value = to_jsonable_python(delivery)
    value["body"] = {type(delivery.body).__name__.lower(): value["body"]}
    return _to_json(value)


def decode_delivery(text: str, name: str) -> Delivery:
    """Read what `encode_delivery` wrote."""
    try:
        value = json.loads(text)
        ((tag, body),) = value["body"].items()
        value["body"] = _BODIES_JSON[tag].validate_python(body, extra="forbid")
        return _DELIVERY_JSON.validate_python(value, extra="forbid")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _unreadable_error(name, error) from None


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _unreadable_error(name: str, error: Exception) -> StoreError:
    """Say which field does not fit, without its value: some are secret."""
    place = "its JSON"
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or place
    return StoreError(
        f"{name} in the database was written by another version of auth0-check ({place} does not"
        " fit): start that version, or move the database aside to begin afresh"
    )


DESK_PARTITION = "desk"
TENANT_PREFIX = "tenant:"
"""A tenant's name follows."""

UPDATE_PARTITION = (
    update(PARTITION)
    .where(PARTITION.c.name == bindparam("its_name"), PARTITION.c.revision == bindparam("before"))
    .values(revision=bindparam("revision"), body=bindparam("body"))
)
"""Built once: SQLAlchemy needs more time for that than the database for the rest."""

Revisions = dict[str, int]
"""By partition, as last read or written."""


def write_change(connection: Connection, change: Change, revisions: Mapping[str, int]) -> Revisions:
    """Write a change. Returns the partitions' new revisions.

    Raises `StoreError` if another process has changed a partition since we read or wrote it.
    """
    bodies = {f"{TENANT_PREFIX}{name}": encode(state) for name, state in change.tenants.items()}
    if change.desk is not None:
        bodies[DESK_PARTITION] = encode(replace(change.desk, incidents={}))
    written = {name: revisions.get(name, 0) + 1 for name in bodies}
    for name, body in bodies.items():
        _write_partition(connection, name, written[name], body)
    incidents = [
        {
            "id": incident.id,
            "state": incident.state.value,
            "opened_at": incident.life.opened_at,
            "resolved_at": incident.life.resolved_at,
            "body": encode(incident),
        }
        for incident in change.incidents.values()
    ]
    _replace_rows(connection, INCIDENT, incidents)
    _replace_rows(connection, OUTBOX, [_outbox_row(d) for d in change.deliveries.values()])
    if change.audit_entries:
        audit = [
            {"at": entry.at, "user": entry.user, "body": encode(entry)}
            for entry in change.audit_entries
        ]
        connection.execute(insert(AUDIT), audit)
    for item in change.inbox_items:
        if not has_received(connection, item.id):  # an item that arrives twice changes nothing
            row = {"id": item.id, "received_at": item.at, "is_handled": False}
            connection.execute(insert(INBOX).values(**row, body=encode(item)))
    if change.handled_ids:
        connection.execute(
            update(INBOX).where(INBOX.c.id.in_(change.handled_ids)).values(is_handled=True)
        )
    return written


def read_snapshot(connection: Connection, now: float) -> tuple[Snapshot, Revisions]:
    """Delete rows that are past their retention and read the rest. Raises `StoreError`."""
    delete_expired(connection, now)
    partitions = {row.name: row for row in connection.execute(select(PARTITION))}
    desk = None
    if (row := partitions.get(DESK_PARTITION)) is not None:
        recent = INCIDENT.c.resolved_at > now - INCIDENT_RETENTION_S
        known = select(INCIDENT).where(or_(INCIDENT.c.resolved_at.is_(None), recent))
        incidents = {
            found.id: decode(INCIDENT_JSON, found.body, f"incident {found.id}")
            for found in connection.execute(known.order_by(INCIDENT.c.id))
        }
        desk = replace(decode(DESK_JSON, row.body, DESK_PARTITION), incidents=incidents)
    recent = and_(OUTBOX.c.key.contains(":post:"), OUTBOX.c.created_at > now - DOUBLES_S)
    wanted = or_(OUTBOX.c.status.not_in(FINAL_STATUSES), recent)
    found = select(OUTBOX).where(wanted).order_by(OUTBOX.c.lane, OUTBOX.c.seq)
    deliveries = [decode_delivery(r.body, f"outbox {r.key}") for r in connection.execute(found)]
    unhandled = select(INBOX).where(INBOX.c.is_handled.is_(False))
    items = connection.execute(unhandled.order_by(INBOX.c.received_at, INBOX.c.id))
    snapshot = Snapshot(
        tenants={
            name.removeprefix(TENANT_PREFIX): decode(TENANT_JSON, row.body, name)
            for name, row in partitions.items()
            if name.startswith(TENANT_PREFIX)
        },
        desk=desk,
        deliveries={d.key: d for d in deliveries if d.may_be_double or not d.is_done},
        inbox_items=tuple(decode(INBOX_ITEM_JSON, row.body, f"inbox {row.id}") for row in items),
    )
    return snapshot, {name: row.revision for name, row in partitions.items()}


def has_received(connection: Connection, received_id: str) -> bool:
    """Return whether this item is in the inbox, handled or not."""
    found = connection.execute(select(INBOX.c.id).where(INBOX.c.id == received_id))
    return found.first() is not None


def _write_partition(connection: Connection, name: str, revision: int, body: str) -> None:
    """Compare and set: a new partition must be missing, an old one have the revision before."""
    if revision == 1:
        connection.execute(insert(PARTITION).values(name=name, revision=1, body=body))
        return
    values = {"its_name": name, "before": revision - 1, "revision": revision, "body": body}
    done = connection.execute(UPDATE_PARTITION, values)
    if done.rowcount != 1:
        raise StoreError(f"another process has written {name}: stop all but one and restart it")


def _replace_rows(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert rows, and delete those with the same keys first."""
    if rows:
        (key,) = table.primary_key
        connection.execute(delete(table).where(key.in_([row[key.name] for row in rows])))
        connection.execute(insert(table), rows)


def _outbox_row(delivery: Delivery) -> dict[str, Any]:
    return {
        "key": delivery.key,
        "lane": delivery.lane,
        "seq": delivery.seq,
        "status": delivery.status.value,
        "created_at": delivery.created_at,
        "body": encode_delivery(delivery),
    }
