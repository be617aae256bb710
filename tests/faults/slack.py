"""A Slack workspace as its documentation describes it: the Web API.

Written from https://docs.slack.dev/reference/methods (read 2026-11), and from nothing of the
product: neither its client nor its simulator.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.faults.site import Site
from tests.faults.slack_socket import SlackSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Params = dict[str, Any]

BOT_TOKEN, APP_TOKEN = "xoxb-lab-bot-token", "xapp-lab-app-token"
TEAM, BOT, BOT_ID, APP = "T0LAB", "U0BOT", "B0BOT", "A0LAB"
CHANNEL = "C0ALERTS"
SCOPES = (
    "app_mentions:read,channels:history,channels:read,chat:write,chat:write.public,commands,"
    "groups:history,groups:read,im:history,im:write,usergroups:read,users:read"
)
ON_ITS_WAY_S = 2.0
"""How long a call may be under way, also on a busy machine."""
BURST_WAIT_S = 5.0
"""Seconds that Slack asks to wait for after too many messages."""
MAX_BLOCKS, MAX_BLOCK_TEXT, MAX_UPDATE_TEXT = 50, 3000, 4000


class SlackError(Exception):
    """What Slack answers with `ok: false`."""


@dataclass
class Message:
    """One message of a channel."""

    channel: str
    ts: str
    params: Params
    """As they were last given."""
    at: float
    """When it was posted, by the loop's clock."""
    texts: list[tuple[float, str]] = field(default_factory=list)
    """What it said, since when."""

    @property
    def text(self) -> str:
        """What it says now."""
        return self.texts[-1][1]

    @property
    def words(self) -> str:
        """All that it says now, blocks included."""
        return f"{self.text} {json.dumps(self.params.get('blocks', []), ensure_ascii=False)}"

    @property
    def key(self) -> str:
        """The delivery that its metadata names; empty: none."""
        return str(self.params.get("metadata", {}).get("event_payload", {}).get("k", ""))


@dataclass
class Call:
    """One call that reached the workspace."""

    at: float
    method: str
    channel: str
    retry_at: float = 0.0
    """If it was answered with 429: until when this method and channel want no other call."""


