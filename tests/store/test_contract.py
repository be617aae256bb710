"""What every `Store` promises, over SQLite, PostgreSQL and memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bot.core.model.command import Request, RunCheck
from bot.core.model.observation import Cause, Observation, Outcome, Scope, Severity, Target, Verdict
from bot.core.state.desk import DeskState
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    Resolution,
)
from bot.core.state.outbox import Answer, Body, Delivery, DeliveryStatus, Edit, Post, Reply
from bot.core.state.tenant import HasData, TenantState
from bot.core.state.timeline import ResolvedEntry
from bot.ports import Change, Snapshot, Store

Reopen = Callable[[], Awaitable[Store]]

DAY_S = 86400.0
NOW = 100 * DAY_S
INCIDENT = Incident(
    id=1,
    kind=IncidentKind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod",),
    since=NOW - 60,
    life=IncidentLife(NOW - 50),
    verdict=Verdict(Cause.AUTH0, Scope.ENVIRONMENT, 0.9),
)
OTHER = replace(INCIDENT, id=2)
REQUEST = Request("T1.1", NOW, RunCheck(), response_url="https://hooks.example/secret")
SEEN = Observation(Target("prod", "login"), NOW, Outcome.OK, latency_s=0.25)


def resolved(number: int, at: float) -> Incident:
    life = replace(INCIDENT.life, resolved=Resolution(at))
    return replace(INCIDENT, id=number, life=life)


def delivery(
    body: Body, key: str = "1:post:1", status: DeliveryStatus = DeliveryStatus.PENDING
) -> Delivery:
    return Delivery(key, "incident:1", 1, body, NOW, status)


async def test_new_store_is_empty(reopen: Reopen) -> None:
    """A store that was never written to has nothing, not even a desk."""
    store = await reopen()

    assert await store.load(NOW) == Snapshot({}, None, {}, ())


async def test_round_trip(reopen: Reopen) -> None:
    """All parts of a change are there after a restart, equal to what was committed."""
    store = await reopen()
    tenant = TenantState(due={"login": NOW, "custom": None}, data=HasData(NOW), phase=0.25)
    post = delivery(Post(1))
    change = Change(
        {"prod": tenant}, DeskState(next_id=2), {1: INCIDENT}, {post.key: post}, [REQUEST]
    )

    await store.commit(change)

    after = await (await reopen()).load(NOW)
    desk = DeskState(next_id=2, incidents={1: INCIDENT})
    assert after == Snapshot({"prod": tenant}, desk, {post.key: post}, (REQUEST,))


async def test_later_change_wins(reopen: Reopen) -> None:
    """What a change names replaces what was there, and the rest stays, over restarts too."""
    store = await reopen()
    await store.commit(
        Change({"a": TenantState(), "b": TenantState()}, DeskState(), {1: INCIDENT, 2: OTHER})
    )
    graver = replace(INCIDENT, message=IncidentMessage(edits=3))
    for phase in (0.25, 0.5):
        store = await reopen()
        await store.load(NOW)
        await store.commit(Change({"a": TenantState(phase=phase)}, None, {1: graver}))

    after = await store.load(NOW)
    assert after.tenants == {"a": TenantState(phase=0.5), "b": TenantState()}
    assert after.desk == DeskState(incidents={1: graver, 2: OTHER})


async def test_incidents_are_rows_of_their_own(reopen: Reopen) -> None:
    """Those inside a desk are not stored with it: the change's own count."""
    store = await reopen()
    await store.commit(Change(desk=DeskState(incidents={7: INCIDENT}), incidents={1: INCIDENT}))

    after = await (await reopen()).load(NOW)
    assert after.desk == DeskState(incidents={1: INCIDENT})


async def test_old_incidents_are_left_out(reopen: Reopen) -> None:
    """All open incidents are loaded, however old, and those that ended in the last seven days."""
    store = await reopen()
    recent, old = resolved(2, NOW - 6.9 * DAY_S), resolved(3, NOW - 7.1 * DAY_S)
    open_for_long = replace(INCIDENT, life=IncidentLife(0.0))
    await store.commit(Change(desk=DeskState(), incidents={1: open_for_long, 2: recent, 3: old}))

    after = await (await reopen()).load(NOW)
    assert after.desk == DeskState(incidents={1: open_for_long, 2: recent})


