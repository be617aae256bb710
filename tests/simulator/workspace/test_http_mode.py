"""In HTTP mode the bot gets signed requests, and its failures are shown."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from slack_sdk.signature import Clock, SignatureVerifier

from bot.simulator.workspace.transports import Envelope, RequestUrl, Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from bot.simulator.workspace.server import WorkspaceServer
    from tests.simulator.workspace.conftest import Bench

BUTTON = {"type": "button", "action_id": "ack", "text": {"type": "plain_text", "text": "Ack"}}
CARD = [{"type": "actions", "elements": [BUTTON]}]


class BenchClock(Clock):
    """The bench's time; slack_sdk's own clock is one object for all verifiers."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def now(self) -> float:
        return self._bench.at


@asynccontextmanager
async def request_url(
    answer: Callable[[web.Request], Awaitable[web.Response]],
) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/slack/events", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    await runner.cleanup()


async def test_http_mode_is_signed(server: WorkspaceServer, bench: Bench) -> None:
    """Commands, clicks and events come in Slack's encodings with a valid signature."""
    seen: list[tuple[bool, str, list[str]]] = []
    verifier = SignatureVerifier(bench.app.signing_secret, BenchClock(bench))
    ts = bench.post(blocks=CARD)

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        is_true = verifier.is_valid_request(body, dict(request.headers))
        keys = list(
            await request.json() if request.content_type.endswith("json") else await request.post()
        )
        seen.append((is_true, request.content_type, keys))
        return web.json_response({"text": "hello"}) if "command" in keys else web.Response()

    async with request_url(answer) as url:
        server.people.transport = RequestUrl(bench.workspace.state, url)
        await server.people.type_command("U1", "C0ALERTS", "/auth0-check")
        await server.people.click("U1", "C0ALERTS", ts, "ack")
        await server.people.mention("U1", "C0ALERTS", "status")

    form = "application/x-www-form-urlencoded"
    assert [one[:2] for one in seen] == [(True, form), (True, form), (True, "application/json")]
    assert seen[1][2] == ["payload"]
    assert "event" in seen[2][2]
    assert bench.texts()[1] == "hello"


async def test_http_mode_fails_where_the_bot_does(server: WorkspaceServer, bench: Bench) -> None:
    """Any status but 200, and a closed port, is `dispatch_failed` for the person."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(status=500)

    async with request_url(answer) as url:
        server.people.transport = RequestUrl(bench.workspace.state, url)
        await server.people.type_command("U1", "C0ALERTS", "/auth0-check")
    await server.people.type_command("U1", "C0ALERTS", "/auth0-check")

    assert bench.texts() == ['/auth0-check failed with the error "dispatch_failed"'] * 2
    with pytest.raises(Unreachable):
        await server.people.transport.deliver(Envelope("e", "events_api", {}))
