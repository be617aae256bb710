"""A tenant's log stream, in each of its formats."""

from __future__ import annotations

import json
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.core.model.observation import Target
from bot.webhooks.counts import MAX_IDS

LOGS = Target("prod", "logs")


def row(log_id: str, code: str = "s", **more: Any) -> dict[str, Any]:
    return {"log_id": log_id, "type": code, "client_id": "web", **more}


def wrapped(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"log_id": each["log_id"], "data": each} for each in rows]


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


ROWS = [row("1"), row("2", "fp", description="\u2028 Wrong password for jane@acme.example")]
FORMATS = {
    "array": json.dumps(wrapped(*ROWS)),
    "lines": "\n".join(json.dumps(each, ensure_ascii=False) for each in wrapped(*ROWS)) + "\r\n",
    "bare rows": json.dumps(ROWS),
    "EventBridge": json.dumps([{"detail": each} for each in wrapped(*ROWS)]),
    "id outside": json.dumps([{"log_id": each["log_id"], "data": {"type": "s"}} for each in ROWS]),
}


@pytest.mark.parametrize("name", FORMATS)
async def test_formats(door: Any, name: str) -> None:
    """An array, lines, bare rows and wrapped rows give the same rows."""
    assert (await door.push("auth0", FORMATS[name].encode()))[0] == 202
    assert (await door.push("auth0", wrapped(*ROWS)))[0] == 200

    counted = door.drain(LOGS)
    assert sum(group.count for group in counted.groups) == 2
    assert "jane" not in repr(counted)


async def test_one_object(door: Any) -> None:
    """The format "JSON object" sends one row per request."""
    for each in wrapped(*ROWS):
        assert (await door.push("auth0", each))[0] == 202

    assert sum(group.count for group in door.drain(LOGS).groups) == 2


async def test_figures(door: Any) -> None:
    """A drain returns the rows since the last one; the bot's own logins are counted apart."""
    await door.push("auth0", wrapped(row("1"), row("2"), row("3", client_id="probe-client")))
    await door.push("auth0", wrapped(row("4", "fn", environment_name="prod-us-1")))
    door.clock.at += 30

    counted = door.drain(LOGS)
    assert (counted.at, counted.span_s) == (door.clock.at, 30)
    assert (counted.failed, counted.total, counted.own_rows) == (1, 3, 1)
    assert (counted.environment, counted.no_data_reason) == ("US-1", "")
    door.clock.at += 30
    assert (door.drain(LOGS).total, door.drain(LOGS).no_data_reason) == (0, "")


async def test_before_the_first_row(door: Any) -> None:
    """A stream that never sent anything is no data; so is an empty delivery."""
    assert (await door.push("auth0", []))[0] == 200
    assert (await door.push("auth0", b""))[0] == 200

    assert door.drain(LOGS).no_data_reason == "nothing was pushed yet"


async def test_repeated_and_reordered(door: Any) -> None:
    """Rows come at least once and in any order: each counts once."""
    rows = wrapped(*(row(str(n)) for n in range(10)))
    for batch in (rows[5:], rows[:7], rows[::-1], rows):
        await door.push("auth0", batch)

    assert door.drain(LOGS).total == 10
    assert (await door.push("auth0", rows[3:]))[0] == 200
    assert door.drain(LOGS).total == 0


async def test_late_rows(door: Any) -> None:
    """Rows that waited at Auth0 for long are not counted, but their changes are recorded."""
    an_hour_ago = iso(door.clock.at - 3600)
    request = {"method": "patch", "path": "/api/v2/clients/abc"}
    change = row("2", "sapi", date=an_hour_ago, details={"request": request})
    await door.push("auth0", wrapped(row("1", "fn", date=an_hour_ago), change))

    late = door.drain(LOGS)
    assert (late.failed, late.total, late.no_data_reason) == (0, 0, "rows come late")
    assert [(made.at, made.tenant) for made in late.changes] == [(door.clock.at - 3600, "prod")]
    await door.push("auth0", wrapped(row("3", date=iso(door.clock.at - 30)), row("4", date=5)))
    assert (door.drain(LOGS).total, door.drain(LOGS).no_data_reason) == (2, "")


@pytest.mark.parametrize(
    "body", ["[{}]", '{"data": {"type": "s"}}', "[[1], null, 5]", '[{"log_id": [5]}]', "5\n6"]
)
async def test_no_rows(door: Any, body: str) -> None:
    """Elements without a row, and rows without an id, get a 400."""
    status, text = await door.push("auth0", body.encode())

    assert (status, text) == (400, "no log rows\n")


async def test_what_is_no_row_is_left_out(door: Any) -> None:
    """The other rows of the batch count."""
    assert (await door.push("auth0", [None, {}, *wrapped(row("1"))]))[0] == 202
    assert door.drain(LOGS).total == 1


@pytest.mark.parametrize("broken", ['{"log_id": "9", "da', '{"a": NaN}', "\x00", "9" * 5_000])
async def test_a_broken_line_refuses_no_other(door: Any, broken: str) -> None:
    """Lines that are no JSON are left out: Auth0 would send the whole batch for ever."""
    lines = [json.dumps(each) for each in wrapped(*ROWS)]

    assert (await door.push("auth0", "\n".join([lines[0], broken, lines[1]]).encode()))[0] == 202
    assert sum(group.count for group in door.drain(LOGS).groups) == 2


ODD_ROWS = {
    "numbers as ids": [{"log_id": 123, "data": {"type": "s"}}],
    "a null byte": wrapped(row("1", user_agent="a\u0000b")),
    "half a surrogate pair": wrapped(row("1", user_name="\ud800")),
    "texts that are none": wrapped(row("1"), row("2", details=[], connection=5, description={})),
}


@pytest.mark.parametrize("name", ODD_ROWS)
async def test_odd_rows(door: Any, name: str) -> None:
    """A row with an id counts, whatever else is in it."""
    assert (await door.push("auth0", ODD_ROWS[name]))[0] == 202
    assert door.drain(LOGS).total == len(ODD_ROWS[name])


async def test_a_byte_order_mark_and_windows_line_ends(door: Any) -> None:
    """Both are no part of the rows."""
    lines = "".join(f"{json.dumps(each)}\r\n" for each in wrapped(*ROWS))

    assert (await door.push("auth0", f"\ufeff{lines}".encode()))[0] == 202
    assert sum(group.count for group in door.drain(LOGS).groups) == 2


@pytest.mark.no_cover
async def test_memory(door: Any) -> None:
    """However much is pushed without a drain, memory does not grow."""

    def flood(begin: int) -> None:
        for start in range(begin, begin + MAX_IDS, 500):
            rows = [row(f"{n:090d}", "fn", connection=f"c{n}") for n in range(start, start + 500)]
            door.counters.add_rows("prod", rows)
            door.counters.add_report("prod", "shop", start, None)

    flood(0)
    tracemalloc.start()
    flood(MAX_IDS)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    counted = door.drain(LOGS)

    assert len(counted.groups) < 50
    assert counted.failed == sum(group.count for group in counted.groups) == 2 * MAX_IDS
    assert grown < 6_000_000  # the ids themselves, of which the older ones are not traced
    newest = wrapped(*(row(f"{n:090d}") for n in (MAX_IDS, 2 * MAX_IDS - 1)))
    assert (await door.push("auth0", newest)) == (200, "was there before\n")