async def test_past_incidents_can_be_read_however_many(reopen: Reopen) -> None:
    """Those that are over, oldest first, also if they are no longer loaded; open ones are not."""
    store = await reopen()
    past = {number: resolved(number, NOW - 80 * DAY_S + number) for number in range(2, 125)}
    await store.commit(Change({}, DeskState(), {1: INCIDENT, **past}))
    store = await reopen()
    found, last = list[Incident](), 0
    while some := await store.read_past_incidents(last):
        found += some
        last = some[-1].id

    assert found == list(past.values())


@pytest.mark.parametrize(
    "body",
    [
        Post(1),
        Edit(1),
        Reply(1, ResolvedEntry(NOW, "U1")),
        Answer(REQUEST, observations=(SEEN,), unanswered=(Target("prod", "custom"),)),
    ],
    ids=lambda body: type(body).__name__,
)
async def test_bodies_keep_their_kind(reopen: Reopen, body: Body) -> None:
    """A delivery's body comes back as the kind that it was, though some have the same fields."""
    store = await reopen()
    await store.commit(Change(deliveries={"1:post:1": delivery(body)}))

    after = await (await reopen()).load(NOW)
    assert after.deliveries == {"1:post:1": delivery(body)}
    assert type(after.deliveries["1:post:1"].body) is type(body)


async def test_done_deliveries_are_left_out(reopen: Reopen) -> None:
    """What was said or given up is not loaded; what is in doubt is."""
    store = await reopen()
    states = {status.value: delivery(Post(1), status.value, status) for status in DeliveryStatus}
    await store.commit(Change(deliveries={k: delivery(Post(1), k) for k in states}))
    await store.commit(Change(deliveries=states))

    after = await (await reopen()).load(NOW)
    assert set(after.deliveries) == {"pending", "sending", "doubt"}


async def test_posts_that_may_be_there_twice_are_loaded(reopen: Reopen) -> None:
    """For an hour: the first try of a message may show up after a restart."""
    store = await reopen()
    post = replace(delivery(Post(1), "1:post:1", DeliveryStatus.SENT), tries=2)
    others = [
        replace(post, key="2:post:1", tries=1),
        replace(post, key="3:post:1", created_at=NOW - 2 * 3600.0),
        replace(post, key="4:reply:1", body=Edit(4)),
    ]
    await store.commit(Change(deliveries={each.key: each for each in (post, *others)}))

    store = await reopen()
    assert (await store.load(NOW)).deliveries == {post.key: post}
    assert (await store.read_unfinished()).deliveries == ()


async def test_requests_come_once(reopen: Reopen) -> None:
    """A request that is delivered again changes nothing, whether it was answered or not."""
    store = await reopen()
    again = replace(REQUEST, words="other")
    await store.commit(Change(inbox_items=[REQUEST, again]))
    await store.commit(Change(inbox_items=[again]))
    assert (await store.load(NOW)).inbox_items == (REQUEST,)

    await store.commit(Change(handled_ids=[REQUEST.id]))
    await store.commit(Change(inbox_items=[again]))

    store = await reopen()
    assert (await store.load(NOW)).inbox_items == ()
    assert await store.has_received(REQUEST.id)
    assert not await store.has_received("T1.2")


async def test_requests_are_loaded_oldest_first(reopen: Reopen) -> None:
    """Those that wait come in the order of their asking, not of their arrival."""
    store = await reopen()
    late, early = replace(REQUEST, id="a", at=NOW + 1), replace(REQUEST, id="b", at=NOW - 1)
    await store.commit(Change(inbox_items=[late, early]))

    assert (await (await reopen()).load(NOW)).inbox_items == (early, late)


async def test_a_note_that_the_state_is_unsaved_survives(reopen: Reopen) -> None:
    """The next process reads it, until a process notes that all is saved again."""
    assert not (await (await reopen()).load(0.0)).was_unsaved
    for is_unsaved in (True, False):
        store = await reopen()
        store.note_unsaved(is_unsaved=is_unsaved)
        async with asyncio.timeout(60):
            while (await (await reopen()).load(0.0)).was_unsaved is not is_unsaved:  # noqa: ASYNC110 - a thread writes it
                await asyncio.sleep(0.01)
