"""What works and what does not: for supervisors, load balancers, alert rules and people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.app.http_server import Routes

VERSION = 1
"""Of the document of `/health`. It changes only if a key goes away or changes its meaning."""


class Problem(NamedTuple):
    """What keeps a part from its work."""

    reason: str
    """One line, with the remedy where there is one."""
    since: float


class Health:
    """Since when each part of the bot has which problem.

    Args:
        now: returns the time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.role = "active"
        """Or `standby`: another process has the database, and this one waits to take over."""
        self._now = now
        self._checks: dict[str, Callable[[], str]] = {}
        self._problems: dict[str, Problem] = {}

    def add(self, part: str, find_problem: Callable[[], str]) -> None:
        """Add a part, with what returns its problem in one line; an empty one: there is none."""
        self._checks[part] = find_problem

    def check(self) -> Mapping[str, Problem | None]:
        """Return the problem of each part, as things stand now."""
        for part, find_problem in self._checks.items():
            if reason := find_problem():
                known = self._problems.get(part)
                self._problems[part] = Problem(reason, known.since if known else self._now())
            else:
                self._problems.pop(part, None)
        return {part: self._problems.get(part) for part in self._checks}

    def to_json(self) -> dict[str, object]:
        """Return the document of `/health`."""
        parts = self.check()
        return {
            "version": VERSION,
            "role": self.role,
            "status": "failing" if any(parts.values()) else "ok",
            "at": iso_utc(self._now()),
            "parts": {
                part: {"status": "failing", "reason": one.reason, "since": iso_utc(one.since)}
                if one
                else {"status": "ok"}
                for part, one in parts.items()
            },
        }


def iso_utc(at: float) -> str:
    """Write an instant as documents for machines have it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def admin_routes(registry: CollectorRegistry, health: Health, unready: Callable[[], str]) -> Routes:
    """Return what the admin listener answers.

    Args:
        registry: what `/metrics` shows.
        health: what `/health` shows.
        unready: returns why the bot cannot take webhooks now; empty: it can.
    """

    async def livez(_: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")  # the event loop turns: a restart would not help

    async def readyz(_: web.Request) -> web.StreamResponse:
        reason = unready()
        return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

    async def show_health(_: web.Request) -> web.StreamResponse:
        document = health.to_json()
        return web.json_response(document, status=200 if document["status"] == "ok" else 503)

    async def metrics(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    return {
        ("GET", "/livez"): livez,
        ("GET", "/healthz"): livez,  # its name until 0.2
        ("GET", "/readyz"): readyz,
        ("GET", "/health"): show_health,
        ("GET", "/metrics"): metrics,
    }
