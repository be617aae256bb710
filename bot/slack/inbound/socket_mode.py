"""The life cycle of the Socket Mode connection.

Bolt handles and acknowledges what Slack sends; the connections are our own. Slack's client asks for
new ones without a pause, holds one that says nothing for minutes, and reconnects twice at a
`disconnect`, where it drops the first of the two (slack_sdk 3.48, read and measured 2026-11;
python-slack-sdk#1110 and #1940, bolt-python#417 and #1529).
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from slack_bolt.adapter.socket_mode.async_internals import send_async_response
from slack_bolt.response import BoltResponse
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from bot.http import parse_json_object
from bot.ports import CallFailed, Reason, Refused
from bot.slack.inbound.listeners import NOT_SAVED
from bot.slack.inbound.payloads import build_bolt_request
from bot.telemetry import RareWarning

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from slack_bolt.async_app import AsyncApp

    from bot.ports import Clock
    from bot.slack.web_api import SlackWeb

_LOG = logging.getLogger(__name__)
_SDK = logging.getLogger("bot.slack.sdk")
_SDK.setLevel(logging.WARNING)  # below that it writes whole payloads

CLOSE_TIMEOUT_S = 1.0
"""Slack keeps the TCP connection open after the closing handshake (node-slack-sdk#2752)."""
ANNOUNCED_ENDS = ("warning", "refresh_requested")
"""Slack's reasons to end a connection soon, not at once: until then it sends clicks on it.

https://docs.slack.dev/apis/events-api/using-socket-mode#disconnect (read 2026-11)
"""


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """When to step in at a broken connection, in real seconds, whatever the clock's speed."""

    hello_within: float = 10.0
    """For the handshake and Slack's hello after it."""
    ping_every: float = 5.0
    """A connection is dead where nothing comes for half as long after a ping."""
    settled_after: float = 10.0
    """Once a connection has lasted so long, the next one is made without a pause."""
    first_pause: float = 0.5
    """Else the pause doubles each time from this to `max_pause`. Up to half of it is left out by
    chance: bots that lost Slack together do not come back together."""
    max_pause: float = 30.0
    replaced_within: float = 30.0
    """How long a connection that Slack is about to end is served beside the next one."""
    check_every: float = 5.0


class _Connection(AsyncBaseSocketModeClient):
    """One connection, on which Bolt acknowledges what came on it."""

    def __init__(self) -> None:
        self.logger = _SDK
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self.greeted_at: float | None = None
        """When Slack said hello, by the loop's clock."""
        self.is_ending = asyncio.Event()
        """Set when the next connection should be made."""

    async def send_message(self, message: str) -> None:
        assert self.socket  # noqa: S101 - what is acknowledged came on it
        await self.socket.send_str(message)


class SocketModeConnection:
    """The bot's connection to Slack, which `run` keeps alive."""

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        web: SlackWeb,
        clock: Clock,
        *,
        check_token: Callable[[], Awaitable[None]] | None = None,
        timeouts: ConnectionTimeouts | None = None,
    ) -> None:
        """Use `web`'s session and address to ask for connections.

        `check_token` is called where Slack refuses the app token, and returns once it accepts it.
        """
        self.since = clock.now()
        """Time by the clock since when it has been connected, or not."""
        self.checks = 0
        """How often the connection was checked."""
        self._app = app
        self._app_token = app_token
        self._web = web
        self._clock = clock
        self._check_token = check_token
        self._timeouts = timeouts or ConnectionTimeouts()
        self._greeted: set[_Connection] = set()
        self._problem = ""
        """Why there is no connection, as it was logged."""
        self._warn = RareWarning(_LOG, clock.now)

    @property
    def is_connected(self) -> bool:
        """Whether there is an open connection on which Slack said hello."""
        return bool(self._greeted)

    async def run(self) -> None:
        """Stay connected, or try to, until cancelled."""
        timeouts = self._timeouts
        pause_s = timeouts.first_pause
        async with asyncio.TaskGroup() as tasks:
            while True:
                connection = _Connection()
                tasks.create_task(self._serve(connection, tasks))
                while not connection.is_ending.is_set():
                    self.checks += 1
                    with suppress(TimeoutError):
                        async with asyncio.timeout(timeouts.check_every):
                            await connection.is_ending.wait()
                greeted_at = connection.greeted_at
                if greeted_at is not None and _now() - greeted_at >= timeouts.settled_after:
                    pause_s = timeouts.first_pause
                    continue
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
                pause_s = min(2 * pause_s, timeouts.max_pause)

    async def _serve(self, connection: _Connection, tasks: asyncio.TaskGroup) -> None:
        """Make a connection and serve it until it ends. Raises nothing that Slack could cause."""
        problem = ""
        try:
            answer = await self._web.call("apps.connections.open", {"token": self._app_token})
            problem = await self._listen(connection, str(answer.get("url", "")), tasks)
        except Refused as refused:
            problem = f"Slack refuses it: {refused.code}"
            if refused.reason is Reason.REJECTED and self._check_token:
                await self._check_token()
        except CallFailed as failure:
            problem = f"Slack gives no address: {failure}"
        except TimeoutError:
            if connection.greeted_at is None:
                problem = f"no hello within {self._timeouts.hello_within:g} s"
        except (aiohttp.ClientError, OSError) as error:  # its text has the address with its ticket
            problem = f"{type(error).__name__} {getattr(error, 'status', '')}".strip()
        finally:
            self._part(connection, problem)

    async def _listen(self, connection: _Connection, address: str, tasks: asyncio.TaskGroup) -> str:
        """Take what comes on a connection. Return why it ended, or raise."""
        async with (
            asyncio.timeout(self._timeouts.hello_within) as limit,
            self._web.session.ws_connect(
                address,
                heartbeat=self._timeouts.ping_every,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
            ) as connection.socket,
        ):
            async for message in connection.socket:
                envelope = parse_json_object(str(message.data).encode()) or {}
                kind, reason = envelope.get("type"), envelope.get("reason")
                if kind == "hello":
                    limit.reschedule(None)
                    self._greet(connection, envelope)
                elif kind == "disconnect":
                    _LOG.info("Slack ends the connection: %s", reason)
                    if reason not in ANNOUNCED_ENDS:
                        return f"Slack ended it: {reason}"
                    limit.reschedule(_now() + self._timeouts.replaced_within)
                    connection.is_ending.set()
                elif request := SocketModeRequest.from_dict(envelope):
                    tasks.create_task(self._handle(connection, request))
        return "Slack closed it"

    def _greet(self, connection: _Connection, hello: Mapping[str, Any]) -> None:
        if not self.is_connected:
            self.since = self._clock.now()
        self._greeted.add(connection)
        connection.greeted_at = _now()
        self._problem = ""
        _LOG.info("Connected to Slack")
        # Slack sends each click to one connection only.
        if (connections := hello.get("num_connections", 1)) > len(self._greeted):
            _LOG.warning(
                "Slack counts %d connections of this app: another process with the same app"
                " token takes a part of the clicks and commands",
                connections,
            )

    def _part(self, connection: _Connection, problem: str) -> None:
        """Note that a connection is over; log why if there is none now, and that is news."""
        connection.is_ending.set()
        if connection in self._greeted:
            self._greeted.remove(connection)
            if not self.is_connected:
                self.since = self._clock.now()
        if problem and not self.is_connected and problem != self._problem:
            self._problem = problem
            _LOG.warning("No Socket Mode connection (%s): the bot makes another", problem)

    async def _handle(self, connection: _Connection, request: SocketModeRequest) -> None:
        """Let Bolt handle what Slack sent, and acknowledge it. A command shows what is refused."""
        began = _now()
        try:
            try:
                payload = build_bolt_request(request.payload, mode="socket_mode")
            except ValueError as error:
                self._warn("Refused what came over Socket Mode: %s", error)
                response = BoltResponse(status=200, body=NOT_SAVED)
            else:
                response = await self._app.async_dispatch(payload)
            await send_async_response(connection, request, response, began)
        except ConnectionError:
            _LOG.warning("A connection ended before a command on it was acknowledged")
        except Exception:  # noqa: BLE001 - others may be handled
            _LOG.exception("cannot handle what Slack sent")


def _now() -> float:
    return asyncio.get_running_loop().time()
