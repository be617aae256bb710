from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import pytest

from bot.app.http_server import Server, admin_routes
from bot.telemetry import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Admin:
    """A listener with the admin routes, and the problems that it reports."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.metrics = Metrics()
        routes = admin_routes(self.metrics.registry, lambda: self.problems)
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


async def test_health_means_that_the_event_loop_runs(admin: Admin) -> None:
    """A problem with Slack is no reason to restart the process."""
    admin.problems = ["no Socket Mode connection to Slack"]

    assert await admin.get("/healthz") == (200, "ok\n")


async def test_readiness_names_what_is_wrong(admin: Admin) -> None:
    """503 with a line for each problem."""
    assert await admin.get("/readyz") == (200, "ok\n")
    admin.problems = ["no Socket Mode connection to Slack"]

    assert await admin.get("/readyz") == (503, "no Socket Mode connection to Slack\n")


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
    routes = admin_routes(Metrics().registry, list)
    public = Server("127.0.0.1:0", routes, is_public=True)
    await public.start()
    host, port = public.address
    name = {"Host": "bot.example.com"}
    async with (
        aiohttp.ClientSession(headers=name) as session,
        session.get(f"http://{host}:{port}/healthz") as answer,
    ):
        status = answer.status
    await public.stop()

    assert status == 200
