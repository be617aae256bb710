"""The bot's own listeners: a public one for Slack, off unless set, and an admin one."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Routes = Mapping[tuple[str, str], Handler]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
BODY_CAP = 256 * 1024
"""Bytes of a request's body: Slack's payloads stay far below."""


class _ClientErrorFilter(logging.Filter):
    """Drops clients' mistakes: aiohttp logs them as errors, with a piece of the request."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(
            error, HttpProcessingError | web.RequestPayloadError | ConnectionError
        )


_LOG = logging.getLogger(__name__)
_LOG.addFilter(_ClientErrorFilter())


class Server:
    """One listener.

    Args:
        listen: `host:port`; port 0 takes any free one.
        routes: handlers by method and path, such as `("GET", "/healthz")`.
        is_public: each handler asks for a secret itself. Requests may have any `Host`: most
            reverse proxies on the same machine pass on the name that they were called by.

    A listener on loopback that is not public refuses web pages: those that reach it by DNS
    rebinding, and those of another origin.
    """

    def __init__(self, listen: str, routes: Routes, *, is_public: bool = False) -> None:
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        guards = [_refuse_web_pages] if self._host in LOOPBACK and not is_public else []
        app = web.Application(client_max_size=BODY_CAP, middlewares=guards)
        for (method, path), handler in routes.items():
            app.router.add_route(method, path, handler)
        # Our clients do not compress, and a body that only claims to be compressed makes aiohttp
        # 3.14 close the connection without an answer.
        self._runner = web.AppRunner(
            app, access_log=None, handle_signals=False, logger=_LOG, auto_decompress=False
        )

    async def start(self) -> None:
        """Listen. Raises OSError if it cannot bind the address."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    @property
    def address(self) -> tuple[str, int]:
        """Return the host and port that it listens on."""
        host, port = self._runner.addresses[0][:2]
        return str(host), int(port)


@web.middleware
async def _refuse_web_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    host = request.url.host or ""
    if host not in LOOPBACK or "Origin" in request.headers:
        raise web.HTTPForbidden(text="not for web pages\n")
    return await handler(request)


def admin_routes(registry: CollectorRegistry, problems: Callable[[], list[str]]) -> Routes:
    """Return health and metrics.

    Args:
        registry: what `/metrics` shows.
        problems: returns what keeps the bot from its work now, a line each; empty if nothing does.
    """

    async def healthz(_: web.Request) -> web.StreamResponse:
        return web.Response(
            text="ok\n"
        )  # the loop runs: a problem with Slack is no reason to restart

    async def readyz(_: web.Request) -> web.StreamResponse:
        found = problems()
        return web.Response(text="\n".join(found or ["ok"]) + "\n", status=503 if found else 200)

    async def metrics(_: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    return {
        ("GET", "/healthz"): healthz,
        ("GET", "/readyz"): readyz,
        ("GET", "/metrics"): metrics,
    }
