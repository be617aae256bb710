from __future__ import annotations

import asyncio
import math
import resource
from typing import TYPE_CHECKING, TypeVar

import pytest

from bot.core.model.observation import Fault, FeedState, Stage
from bot.sources.status_page import parse_feed_in_sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from bot.sources.status_page import StatusFeed
    from tests.sources.conftest import Atom, FixedClock, Web

DAY_S = 86_400
Parsed = TypeVar("Parsed")
RESOLVED = "<p><small>Apr 22, 20:20 UTC</small><br><strong>Resolved</strong> - It is over.</p>"
POSTMORTEM = "<p><small>Apr 22, 20:25 UTC</small><br><strong>Postmortem</strong> - Why.</p>"


async def test_ok(feed: StatusFeed, web: Web, atom: Atom, incident: str, now: float) -> None:
    """A feed with an open incident is parsed."""
    web.serve(atom(incident))
    reading = await feed.poll()
    assert (str(reading.target), reading.at, reading.state) == ("feed.US-1", now, FeedState.OK)
    assert [(each.id, each.is_open) for each in reading.status_incidents] == [("id0", True)]


async def test_postmortem_moves_nothing(
    feed: StatusFeed, web: Web, clock: FixedClock, atom: Atom, incident: str
) -> None:
    """A post-mortem changes the text, and neither the phase nor its date."""
    web.serve(atom(RESOLVED + incident))
    (before,) = (await feed.poll()).status_incidents
    clock.at += 14 * DAY_S
    web.serve(atom(POSTMORTEM + RESOLVED + incident, entry_updated="2026-05-06T20:25:00Z"))
    (after,) = (await feed.poll()).status_incidents
    assert (before.text, after.text) == ("It is over.", "Why.")
    assert (before.phase, before.updated_at) == (after.phase, after.updated_at)


async def test_undated_keeps_first_seen(
    feed: StatusFeed, web: Web, clock: FixedClock, atom: Atom, now: float
) -> None:
    """Without any date an incident dates from when it was first seen, also after an edit."""
    for text in ("x", "y"):
        web.serve(atom(f"Monitoring - {text}", updated="", entry_updated=""))
        (notice,) = (await feed.poll()).status_incidents
        assert (notice.text, notice.updated_at) == (text, now)
        clock.at += 60


async def test_unreachable(feed: StatusFeed, web: Web) -> None:
    """A fault of the request is reported."""
    web.reply(fault=Fault(Stage.DNS, "nxdomain"))
    reading = await feed.poll()
    assert (reading.state, reading.fault) == (FeedState.UNREACHABLE, Fault(Stage.DNS, "nxdomain"))


@pytest.mark.parametrize("status", [204, 302, 304, 400, 404, 429, 503])
async def test_other_status(
    status: int, feed: StatusFeed, web: Web, atom: Atom, incident: str
) -> None:
    """Only 200 is a feed; a 304 is unexpected without a condition."""
    web.reply(status=status, body=atom(incident))
    reading = await feed.poll()
    assert reading.state is FeedState.UNREACHABLE
    assert reading.fault
    assert (reading.fault.reason, reading.fault.status) == (f"http_{status}", status)
    is_wrong_address = status in {302, 404}
    assert ("set feed_url to its new address" in reading.fault.description) == is_wrong_address


async def test_blind(feed: StatusFeed, web: Web) -> None:
    """No data of the request is reported as no data."""
    web.reply(no_data_reason="loop_lag")
    assert (await feed.poll()).no_data_reason == "loop_lag"


async def test_empty(feed: StatusFeed, web: Web, atom: Atom) -> None:
    """A feed without entries is no information, and later feeds are not compared with it."""
    web.serve(atom(), etag='"1"')
    for _ in range(2):
        assert (await feed.poll()).state is FeedState.EMPTY
    assert "if-none-match" not in web.sent[1]


async def test_conditional(
    feed: StatusFeed, web: Web, clock: FixedClock, atom: Atom, incident: str
) -> None:
    """The next request has the validators of the last document; a 304 gives the same again."""
    web.serve(atom(incident), etag='"1"', last_modified="Wed, 22 Apr 2026 20:15:12 GMT")
    first = await feed.poll()
    clock.at += 60
    web.reply(status=304)
    second = await feed.poll()
    assert (second.state, second.status_incidents) == (FeedState.OK, first.status_incidents)
    assert web.sent[1].items() >= {
        ("if-none-match", '"1"'),
        ("if-modified-since", "Wed, 22 Apr 2026 20:15:12 GMT"),
    }


