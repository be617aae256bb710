"""HTTP mode: `/slack/events` on the bot's own server.

Bolt checks signatures well. But it answers malformed headers and bodies with 500 and a traceback,
and accepts a recorded request again while its timestamp is fresh. The endpoint refuses both first.
https://docs.slack.dev/authentication/verifying-requests-from-slack (read 2026-11)
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from typing import TYPE_CHECKING

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_sdk.signature import SignatureVerifier

from bot.slack.inbound.payloads import build_bolt_request
from bot.telemetry import RareWarning

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

    from bot.ports import Clock

_LOG = logging.getLogger(__name__)

MAX_BODY = 256 * 1024
"""Bytes. Slack's largest payloads hold a whole message and stay well below."""
READ_TIMEOUT_S = 5.0
APP_TIMEOUT_S = 2.0
"""Real seconds that a request waits after a start: Slack wants it acknowledged within 3."""
TIMESTAMP_TOLERANCE_S = 300
REMEMBER_S = 2 * TIMESTAMP_TOLERANCE_S
"""A timestamp may be that far ahead of the clock, and is then valid for twice as long."""
REMEMBER_COUNT = 10_000


class EventsEndpoint:
    """A handler for aiohttp that passes each request that Slack signed to Bolt, once."""

    def __init__(self, signing_secret: str, clock: Clock) -> None:
        """Raise ValueError for an empty secret: anybody could sign with that."""
        self._clock = clock
        self._warn = RareWarning(_LOG, clock.now)
        self._verifier = SignatureVerifier(signing_secret)
        self._app: AsyncApp | None = None
        self._has_app = asyncio.Event()
        self._seen_signatures: dict[str, float] = {}
        """Valid signatures and when each is forgotten, the oldest first."""

    def attach(self, app: AsyncApp) -> None:
        """Set who answers, once it is known as whom Slack accepts the bot."""
        self._app = app
        self._has_app.set()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request: 400, 401, 408, 413 or 503 in one line, or what Bolt answers.

        After a 503 Slack tells the person that it failed, and repeats an event later.
        """
        try:
            body = await _read_body(request)
            self._verify(request, body)
            headers = dict(request.headers)
            try:
                payload = build_bolt_request(body, query=request.query_string, headers=headers)
            except ValueError as error:
                raise web.HTTPBadRequest(text=str(error)) from None
            with suppress(TimeoutError):
                async with asyncio.timeout(APP_TIMEOUT_S):
                    await self._has_app.wait()
            if self._app is None:
                raise web.HTTPServiceUnavailable(text="not connected to Slack yet")
        except web.HTTPException as refusal:
            self._warn("Refused a request to %s: %s", request.path, refusal.text)
            raise
        return await to_aiohttp_response(await self._app.async_dispatch(payload))

    def _verify(self, request: web.Request, body: str) -> None:
        """Check timestamp and signature. Their form comes first: the verifier raises on others."""
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        now = self._clock.now()
        if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(now - int(stamp)) > TIMESTAMP_TOLERANCE_S:
            raise web.HTTPUnauthorized(text="no fresh timestamp")
        if not re.fullmatch(r"v0=[0-9a-f]{64}", signature):
            raise web.HTTPUnauthorized(text="no signature")
        if not self._verifier.is_valid(body, stamp, signature):
            raise web.HTTPUnauthorized(text="wrong signature")
        if not self._is_new(signature, now):
            raise web.HTTPUnauthorized(text="seen before")

    def _is_new(self, signature: str, now: float) -> bool:
        """Remember a valid signature, and tell whether it is new. Slack signs its retries anew."""
        while self._seen_signatures and (
            len(self._seen_signatures) >= REMEMBER_COUNT
            or next(iter(self._seen_signatures.values())) <= now
        ):
            del self._seen_signatures[next(iter(self._seen_signatures))]
        if signature in self._seen_signatures:
            return False
        self._seen_signatures[signature] = now + REMEMBER_S
        return True


async def _read_body(request: web.Request) -> str:
    """Return the body as text. Raises an HTTP error if it is too large, too slow or not UTF-8."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > MAX_BODY:
                    raise web.HTTPRequestEntityTooLarge(MAX_BODY, len(body), text="too large")
        return body.decode()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="too slow") from None
    except UnicodeDecodeError:
        raise web.HTTPBadRequest(text="not UTF-8") from None
