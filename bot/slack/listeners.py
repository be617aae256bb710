"""What Bolt hears becomes a Request in the inbox; the work is done elsewhere.

Slack wants every command and click acknowledged within 3 s and repeats neither, so a request is
committed first and acknowledged then, and a person always gets an answer.
https://docs.slack.dev/interactivity/handling-user-interaction (read 2026-11)
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.response import BoltResponse

from bot.ports import SlackDoubt, SlackRefused
from bot.slack.actions import CHECK_AGAIN, LINKS
from bot.slack.payloads import from_click, from_command, from_mention, is_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from slack_bolt.context.ack.async_ack import AsyncAck

    from bot.core.request import Request
    from bot.ports import Clock, Inbox, WebApi
    from bot.slack.startup import Workspace

_LOG = logging.getLogger(__name__)
_BOLT = logging.getLogger("bot.slack.bolt")
_BOLT.setLevel(logging.ERROR)  # below that it writes whole payloads
_ANY = re.compile("")

NOT_NOTED = (
    ":warning: I could not note that down, so it may not be done."
    " If no answer comes within a minute, please ask again."
)
OLD_BUTTON = "This button is from an older version of me. `/auth0-check` shows what is true now."
FOREIGN = "Sorry, I only answer people of the workspace that I was installed for."


class Listeners:
    """The way in for commands, clicks and mentions."""

    def __init__(
        self,
        inbox: Inbox,
        web: WebApi,
        clock: Clock,
        workspace: Workspace,
        *,
        patience_s: float = 2.5,
    ) -> None:
        """Wait `patience_s` real seconds for the inbox: Slack's limit does not run faster."""
        self._inbox = inbox
        self._web = web
        self._clock = clock
        self._patience_s = patience_s
        self._workspace = workspace
        self._homes = frozenset({workspace.team_id, workspace.enterprise_id}) - {""}
        self._telling: set[asyncio.Task[None]] = set()

    def app(self, signing_secret: str = "") -> AsyncApp:
        """Build the Bolt app. The signing secret is for HTTP mode.

        `process_before_response` makes Bolt wait for the listener, as only then an event is
        committed before it is acknowledged, and no acknowledgement can be lost to an error.
        With `authorize` no request waits for Slack's auth.test.
        """
        identity = AuthorizeResult(
            enterprise_id=self._workspace.enterprise_id or None,
            team_id=self._workspace.team_id,
            bot_id=self._workspace.bot_id,
            bot_user_id=self._workspace.bot_user_id,
        )

        async def authorize() -> AuthorizeResult:
            return identity

        app = AsyncApp(
            name="auth0-check",
            logger=_BOLT,
            authorize=authorize,
            signing_secret=signing_secret,
            process_before_response=True,
        )
        self._register(app)
        return app

    async def close(self) -> None:
        """Wait for the answers that are still on their way."""
        await asyncio.gather(*self._telling)

    def _register(self, app: AsyncApp) -> None:
        """Bolt takes the first that matches."""
        # The app's manifest names the command; a second app of a workspace needs another name.
        app.command(_ANY)(self._on_command)
        app.event("app_mention")(self._on_mention)
        app.action(CHECK_AGAIN)(self._on_check_again)
        for link in LINKS:
            app.action(link)(_on_link)
        app.action(_ANY)(self._on_old_button)
        app.error(_on_error)

    async def _on_command(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack(await self._take(body, from_command))

    async def _on_mention(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        if "bot_id" not in body["event"]:
            self._tell(body, await self._take(body, from_mention))
        await ack()

    async def _on_check_again(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        self._tell(body, await self._take(body, from_click))
        await ack()

    async def _on_old_button(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        self._tell(body, OLD_BUTTON)
        await ack()

    async def _take(
        self, body: dict[str, Any], read: Callable[[Mapping[str, Any], float], Request]
    ) -> str:
        """Commit a request. Returns what to tell the person, which is nothing if all is well."""
        if not is_from(body, self._homes):
            return FOREIGN
        try:
            request = read(body, self._clock.now())
        except ValueError:
            return OLD_BUTTON
        try:
            async with asyncio.timeout(self._patience_s):
                await self._inbox.accept(request)
        except Exception:  # noqa: BLE001 - whatever it is, the person gets an answer
            _LOG.exception("Not accepted: %s %s of %s", request.verb, request.id, request.user)
            return NOT_NOTED
        return ""

    def _tell(self, body: dict[str, Any], text: str) -> None:
        """Answer for the person's eyes only, once the acknowledgement is out."""
        if text:
            task = asyncio.create_task(self._send(body, text))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def _send(self, body: dict[str, Any], text: str) -> None:
        try:
            if "response_url" in body:
                await self._web.respond(
                    body["response_url"],
                    {"text": text, "response_type": "ephemeral", "replace_original": False},
                )
            else:
                event = body["event"]
                await self._web.call(
                    "chat.postEphemeral",
                    {"channel": event["channel"], "user": event["user"], "text": text},
                )
        except (SlackRefused, SlackDoubt) as error:
            _LOG.warning("Could not tell a person that something went wrong: %s", error)


async def _on_link(ack: AsyncAck) -> None:
    await ack()


async def _on_error(error: Exception) -> BoltResponse:
    """Acknowledge what cannot be read, too: a command shows the text."""
    _LOG.error("A payload of Slack's was not understood", exc_info=error)
    return BoltResponse(status=200, body=NOT_NOTED)
