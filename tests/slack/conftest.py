"""A small Slack on loopback that can misbehave, and the fixtures that use it."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from bot.core.model.access import Access
from bot.core.model.command import Request
from bot.core.state.desk import DeskState
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import Tenants, TenantState
from bot.ports import View
from bot.slack.checks import Workspace
from bot.slack.inbound.listeners import Listeners
from bot.slack.outbound.home_tabs import HomeTabs
from bot.slack.users import UserDirectory
from bot.slack.web_api import SlackWeb
from tests.steady import pass_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bot.core.state.stimulus import Stimulus
    from bot.ports import InboxItem

WORKSPACE = Workspace(
    team="Acme",
    team_id="T1",
    enterprise_id="E1",
    bot_id="B1",
    bot_user_id="U0BOT",
    bot_name="auth0-check",
)


STATUS_LINK = "https://status.auth0.com"


class Known:
    """The bot's state, which a test changes."""

    def __init__(self, clock: RealClock) -> None:
        self._clock = clock
        tenants = {n: TenantRules(n, f"{n}.us.auth0.com", "US-1") for n in ("prod", "stage")}
        self.rules = Rules(tenants, access=Access())
        self.tenants = Tenants({name: TenantState() for name in tenants})
        self.desk = DeskState()

    def view(self) -> View:
        return View(self._clock.now(), self.rules, self.tenants, self.desk)


class RealClock:
    speed = 1.0

    def now(self) -> float:
        return time.time()  # noqa: TID251 - this is the clock

    async def sleep(self, span_s: float) -> None:
        await asyncio.sleep(span_s)


class ListInbox:
    """Keeps each request once, actions and questions, and can hang or fail."""

    def __init__(self) -> None:
        self.requests: dict[str, Request] = {}
        self.stimuli: list[Stimulus] = []
        self.started = 0
        self.delay_s = 0.0
        self.error: Exception | None = None

    def submit(self, stimulus: Stimulus) -> None:
        self.stimuli.append(stimulus)

    async def accept(self, item: InboxItem) -> bool:
        assert isinstance(item, Request)
        self.started += 1
        await asyncio.sleep(self.delay_s)
        if self.error:
            raise self.error
        is_new = item.id not in self.requests
        self.requests.setdefault(item.id, item)
        return is_new

    async def answer(self, request: Request) -> None:
        self.requests.setdefault(request.id, request)


