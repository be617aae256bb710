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
    from bot.simulator.workspace.people import People
    from bot.simulator.workspace.state import State

_HERE = Path(__file__).parent
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KEEP_ALIVE_S = 15


class PageApi:
    """One person's view of the workspace; the person is the first of its users."""

    def __init__(self, state: State, people: People) -> None:
        """Listen to the workspace from now on."""
        self._state, self._people = state, people
        self._me = state.people[0].id
        self._banner = ""
        self._streams: set[asyncio.Queue[dict[str, Any] | None]] = set()
        state.listeners.append(self._on_message)

    def routes(self) -> list[web.RouteDef]:
        """List the addresses and who answers there."""
        return [
            web.get("/", self._file),
            web.get("/{name:page(?:_blocks|_text)?\\.(?:css|js)}", self._file),
            web.get("/page/state", self._show),
            web.get("/page/changes", self._stream),
            web.post("/page/say", self._say),
            web.post("/page/click", self._click),
        ]

    def banner(self, text: str) -> None:
        """Show a line above the workspace, such as the time of a story."""
        self._banner = text
        self._tell({"banner": text})

    def close(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.put_nowait(None)

    async def _file(self, request: web.Request) -> web.Response:
        file = _HERE / request.match_info.get("name", "page.html")
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        kind = _TYPES[file.suffix]
        return web.Response(text=file.read_text("utf-8"), content_type=kind, headers=headers)

    async def _show(self, _request: web.Request) -> web.Response:
        state = self._state
        users = [*state.people, state.user(state.app.user_id), SLACKBOT]
        body = {
            "team": state.team,
            "banner": self._banner,
            "me": self._me,
            "bot": state.app.user_id,
            "command": state.app.command,
            "usage_hint": state.app.usage_hint,
            "users": {user.id: user.real_name for user in users},
            "groups": {group.id: group.handle for group in state.groups},
            "channels": [self._channel(channel) for channel in state.channels],
        }
        return web.json_response(body)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        stream: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._streams.add(stream)
        try:
            await response.write(b": hello\n\n")
            while (change := await _next(stream)) is not None:
                await response.write(f"data: {json.dumps(change)}\n\n".encode())
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._streams.discard(stream)
        return response

    async def _say(self, request: web.Request) -> web.Response:
        channel, text, thread_ts = await _fields(request, "channel", "text", "thread_ts")
        app = self._state.app
        if text.startswith("/") and not thread_ts:
            await self._people.type_command(self._me, channel, text)
        else:
            text = escape(text, quote=False).replace(f"@{app.name}", f"<@{app.user_id}>")
            await self._people.say(self._me, channel, text, thread_ts)
        return web.json_response({})

    async def _click(self, request: web.Request) -> web.Response:
        keys = ("channel", "ts", "action_id", "option")
        channel, ts, action_id, option = await _fields(request, *keys)
        try:
            await self._people.click(self._me, channel, ts, action_id, option=option)
        except LookupError:
            raise web.HTTPNotFound from None  # it was changed or deleted meanwhile
        return web.json_response({})

    def _channel(self, channel: Channel) -> dict[str, Any]:
        messages = [m for m in channel.messages.values() if m.only_for in ("", self._me)]
        return {
            "id": channel.id,
            "name": self._state.app.name if channel.partner else channel.name,
            "kind": channel.kind,
            "messages": [self._message(channel, message) for message in messages],
        }

    def _message(self, channel: Channel, message: Message) -> dict[str, Any]:
        seen = {"ephemeral": bool(message.only_for)}
        return self._state.as_json(channel, message) | seen

    def _on_message(self, channel: Channel, kind: Kind, message: Message) -> None:
        if message.only_for not in ("", self._me):
            return
        change = {"channel": channel.id, "message": self._message(channel, message)}
        self._tell(change | {"deleted": kind is Kind.DELETE})

    def _tell(self, change: dict[str, Any]) -> None:
        for stream in self._streams:
            stream.put_nowait(change)


async def _next(stream: asyncio.Queue[dict[str, Any] | None]) -> dict[str, Any] | None:
    """Wait for a change; an empty one now and then shows whether the page is still there."""
    try:
        async with asyncio.timeout(KEEP_ALIVE_S):
            return await stream.get()
    except TimeoutError:
        return {}


async def _fields(request: web.Request, *keys: str) -> list[str]:
    """Read texts from a JSON body; what is not there is empty. Anything else is answered 400."""
    try:
        body = await request.json()
        return [str(body.get(key, "")) for key in keys]
    except (ValueError, AttributeError):
        raise web.HTTPBadRequest from None


def refused(error: Refused) -> web.Response:
    """Say that the page asked for something that is not there."""
    return web.json_response(error.body, status=404)
