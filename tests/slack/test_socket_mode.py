from __future__ import annotations

import asyncio
import itertools
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bot.slack.inbound.socket_mode import ConnectionTimeouts, SocketModeConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

QUICK = ConnectionTimeouts(
    check_every=0.02,
    new_address_after=0.1,
    new_client_after=0.4,
    ping_every=0.05,
)


@pytest.fixture
async def socket(
    api: Any, clock: Any, listeners: Any
) -> AsyncIterator[Callable[..., SocketModeConnection]]:
    """Start connections, which are stopped at the end of the test."""
    tasks: list[asyncio.Task[None]] = []

    def start(
        timeouts: ConnectionTimeouts = QUICK,
        check_token: Callable[[], Awaitable[None]] | None = None,
    ) -> SocketModeConnection:
        made = SocketModeConnection(
            listeners.build_app(),
            "xapp-canary",
            api,
            clock,
            check_token=check_token,
            timeouts=timeouts,
        )
        tasks.append(asyncio.create_task(made.run()))
        return made

    yield start
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def works(slack: Any, payloads: Any) -> bool:
    """Return whether a command is acknowledged."""
    ack = await slack.deliver("slash_commands", payloads.command("status"))
    return "envelope_id" in ack


@pytest.mark.parametrize(
    "faults",
    [
        ["refuse"],
        ["refuse", "refuse", "refuse"],
        ["keep", "keep"],
        ["deaf"],
        ["hang"],
    ],
    ids=str,
)
async def test_handshakes(
    slack: Any, payloads: Any, socket: Any, until: Any, faults: list[str]
) -> None:
    """The connection recovers from a used ticket, a refused or hanging handshake, no hello."""
    slack.handshakes = itertools.chain(faults, itertools.repeat("ok"))

    connection = socket()
    await until(lambda: connection.is_connected)

    assert await works(slack, payloads)


@pytest.mark.parametrize(
    "reason", ["warning", "refresh_requested", "too_many_websockets", "link_disabled"]
)
async def test_disconnects(slack: Any, payloads: Any, socket: Any, until: Any, reason: str) -> None:
    """Each kind of `disconnect` is followed by a new connection."""
    connection = socket()
    await until(lambda: connection.is_connected)

    before = len(slack.sockets)
    await slack.sockets[-1].send_json({"type": "disconnect", "reason": reason})
    await until(lambda: len(slack.sockets) > before and connection.is_connected)

    assert await works(slack, payloads)


async def test_spent_ticket_later(slack: Any, payloads: Any, socket: Any, until: Any) -> None:
    """A reconnect whose first handshake fails gets a new address (slack_sdk alone never does)."""
    connection = socket()
    await until(lambda: connection.is_connected)
    slack.handshakes = itertools.chain(["refuse", "refuse"], itertools.repeat("ok"))

    before = len(slack.sockets)
    await slack.sockets[-1].close()
    await until(lambda: len(slack.sockets) > before and connection.is_connected)

    assert await works(slack, payloads)


async def test_slack_away(
    slack: Any, socket: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It is not connected while Slack is away, and connects afterwards; no ticket is logged."""
    slack.answers["apps.connections.open"] = (503, {}, b"")
    connection = socket()
    await asyncio.sleep(0.2)
    assert not connection.is_connected

    slack.handshakes = itertools.chain(["refuse"] * 3, itertools.repeat("ok"))
    del slack.answers["apps.connections.open"]
    await until(lambda: connection.is_connected)

    assert "ticket=" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_never_gives_up(
    slack: Any, payloads: Any, socket: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Before each new client the token is checked; while Slack refuses it, nothing is retried."""
    caplog.set_level(logging.WARNING)
    slack.handshakes = itertools.repeat("refuse")
    checks: list[int] = []
    is_accepted = asyncio.Event()

    async def check_token() -> None:
        checks.append(len(slack.calls))
        await is_accepted.wait()

    connection = socket(check_token=check_token)
    await until(lambda: checks)
    await asyncio.sleep(0.3)
    assert [len(slack.calls)] == checks

    slack.handshakes = itertools.repeat("ok")
    is_accepted.set()
    await until(lambda: connection.is_connected)

    assert await works(slack, payloads)


async def test_it_knows_since_when(slack: Any, socket: Any, until: Any, clock: Any) -> None:
    """The time of the last change is kept, not that of the last check."""
    began = clock.now()
    connection = socket()
    await until(lambda: connection.is_connected)
    connected_at = connection.since
    await asyncio.sleep(0.1)
    assert began <= connected_at == connection.since

    slack.handshakes = itertools.repeat("refuse")
    await slack.sockets[-1].close()
    await until(lambda: not connection.is_connected)

    assert connection.since > connected_at


async def test_stray_connection(
    slack: Any, socket: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It warns of a second process with our app token, which takes clicks away."""
    caplog.set_level(logging.WARNING)
    slack.connections = 3

    connection = socket()
    await until(lambda: connection.is_connected)

    assert "3 connections" in caplog.text


async def test_stops(slack: Any, api: Any, clock: Any, listeners: Any, until: Any) -> None:
    """When it is stopped, the connection is closed and no task stays."""
    before = asyncio.all_tasks()
    run = asyncio.create_task(
        SocketModeConnection(listeners.build_app(), "xapp-canary", api, clock, timeouts=QUICK).run()
    )
    await slack.opened.wait()

    run.cancel()
    with suppress(asyncio.CancelledError):
        await run

    await until(lambda: slack.live == 0)
    assert [task for task in asyncio.all_tasks() - before if "slack_sdk" in repr(task)] == []
