"""What the page asks of the server: the state, a stream of changes, and what a person does."""

from __future__ import annotations

import asyncio
import json
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.simulator.workspace.model import Channel, Kind, Message, Refused
from bot.simulator.workspace.state import SLACKBOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.simulator.workspace.dialogs import Dialogs, Values

_HERE = Path(__file__).parent
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KEEP_ALIVE_S = 15

Stream = asyncio.Queue[dict[str, Any] | None]


class PageApi:
    """The views of the workspace that its people have; `me` of a request says whose."""

    def __init__(self, dialogs: Dialogs) -> None:
        """Listen to the workspace from now on."""
        self._dialogs = dialogs
        self._people = dialogs.people
        self._state = self._people.state
        self._banner = ""
        self._streams: dict[Stream, str] = {}
        """And whose each is."""
        self._state.listeners.append(self._on_message)
        self._state.onlookers.append(self._on_view)

    def routes(self) -> list[web.RouteDef]:
        """List the addresses and who answers there."""
        return [
            web.get("/", self._file),
            web.get("/{name:page(?:_blocks|_text|_views)?\\.(?:css|js)}", self._file),
            web.get("/page/state", self._show),
            web.get("/page/changes", self._stream),
            web.post("/page/say", self._say),
            web.post("/page/click", self._click),
            web.post("/page/home", self._open_home),
            web.post("/page/shortcut", self._shortcut),
            web.post("/page/use", self._use),
            web.post("/page/submit", self._submit),
            web.post("/page/close", self._close),
        ]

    def banner(self, text: str) -> None:
        """Show a line above the workspace, such as the time of a story."""
        self._banner = text
        for stream in self._streams:
            stream.put_nowait({"banner": text})

    def close(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.put_nowait(None)

    async def _file(self, request: web.Request) -> web.Response:
        file = _HERE / request.match_info.get("name", "page.html")
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        kind = _TYPES[file.suffix]
        return web.Response(text=file.read_text("utf-8"), content_type=kind, headers=headers)

    async def _show(self, request: web.Request) -> web.Response:
        state, me = self._state, self._me(request.query)
        state.direct(me)
        users = [*state.people, state.user(state.app.user_id), SLACKBOT]
        body = {
            "team": state.team,
            "banner": self._banner,
            "me": me,
            "people": [person.id for person in state.people],
            "shortcuts": dict(state.app.shortcuts),
            "bot": state.app.user_id,
            "command": state.app.command,
            "usage_hint": state.app.usage_hint,
            "users": {user.id: user.real_name for user in users},
            "groups": {group.id: group.handle for group in state.groups},
            "channels": [
                self._channel(channel, me)
                for channel in state.channels
                if channel.partner in ("", me)
            ],
            **self._views(me),
        }
        return web.json_response(body)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        stream: Stream = asyncio.Queue()
        self._streams[stream] = self._me(request.query)
        try:
            await response.write(b": hello\n\n")
            while (change := await _next(stream)) is not None:
                await response.write(f"data: {json.dumps(change)}\n\n".encode())
        except ConnectionError:
            pass  # the page was closed
        finally:
            del self._streams[stream]
        return response

    async def _say(self, request: web.Request) -> web.Response:
        body = await _body(request)
        me, channel, text = self._me(body), str(body.get("channel")), str(body.get("text"))
        thread_ts = str(body.get("thread_ts") or "")
        app = self._state.app
        if text.startswith("/") and not thread_ts:
            await self._people.type_command(me, channel, text)
        else:
            text = escape(text, quote=False).replace(f"@{app.name}", f"<@{app.user_id}>")
            await self._people.say(me, channel, text, thread_ts)
        return web.json_response({})

    async def _click(self, request: web.Request) -> web.Response:
        body = await _body(request)
        where = [str(body.get(key)) for key in ("channel", "ts", "action_id")]
        try:
            await self._people.click(self._me(body), *where, option=str(body.get("option") or ""))
        except LookupError:
            raise web.HTTPNotFound from None  # it was changed or deleted meanwhile
        return web.json_response({})

    async def _open_home(self, request: web.Request) -> web.Response:
        await self._people.open_home(self._me(await _body(request)))
        return web.json_response({})

    async def _shortcut(self, request: web.Request) -> web.Response:
        body = await _body(request)
        await self._dialogs.shortcut(self._me(body), str(body.get("callback_id")))
        return web.json_response({})

    async def _use(self, request: web.Request) -> web.Response:
        body = await _body(request)
        is_home = bool(body.get("is_home"))
        try:
            await self._dialogs.use(self._me(body), body, _values(body), is_home=is_home)
        except LookupError:
            raise web.HTTPNotFound from None  # it was changed or closed meanwhile
        return web.json_response({})

    async def _submit(self, request: web.Request) -> web.Response:
        body = await _body(request)
        try:
            errors = await self._dialogs.submit(self._me(body), _values(body))
        except LookupError:
            raise web.HTTPNotFound from None  # it was changed or closed meanwhile
        return web.json_response({"errors": errors})

    async def _close(self, request: web.Request) -> web.Response:
        self._dialogs.close(self._me(await _body(request)))
        return web.json_response({})

    def _me(self, sent: Mapping[str, Any]) -> str:
        """Return who the page is: the first of the people, unless it says so."""
        known = {person.id for person in self._state.people}
        return sent["me"] if sent.get("me") in known else self._state.people[0].id

    def _channel(self, channel: Channel, me: str) -> dict[str, Any]:
        messages = [m for m in channel.messages.values() if m.only_for in ("", me)]
        return {
            "id": channel.id,
            "name": self._state.app.name if channel.partner else channel.name,
            "kind": channel.kind,
            "messages": [self._message(channel, message) for message in messages],
        }

    def _message(self, channel: Channel, message: Message) -> dict[str, Any]:
        seen = {"ephemeral": bool(message.only_for)}
        return self._state.as_json(channel, message) | seen

    def _views(self, me: str) -> dict[str, Any]:
        return {"modal": self._state.modals.get(me), "home": self._state.homes.get(me)}

    def _on_message(self, channel: Channel, kind: Kind, message: Message) -> None:
        change = {
            "channel": channel.id,
            "message": self._message(channel, message),
            "deleted": kind is Kind.DELETE,
        }
        for stream, me in self._streams.items():
            if message.only_for in ("", me) and channel.partner in ("", me):
                stream.put_nowait(change)

    def _on_view(self, user: str) -> None:
        for stream, me in self._streams.items():
            if me == user:
                stream.put_nowait(self._views(me))


async def _next(stream: Stream) -> dict[str, Any] | None:
    """Wait for a change; an empty one now and then shows whether the page is still there."""
    try:
        async with asyncio.timeout(KEEP_ALIVE_S):
            return await stream.get()
    except TimeoutError:
        return {}


async def _body(request: web.Request) -> dict[str, Any]:
    """Read a JSON object. Anything else is answered 400."""
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest
    return body


def _values(body: Mapping[str, Any]) -> Values:
    values = body.get("values")
    if not isinstance(values, dict):
        raise web.HTTPBadRequest
    return {str(key): str(value) for key, value in values.items()}


def refused(error: Refused) -> web.Response:
    """Say that the page asked for something that is not there."""
    return web.json_response(error.body, status=404)