class Slack:
    """The workspace. `site` is its address; a fault of the site is named like the method."""

    def __init__(self) -> None:
        self.site = Site(self._handle, lambda request: request.path.rpartition("/")[2])
        self.socket = SlackSocket(self.site)
        self.calls: list[Call] = []
        self.messages: list[Message] = []
        self.archived: set[str] = set()
        """Channels that take nothing any more."""
        self.token_error = ""
        """The error with which every token is refused, such as `token_revoked`."""
        self.waits: dict[str, float] = {}
        """Methods that are answered with 429, and for how many seconds they are asked to wait."""
        self.burst: int | None = None
        """Messages that a channel takes at once, beyond one a second; None: any number."""
        self.private_answers: list[tuple[float, str, str]] = []
        """When, to whom, and the text of what one person alone sees."""
        self._stamps = itertools.count(1)
        self._methods: dict[str, Callable[[Params], Params]] = {
            "apps.connections.open": self._open_connection,
            "auth.test": self._test_auth,
            "chat.getPermalink": self._get_permalink,
            "chat.postEphemeral": self._post_ephemeral,
            "chat.postMessage": self._post_message,
            "chat.update": self._update,
            "conversations.history": self._read_history,
            "conversations.info": self._show_channel,
            "conversations.list": lambda _: {"channels": [_channel(CHANNEL)]},
            "conversations.open": lambda params: {"channel": {"id": f"D{params['users']}"}},
            "conversations.replies": self._read_thread,
            "usergroups.users.list": lambda _: {"users": []},
            "users.info": self._show_user,
            "views.publish": lambda _: {"view": {"id": "V0HOME"}},
        }

    @property
    def api_url(self) -> str:
        """Where the Web API is."""
        return f"http://{self.site.address}/api/"

    def cards(self, channel: str = CHANNEL) -> list[Message]:
        """The messages of a channel that are in no thread; oldest first."""
        return [m for m in self.messages if m.channel == channel and "thread_ts" not in m.params]

    def replies(self, channel: str = CHANNEL) -> list[Message]:
        """The messages in threads of a channel; oldest first."""
        return [m for m in self.messages if m.channel == channel and "thread_ts" in m.params]

    def calls_inside_a_wait(self) -> list[Call]:
        """The calls that came although Slack had asked this method and channel to wait.

        Those are left out that may have been on their way when Slack asked.
        """
        found, waits = [], dict[tuple[str, str], Call]()
        for call in self.calls:
            lane = call.method, call.channel
            asked = waits.get(lane)
            if asked and asked.at + ON_ITS_WAY_S < call.at < asked.retry_at:
                found.append(call)
            if call.retry_at:
                waits[lane] = call
        return found

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        _, kind, *rest = request.path.split("/")
        if kind == "link":
            return await self.socket.connect(request)
        params = await _read_params(request)
        if kind == "respond":
            self.private_answers.append((_now(), rest[0], str(params.get("text", ""))))
            return web.Response(text="ok")
        method = rest[-1]
        call = Call(_now(), method, str(params.get("channel", "")))
        self.calls.append(call)
        if wait_s := self._find_wait(call):
            call.retry_at = call.at + wait_s
            headers = {"Retry-After": f"{wait_s:.0f}"}
            body = {"ok": False, "error": "ratelimited"}
            return web.json_response(body, status=429, headers=headers)
        try:
            self._check_token(method, request.headers.get("Authorization", ""))
            act = self._methods.get(method, _fail_unknown)
            return _reply({"ok": True, **act(params)})
        except SlackError as error:
            return _reply({"ok": False, "error": str(error)})

    def _find_wait(self, call: Call) -> float:
        """Return for how long a call is asked to wait, in seconds; 0: it need not."""
        if self.burst is not None and call.method == "chat.postMessage":
            times = [m.at for m in self.messages if m.channel == call.channel][-self.burst :]
            if len(times) == self.burst and call.at - times[0] < self.burst:
                return BURST_WAIT_S
        return self.waits.get(call.method, 0.0)

    def _check_token(self, method: str, authorization: str) -> None:
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        if not authorization:
            raise SlackError("not_authed")
        if self.token_error:
            raise SlackError(self.token_error)
        if authorization != f"Bearer {wanted}":
            raise SlackError("invalid_auth")

    def _open_connection(self, _: Params) -> Params:
        return {"url": self.socket.issue_ticket()}

    def _test_auth(self, _: Params) -> Params:
        url = "https://lab.slack.com/"
        bot = {"user": "auth0-check", "user_id": BOT, "bot_id": BOT_ID}
        return {"url": url, "team": "Lab", "team_id": TEAM, **bot, "is_enterprise_install": False}

    def _show_channel(self, params: Params) -> Params:
        return {"channel": _channel(self._check_channel(params), self.archived)}

    def _show_user(self, params: Params) -> Params:
        user = params["user"]
        flags = {"is_restricted": False, "is_ultra_restricted": False, "is_bot": False}
        return {"user": {"id": user, "team_id": TEAM, "name": user.lower(), "tz": "UTC", **flags}}

    def _check_channel(self, params: Params) -> str:
        channel = str(params.get("channel", ""))
        if channel != CHANNEL and not channel.startswith("D"):
            raise SlackError("channel_not_found")
        return channel

    def _post_message(self, params: Params) -> Params:
        channel = self._check_channel(params)
        if channel in self.archived:
            raise SlackError("is_archived")
        _check_content(params)
        if "thread_ts" in params and self._find(channel, params["thread_ts"]) is None:
            raise SlackError("thread_not_found")
        ts = f"{int(time.time())}.{next(self._stamps):06}"
        message = Message(channel, ts, params, _now(), [(_now(), params.get("text", ""))])
        self.messages.append(message)
        return {"channel": channel, "ts": ts, "message": _as_json(message)}

    def _update(self, params: Params) -> Params:
        channel = self._check_channel(params)
        if channel in self.archived:
            raise SlackError("is_archived")
        _check_content(params)
        if len(params.get("text", "")) > MAX_UPDATE_TEXT:
            raise SlackError("msg_too_long")
        message = self._find(channel, params["ts"])
        if message is None:
            raise SlackError("message_not_found")
        message.params |= params
        message.texts.append((_now(), params.get("text", "")))
        return {"channel": channel, "ts": message.ts, "text": message.text}

    def _post_ephemeral(self, params: Params) -> Params:
        self.private_answers.append((_now(), params["user"], params.get("text", "")))
        return {"message_ts": f"{int(time.time())}.{next(self._stamps):06}"}

    def _get_permalink(self, params: Params) -> Params:
        if self._find(params["channel"], params["message_ts"]) is None:
            raise SlackError("message_not_found")
        path = f"{params['channel']}/p{params['message_ts'].replace('.', '')}"
        return {"permalink": f"https://lab.slack.com/archives/{path}"}

    def _read_history(self, params: Params) -> Params:
        channel, limit = self._check_channel(params), int(params.get("limit", 100))
        oldest = float(params.get("oldest", 0))
        shown = [m for m in reversed(self.cards(channel)) if float(m.ts) > oldest]
        return {"messages": [_as_json(m) for m in shown[:limit]], "has_more": len(shown) > limit}

    def _read_thread(self, params: Params) -> Params:
        channel, ts = self._check_channel(params), params["ts"]
        if self._find(channel, ts) is None:
            raise SlackError("thread_not_found")
        thread = [m for m in self.messages if ts in (m.ts, m.params.get("thread_ts"))]
        return {"messages": [_as_json(m) for m in thread], "has_more": False}

    def _find(self, channel: str, ts: str) -> Message | None:
        known: Iterator[Message] = (m for m in self.messages if (m.channel, m.ts) == (channel, ts))
        return next(known, None)


def _fail_unknown(_: Params) -> Params:
    raise SlackError("unknown_method")


def _check_content(params: Params) -> None:
    blocks = params.get("blocks", [])
    if not params.get("text") and not blocks:
        raise SlackError("no_text")
    texts = [str(block["text"].get("text", "")) for block in blocks if "text" in block]
    if len(blocks) > MAX_BLOCKS or any(not 0 < len(text) <= MAX_BLOCK_TEXT for text in texts):
        raise SlackError("invalid_blocks")


def _channel(channel: str, archived: set[str] | frozenset[str] = frozenset()) -> Params:
    flags = {"is_member": True, "is_private": False, "is_archived": channel in archived}
    return {"id": channel, "name": "alerts", **flags}


def _as_json(message: Message) -> Params:
    shown = {"type": "message", "user": BOT, "bot_id": BOT_ID, "ts": message.ts}
    kept = ("metadata", "thread_ts", "blocks")
    return shown | {"text": message.text} | {k: v for k, v in message.params.items() if k in kept}


async def _read_params(request: web.BaseRequest) -> Params:
    """Read a form, whose values may be JSON, or a JSON object."""
    if request.content_type == "application/json":
        return dict(await request.json())
    return {name: _parse(str(value)) for name, value in (await request.post()).items()}


def _parse(value: str) -> Any:
    return json.loads(value) if value[:1] in {"[", "{"} else value


def _reply(answer: Params) -> web.StreamResponse:
    return web.json_response(answer, headers={"x-oauth-scopes": SCOPES, "x-slack-req-id": "lab"})


def _now() -> float:
    return asyncio.get_running_loop().time()
