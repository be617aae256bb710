"""What all webhooks do with a request: read, authenticate, commit, answer within a second."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import TYPE_CHECKING

from aiohttp import web

from bot.core.model.measurement import Push
from bot.ports import StoreError
from bot.telemetry import RareWarning
from bot.webhooks.auth import RequestHead
from bot.webhooks.sender import Receipt, Refusal, WebhookRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.ports import Clock, Inbox
    from bot.webhooks.sender import Items, WebhookSender

_LOG = logging.getLogger(__name__)

READ_TIMEOUT_S = 5.0
"""For a whole body, in real seconds."""
SAVE_TIMEOUT_S = 0.8
"""Sentry wants an answer within a second, and disables a webhook after 1,000 late ones a day
(integration platform's changelog, 2023-10-03)."""
MAX_UNSAVED = 50
"""Pushes of one webhook that may wait for a store that hangs."""
RESPONSES = {
    Receipt.ACCEPTED: (202, "accepted"),
    Receipt.REPEATED: (200, "was there before"),
    Receipt.IGNORED: (200, "nothing to take in"),
}


class WebhookEndpoint:
    """A handler for aiohttp.

    Args:
        sender: who sends these requests.
        inbox: where alerts and changes are committed.
        clock: the time.
        count: is called with the webhook's name and a `Receipt` for each request.
        read_s: how long a body may take, in real seconds.
    """

    def __init__(
        self,
        sender: WebhookSender,
        *,
        inbox: Inbox,
        clock: Clock,
        count: Callable[[str, str], None],
        read_s: float = READ_TIMEOUT_S,
    ) -> None:
        self._sender = sender
        self._inbox = inbox
        self._clock = clock
        self._count = count
        self._read_s = read_s
        self._saving: dict[str, asyncio.Task[bool]] = {}
        """The running commits, by the id of the push."""
        self._warn = RareWarning(_LOG, clock.now)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request."""
        try:
            receipt = await self._process(request)
            status, text = RESPONSES[receipt]
        except Refusal as refusal:
            receipt, status, text = refusal.receipt, refusal.status, refusal.text
            # nothing of the request's content
            self._warn("refused a request to webhook %s: %s", self._sender.name, receipt)
        self._count(self._sender.name, receipt)
        return web.Response(status=status, text=text + "\n")

    async def _process(self, request: web.Request) -> Receipt:
        sender, now = self._sender, self._clock.now()
        head = RequestHead(now, request.headers, request.match_info.get("secret", ""))
        if not sender.auth.is_admitted(head):
            raise Refusal(401, "wrong secret, or too old", Receipt.REFUSED)
        body = await _read_body(request, sender.cap, self._read_s)
        if not sender.auth.has_valid_signature(head, body):
            raise Refusal(401, "wrong signature", Receipt.REFUSED)
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refusal(400, "not UTF-8") from None
        period = f"{sender.name} {now // sender.dedup_window_s} "
        id_ = hashlib.sha256(period.encode() + body).hexdigest()
        message = WebhookRequest(id_, head, text)
        parsed = sender.parse(message)
        return parsed if isinstance(parsed, Receipt) else await self._save(message, parsed)

    async def _save(self, message: WebhookRequest, items: Items) -> Receipt:
        if not items:
            return Receipt.IGNORED
        try:
            async with asyncio.timeout(SAVE_TIMEOUT_S):
                is_new = await asyncio.shield(self._accept(Push(message.id, message.at, items)))
        except (StoreError, TimeoutError):
            raise Refusal(503, "not saved: send it again", Receipt.UNSAVED) from None
        return Receipt.ACCEPTED if is_new else Receipt.REPEATED

    def _accept(self, push: Push) -> asyncio.Task[bool]:
        """Start to commit. It is not cancelled: what is committed must also reach the engine.

        The same push, sent again meanwhile, waits for the same commit.
        """
        if push.id not in self._saving:
            if len(self._saving) >= MAX_UNSAVED:
                raise StoreError("it hangs")
            saving = self._saving[push.id] = asyncio.create_task(self._inbox.accept(push))
            saving.add_done_callback(lambda _: self._saving.pop(push.id))
        return self._saving[push.id]


async def _read_body(request: web.Request, cap: int, within_s: float) -> bytes:
    # A sender does not sign the compressed body.
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(400, "send it uncompressed")
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > cap:
                    raise Refusal(413, f"more than {cap // 1024} KB", Receipt.TOO_LARGE)
    except TimeoutError:
        raise Refusal(408, "too slow", Receipt.TOO_SLOW) from None
    except (web.RequestPayloadError, OSError):
        raise Refusal(400, "broken off") from None
    return bytes(body)
