from __future__ import annotations

import asyncio
import itertools
import logging
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from bot.ports import Reason, Refused
from bot.slack.checks import SlackProblem, check_bot_token
from bot.slack.inbound.socket_mode import ConnectionTimeouts, SocketModeConnection
from bot.slack.web_api import SlackWeb
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from tests.faults.drills import Repeats

QUICK = ConnectionTimeouts(hello_within=0.3, first_pause=0.02, max_pause=0.05)


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


async def test_through_a_proxy(
    slack: Any, payloads: Any, listeners: Any, clock: Any, until: Any, tmp_path: Path
) -> None:
    """The Web API and Socket Mode go through CONNECT, with Slack's certificate checked."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    secure = type(slack)()
    await secure.server.start_server(ssl=context)
    async with Proxy() as proxy:
        web = SlackWeb(
            "xoxb-canary",
            secure.api_url,
            proxy=proxy.url("slack"),
            ca_file=str(tmp_path / "ca.pem"),
        )
        connection = SocketModeConnection(listeners.build_app(), "xapp-canary", web, clock)
        running = asyncio.create_task(connection.run())
        await until(lambda: connection.is_connected)
        assert await works(secure, payloads)
        assert proxy.seen == {("slack", f"127.0.0.1:{secure.server.port}")}

        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await web.close()
    await secure.server.close()


@pytest.mark.parametrize(
    ("password", "code", "remedy"),
    [
        ("wrong", "proxy_answers_407", "the proxy answers 407: check proxy.slack"),
        (None, "proxy_is_unreachable", "the proxy is unreachable: check proxy.slack"),
    ],
)
async def test_a_proxy_that_fails(password: str | None, code: str, remedy: str) -> None:
    """Nothing was sent, so a post may be tried again; it is said that it is the proxy."""
    async with Proxy() as proxy:
        url = proxy.url("slack", password) if password else "http://u:secret@127.0.0.1:9"
        web = SlackWeb("xoxb-canary", "https://slack.com/api/", proxy=url)
        with pytest.raises(Refused) as refused:
            await web.call("auth.test", {})
        with pytest.raises(SlackProblem) as problem:
            await check_bot_token(web)
        await web.close()

    assert (refused.value.reason, refused.value.code) == (Reason.UNREACHABLE, code)
    assert str(problem.value).endswith(remedy)


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
    """Each handshake has a ticket of its own."""
    connection = socket()
    await until(lambda: connection.is_connected)
    slack.handshakes = itertools.chain(["refuse", "refuse"], itertools.repeat("ok"))

    before = len(slack.sockets)
    await slack.sockets[-1].close()
    await until(lambda: len(slack.sockets) > before and connection.is_connected)

    assert await works(slack, payloads)


@pytest.mark.parametrize("fate", ["end", "refuse", "deaf"])
async def test_pauses_grow(slack: Any, socket: Any, until: Any, fate: str) -> None:
    """While no connection lasts, the pauses between them double, and at least half is waited."""
    slack.handshakes = itertools.repeat(fate)
    socket(ConnectionTimeouts(hello_within=0.01, first_pause=0.05, max_pause=0.2))

    await until(lambda: len(slack.opened_at) == 5)

    gaps = [later - earlier for earlier, later in itertools.pairwise(slack.opened_at)]
    assert all(gap >= least for gap, least in zip(gaps, (0.025, 0.05, 0.1, 0.1), strict=True))


async def test_pauses_begin_anew(slack: Any, socket: Any, until: Any) -> None:
    """After a connection that lasted there is no pause, and the next failure has a short one."""
    slack.handshakes = itertools.cycle(["ok", "refuse"])
    connection = socket(ConnectionTimeouts(first_pause=0.01, max_pause=3600, settled_after=0))

    for number in range(1, 16):  # the last pause would be of minutes
        await until(lambda number=number: len(slack.sockets) == number and connection.is_connected)
        await slack.sockets[-1].close()


async def test_a_greeted_connection_lasts(slack: Any, socket: Any, until: Any) -> None:
    """The limit is for the hello, not for what comes after it."""
    connection = socket(ConnectionTimeouts(hello_within=0.1, first_pause=0.01))
    await until(lambda: connection.is_connected)
    before = len(slack.sockets)

    await asyncio.sleep(0.3)

    assert len(slack.sockets) == before


async def test_one_connection_after_a_disconnect(slack: Any, socket: Any, until: Any) -> None:
    """`disconnect` and the close after it are one end, which is followed by one connection."""
    connection = socket()
    await until(lambda: connection.is_connected)

    await slack.sockets[-1].send_json({"type": "disconnect", "reason": "refresh_requested"})
    await slack.sockets[-1].close()
    await until(lambda: len(slack.sockets) > 1 and connection.is_connected)
    await asyncio.sleep(0.2)

    assert (len(slack.sockets), slack.live) == (2, 1)


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_the_next_connection_is_made_before_the_last_one_ends(
    slack: Any, payloads: Any, socket: Any, until: Any, reason: str
) -> None:
    """Until Slack ends a connection, commands on it are taken, and nothing is called broken."""
    connection = socket()
    await until(lambda: connection.is_connected)
    connected_since = connection.since
    slack.handshakes = itertools.chain(["refuse", "hang"], itertools.repeat("ok"))

    (old,) = slack.sockets
    await old.send_json({"type": "disconnect", "reason": reason})
    await until(lambda: len(slack.sockets) > 1)
    envelope = {"type": "slash_commands", "envelope_id": "late", "payload": payloads.command("a")}
    await old.send_json(envelope | {"accepts_response_payload": True})

    assert (await slack.acks.get())["envelope_id"] == "late"
    assert connection.is_connected
    assert connection.since == connected_since
    await old.close()
    assert await works(slack, payloads)


async def test_a_connection_that_slack_forgets_to_end(slack: Any, socket: Any, until: Any) -> None:
    """The last connection is ended for Slack after a while: Slack counts ten an app."""
    timeouts = ConnectionTimeouts(first_pause=0.01, replaced_within=0.1)
    connection = socket(timeouts)
    await until(lambda: connection.is_connected)

    await slack.sockets[-1].send_json({"type": "disconnect", "reason": "warning"})
    await until(lambda: len(slack.sockets) > 1 and slack.live == 1)

    assert connection.is_connected


async def test_dead_connection(slack: Any, payloads: Any, socket: Any, until: Any) -> None:
    """A connection on which pings get no answer is replaced."""
    slack.handshakes = itertools.chain(["numb"], itertools.repeat("ok"))
    connection = socket(ConnectionTimeouts(first_pause=0.01, ping_every=0.1))

    await until(lambda: len(slack.sockets) > 1 and connection.is_connected)

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


async def test_refused_token(slack: Any, payloads: Any, socket: Any, until: Any) -> None:
    """While Slack refuses the app token, nothing is retried but the check of the token."""
    slack.answers["apps.connections.open"] = {"ok": False, "error": "invalid_auth"}
    checks: list[int] = []
    is_accepted = asyncio.Event()

    async def check_token() -> None:
        checks.append(len(slack.calls))
        await is_accepted.wait()

    connection = socket(check_token=check_token)
    await until(lambda: checks)
    await asyncio.sleep(0.3)
    assert [len(slack.calls)] == checks

    del slack.answers["apps.connections.open"]
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


async def test_own_connections_are_no_stray_ones(
    slack: Any, socket: Any, until: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not warn of its own last connection, which it still serves."""
    connection = socket()
    await until(lambda: connection.is_connected)
    slack.connections = 2

    await slack.sockets[-1].send_json({"type": "disconnect", "reason": "warning"})
    await until(lambda: len(slack.sockets) > 1)

    assert "connections of this app" not in caplog.text


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
    assert [t for t in asyncio.all_tasks() - before if "socket_mode" in repr(t)] == []


