"""How a command, a click or an event reaches the bot: by a socket, or by its request URL."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from aiohttp import ClientError, ClientSession, WSMsgType, web

if TYPE_CHECKING:
    from bot.simulator.workspace.state import State

MAX_SOCKETS = 10
CONNECTION_LIFE_S = 18_060
"""`approximate_connection_time` in the `hello` of slack_sdk's own fixture."""


CLOSE_LIMIT_S = 1.0
"""Seconds to wait for the other side's close frame."""


class Unreachable(Exception):  # noqa: N818 - says what happened
    """Nobody accepted it: no socket is connected, or the request URL did not answer 200."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """One delivery with its payload."""

    id: str
    kind: str
    """`slash_commands`, `interactive` or `events_api`."""
    payload: dict[str, Any]
    retry: int = 0
    retry_reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as in Socket Mode."""
        body = {
            "envelope_id": self.id,
            "type": self.kind,
            "payload": self.payload,
            "accepts_response_payload": self.kind != "events_api",
        }
        if self.kind == "events_api":
            body |= {"retry_attempt": self.retry, "retry_reason": self.retry_reason}
        return body


class Transport(Protocol):
    """One of the two transports."""

    async def deliver(self, envelope: Envelope) -> dict[str, Any]:
        """Wait for the acknowledgement and return its payload. Raises `Unreachable`."""


@dataclass(slots=True)
class SocketMode:
    """The WebSocket end of Slack: up to 10 sockets, each envelope goes to any one of them."""

    state: State
    ping_every_s: float = 10
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    _waiting: dict[str, asyncio.Future[dict[str, Any]]] = field(default_factory=dict)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Serve one socket until it closes. Answers 408 to a used or late ticket."""
        if not self.state.grants.spend_ticket(request.query.get("ticket", "")):
            raise web.HTTPRequestTimeout
        socket = web.WebSocketResponse(heartbeat=self.ping_every_s, timeout=CLOSE_LIMIT_S)
        await socket.prepare(request)
        if len(self.sockets) == MAX_SOCKETS:
            await self._disconnect_socket(socket, "too_many_websockets")
            return socket
        self.sockets.append(socket)
        try:
            await socket.send_json(self._hello())
            async for frame in socket:
                if frame.type is WSMsgType.TEXT:
                    self._acknowledge(frame.data)
        finally:
            self.sockets.remove(socket)
        return socket

    async def deliver(self, envelope: Envelope) -> dict[str, Any]:
        """Send it to one socket and wait; the caller sets the time-out."""
        if not self.sockets:
            raise Unreachable
        socket = random.choice(self.sockets)  # noqa: S311 - Slack chooses at random, no secret
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[envelope.id] = answer
        try:
            await socket.send_json(envelope.as_json())
            return await answer
        except ConnectionError:
            raise Unreachable from None
        finally:
            del self._waiting[envelope.id]

    async def disconnect(self, reason: str) -> None:
        """Disconnect all sockets, with `refresh_requested`, `warning` or `link_disabled`.

        After a `warning` the sockets stay open: it says that they will be closed soon.
        """
        for socket in tuple(self.sockets):
            await self._disconnect_socket(socket, reason)

    async def close(self) -> None:
        """Close all sockets without a message."""
        for socket in tuple(self.sockets):
            await socket.close()

    def _hello(self) -> dict[str, Any]:
        return {
            "type": "hello",
            "num_connections": len(self.sockets),
            "debug_info": {
                "host": "applink-local",
                "build_number": 1,
                "approximate_connection_time": CONNECTION_LIFE_S,
            },
            "connection_info": {"app_id": self.state.app.id},
        }

    async def _disconnect_socket(self, socket: web.WebSocketResponse, reason: str) -> None:
        host = {"host": "applink-local"}
        with suppress(ConnectionError):  # it is closed already
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": host})
        if reason != "warning":
            await socket.close()

    def _acknowledge(self, text: str) -> None:
        try:
            body = json.loads(text)
            answer = self._waiting.get(body["envelope_id"])
        except (ValueError, TypeError, KeyError):
            return  # Slack ignores anything but acknowledgements
        if answer and not answer.done():
            answer.set_result(body.get("payload") or {})


@dataclass(frozen=True, slots=True)
class RequestUrl:
    """HTTP mode: signed posts to the bot's own address."""

    state: State
    url: str

    async def deliver(self, envelope: Envelope) -> dict[str, Any]:
        """Post it. Anything but 200 is `Unreachable`."""
        body, headers = _encode(envelope)
        headers |= sign(self.state.app.signing_secret, self.state.now(), body)
        if envelope.retry:
            headers["X-Slack-Retry-Num"] = str(envelope.retry)
            headers["X-Slack-Retry-Reason"] = envelope.retry_reason
        try:
            async with (
                ClientSession() as session,
                session.post(self.url, data=body, headers=headers) as response,
            ):
                return _decode(response.status, response.content_type, await response.text())
        except ClientError:
            raise Unreachable from None


def sign(secret: str, now: float, body: bytes) -> dict[str, str]:
    """Make the headers that prove that a request is Slack's (version v0)."""
    timestamp = str(int(now))
    base = f"v0:{timestamp}:".encode() + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def _encode(envelope: Envelope) -> tuple[bytes, dict[str, str]]:
    if envelope.kind == "events_api":
        return json.dumps(envelope.payload).encode(), {"Content-Type": "application/json"}
    is_command = envelope.kind == "slash_commands"
    form = envelope.payload if is_command else {"payload": json.dumps(envelope.payload)}
    return urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}


def _decode(status: int, content_type: str, text: str) -> dict[str, Any]:
    if status != web.HTTPOk.status_code:
        raise Unreachable
    if content_type != "application/json":
        return {"text": text} if text else {}
    try:
        body = json.loads(text)
    except ValueError:
        raise Unreachable from None
    return body if isinstance(body, dict) else {}
