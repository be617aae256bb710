"""Slack's Web API: one attempt a call, which succeeds, is refused, or stays in doubt.

`slack_sdk`'s client is not used for this. By default it answers a lost connection with a second
`chat.postMessage`. It also does not separate a refusal before Slack did anything from an answer
that was lost after Slack may have done it.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import aiohttp
from yarl import URL

from bot.core.model.fault import parse_wait_s
from bot.core.state.outbox import MAX_RETRY_AFTER_S
from bot.http import parse_json_object
from bot.http.network import FAMILIES
from bot.ports import Doubt, Reason, Refused
from bot.slack.render.chart import fallback_blocks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from bot.config import Settings
    from bot.slack.render.text import RenderedMessage

METHODS: Final[dict[str, frozenset[str]]] = {
    "apps.connections.open": frozenset(),
    "auth.test": frozenset(),
    "chat.delete": frozenset({"chat:write"}),
    "chat.getPermalink": frozenset(),
    "chat.postEphemeral": frozenset({"chat:write"}),
    "chat.postMessage": frozenset({"chat:write", "chat:write.public"}),
    "chat.update": frozenset({"chat:write"}),
    "conversations.history": frozenset({"channels:history", "groups:history"}),
    "conversations.info": frozenset({"channels:read", "groups:read"}),
    "conversations.list": frozenset({"channels:read", "groups:read"}),
    "conversations.open": frozenset({"im:write"}),
    "conversations.replies": frozenset({"channels:history", "groups:history"}),
    "dnd.info": frozenset({"dnd:read"}),
    "usergroups.users.list": frozenset({"usergroups:read"}),
    "users.info": frozenset({"users:read"}),
    "views.open": frozenset(),
    "views.publish": frozenset(),
    "views.update": frozenset(),
}
"""Every method that the bot calls, with the scopes that it uses.

https://docs.slack.dev/reference/methods (read 2026-11)
"""

MAYBE_DONE = frozenset({"fatal_error", "internal_error"})
"""Errors after which "it's possible some aspect of the operation succeeded", as Slack says.

https://docs.slack.dev/reference/methods/chat.postMessage (read 2026-11)
"""

TIMEOUT = aiohttp.ClientTimeout(total=10, connect=5)
"""Seconds for one whole call, and for name look-up, connection and TLS together."""

SYSTEM = "Slack"
POST = "chat.postMessage"
REASONS = {
    "unreachable": Reason.UNREACHABLE,
    "ratelimited": Reason.RATE_LIMITED,
    "rate_limited": Reason.RATE_LIMITED,
    "internal_error": Reason.UNAVAILABLE,
    "request_timeout": Reason.UNAVAILABLE,
    "service_unavailable": Reason.UNAVAILABLE,
    "team_added_to_org": Reason.UNAVAILABLE,
    "message_not_found": Reason.MESSAGE_LOST,
    "cant_update_message": Reason.MESSAGE_LOST,
    "edit_window_closed": Reason.MESSAGE_LOST,
    "is_inactive": Reason.MESSAGE_LOST,
    "cannot_reply_to_message": Reason.MESSAGE_LOST,
    "thread_not_found": Reason.MESSAGE_LOST,
}
"""By Slack's error code, or our own `unreachable`; all others are rejections.