class FakeSlack:
    """Web API, response_url and Socket Mode, with payloads of Slack's true shape."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        """By method: a JSON answer, `(status, headers, body)`, `reset` or `hang`."""
        self.calls: list[tuple[str, dict[str, Any], str]] = []
        """Method, form or JSON body, authorization."""
        self.handshakes: Iterator[str] = itertools.repeat("ok")
        self.connections = 1
        self.acks: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sockets: list[web.WebSocketResponse] = []
        self.live = 0
        self.opened = asyncio.Event()
        self.opened_at: list[float] = []
        """When each address was asked for, by the loop's clock."""
        self._tickets: set[str] = set()
        self._numbers = itertools.count(1)
        app = web.Application()
        app.router.add_post("/api/{method}", self._method)
        app.router.add_post("/hook/{method}", self._method)
        app.router.add_get("/link", self._link)
        self.server = TestServer(app)

    @property
    def api_url(self) -> str:
        return str(self.server.make_url("/api/"))

    def hook(self, name: str) -> str:
        return str(self.server.make_url(f"/hook/{name}"))

    async def _method(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        is_form = request.content_type == "application/x-www-form-urlencoded"
        sent = dict(await request.post()) if is_form else json.loads(await request.text() or "{}")
        self.calls.append((method, sent, request.headers.get("Authorization", "")))
        answer = self.answers.get(method, {"ok": True})
        if isinstance(answer, list):  # one for each call
            answer = answer.pop(0)
        if method == "apps.connections.open" and answer == {"ok": True}:
            answer = {"ok": True, "url": self._new_ticket()}
            self.opened_at.append(asyncio.get_running_loop().time())
        if answer == "hang":
            await pass_time(30)
            await asyncio.sleep(60)
        if answer == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, tuple):
            status, headers, body = answer
            return web.Response(status=status, headers=headers, body=body)
        return web.json_response(answer)

    def _new_ticket(self) -> str:
        ticket = str(next(self._numbers))
        self._tickets.add(ticket)
        return str(self.server.make_url(f"/link?ticket={ticket}")).replace("http", "ws", 1)

    async def _link(self, request: web.Request) -> web.StreamResponse:
        fate = next(self.handshakes)
        if fate == "hang":
            await asyncio.sleep(60)
        if request.query["ticket"] not in self._tickets:
            return web.Response(status=408)
        if fate != "keep":
            self._tickets.discard(request.query["ticket"])
        if fate in {"refuse", "keep"}:
            return web.Response(status=503)
        socket = web.WebSocketResponse(autoping=fate != "numb")
        await socket.prepare(request)
        hello = {"type": "hello", "num_connections": self.connections}
        end = {"type": "disconnect", "reason": "too_many_websockets"}
        if first := {"deaf": None, "end": end}.get(fate, hello):
            await socket.send_json(first | {"debug_info": {"host": "applink-1"}})
        self.sockets.append(socket)
        self.opened.set()
        self.live += 1
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self.acks.put(json.loads(message.data))
        finally:
            self.live -= 1
        return socket

    async def deliver(self, kind: str, payload: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Send an envelope and wait for its acknowledgement."""
        envelope = {"type": kind, "envelope_id": f"E{next(self._numbers)}", "payload": payload}
        async with asyncio.timeout(60):
            await self.opened.wait()
            await self.sockets[-1].send_json(
                envelope | {"accepts_response_payload": kind != "events_api"} | more
            )
            ack = await self.acks.get()
        assert ack["envelope_id"] == envelope["envelope_id"]
        return ack


class Payloads:
    """The payloads that Slack sends when people do something."""

    def __init__(self, slack: FakeSlack) -> None:
        self._slack = slack
        self._numbers = itertools.count(1)

    def command(self, text: str, **more: Any) -> dict[str, Any]:
        return {
            "command": "/auth0-check",
            "text": text,
            "team_id": "T1",
            "team_domain": "acme",
            "user_id": "U1",
            "channel_id": "C1",
            "channel_name": "logins",
            "api_app_id": "A1",
            "is_enterprise_install": "false",
            "response_url": self._slack.hook("command"),
            "trigger_id": f"{next(self._numbers)}.1.abc",
        } | more

    def click(self, action_id: str, value: str = "", **more: Any) -> dict[str, Any]:
        action = {
            "type": "button",
            "action_id": action_id,
            "block_id": "b1",
            "value": value,
            "action_ts": f"{next(self._numbers)}.5",
        }
        return {
            "type": "block_actions",
            "user": {"id": "U1", "username": "ann", "team_id": "T1"},
            "team": {"id": "T1", "domain": "acme"},
            "enterprise": None,
            "api_app_id": "A1",
            "channel": {"id": "C1", "name": "logins"},
            "container": {"type": "message", "message_ts": "1.1", "channel_id": "C1"},
            "message": {"ts": "1.1", "text": "FIRING"},
            "trigger_id": f"{next(self._numbers)}.1.abc",
            "response_url": self._slack.hook("click"),
            "actions": [action],
        } | more

    def direct(self, text: str, **more: Any) -> dict[str, Any]:
        event = {"channel_type": "im", "channel": "D1", "text": text, "team": "T1", "ts": "2.2"}
        return self.event("message", **(event | more))

    def event(self, kind: str, **event: Any) -> dict[str, Any]:
        envelope = self.mention("")
        return envelope | {"event": {"type": kind, "user": "U1", "event_ts": "2.2"} | event}

    def shortcut(self, **more: Any) -> dict[str, Any]:
        return self._interaction("shortcut") | {"callback_id": "ask", "action_ts": "3.3"} | more

    def in_view(
        self, action_id: str, view: dict[str, Any], value: str = "", **more: Any
    ) -> dict[str, Any]:
        clicked = self.click(action_id, value)
        absent = ("channel", "message", "response_url")
        payload = {key: value for key, value in clicked.items() if key not in absent}
        return payload | {"container": {"type": "view", "view_id": "V1"}, "view": view} | more

    def submission(self, view: dict[str, Any], **values: Any) -> dict[str, Any]:
        state = {"values": {name: {name: value} for name, value in values.items()}}
        names = {"id": "V1", "hash": "h1", "state": state}
        return self._interaction("view_submission") | {"view": view | names}

    def _interaction(self, kind: str) -> dict[str, Any]:
        return {
            "type": kind,
            "user": {"id": "U1", "username": "ann", "team_id": "T1"},
            "team": {"id": "T1", "domain": "acme"},
            "enterprise": None,
            "api_app_id": "A1",
            "trigger_id": f"{next(self._numbers)}.1.abc",
        }

    def mention(self, text: str, **more: Any) -> dict[str, Any]:
        return {
            "type": "event_callback",
            "team_id": "T1",
            "api_app_id": "A1",
            "event_id": f"Ev{next(self._numbers)}",
            "event_time": 1,
            "authorizations": [{"team_id": "T1", "user_id": "U0BOT", "is_bot": True}],
            "event": {
                "type": "app_mention",
                "user": "U1",
                "team": "T1",
                "text": f"<@U0BOT> {text}",
                "channel": "C1",
                "ts": "2.2",
            }
            | more,
        }


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    fake = FakeSlack()
    await fake.server.start_server()
    yield fake
    for socket in fake.sockets:
        await socket.close()
    await fake.server.close()


@pytest.fixture
def payloads(slack: FakeSlack) -> Payloads:
    return Payloads(slack)


@pytest.fixture
async def api(slack: FakeSlack) -> AsyncIterator[SlackWeb]:
    api = SlackWeb("xoxb-canary", slack.api_url)
    yield api
    await api.close()


@pytest.fixture
def inbox() -> ListInbox:
    return ListInbox()


@pytest.fixture
def clock() -> RealClock:
    return RealClock()


@pytest.fixture
def known(clock: RealClock) -> Known:
    return Known(clock)


@pytest.fixture
def people(slack: FakeSlack, api: SlackWeb, clock: RealClock, known: Known) -> UserDirectory:
    """A directory in which everybody is a member in Berlin."""
    ann = {"id": "U1", "team_id": "T1", "name": "ann", "tz": "Europe/Berlin"}
    slack.answers["users.info"] = {"ok": True, "user": ann}
    return UserDirectory(api, clock, known.view, groups=(), workspaces=WORKSPACE.workspaces)


@pytest.fixture
def home_tabs(api: SlackWeb, clock: RealClock, people: UserDirectory, known: Known) -> HomeTabs:
    return HomeTabs(api, clock, people=people, view=known.view, status_link=STATUS_LINK)


@pytest.fixture
async def listeners(
    inbox: ListInbox,
    api: SlackWeb,
    known: Known,
    people: UserDirectory,
    home_tabs: HomeTabs,
) -> AsyncIterator[Listeners]:
    listeners = Listeners(
        inbox,
        api,
        known.view,
        WORKSPACE,
        answer=inbox.answer,
        people=people,
        home_tabs=home_tabs,
        timeout_s=0.3,
    )
    yield listeners
    await listeners.close()


@pytest.fixture
async def until() -> Callable[[Callable[[], bool]], Any]:
    async def until(is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not is_so():  # noqa: ASYNC110 - polls from outside, as a person would
                await asyncio.sleep(0.01)

    return until
