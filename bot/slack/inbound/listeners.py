"""Takes what people do in Slack: answers questions, and puts all else into the inbox.

Slack wants every command and click acknowledged within 3 s, and repeats neither. So what changes
something is committed first and acknowledged after that, and the person always gets an answer.
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

from bot.core.model.access import Verb
from bot.core.model.command import Question
from bot.core.state.stimulus import PersonActed
from bot.ports import CallFailed
from bot.slack.actions import ASK, BUTTONS, LINKS, REFRESH, WHAT
from bot.slack.inbound.forms import FormError, Forms
from bot.slack.inbound.payloads import (
    find_sender,
    is_from_organisation,
    is_from_workspace,
    parse_click,
    parse_event,
    parse_shortcut,
    parse_slash_command,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from slack_bolt.context.ack.async_ack import AsyncAck

    from bot.core.model.access import Person
    from bot.core.model.command import Request
    from bot.ports import Inbox, View, WebApi
    from bot.slack.checks import Workspace
    from bot.slack.outbound.home_tabs import HomeTabs
    from bot.slack.users import UserDirectory

_LOG = logging.getLogger(__name__)
_BOLT = logging.getLogger("bot.slack.bolt")
_BOLT.setLevel(logging.ERROR)  # below that it writes whole payloads
_ANY = re.compile("")

NOT_SAVED = (
    ":warning: I could not note that down, so it may not be done."
    " If no answer comes within a minute, please ask again."
)
OLD_BUTTON = "This button is from an older version of me. `/auth0-check` shows what is true now."
FOREIGN = "Sorry, I only answer people of the workspace that I was installed for."
NO_FORM = "Slack did not let me open the form in time. Please click again."

CLOSE_TIMEOUT_S = 5.0
Body = dict[str, Any]


class Listeners:
    """Receives all that people do in Slack.

    Args:
        inbox: commits requests that change something.
        web: opens forms, and sends what could not be done to the person.
        view: returns the state that people's words are about, and the time.
        workspace: whose members the bot answers.
        answer: answers a question.
        people: looks up who asks.
        home_tabs: the Home tabs.
        timeout_s: how long to wait for the inbox, in real seconds: Slack's limit of 3 s does not
            follow the clock's speed.
    """

    def __init__(
        self,
        inbox: Inbox,
        web: WebApi,
        view: Callable[[], View],
        workspace: Workspace,
        *,
        answer: Callable[[Request], Coroutine[Any, Any, None]],
        people: UserDirectory,
        home_tabs: HomeTabs,
        timeout_s: float = 2.5,
    ) -> None:
        self._inbox = inbox
        self._answer = answer
        self._view = view
        self._web = web
        self._timeout_s = timeout_s
        self._workspace = workspace
        self._people = people
        self._forms = Forms(web, view)
        self._home_tabs = home_tabs
        self._tasks: set[asyncio.Task[None]] = set()

    def build_app(self, signing_secret: str = "") -> AsyncApp:
        """Build the Bolt app. The signing secret is for HTTP mode.

        `process_before_response` makes Bolt wait for the listener: only then is an event committed
        before it is acknowledged, and no error can lose the acknowledgement. `authorize` saves each
        request a call of auth.test.
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
            name=_BOLT.name,  # Bolt sets the level of the logger of this name
            logger=_BOLT,
            authorize=authorize,
            signing_secret=signing_secret,
            process_before_response=True,
        )
        self._register(app)
        return app

    async def close(self) -> None:
        """Wait for the replies that are still being sent, but not for Slack to come back."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_TIMEOUT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _register(self, app: AsyncApp) -> None:
        """Register the handlers. Bolt takes the first that matches."""
        # The app's manifest names the command; a second app of a workspace needs another name.
        app.command(_ANY)(self._on_command)
        app.event("app_mention")(self._on_message)
        app.event("message")(self._on_message)
        app.event("app_home_opened")(self._on_home_tab)
        app.shortcut(ASK)(self._on_shortcut)
        app.view(_ANY)(self._on_form)
        for button in BUTTONS:
            app.action(button)(self._on_button)
        app.action(WHAT)(self._on_preview)
        app.action(REFRESH)(self._on_refresh)
        for link in LINKS:
            app.action(link)(_on_link)
        app.action(_ANY)(self._on_old_button)
        app.error(_on_error)

    async def _on_command(self, ack: AsyncAck, body: Body) -> None:
        await ack(await self._receive(body, parse_slash_command))

    async def _on_message(self, ack: AsyncAck, body: Body) -> None:
        """Take mentions and direct messages of people. Edits and the like have a subtype."""
        event = body["event"]
        is_said = "subtype" not in event and "bot_id" not in event
        is_direct = event.get("channel_type") == "im"
        if (is_said and is_direct) or (event["type"] == "app_mention" and "bot_id" not in event):
            self._reply(body, await self._receive(body, parse_event))
        elif is_said and "thread_ts" in event and await self._is_ours(body):
            view, user = self._view(), event["user"]
            for incident in view.desk.open_incidents:
                ref, owner = incident.message.ref, incident.life.acknowledged_by
                if ref and ref.ts == event["thread_ts"] and owner == user:
                    self._inbox.submit(PersonActed(view.now, user))
        await ack()

    async def _on_button(self, ack: AsyncAck, body: Body) -> None:
        self._reply(body, await self._receive(body, parse_click))
        self._home_tabs.refresh_soon(body["user"]["id"])
        await ack()

    async def _on_shortcut(self, ack: AsyncAck, body: Body) -> None:
        self._reply(body, await self._receive(body, parse_shortcut))
        await ack()

    async def _on_form(self, ack: AsyncAck, body: Body) -> None:
        """Show errors under a field of the form, which stays open; without errors it closes."""
        answer: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._accept_form(body)
        except Exception:  # noqa: BLE001 - whatever it is, the person gets an answer
            _LOG.exception("Could not save a form")
            fields = body["view"].get("state", {}).get("values", {})
            answer = _field_error(next(iter(fields), WHAT), NOT_SAVED)
        self._home_tabs.refresh_soon(body["user"]["id"])
        await ack(**answer)

    async def _on_preview(self, ack: AsyncAck, body: Body) -> None:
        if body.get("view") and await self._is_ours(body):
            self._run_later(self._forms.update_preview(body))
        await ack()

    async def _on_home_tab(self, ack: AsyncAck, body: Body) -> None:
        if body["event"].get("tab") == "home" and await self._is_ours(body):
            self._run_later(self._home_tabs.open_tab(body["event"]["user"]))
        await ack()

    async def _on_refresh(self, ack: AsyncAck, body: Body) -> None:
        if await self._is_ours(body):
            self._run_later(self._home_tabs.open_tab(body["user"]["id"]))
        await ack()

    async def _on_old_button(self, ack: AsyncAck, body: Body) -> None:
        self._reply(body, OLD_BUTTON)
        await ack()

    async def _receive(
        self, body: Body, parse: Callable[[Mapping[str, Any], Person, View], Request]
    ) -> str:
        """Answer a question, commit an action, or open the form that it needs.

        Returns what to reply to the person: nothing if all is well.
        """
        if not await self._is_ours(body):
            return FOREIGN
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        person = await self._people.find_person(find_sender(body))
        try:
            request = parse(body, person, self._view())
        except ValueError:
            return OLD_BUTTON
        try:
            async with asyncio.timeout_at(deadline):
                if self._forms.is_needed(request, body):
                    self._run_later(self._open_form(body, request))
                else:
                    await self._accept(request)
        except Exception:  # noqa: BLE001 - whatever it is, the person gets an answer
            verb = request.command.verb
            _LOG.exception("Could not save %s %s of %s", verb, request.id, request.user)
            return NOT_SAVED
        return ""

    async def _is_ours(self, body: Body) -> bool:
        """Tell whether the sender belongs to our workspace or organisation.

        Whether somebody of another workspace is a colleague of our organisation, only Slack knows.
        """
        if is_from_workspace(body, self._workspace.workspaces):
            return True
        return is_from_organisation(
            body, self._workspace.enterprise_id
        ) and await self._people.is_member(find_sender(body))

    async def _accept(self, request: Request) -> None:
        if isinstance(request.command, Question):
            self._run_later(self._answer(request))
        else:
            await self._inbox.accept(request)

    async def _open_form(self, body: Body, request: Request) -> None:
        try:
            await self._forms.open(body["trigger_id"], request)
        except CallFailed:
            await self._send_reply(body, NO_FORM)
            raise

    async def _accept_form(self, body: Body) -> dict[str, Any]:
        """Commit what a form asks for. Returns the acknowledgement: empty closes the form."""
        if not await self._is_ours(body):
            self._reply(body, FOREIGN)
            return {}
        person = await self._people.find_person(body["user"]["id"])
        try:
            request = self._forms.parse_submission(body, self._view().now, person)
        except FormError as error:
            return _field_error(error.field, str(error))
        except ValueError:
            self._reply(body, OLD_BUTTON)
            return {}
        if body["view"]["callback_id"] == ASK and request.command.verb is Verb.SILENCE:
            return {"response_action": "update", "view": self._forms.build_form(request)}
        await self._accept(request)
        return {}

    def _reply(self, body: Body, text: str) -> None:
        """Send a private reply, once the acknowledgement is out."""
        if text:
            self._run_later(self._send_reply(body, text))

    def _run_later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_log_errors(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_reply(self, body: Body, text: str) -> None:
        event = body.get("event", {})
        if "response_url" in body:
            params = {"text": text, "response_type": "ephemeral", "replace_original": False}
            await self._web.respond(body["response_url"], params)
        elif event and event.get("channel_type") != "im":
            params = {key: event.get(key) for key in ("channel", "user", "thread_ts")}
            await self._web.call("chat.postEphemeral", {**params, "text": text})
        else:
            channel = event["channel"] if event else body["user"]["id"]
            await self._web.call("chat.postMessage", {"channel": channel, "text": text})


async def _log_errors(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except CallFailed as error:
        _LOG.warning("Slack did not take a reply, form or Home tab: %s", error)
    except Exception:  # noqa: BLE001 - nobody awaits the task
        _LOG.exception("Could not send a reply, form or Home tab")


def _field_error(field: str, text: str) -> dict[str, Any]:
    return {"response_action": "errors", "errors": {field: text}}


async def _on_link(ack: AsyncAck) -> None:
    await ack()


async def _on_error(error: Exception) -> BoltResponse:
    """Acknowledge what failed, too: a command shows the text."""
    _LOG.error("Could not handle what Slack sent", exc_info=error)
    return BoltResponse(status=200, body=NOT_SAVED)