https://docs.slack.dev/reference/methods/chat.update and chat.postMessage (read 2026-11)
"""

ApiAnswer = TypeVar("ApiAnswer")
BLOCK_ERRORS = frozenset({"invalid_blocks", "msg_blocks_too_long", "msg_too_long"})
"""Slack does not take the blocks: the text alone says the same."""
PROXY_FAILURE = "proxy_"
"""Begins the code of a call that came no further than the proxy."""
SLACK_DOMAINS = ("slack.com", "slack-gov.com")


class RetryAfter:
    """Keeps `Retry-After`: no call of a method for a channel before the wait is over.

    In real seconds. A wait for new messages counts up to `MAX_RETRY_AFTER_S`, as alerts are such.
    """

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    @contextmanager
    def keep(self, method: str, channel: str = "") -> Iterator[None]:
        """Wrap a call. Raises `Refused` in its place while the wait goes on."""
        now, key = asyncio.get_running_loop().time(), (method, channel)
        self._until = {each: until for each, until in self._until.items() if until > now}
        if key in self._until:
            raise refusal("ratelimited", self._until[key] - now)
        try:
            yield
        except Refused as refused:
            if wait_s := refused.retry_after_s:
                wait_s = min(wait_s, MAX_RETRY_AFTER_S) if method == POST else wait_s
                self._until[key] = asyncio.get_running_loop().time() + wait_s
            raise


class SlackWeb:
    """The `WebApi` port. Build it inside the running loop, and `close` it."""

    def __init__(
        self,
        token: str,
        api_url: str,
        timeout: aiohttp.ClientTimeout = TIMEOUT,
        *,
        proxy: str | None = None,
        ca_file: str | None = None,
        family: str = "any",
    ) -> None:
        """Open one session, without cookies or variables of the environment.

        Each call has its own connection. If Slack closed a kept one in the moment of a post, that
        post would be in doubt, which costs more than a handshake.
        """
        self.api_url = URL(api_url.rstrip("/") + "/")
        self.granted_scopes: frozenset[str] = frozenset()
        """The bot token's scopes, as Slack's last answer named them."""
        self._token = token
        self._retry_after = RetryAfter()
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                force_close=True,
                family=FAMILIES[family],
                ssl=ssl.create_default_context(cafile=ca_file) if ca_file else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=timeout,
            proxy=proxy,
        )

    async def close(self) -> None:
        """Close the session."""
        await self.session.close()

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call `method`; a `token` among the parameters is used instead of the bot's.

        Parameters go as a form: every method takes one, and only some take JSON.
        """
        form = {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in params.items()
            if value is not None
        }
        token = form.pop("token", None)
        headers = {"Authorization": f"Bearer {token or self._token}"}
        with self._retry_after.keep(method, form.get("channel", "")):
            status, head, body = await self._post(self.api_url / method, headers=headers, data=form)
            if token is None and "x-oauth-scopes" in head:
                self.granted_scopes = frozenset(re.findall(r"[^,\s]+", head["x-oauth-scopes"]))
            answer = read_answer(status, head, body)
        if answer is None:
            raise Doubt(SYSTEM, "unreadable answer")
        return answer

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        """Post to a `response_url`; one that is not Slack's is refused."""
        url = URL(response_url)
        domains = (self.api_url.host, *SLACK_DOMAINS)
        if not any(url.host == name or (url.host or "").endswith(f".{name}") for name in domains):
            raise refusal("foreign_response_url")
        with self._retry_after.keep(response_url):
            read_answer(*await self._post(url, json=dict(params)))

    async def _post(self, url: URL, **content: Any) -> tuple[int, Mapping[str, str], bytes]:
        """Send once. Errors are raised without their cause, which may show the secret address."""
        try:
            async with self.session.post(url, allow_redirects=False, **content) as response:
                return response.status, response.headers, await response.read()
        except aiohttp.ClientProxyConnectionError:
            raise refusal("proxy_is_unreachable") from None
        except aiohttp.ClientHttpProxyError as error:
            raise refusal(f"proxy_answers_{error.status}") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL):
            raise refusal("unreachable") from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Doubt(SYSTEM, type(error).__name__) from None


def open_web(settings: Settings) -> SlackWeb:
    """Open a session with the workspace of a configuration."""
    slack, proxy = settings.slack, settings.proxy.slack
    return SlackWeb(
        slack.bot_token.get_secret_value(),
        slack.api_url,
        proxy=proxy.get_secret_value() if proxy else None,
        ca_file=slack.ca_file,
        family=settings.address_family,
    )


def refusal(code: str, retry_after_s: float | None = None) -> Refused:
    """Return Slack's refusal with this error code, or a failure to reach it."""
    missed = Reason.UNREACHABLE if code.startswith(PROXY_FAILURE) else Reason.REJECTED
    return Refused(SYSTEM, REASONS.get(code, missed), code, retry_after_s)


def read_answer(status: int, headers: Mapping[str, str], body: bytes) -> Mapping[str, Any] | None:
    """Return an answer's JSON object, or None if it has none.

    Raises `Refused` if Slack did nothing, `Doubt` if it may have done something.
    """
    wait_s = parse_wait_s(headers.get("Retry-After", ""))  # Slack sends seconds, never a date
    # Slack's edge limits with an empty body and this header (python-slack-sdk#1693).
    if status == 429 or "x-envoy-ratelimited" in headers:  # noqa: PLR2004 - HTTP's own number
        raise refusal("ratelimited", wait_s)
    if status >= 500:  # noqa: PLR2004 - HTTP's own number
        raise Doubt(SYSTEM, f"http_{status}")
    answer = parse_json_object(body)
    # The error code is a field, or the whole body of a refused `response_url`.
    code = body.decode(errors="replace").strip() if answer is None else answer.get("error")
    is_code = isinstance(code, str) and re.fullmatch(r"[a-z0-9_.-]{1,80}", code)
    error = str(code) if is_code else ""
    if status >= 300:  # noqa: PLR2004 - HTTP's own number
        raise refusal(error or f"http_{status}", wait_s)
    if answer is None or answer.get("ok") is True:
        return answer
    if not error or error in MAYBE_DONE:
        raise Doubt(SYSTEM, error or "unreadable answer")
    raise refusal(error, wait_s)


async def send_with_fallback(
    message: RenderedMessage, send: Callable[[dict[str, Any]], Awaitable[ApiAnswer]]
) -> ApiAnswer:
    """Send a message; if Slack does not take its blocks, with plainer ones, at last with none."""
    *richer, last = fallback_blocks(message.blocks)
    for blocks in richer:
        try:
            return await send({"text": message.text, "blocks": blocks})
        except Refused as refusal:
            if refusal.code not in BLOCK_ERRORS:
                raise
    return await send({"text": message.text, "blocks": last})
