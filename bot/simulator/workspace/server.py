"""The workspace on a loopback port: Web API, Socket Mode, response URLs and the page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from bot.simulator.workspace.dialogs import Dialogs
from bot.simulator.workspace.model import Fate, Refused, Reply
from bot.simulator.workspace.page_api import PageApi, refusal_response
from bot.simulator.workspace.people import People
from bot.simulator.workspace.transports import SocketMode

if TYPE_CHECKING:
    from types import TracebackType

    from aiohttp.typedefs import Handler

    from bot.simulator.workspace.workspace import Workspace

HOST = "127.0.0.1"
MAX_BODY = 1_000_000


class WorkspaceServer:
    """Serves one workspace while the context is open; port 0 takes any free port.

    People reach the bot by Socket Mode unless `people.transport` is changed.
    """

    def __init__(self, workspace: Workspace, *, port: int = 0) -> None:
        """Build everything; listening begins with `start`."""
        self._workspace = workspace
        self._port = port
        self.sockets = SocketMode(workspace.state)
        self.people = People(workspace.state, self.sockets)
        self.dialogs = Dialogs(self.people)
        self.page = PageApi(self.dialogs)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    @property
    def port(self) -> int:
        """The port; after the first start never 0."""
        return self._port

    @property
    def page_url(self) -> str:
        """The address of the page."""
        return f"http://{HOST}:{self._port}/"

    @property
    def api_url(self) -> str:
        """The URL before a method's name."""
        return f"{self.page_url}api/"

    async def start(self) -> None:
        """Listen; after a `stop` on the same port as before."""
        self._runner = web.AppRunner(self._application(), access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self._workspace.state.base_url = self.page_url.rstrip("/")

    async def stop(self) -> None:
        """Refuse connections from now on and end those that are open."""
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard], client_max_size=MAX_BODY)
        application.add_routes(
            [
                web.route("*", "/api/{method}", self._call),
                web.post("/{kind:commands|actions}/{url}", self._respond),
                web.get("/socket", self.sockets.serve),
                *self.page.routes(),
            ]
        )
        application.on_shutdown.append(self._close_all)
        return application

    async def _close_all(self, _application: web.Application) -> None:
        self.page.close()
        await self.people.close()
        await self.sockets.close()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse other sites: a foreign `Host` is DNS rebinding, a foreign `Origin` forgery."""
        hosts = (f"{HOST}:{self._port}", f"localhost:{self._port}")
        origin = request.headers.get("Origin", "")
        is_deed = request.method == "POST" and request.path.startswith("/page/")
        is_foreign = origin not in [f"http://{host}" for host in hosts]
        if request.host not in hosts or (is_foreign and (origin or is_deed)):
            raise web.HTTPForbidden
        try:
            return await handler(request)
        except Refused as error:
            return refusal_response(error)

    async def _call(self, request: web.Request) -> web.StreamResponse:
        try:
            params = dict(request.query) | await _read_body(request)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_json"})
        sent = str(params.pop("token", ""))
        token = request.headers.get("Authorization", "").removeprefix("Bearer ") or sent
        reply = self._workspace.call(request.match_info["method"], token, params)
        return await _send(request, reply)

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        try:
            params = await _read_body(request)
        except ValueError:
            return web.json_response({"ok": False, "error": "invalid_json"}, status=400)
        reply = self._workspace.respond(request.match_info["url"], params)
        return await _send(request, reply)


async def _read_body(request: web.Request) -> dict[str, Any]:
    """Read JSON or a form. Raises `ValueError`."""
    if request.content_type == "application/json":
        body = await request.json()
        if not isinstance(body, dict):
            raise ValueError(body)
        return body
    return dict(await request.post())


async def _send(request: web.Request, reply: Reply) -> web.StreamResponse:
    """Send the answer, or close the connection instead."""
    await asyncio.sleep(reply.delay_s)
    if reply.fate is not Fate.ANSWERED and request.transport:
        request.transport.abort()
    if reply.raw is not None:
        return web.Response(text=reply.raw, content_type="text/html", status=reply.status)
    return web.json_response(reply.body, status=reply.status, headers=reply.headers)