BROKEN = ConnectionTimeouts(
    hello_within=0.2, first_pause=0.02, max_pause=0.05, ping_every=0.2, replaced_within=0.1
)
HANDSHAKES = ("refuse", "keep", "deaf", "hang", "end", "numb")
OPENINGS: dict[str, Any] = {
    "503": (503, {}, b""),
    "HTML": (200, {}, b"<html>Sorry</html>"),
    "empty": (200, {}, b""),
    "error": {"ok": False, "error": "internal_error"},
    "429": (429, {"Retry-After": "1"}, b'{"ok": false, "error": "ratelimited"}'),
    "reset": "reset",
    "nobody there": {"ok": True, "url": "ws://127.0.0.1:9/"},
}
REASONS = ("warning", "refresh_requested", "too_many_websockets", "link_disabled", "unheard-of")
SOCKET_FAULTS = (*HANDSHAKES, *OPENINGS, *REASONS, "closed", "aborted", "frames")


async def break_connection(slack: Any, fault: str, times: int) -> None:
    """Let one kind of fault happen, so many times."""
    socket = slack.sockets[-1]
    fates = [fault] * times if fault in HANDSHAKES else []
    slack.handshakes = itertools.chain(fates, itertools.repeat("ok"))
    if fault in OPENINGS:
        slack.answers["apps.connections.open"] = [OPENINGS[fault]] * times + [{"ok": True}] * 99
    if fault in REASONS:
        await socket.send_json({"type": "disconnect", "reason": fault})
    elif fault == "aborted":
        socket._req.transport.abort()
    else:
        if fault == "frames":
            for frame in ("", "nonsense", "[]", "7", "{}", '{"type": "x"}', '{"type": []}'):
                await socket.send_str(frame)
            await socket.send_bytes(b"\xff\xfe")
        await socket.close()


@pytest.mark.no_cover
@pytest.mark.drill(few=1, full=50)
@pytest.mark.parametrize("fault", SOCKET_FAULTS)
async def test_socket_faults(
    slack: Any, payloads: Any, socket: Any, until: Any, fault: str, repeats: Repeats
) -> None:
    """After each kind of fault the bot is connected again, and takes commands."""
    connection = socket(BROKEN)
    await until(lambda: connection.is_connected)
    for _ in repeats:
        before = len(slack.sockets)
        times = repeats.dice.randrange(1, 4) if fault != "429" else 1  # it waits for seconds
        await break_connection(slack, fault, times)
        served = times * (fault in {"deaf", "end", "numb"})  # these get as far as a connection
        await until(
            lambda least=before + served: len(slack.sockets) > least and connection.is_connected
        )
        slack.answers.pop("apps.connections.open", None)
        assert await works(slack, payloads)
