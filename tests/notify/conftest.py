"""PagerDuty's Events API and a web hook on loopback, with faults, and pages to send there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.app.clock import SystemClock
from bot.core.model.observation import Severity
from bot.core.state.outbox import PagerAction, PagerMessage
from bot.http import Fetcher, LoopLag, SystemNetwork
from bot.notify.apprise import AppriseNotifier
from bot.notify.pagerduty import PagerDutyNotifier
from tests.steady import pass_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

ROUTING_KEY = "canary0routing0key00000000000000"
LIMIT = 512 * 1024
LONGEST_LIMIT_S = 60.0
ACTIONS = {"trigger": "triggered", "acknowledge": "acknowledged", "resolve": "resolved"}
DETAILS = {
    "cause": "auth0",
    "scope": "environment",
    "confidence": "87%",
    "evidence for": ["3 of 3 tenants in US-1 fail"],
    "evidence against": ["the status page is green"],
    "would settle it": "",
}


@dataclass
class Remote:
    """A service on loopback. With a fault it accepts what was sent, and answers with the fault."""

    url: str = ""
    sent: list[dict[str, Any]] = field(default_factory=list)
    fault: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
    let_go: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        event = await request.json()
        self.sent.append(event)
        return await self.fault(request) if self.fault else self.judge(request, event)

    def judge(self, request: web.Request, event: dict[str, Any]) -> web.Response:
        assert event
        assert request.path == "/hook/canary-path"
        return web.Response()

    async def hang(self, _: web.Request) -> web.StreamResponse:
        """Answer nothing until the limit of whoever waits on this loop has struck."""
        await pass_time(LONGEST_LIMIT_S)
        await self.let_go.wait()
        return web.Response(status=500)

    async def reset(self, request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    async def babble(self, request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.write(b"\x00\xff not HTTP\r\n\r\n")
        request.transport.close()
        return web.Response()


@dataclass
class Events(Remote):
    """The Events API v2 as its documentation describes it."""

    alerts: dict[str, str] = field(default_factory=dict)
    """State of each alert by its key."""

    def judge(self, request: web.Request, event: dict[str, Any]) -> web.Response:
        errors = [text for is_wrong, text in self.checks(request, event) if is_wrong]
        if errors:
            body = {"status": "invalid event", "message": "Event object is invalid"}
            return web.json_response({**body, "errors": errors}, status=400)
        key, action = event["dedup_key"], event["event_action"]
        if action == "trigger" or self.alerts.get(key, "resolved") != "resolved":
            self.alerts[key] = ACTIONS[action]
        body = {"status": "success", "message": "Event processed", "dedup_key": key}
        return web.json_response(body, status=202)

    def checks(self, request: web.Request, event: dict[str, Any]) -> tuple[tuple[bool, str], ...]:
        payload = event.get("payload", {})
        is_trigger = event.get("event_action") == "trigger"
        severities = {"critical", "error", "warning", "info"}
        return (
            (request.path != "/v2/enqueue", "path"),
            (request.content_type != "application/json", "content type"),
            ((request.content_length or LIMIT + 1) > LIMIT, "size"),
            (len(event.get("routing_key", "")) != 32, "'routing_key'"),
            (event.get("event_action") not in ACTIONS, "'event_action'"),
            (not 0 < len(event.get("dedup_key", "")) <= 255, "'dedup_key'"),
            (is_trigger and not 0 < len(payload.get("summary", "")) <= 1024, "'summary'"),
            (is_trigger and not payload.get("source"), "'source'"),
            (is_trigger and payload.get("severity") not in severities, "'severity'"),
            (any(not link.get("href") for link in event.get("links", ())), "'href'"),
        )


async def serving(remote: Remote) -> AsyncIterator[Remote]:
    app = web.Application()
    app.router.add_route("POST", "/{path:.*}", remote.answer)
    async with TestServer(app) as server:
        remote.url = f"http://127.0.0.1:{server.port}"
        yield remote
        remote.let_go.set()


@pytest.fixture
async def events() -> AsyncIterator[Remote]:
    async for remote in serving(Events()):
        yield remote


@pytest.fixture
async def hook() -> AsyncIterator[Remote]:
    async for remote in serving(Remote()):
        yield remote


@pytest.fixture(scope="session")
def routing_key() -> str:
    return ROUTING_KEY


@pytest.fixture
def pager_at() -> Callable[[str], PagerDutyNotifier]:
    """Builds a notifier for a URL."""
    return lambda url: PagerDutyNotifier(
        Fetcher(SystemClock(), SystemNetwork({}), LoopLag(limit_s=60.0)).fetch,
        routing_key=ROUTING_KEY,
        url=url,
        source="auth0-check-prod",
        status_link="https://status.auth0.com",
    )


@pytest.fixture
def pager(events: Events, pager_at: Callable[[str], PagerDutyNotifier]) -> PagerDutyNotifier:
    return pager_at(events.url)


@pytest.fixture
def mailer(hook: Remote) -> AppriseNotifier:
    """Apprise's own webhook, which tests as much as its mail."""
    address = hook.url.replace("http://", "json://canary-user:canary-password@")
    return AppriseNotifier("mail", f"{address}/hook/canary-path?+X-Key=canary-key")


@pytest.fixture
def page() -> Callable[..., PagerMessage]:
    """Builds a pager message, with other values if they are given."""

    def made(action: PagerAction = PagerAction.TRIGGER, **other: Any) -> PagerMessage:
        standard: dict[str, Any] = {
            "key": f"7-{action}",
            "incident": 7,
            "number": 1,
            "severity": Severity.CRITICAL,
            "tenants": ("prod", "eu"),
            "details": DETAILS,
            "title": "Logins fail: prod, eu",
            "body": "Auth0, 87 % sure.\n3 of 3 tenants in US-1 fail.",
            "link": "https://acme.slack.com/archives/C1/p1",
        }
        return PagerMessage(action=action, **standard | other)

    return made