async def test_daily_in_full(
    feed: StatusFeed, web: Web, clock: FixedClock, atom: Atom, incident: str
) -> None:
    """After a day of 304 the whole feed is requested."""
    web.serve(atom(incident), etag='"1"')
    await feed.poll()
    web.reply(status=304)
    for _ in range(24):
        clock.at += 3_600
        await feed.poll()
    assert ["if-none-match" in headers for headers in web.sent] == [False] + 23 * [True] + [False]


@pytest.mark.parametrize("etag", ["caf\xe9", "x" * 500, ""])
async def test_unfit_validators(
    etag: str, feed: StatusFeed, web: Web, atom: Atom, incident: str
) -> None:
    """An ETag that is no valid header is not sent back."""
    web.serve(atom(incident), etag=etag)
    await feed.poll()
    await feed.poll()
    assert "if-none-match" not in web.sent[1]


async def test_unreadable_keeps_validators(
    feed: StatusFeed, web: Web, atom: Atom, incident: str
) -> None:
    """A login page with an ETag is not compared with."""
    web.serve(atom(incident), etag='"feed"')
    await feed.poll()
    web.serve(b"<!DOCTYPE html><html>", etag='"page"')
    assert (await feed.poll()).fault == Fault(Stage.HTTP, "doctype", 200)
    await feed.poll()
    assert web.sent[2]["if-none-match"] == '"feed"'


@pytest.mark.parametrize(
    ("updated", "entry_updated"),
    [("2026-04-22T19:00:00Z", "2026-04-22T20:15:12Z"), ("", "2026-04-22T19:41:00Z")],
    ids=["feed", "entry"],
)
async def test_stale(
    updated: str,
    entry_updated: str,
    feed: StatusFeed,
    web: Web,
    clock: FixedClock,
    atom: Atom,
    incident: str,
) -> None:
    """A document older than the last is ignored, until it has been the only one for a day."""
    web.serve(atom(RESOLVED + incident))
    await feed.poll()
    web.serve(atom(incident, updated=updated, entry_updated=entry_updated))
    reading = await feed.poll()
    assert (reading.state, reading.status_incidents) == (FeedState.STALE, ())
    clock.at += DAY_S
    assert (await feed.poll()).state is FeedState.OK


async def test_unchanged_is_not_parsed(
    feed: StatusFeed, web: Web, atom: Atom, incident: str
) -> None:
    """The same bytes again need no second child process."""
    web.serve(atom(incident))
    first = await feed.poll()
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    assert (await feed.poll()).status_incidents == first.status_incidents
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime == before


BOMBS = {
    "author": b"<author>" + b"a" * 200_000 + b"</author>",
    "categories": b"".join(b'<category term="%d"/>' % number for number in range(30_000)),
}


async def count_turns(parsing: Awaitable[Parsed]) -> tuple[Parsed, int]:
    """Await the end, and count the turns of the loop meanwhile, at most one in 10 ms."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.01)
            turns += 1

    counting = asyncio.create_task(count())
    document = await parsing
    counting.cancel()
    return document, turns


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
async def test_slow_bomb_is_killed(bomb: bytes, now: float) -> None:
    """A document that keeps feedparser busy for minutes is stopped; the loop goes on."""
    feed = b'<feed xmlns="http://www.w3.org/2005/Atom"><entry>' + bomb + b"</entry></feed>"
    document, turns = await count_turns(parse_feed_in_sandbox(feed, now, within_s=0.3))

    assert document == Fault(Stage.HTTP, "too_slow", 200)
    assert turns >= 5


@pytest.mark.no_cover
async def test_big_feed(atom: Atom, incident: str, now: float) -> None:
    """A feed near the cap is parsed without blocking the loop; only the newest entries are kept."""
    document, turns = await count_turns(parse_feed_in_sandbox(atom(*[incident] * 4_000), now))

    assert turns >= 5
    assert not isinstance(document, Fault)
    assert len(document.status_incidents) == 100


async def test_cancelled(atom: Atom, incident: str, now: float) -> None:
    """A cancelled poll leaves no child process behind."""
    poll = asyncio.create_task(parse_feed_in_sandbox(atom(*[incident] * 4_000), now))
    await asyncio.sleep(0.05)
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll


async def test_dying_child(atom: Atom, incident: str) -> None:
    """A child that dies makes the feed unreadable; nothing is raised."""
    document = await parse_feed_in_sandbox(atom(incident, entry_updated=""), math.inf)
    assert document == Fault(Stage.HTTP, "parser_died", 200)
