"""The API of the page: the state, a stream of changes, and the actions of people."""

from __future__ import annotations

import asyncio
import json
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.simulator.workspace.model import Channel, Message, MessageKind, Refused
from bot.simulator.workspace.state import SLACKBOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.simulator.workspace.dialogs import Dialogs, Values
    from bot.simulator.workspace.state import State

    Body = dict[str, Any]
    Act = Callable[[str, Body], Awaitable[Body | None]]
    Handler = Callable[[web.Request], Awaitable[web.Response]]

_HERE = Path(__file__).parent
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src https: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
KEEP_ALIVE_S = 15
_MENTION = re.compile(r"@([\w.-]*\w)")

Stream = asyncio.Queue[dict[str, Any] | None]


class PageApi:
    """The workspace as each of its people sees it; `me` of a request names the person."""

    def __init__(self, dialogs: Dialogs) -> None:
        """Listen to the workspace from now on."""
        self._dialogs = dialogs
        self._people = dialogs.people
        self._state = self._people.state
        self._story: dict[str, Any] | None = None
        self.control: Callable[[Body], None] = _refuse_control
        """Called with what a person wants of the story."""
        self.has_viewers = asyncio.Event()
        """Set once somebody has opened the page."""
        self._streams: dict[Stream, str] = {}
        """The changes that each stream still has to send, and its person."""
        self._state.listeners.append(self._on_message)
        self._state.view_listeners.append(self._on_view)

    def routes(self) -> list[web.RouteDef]:
        """Return the routes with their handlers."""
        acts: dict[str, Act] = {
            "say": self._say,
            "click": self._click,
            "home": self._open_home,
            "shortcut": self._choose_shortcut,
            "use": self._use,
            "submit": self._submit,
            "close": self._close,
            "control": self._control,
        }
        return [
            web.get("/", self._serve_file),
            web.get("/{name:page(?:_blocks|_story|_text|_views)?\\.(?:css|js)}", self._serve_file),
            web.get("/page/state", self._serve_state),
            web.get("/page/changes", self._serve_changes),
            *(web.post(f"/page/{name}", self._act_handler(act)) for name, act in acts.items()),
        ]

    def show_story(self, story: dict[str, Any]) -> None:
        """Show a story's time and controls above the workspace."""
        self._story = story
        for stream in self._streams:
            stream.put_nowait({"story": story})

    def close(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.put_nowait(None)

    async def _serve_file(self, request: web.Request) -> web.Response:
        file = _HERE / request.match_info.get("name", "page.html")
        headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"}
        kind = _TYPES[file.suffix]
        return web.Response(text=file.read_text("utf-8"), content_type=kind, headers=headers)

    async def _serve_state(self, request: web.Request) -> web.Response:
        state, me = self._state, self._me(request.query)
        state.direct(me)
        users = [*state.people, state.user(state.app.user_id), SLACKBOT]
        body = {
            "team": state.team,
            "story": self._story,
            "me": me,
            "people": [person.id for person in state.people],
            "shortcuts": dict(state.app.shortcuts),
            "bot": state.app.user_id,
            "command": state.app.command,
            "usage_hint": state.app.usage_hint,
            "users": {user.id: user.real_name for user in users},
            "handles": _handles(state),
            "groups": {group.id: group.handle for group in state.groups},
            "channels": [
                self._channel(channel, me)
                for channel in state.channels
                if channel.partner in ("", me)
            ],
            **self._views(me),
        }
        return web.json_response(body)

    async def _serve_changes(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        stream: Stream = asyncio.Queue()
        self._streams[stream] = self._me(request.query)
        self.has_viewers.set()
        try:
            await response.write(b"retry: 300\n\n")
            while (change := await _next_change(stream)) is not None:
                await response.write(f"data: {json.dumps(change)}\n\n".encode())
        except ConnectionError:
            pass  # the page was closed
        finally:
            del self._streams[stream]
        return response

    def _act_handler(self, act: Act) -> Handler:
        """Return a handler for a person's action. It answers 404 to what is gone by then."""

        async def handle(request: web.Request) -> web.Response:
            body = await _read_body(request)
            try:
                result = await act(self._me(body), body)
            except LookupError:
                raise web.HTTPNotFound from None
            return web.json_response(result or {})

        return handle

    async def _say(self, me: str, body: Body) -> None:
        channel, text = str(body.get("channel")), str(body.get("text"))
        thread_ts = str(body.get("thread_ts") or "")
        handles = _handles(self._state)
        is_command = text.startswith("/") and not thread_ts
        text = _MENTION.sub(lambda name: handles.get(name[1], name[0]), escape(text, quote=False))
        if is_command:
            await self._people.type_command(me, channel, text)
        else:
            await self._people.say(me, channel, text, thread_ts)

    async def _click(self, me: str, body: Body) -> None:
        where = [str(body.get(key)) for key in ("channel", "ts", "action_id")]
        await self._people.click(me, *where, option=str(body.get("option") or ""))

    async def _open_home(self, me: str, _: Body) -> None:
        await self._people.open_home(me)

    async def _choose_shortcut(self, me: str, body: Body) -> None:
        await self._dialogs.choose_shortcut(me, str(body.get("callback_id")))

    async def _use(self, me: str, body: Body) -> None:
        await self._dialogs.use(me, body, _read_values(body), is_home=bool(body.get("is_home")))

    async def _submit(self, me: str, body: Body) -> Body:
        return {"errors": await self._dialogs.submit(me, _read_values(body))}

    async def _close(self, me: str, _: Body) -> None:
        self._dialogs.close(me)

    async def _control(self, _: str, body: Body) -> None:
        self.control(body)

    def _me(self, sent: Mapping[str, Any]) -> str:
        """Return the person of a request; by default the first one."""
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
        visibility = {"ephemeral": bool(message.only_for)}
        return self._state.as_json(channel, message) | visibility

    def _views(self, me: str) -> dict[str, Any]:
        return {"modal": self._state.modals.get(me), "home": self._state.home_tabs.get(me)}

    def _on_message(self, channel: Channel, kind: MessageKind, message: Message) -> None:
        change = {
            "channel": channel.id,
            "message": self._message(channel, message),
            "deleted": kind is MessageKind.DELETE,
        }
        for stream, me in self._streams.items():
            if message.only_for in ("", me) and channel.partner in ("", me):
                stream.put_nowait(change)

    def _on_view(self, user: str) -> None:
        for stream, me in self._streams.items():
            if me == user:
                stream.put_nowait(self._views(me))


def _refuse_control(_: Body) -> None:
    raise LookupError("no story is played here")


def _handles(state: State) -> dict[str, str]:
    """Return by the name that people write after @ what Slack puts in its place."""
    people = [*state.people, state.user(state.app.user_id)]
    groups = {group.handle: f"<!subteam^{group.id}>" for group in state.groups}
    return {user.name: f"<@{user.id}>" for user in people} | groups


async def _next_change(stream: Stream) -> dict[str, Any] | None:
    """Wait for a change. An empty one at intervals shows whether the page is still open."""
    try:
        async with asyncio.timeout(KEEP_ALIVE_S):
            return await stream.get()
    except TimeoutError:
        return {}


async def _read_body(request: web.Request) -> dict[str, Any]:
    """Read a JSON object; answer 400 to anything else."""
    try:
        body = await request.json()
    except ValueError:
        raise web.HTTPBadRequest from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest
    return body


def _read_values(body: Mapping[str, Any]) -> Values:
    values = body.get("values")
    if not isinstance(values, dict):
        raise web.HTTPBadRequest
    return {str(key): str(value) for key, value in values.items()}


def refusal_response(error: Refused) -> web.Response:
    """Return the response to a request for something that does not exist."""
    return web.json_response(error.body, status=404)
