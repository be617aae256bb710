"""What people do reaches a real Bolt app over Socket Mode, and its answers are shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncRespond
from slack_sdk.web.async_client import AsyncWebClient

if TYPE_CHECKING:
    from bot.simulator.workspace.server import WorkspaceServer
    from tests.simulator.workspace.conftest import Bench

BUTTON = {
    "type": "button",
    "action_id": "ack",
    "value": "A-42",
    "text": {"type": "plain_text", "text": "Acknowledge"},
}
MENU = {
    "type": "overflow",
    "action_id": "more",
    "options": [{"text": {"type": "plain_text", "text": "Run"}, "value": "run"}],
}
CARD = [{"type": "actions", "elements": [BUTTON, MENU]}]
Connect = Callable[[AsyncApp], AbstractAsyncContextManager[Any]]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nothing to wait for but the other side
            await asyncio.sleep(0.005)


@pytest.fixture
def app(server: WorkspaceServer, bench: Bench) -> AsyncApp:
    """A Bolt app that talks to the workspace."""
    client = AsyncWebClient(token=bench.app.bot_token, base_url=server.api_url, proxy="")
    return AsyncApp(client=client)


@pytest.fixture
def connect(server: WorkspaceServer, bench: Bench) -> Connect:
    @asynccontextmanager
    async def connected(app: AsyncApp) -> AsyncIterator[Any]:
        handler = AsyncSocketModeHandler(app, bench.app.app_token, proxy="")
        before = len(server.sockets.sockets)
        await handler.connect_async()  # type: ignore[no-untyped-call]
        await until(lambda: len(server.sockets.sockets) > before)
        try:
            yield handler
        finally:
            await handler.close_async()  # type: ignore[no-untyped-call]

    return connected


async def test_a_command_is_answered(
    server: WorkspaceServer, bench: Bench, app: AsyncApp, connect: Connect
) -> None:
    """The ack's text and later answers are shown to the person alone, `in_channel` to all."""

    @app.command("/auth0-check")
    async def status(ack: AsyncAck, respond: AsyncRespond, command: dict[str, str]) -> None:
        await ack(f"looking: {command['text']}")
        await respond("done", response_type="in_channel")

    async with connect(app):
        await server.people.type_command("U1", "C0ALERTS", "/auth0-check run prod")
        await until(lambda: len(bench.texts()) == 2)

    shown = {m.text: m.only_for for m in bench.workspace.messages("C0ALERTS")}
    assert shown == {"looking: run prod": "U1", "done": ""}


async def test_a_click_carries_the_message(
    server: WorkspaceServer, bench: Bench, app: AsyncApp, connect: Connect
) -> None:
    """A button brings its value and the message; the answer may replace the message."""
    seen: list[dict[str, Any]] = []
    ts = bench.post(blocks=CARD)

    @app.action("ack")
    async def acknowledge(ack: AsyncAck, body: dict[str, Any], respond: AsyncRespond) -> None:
        await ack()
        seen.append(body)
        await respond("acknowledged", replace_original=True)

    async with connect(app):
        await server.people.click("U2", "C0ALERTS", ts, "ack")
        await until(lambda: bench.texts() == ["acknowledged"])

    (action,) = seen[0]["actions"]
    assert (action["value"], action["type"], seen[0]["user"]["id"]) == ("A-42", "button", "U2")
    assert seen[0]["message"]["ts"] == seen[0]["container"]["message_ts"] == ts


async def test_a_menu_brings_the_chosen_option(
    server: WorkspaceServer, bench: Bench, app: AsyncApp, connect: Connect
) -> None:
    """An overflow menu or select sends `selected_option`; what is not there is a `LookupError`."""
    chosen: list[str] = []
    ts = bench.post(blocks=CARD)

    @app.action("more")
    async def more(ack: AsyncAck, action: dict[str, Any]) -> None:
        await ack()
        chosen.append(action["selected_option"]["value"])

    async with connect(app):
        await server.people.click("U1", "C0ALERTS", ts, "more", option="run")

    assert chosen == ["run"]
    for wrong in (("9.9", "more"), (ts, "nothing")):
        with pytest.raises(LookupError):
            await server.people.click("U1", "C0ALERTS", *wrong)


async def test_a_slow_ack_is_shown_as_a_timeout(
    server: WorkspaceServer, bench: Bench, app: AsyncApp, connect: Connect
) -> None:
    """The person sees `operation_timeout` without an answer in time."""
    ts = bench.post(blocks=CARD)
    server.people.ack_limit_s = 0.2

    @app.command("/auth0-check")
    async def sleep(ack: AsyncAck) -> None:
        await asyncio.sleep(server.people.ack_limit_s * 2)
        await ack("too late")

    async with connect(app):
        await server.people.type_command("U1", "C0ALERTS", "/auth0-check")
        await server.people.click("U1", "C0ALERTS", ts, "ack")

    failed = '{} failed with the error "operation_timeout"'
    assert bench.texts()[1:] == [failed.format("/auth0-check"), failed.format("auth0-check")]


