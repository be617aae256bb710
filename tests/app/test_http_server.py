from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import aiohttp
import pytest

from bot.app.health import Health, admin_routes
from bot.app.http_server import Server
from bot.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Admin:
    """A listener with the admin routes, and the problems that it reports."""

    def __init__(self) -> None:
        self.problems = {"slack": "", "store": ""}
        self.metrics = Metrics()
        self.now = 1_772_445_600.0
        self.health = Health(lambda: self.now)
        for part in self.problems:
            self.health.add(part, partial(self.problems.__getitem__, part))
        routes = admin_routes(self.metrics.registry, self.health, lambda: self.problems["store"])
        self.server = Server("127.0.0.1:0", routes)

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        host, port = self.server.address
        url = f"http://{host}:{port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            return answer.status, await answer.text()


@pytest.fixture
async def admin() -> AsyncIterator[Admin]:
    made = Admin()
    await made.server.start()
    yield made
    await made.server.stop()


async def test_liveness_means_that_the_event_loop_turns(admin: Admin) -> None:
    """No problem is a reason to kill the process; the old name answers, too."""
    admin.problems |= {"slack": "no connection", "store": "its disk is full"}

    assert await admin.get("/livez") == (200, "ok\n")
    assert await admin.get("/healthz") == (200, "ok\n")


async def test_a_bot_without_slack_stays_in_its_service(admin: Admin) -> None:
    """It can take webhooks; it cannot if it cannot save them."""
    admin.problems["slack"] = "no connection"
    assert await admin.get("/readyz") == (200, "ok\n")
    admin.problems["store"] = "its disk is full"

    assert await admin.get("/readyz") == (503, "its disk is full\n")


async def test_health_has_each_part_with_reason_and_since_when(admin: Admin) -> None:
    """200 while all is well, else 503; a reason that changes is the same problem."""
    status, text = await admin.get("/health")
    assert (status, json.loads(text)) == (
        200,
        {
            "version": 1,
            "role": "active",
            "status": "ok",
            "at": "2026-03-02T10:00:00Z",
            "parts": {"slack": {"status": "ok"}, "store": {"status": "ok"}},
        },
    )
    for admin.problems["slack"] in ("no connection", "a message waits"):
        admin.now += 60
        status, text = await admin.get("/health")

    assert status == 503
    assert json.loads(text)["parts"] == {
        "slack": {
            "status": "failing",
            "reason": "a message waits",
            "since": "2026-03-02T10:01:00Z",
        },
        "store": {"status": "ok"},
    }
    admin.problems["slack"] = ""
    assert (await admin.get("/health"))[0] == 200


async def test_metrics_are_prometheus_text(admin: Admin) -> None:
    """Each check is counted by target and outcome, and under the old name as well."""
    admin.metrics.checks.labels("prod.login", "ok").inc()
    status, text = await admin.get("/metrics")

    assert status == 200
    assert 'auth0_check_checks_total{outcome="ok",target="prod.login"} 1.0' in text
    assert 'auth0_check_looks_total{outcome="ok",target="prod.login"} 1.0' in text
    assert "# HELP auth0_check_looks_total Deprecated, use auth0_check_checks_total. " in text


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}], ids=str
)
async def test_a_web_page_gets_nothing(admin: Admin, headers: dict[str, str]) -> None:
    """Neither by DNS rebinding nor from another origin."""
    assert (await admin.get("/metrics", **headers))[0] == 403


async def test_a_public_listener_is_reached_by_its_public_name() -> None:
    """A reverse proxy on the same machine passes on the `Host` that it got."""
    routes = admin_routes(Metrics().registry, Health(lambda: 0.0), str)
    public = Server("127.0.0.1:0", routes, is_public=True)
    await public.start()
    host, port = public.address
    name = {"Host": "bot.example.com"}
    async with (
        aiohttp.ClientSession(headers=name) as session,
        session.get(f"http://{host}:{port}/livez") as answer,
    ):
        status = answer.status
    await public.stop()

    assert status == 200
