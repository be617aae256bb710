"""The life cycle of the Socket Mode connection.

Slack's client reconnects by itself, but not always: it can retry a used address for ever, or
hold a connection on which nothing arrives (slack_sdk 3.47, read and measured 2026-11;
python-slack-sdk#1110, bolt-python#417 and #1529).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_sdk.web.async_client import AsyncWebClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import WSMessage
    from slack_bolt.async_app import AsyncApp
    from slack_sdk.socket_mode.aiohttp import SocketModeClient

    from bot.ports import Clock
    from bot.slack.web_api import SlackWeb

_LOG = logging.getLogger(__name__)
_SDK = logging.getLogger("bot.slack.sdk")
_SDK.setLevel(logging.WARNING)  # below that it writes whole payloads


def _shorten_record(record: logging.LogRecord) -> bool:
    """Remove the traceback that comes with every retry, and the address with its ticket."""
    text = re.sub(r"wss?://[^\s'\"]+", "(address)", record.getMessage())
    record.msg, record.args = " ".join(text.split()), ()
    record.exc_info = record.exc_text = None
    return True


_SDK.addFilter(_shorten_record)

CLOSE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class ConnectionTimeouts:
    """When to step in at a broken connection, in real seconds, whatever the clock's speed."""

    check_every: float = 5.0
    new_address_after: float = 15.0
    new_client_after: float = 120.0
    ping_every: float = 5.0
    """A connection counts as broken after four pings without an answer."""


class SocketModeConnection:
    """One connection to Slack, which `run` keeps alive."""

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

        `check_token` is called where there was no connection for `new_client_after`, and returns
        once Slack accepts the app token.
        """
        self.is_connected = False
        """Whether there was an open connection, on which Slack said hello, at the last check."""
        self.since = clock.now()
        """Time by the clock since when that is so."""
        self._app = app
        self._app_token = app_token
        self._web = web
        self._clock = clock
        self._check_token = check_token
        self._timeouts = timeouts or ConnectionTimeouts()
        self.checks = 0
        """How often the connection was checked."""
        self._greeted_session: object = None
        self._alive_at = 0.0

    async def run(self) -> None:
        """Stay connected, or try to, until cancelled."""
        self._alive_at = _now()
        while True:
            handler = self._build_handler()
            connecting = asyncio.create_task(handler.connect_async())  # type: ignore[no-untyped-call]  # slack_bolt
            try:
                await self._watch(handler.client)
            finally:
                self._note(is_connected=False)
                connecting.cancel()
                await _close_client(handler.client)
            _LOG.warning("No Socket Mode connection: starting over with a new client")
            if self._check_token:
                await self._check_token()

    async def _watch(self, client: SocketModeClient) -> None:
        """Check a client until it should be replaced."""
        timeouts, opened_at = self._timeouts, _now()
        while _now() - max(self._alive_at, opened_at) < timeouts.new_client_after:
            await asyncio.sleep(timeouts.check_every)
            self.checks += 1
            # Pings return, and Slack said hello on this very connection.
            if await client.is_connected() and client.current_session is self._greeted_session:
                self._alive_at = _now()
                continue
            self._note(is_connected=False)
            if _now() - self._alive_at > timeouts.new_address_after:
                client.wss_uri = None

    def _note(self, *, is_connected: bool) -> None:
        if is_connected is not self.is_connected:
            self.is_connected, self.since = is_connected, self._clock.now()

    def _build_handler(self) -> AsyncSocketModeHandler:
        client = AsyncWebClient(
            base_url=str(self._web.api_url),
            session=self._web.session,
            retry_handlers=[],
            logger=_SDK,
        )
        handler = AsyncSocketModeHandler(
            self._app,
            self._app_token,
            logger=_SDK,
            web_client=client,
            ping_interval=self._timeouts.ping_every,
        )
        # Both read proxies from the environment, whatever their arguments.
        client.proxy = handler.client.proxy = None
        handler.client.on_message_listeners.append(partial(self._on_message, handler.client))
        return handler

    async def _on_message(self, client: SocketModeClient, message: WSMessage) -> None:
        envelope = json.loads(message.data)
        if envelope.get("type") == "disconnect":
            _LOG.info("Slack ends the connection: %s", envelope.get("reason"))
        elif envelope.get("type") == "hello":
            self._greeted_session = client.current_session
            self._note(is_connected=True)
            _LOG.info("Connected to Slack")
            # Slack sends each click to one connection only.
            if (connections := envelope.get("num_connections", 1)) > 1:
                _LOG.warning(
                    "Slack counts %d connections of this app: another process with the same app"
                    " token takes a part of the clicks and commands",
                    connections,
                )


async def _close_client(client: SocketModeClient) -> None:
    """Close a client. With a dead peer the first try would take 10 s; the second does not wait."""
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await client.close()  # type: ignore[no-untyped-call]  # slack_sdk
    with suppress(Exception):
        await client.close()  # type: ignore[no-untyped-call]  # slack_sdk
    tasks = (client.message_processor, client.message_receiver, client.current_session_monitor)
    await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)


def _now() -> float:
    return asyncio.get_running_loop().time()
