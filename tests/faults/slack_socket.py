"""Slack's side of Socket Mode, with the faults that connections have.

https://docs.slack.dev/apis/events-api/using-socket-mode (read 2026-11)
"""

from __future__ import annotations

import asyncio
import itertools
import json
from enum import StrEnum, auto
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from tests.faults.site import Site


class SocketFault(StrEnum):
    """What is wrong with new connections."""

    NO_HELLO = auto()
    """The connection is made, and nothing comes."""
    HANGING_HANDSHAKE = auto()
    """The request to upgrade gets no answer."""
    REFUSED_HANDSHAKE = auto()
    """It gets 503, and its ticket is spent."""
    TOO_MANY = auto()
    """Slack ends each connection at once with `too_many_websockets`."""


class SlackSocket:
    """The connections of one app, and what is sent on them."""

    def __init__(self, site: Site) -> None:
        self.fault: SocketFault | None = None
        self.opened: list[float] = []
        """When a connection was asked for, by the loop's clock."""
        self.tried: list[float] = []
        """When a client came to make one."""
        self.greeted: list[float] = []
        """When Slack said hello."""
        self.acknowledged: dict[str, float] = {}
        """When each envelope was acknowledged."""
        self._site = site
        self._tickets: set[str] = set()
        self._connections: list[web.WebSocketResponse] = []
        self._numbers = itertools.count(1)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection on which Slack said hello."""
        return bool(self._connections)

    def issue_ticket(self) -> str:
        """Return an address that makes one connection, once."""
        self.opened.append(asyncio.get_running_loop().time())
        ticket = f"ticket-{next(self._numbers)}"
        self._tickets.add(ticket)
        return f"ws://{self._site.address}/link/?ticket={ticket}&app_id=lab"

    async def connect(self, request: web.BaseRequest) -> web.StreamResponse:
        """Make a connection and serve it until it ends."""
        self.tried.append(asyncio.get_running_loop().time())
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=404)
        if self.fault is SocketFault.HANGING_HANDSHAKE:
            await asyncio.Event().wait()
        self._tickets.remove(ticket)
        if self.fault is SocketFault.REFUSED_HANDSHAKE:
            return web.Response(status=503)
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        if self.fault is SocketFault.TOO_MANY:
            await connection.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await connection.close()
            return connection
        if self.fault is not SocketFault.NO_HELLO:
            await self._greet(connection)
        try:
            async for message in connection:
                envelope = json.loads(message.data).get("envelope_id")
                self.acknowledged.setdefault(envelope, asyncio.get_running_loop().time())
        finally:
            if connection in self._connections:
                self._connections.remove(connection)
        return connection

    async def _greet(self, connection: web.WebSocketResponse) -> None:
        self._connections.append(connection)
        self.greeted.append(asyncio.get_running_loop().time())
        debug = {"host": "applink-1", "build_number": 1, "approximate_connection_time": 18060}
        hello = {"type": "hello", "num_connections": len(self._connections), "debug_info": debug}
        await connection.send_json({**hello, "connection_info": {"app_id": "A0LAB"}})

    async def type_command(self, user: str, text: str) -> str:
        """Let a person type `/auth0-check TEXT` in the channel; return the envelope's id."""
        number = next(self._numbers)
        payload = {
            "token": "lab",
            "team_id": "T0LAB",
            "team_domain": "lab",
            "channel_id": "C0ALERTS",
            "channel_name": "alerts",
            "user_id": user,
            "user_name": user.lower(),
            "command": "/auth0-check",
            "text": text,
            "api_app_id": "A0LAB",
            "is_enterprise_install": "false",
            "response_url": f"http://{self._site.address}/respond/{user}/{number}",
            "trigger_id": f"{number}.lab",
        }
        return await self._send("slash_commands", payload)

    async def mention(self, user: str, text: str) -> str:
        """Let a person write `@auth0-check TEXT` in the channel; return the envelope's id."""
        number = next(self._numbers)
        ts = f"{1_700_000_000 + number}.000100"
        event = {
            "type": "app_mention",
            "user": user,
            "text": f"<@U0BOT> {text}",
            "ts": ts,
            "event_ts": ts,
            "channel": "C0ALERTS",
            "team": "T0LAB",
        }
        payload = {
            "token": "lab",
            "team_id": "T0LAB",
            "api_app_id": "A0LAB",
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{number}",
            "event_time": 1_700_000_000 + number,
        }
        return await self._send("events_api", payload)

    async def _send(self, kind: str, payload: dict[str, Any]) -> str:
        envelope = f"envelope-{next(self._numbers)}"
        frame = {"envelope_id": envelope, "type": kind, "payload": payload}
        await self._connections[-1].send_json({**frame, "accepts_response_payload": True})
        return envelope

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """End all connections, as Slack does now and then."""
        for connection in tuple(self._connections):
            await connection.send_json({"type": "disconnect", "reason": reason})
            await connection.close()