async def test_without_a_socket_nothing_is_dispatched(
    server: WorkspaceServer, bench: Bench
) -> None:
    """Commands and clicks fail at once when nobody is connected, and are not repeated."""
    await server.people.type_command("U1", "C0ALERTS", "/auth0-check")
    await server.people.type_command("U1", "C0ALERTS", "/other")

    assert bench.texts() == [
        '/auth0-check failed with the error "dispatch_failed"',
        "`/other` is not a valid command.",
    ]
    assert [m.user for m in bench.workspace.messages("C0ALERTS")] == ["USLACKBOT"] * 2


async def test_a_bad_answer_to_a_command_is_shown(
    server: WorkspaceServer, bench: Bench, app: AsyncApp, connect: Connect
) -> None:
    """Blocks that Slack would refuse are refused in an acknowledgement, too."""

    @app.command("/auth0-check")
    async def broken(ack: AsyncAck) -> None:
        await ack(text="x", blocks=[{"type": "boom"}])

    async with connect(app):
        await server.people.type_command("U1", "C0ALERTS", "/auth0-check")

    assert bench.texts() == ['/auth0-check failed with the error "invalid_command_response"']


async def test_events_come_again_until_acknowledged(
    server: WorkspaceServer, app: AsyncApp, connect: Connect
) -> None:
    """An unacknowledged mention is delivered again, with the number of the attempt."""
    heard: list[tuple[str, int]] = []
    server.people.retry_after_s = (0.0, *[0.1] * 100)

    @app.event("app_mention")
    async def mention(event: dict[str, str], request: Any) -> None:
        heard.append((event["text"], int(request.headers["x-slack-retry-num"][0])))

    await server.people.mention("U1", "C0ALERTS", "status")
    async with connect(app):
        await until(lambda: heard)

    (text, retry), *_ = heard
    assert (text, retry > 1) == ("<@U0BOT> status", True)


async def test_opening_the_home_tab(
    server: WorkspaceServer, bench: Bench, app: AsyncApp, connect: Connect
) -> None:
    """It lets the bot publish a view for that person."""

    @app.event("app_home_opened")
    async def home(event: dict[str, str], client: AsyncWebClient) -> None:
        view = {"type": "home", "blocks": [{"type": "divider"}]}
        await client.views_publish(user_id=event["user"], view=view)

    async with connect(app):
        await server.people.open_home("U1")
        await until(lambda: bench.workspace.state.home_tabs)

    assert bench.workspace.state.home_tabs["U1"]["type"] == "home"


@pytest.mark.parametrize(("wait_s", "spend", "status"), [(0, 0, 101), (0, 1, 408), (31, 0, 408)])
@pytest.mark.usefixtures("server")
async def test_tickets_are_for_one_use(
    bench: Bench, wait_s: float, spend: int, status: int
) -> None:
    """A ticket that was used, or is older than 30 seconds, is refused at the handshake."""
    opened = bench.workspace.call("apps.connections.open", bench.app.app_token, {})
    url = opened.body["url"]
    bench.at += wait_s
    got = 101
    async with ClientSession() as session:
        for _ in range(spend):
            await (await session.ws_connect(url)).close()
        try:
            async with session.ws_connect(url) as socket:
                hello = await socket.receive_json()
                assert (hello["type"], hello["num_connections"]) == ("hello", 1)
        except WSServerHandshakeError as error:
            got = error.status

    assert got == status


@pytest.mark.usefixtures("server")
async def test_ten_sockets_and_no_more(bench: Bench) -> None:
    """The eleventh socket is refused."""
    async with ClientSession() as session:
        sockets = []
        for _ in range(11):
            url = bench.workspace.call("apps.connections.open", bench.app.app_token, {}).body["url"]
            sockets.append(await session.ws_connect(url))
        words = [await socket.receive_json() for socket in sockets]
        await asyncio.gather(*(socket.close() for socket in sockets))

    assert [word["type"] for word in words] == ["hello"] * 10 + ["disconnect"]
    assert words[10]["reason"] == "too_many_websockets"


def is_back(server: WorkspaceServer, old: object) -> bool:
    """The SDK may reconnect twice: at the close, and for `disconnect`. Only the last one stays."""
    reconnecting = [t for t in asyncio.all_tasks() if "run_message_listeners" in repr(t)]
    return (
        not reconnecting and len(server.sockets.sockets) == 1 and old not in server.sockets.sockets
    )


async def test_a_disconnected_client_comes_back(
    server: WorkspaceServer, bench: Bench, app: AsyncApp, connect: Connect
) -> None:
    """`disconnect` makes the SDK fetch a new ticket; then commands work again."""

    @app.command("/auth0-check")
    async def status(ack: AsyncAck) -> None:
        await ack("back")

    async with connect(app):
        (old,) = server.sockets.sockets
        await server.sockets.disconnect("refresh_requested")
        await until(lambda: is_back(server, old))
        await server.people.type_command("U1", "C0ALERTS", "/auth0-check")

    assert bench.texts() == ["back"]
