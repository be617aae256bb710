"""The Slack edges against the simulator's workspace, over both transports."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.core.model.access import Verb
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.transports import RequestUrl
from bot.simulator.workspace.workspace import Workspace as LocalWorkspace
from bot.slack.actions import CHECK_AGAIN, OPEN_STATUS, CheckAgainValue
from bot.slack.checks import check_bot_token
from bot.slack.inbound.http_mode import EventsEndpoint
from bot.slack.inbound.listeners import Listeners
from bot.slack.inbound.socket_mode import SocketModeConnection
from bot.slack.outbound.home_tabs import HomeTabs
from bot.slack.users import UserDirectory
from bot.slack.web_api import SlackWeb

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BLOCKS = [
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": OPEN_STATUS,
                "url": "https://status.auth0.com",
                "text": {"type": "plain_text", "text": "Check Auth0 Status"},
            },
            {
                "type": "button",
                "action_id": CHECK_AGAIN,
                "value": CheckAgainValue(tenant="prod").model_dump_json(),
                "text": {"type": "plain_text", "text": "Check again"},
            },
        ],
    }
]


@pytest.fixture(params=["socket", "http"])
async def server(
    request: pytest.FixtureRequest, inbox: Any, clock: Any, known: Any
) -> AsyncIterator[WorkspaceServer]:
    """A workspace whose bot has passed the start-up checks and listens."""
    local = LocalWorkspace(clock.now)
    app = local.state.app
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(WorkspaceServer(local))
        api = SlackWeb(app.bot_token, server.api_url)
        stack.push_async_callback(api.close)
        workspace = await check_bot_token(api)
        people = UserDirectory(api, clock, known.view, groups=(), workspaces=workspace.workspaces)
        listeners = Listeners(
            inbox,
            api,
            known.view,
            workspace,
            answer=inbox.answer,
            people=people,
            home_tabs=HomeTabs(api, clock, people=people, view=known.view, status_link=""),
        )
        stack.push_async_callback(listeners.close)
        bolt = listeners.build_app(app.signing_secret)
        if request.param == "socket":
            socket = SocketModeConnection(bolt, app.app_token, api, clock)
            task = asyncio.create_task(socket.run())
            stack.push_async_callback(stop, task)
            async with asyncio.timeout(60):
                while not socket.is_connected:  # noqa: ASYNC110 - as health does
                    await asyncio.sleep(0.01)
        else:
            door = web.Application()
            endpoint = EventsEndpoint(app.signing_secret, clock)
            endpoint.attach(bolt)
            door.router.add_post("/slack/events", endpoint.handle)
            public = await stack.enter_async_context(TestServer(door))
            url = str(public.make_url("/slack/events"))
            server.people.transport = RequestUrl(local.state, url)
        await api.call("chat.postMessage", {"channel": "C0ALERTS", "text": "-", "blocks": BLOCKS})
        yield server


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_people_ask(server: WorkspaceServer, inbox: Any) -> None:
    """What people type and click arrives, and Slack shows no error."""
    people, channel = server.people, server.people.state.channel("C0ALERTS")
    (post,) = channel.messages

    await people.type_command("U1", channel.id, "/auth0-check run eu share")
    await people.click("U1", channel.id, post, OPEN_STATUS)
    await people.click("U2", channel.id, post, CHECK_AGAIN)
    mention = await people.mention("U1", channel.id, "alerts")

    asked = [(request.command.verb, request.words) for request in inbox.requests.values()]
    assert asked == [(Verb.RUN, "eu"), (Verb.RUN, "prod"), (Verb.ALERTS, "")]
    assert [*channel.messages] == [post, mention.ts]
