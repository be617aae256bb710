"""HTTP mode: `/slack/events` on the bot's own server.

Bolt checks signatures well, but answers 500 with a traceback to malformed headers and bodies, and
accepts a recorded request again for as long as it is fresh. Both are settled before Bolt sees it.
https://docs.slack.dev/authentication/verifying-requests-from-slack (read 2026-11)
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

if TYPE_CHECKING:
    from slack_bolt.async_app import AsyncApp

    from bot.ports import Clock

_LOG = logging.getLogger(__name__)

MAX_BODY = 256 * 1024
"""Bytes. Slack's largest payloads carry a whole message and stay well below."""
READ_TIMEOUT_S = 5.0
FRESH_S = 300
REMEMBER_S = 2 * FRESH_S
"""A timestamp may lie `FRESH_S` ahead, and is then fresh for twice as long."""
REMEMBER_COUNT = 10_000


class EventsEndpoint:
    """A handler for aiohttp that lets through what Slack signed, once."""

    def __init__(self, app: AsyncApp, signing_secret: str, clock: Clock) -> None:
        """Refuse an empty secret with ValueError: anybody could sign with that."""
        self._app = app
        self._clock = clock
        self._verifier = SignatureVerifier(signing_secret)
        self._seen_signatures: dict[str, float] = {}
        """Valid signatures, oldest first, and until when they are remembered."""

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request: 401, 408, 413 or 400 in a line, or what Bolt says."""
        try:
            body = await _read_body(request)
            self._verify(request, body)
            payload = _parse_request(request, body)
        except web.HTTPException as refusal:
            _LOG.warning("Refused a request to %s: %s", request.path, refusal.text)
            raise
        return await to_aiohttp_response(await self._app.async_dispatch(payload))

    def _verify(self, request: web.Request, body: str) -> None:
        """Check the form before the value, as the verifier raises on what is no number."""
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        now = self._clock.now()
        if not re.fullmatch(r"[0-9]{1,12}", stamp) or abs(now - int(stamp)) > FRESH_S:
            raise web.HTTPUnauthorized(text="no fresh timestamp")
        if not re.fullmatch(r"v0=[0-9a-f]{64}", signature):
            raise web.HTTPUnauthorized(text="no signature")
        if not self._verifier.is_valid(body, stamp, signature):
            raise web.HTTPUnauthorized(text="wrong signature")
        if not self._is_new(signature, now):
            raise web.HTTPUnauthorized(text="seen before")

    def _is_new(self, signature: str, now: float) -> bool:
        """Remember a valid signature; Slack's own retries are signed anew."""
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
    """Read a body that is not too large, too slow, or no text."""
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


def _parse_request(request: web.Request, body: str) -> AsyncBoltRequest:
    """Bolt parses in its constructor, and expects objects where JSON has objects."""
    try:
        return AsyncBoltRequest(
            body=body, query=request.query_string, headers=dict(request.headers)
        )
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise web.HTTPBadRequest(text="not a payload of Slack's") from None
