"""The hooks behind a real listener, an inbox in memory, and what vendors send."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import Counter
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession

from bot.app.http_server import Server
from bot.core.model.measurement import Push
from bot.ports import StoreError
from bot.webhooks.counts import PushedCounts
from bot.webhooks.routes import webhook_routes
from bot.webhooks.sender import SenderConfig, WebhookConfig, WebhookTenant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bot.core.model.measurement import ChangeMade, ExternalAlert
    from bot.core.model.observation import Target
    from bot.core.state.stimulus import Stimulus
    from bot.ports import InboxItem

NOW = 1_795_424_400.0  # 2026-11-23T09:00:00Z
TENANTS = {
    "prod": WebhookTenant(
        domains=("acme.us.auth0.com", "login.acme.example"),
        stream_token="canary-stream-token",
        own_clients=frozenset({"probe-client"}),
        report_signals=("checkout", "shop"),
    ),
    "eu": WebhookTenant(domains=("acme.eu.auth0.com",)),
}
SECRETS = {
    "sentry": "canary-client-secret",
    "alertmanager": "canary-alert-token",
    "pingdom": "canary-path-secret-0123",
    "report": "canary-report-token",
    "change": "canary-change-token",
    "auth0": "canary-stream-token",
}


class SetClock:
    speed = 1.0

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> float:
        return self.at

    async def sleep(self, span_s: float) -> None:
        raise AssertionError(span_s)


class MemoryInbox:
    """Records what was committed, can fail and can hang."""

    def __init__(self) -> None:
        self.pushes: dict[str, Push] = {}
        self.asked = 0
        self.is_broken = False
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        self._news = asyncio.Event()

    def submit(self, stimulus: Stimulus) -> None:
        raise AssertionError(stimulus)

    async def accept(self, received: InboxItem) -> bool:
        assert isinstance(received, Push)
        self.asked += 1
        await self.may_go_on.wait()
        if self.is_broken:
            raise StoreError("canary: the disk is full")
        is_new = received.id not in self.pushes
        self.pushes.setdefault(received.id, received)
        self._news.set()
        return is_new

    async def arrived(self, count: int) -> list[ExternalAlert | ChangeMade]:
        """Wait for so many items."""
        async with asyncio.timeout(10):
            while len(self.items) < count:
                self._news.clear()
                await self._news.wait()
        return self.items

    @property
    def items(self) -> list[ExternalAlert | ChangeMade]:
        return [item for push in self.pushes.values() for item in push.items]


@dataclass
class Door:
    """Sends requests as each vendor does, with the right secret by default."""

    session: ClientSession = field(repr=False)
    server: Server
    clock: SetClock
    inbox: MemoryInbox
    counters: PushedCounts
    counted: Counter[tuple[str, str]]

    @property
    def url(self) -> str:
        host, port = self.server.address
        return f"http://{host}:{port}"

    @property
    def counts(self) -> Counter[str]:
        """How often each receipt was counted, over all webhooks."""
        found: Counter[str] = Counter()
        for (_, receipt), count in self.counted.items():
            found[receipt] += count
        return found

    async def send(
        self, path: str, body: bytes | str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Post with exactly these headers."""
        data = BytesIO(body.encode() if isinstance(body, str) else body)
        async with self.session.post(self.url + path, data=data, headers=headers) as answer:
            return answer.status, await answer.text()

    async def push(self, hook: str, content: object, **headers: str) -> tuple[int, str]:
        """Post as this webhook's sender would; anything but bytes is sent as JSON."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        return await self.send(self.path(hook), body, self.proof(hook, body) | headers)

    @staticmethod
    def path(hook: str) -> str:
        tails = {"pingdom": "/" + SECRETS["pingdom"], "auth0": "/prod"}
        return f"/hooks/{hook}{tails.get(hook, '')}"

    def proof(self, hook: str, body: bytes, secret: str | None = None) -> dict[str, str]:
        """The headers with which a sender of this kind proves its secret."""
        secret = secret or SECRETS[hook]
        if hook == "sentry":
            return {
                "Sentry-Hook-Resource": "metric_alert",
                "Sentry-Hook-Timestamp": str(int(self.clock.at)),
                "Sentry-Hook-Signature": hmac.new(
                    key=secret.encode(), msg=body, digestmod=hashlib.sha256
                ).hexdigest(),
            }
        proofs = {"pingdom": {}, "auth0": {"Authorization": secret}}
        return proofs.get(hook, {"Authorization": f"Bearer {secret}"})

    def drain(self, target: Target) -> Any:
        return self.counters.drain(target, self.clock.at)


def _config(tenants: Mapping[str, WebhookTenant], default: str) -> WebhookConfig:
    guarded = {name: SenderConfig(SECRETS[name]) for name in ("report", "change")}
    others = {
        name: SenderConfig(SECRETS[name], default) for name in SECRETS.keys() - {"auth0", *guarded}
    }
    return WebhookConfig(senders=guarded | others, tenants=tenants)


async def _opened(tenants: Mapping[str, WebhookTenant], default: str = "") -> AsyncIterator[Door]:
    clock, inbox, counted = SetClock(), MemoryInbox(), Counter[tuple[str, str]]()
    counters = PushedCounts(tenants, clock)

    def count(hook: str, receipt: str) -> None:
        counted[hook, receipt] += 1

    routes = webhook_routes(
        _config(tenants, default), inbox=inbox, counters=counters, clock=clock, count=count
    )
    server = Server("127.0.0.1:0", routes, is_public=True)
    await server.start()
    async with ClientSession() as session:
        yield Door(session, server, clock, inbox, counters, counted)
    inbox.may_go_on.set()
    await server.stop()


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """Two tenants, `prod` and `eu`, without a default."""
    async for each in _opened(TENANTS):
        yield each


@pytest.fixture
async def only_door() -> AsyncIterator[Door]:
    """One tenant, `prod`."""
    async for each in _opened({"prod": TENANTS["prod"]}):
        yield each


@pytest.fixture
async def default_door() -> AsyncIterator[Door]:
    """Two tenants, with `eu` as the default."""
    async for each in _opened(TENANTS, "eu"):
        yield each


@pytest.fixture
def genuine() -> dict[str, Any]:
    """For each webhook a message that it accepts."""
    return {
        "sentry": {
            "action": "critical",
            "data": {
                "metric_alert": {
                    "id": "4",
                    "identifier": "1",
                    "title": "Sacred Marmot",
                    "date_started": "2026-11-23T08:55:00.000000Z",
                    "date_closed": None,
                    "alert_rule": {"name": "Logins fail"},
                },
                "web_url": "https://sentry.io/organizations/acme/alerts/1/",
            },
        },
        "alertmanager": {
            "version": "4",
            "status": "firing",
            "alerts": [
                {
                    "status": "firing",
                    "labels": {"alertname": "LoginErrors", "auth0_tenant": "prod"},
                    "annotations": {"summary": "Every third login fails"},
                    "startsAt": "2026-11-23T08:50:00.123456789Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "https://prometheus.acme.example/graph?g0.expr=up",
                    "fingerprint": "ab12cd34ef56ab78",
                }
            ],
        },
        "pingdom": {
            "check_id": 12345,
            "check_name": "Login page",
            "check_type": "HTTP",
            "check_params": {"hostname": "Login.acme.example", "full_url": "https://x.example/"},
            "previous_state": "UP",
            "current_state": "DOWN",
            "state_changed_timestamp": int(NOW) - 60,
            "long_description": "Invalid SSL certificate",
        },
        "report": {"tenant": "prod", "app": "checkout", "failed": 12, "total": 200},
        "change": {"what": "deploy 4711", "app": "checkout"},
        "auth0": [{"log_id": "9002", "data": {"type": "s", "client_id": "web", "log_id": "9002"}}],
    }
