"""What people do in Slack, and what Slack shows them when the bot does not answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace import chat
from bot.simulator.workspace.blocks import find_elements
from bot.simulator.workspace.grants import ResponseUrl
from bot.simulator.workspace.model import Channel, Message, Refused
from bot.simulator.workspace.state import SLACKBOT
from bot.simulator.workspace.transports import Envelope, Transport, Unreachable

if TYPE_CHECKING:
    from bot.simulator.workspace.state import State

ACK_LIMIT_S = 3.0
RETRY_AFTER_S = (0.0, 60.0, 300.0)
"""Slack repeats an event that was not acknowledged: at once, after 1 and after 5 minutes."""


@dataclass(slots=True)
class People:
    """The users' side of a workspace. Times are real seconds."""

    state: State
    transport: Transport
    ack_limit_s: float = ACK_LIMIT_S
    retry_after_s: tuple[float, ...] = RETRY_AFTER_S
    _retries: set[asyncio.Task[None]] = field(default_factory=set)

    async def type_command(self, user: str, channel: str, text: str) -> None:
        """Type a line such as `/auth0-check run prod`, and show the acknowledgement."""
        place = self.state.channel(channel)
        command, _, rest = text.partition(" ")
        if command != self.state.app.command:
            self._show_slackbot_note(place, user, f"`{command}` is not a valid command.")
            return
        payload = self._command_payload(user, place, command, rest.strip())
        envelope = self.make_envelope("slash_commands", payload)
        answer = await self._ask(place, user, command, envelope)
        if answer:
            self._show(place, user, command, answer)

    async def click(
        self, user: str, channel: str, ts: str, action_id: str, *, option: str = ""
    ) -> None:
        """Use a button, or choose the option with this value. Raises `LookupError`."""
        place = self.state.channel(channel)
        message = place.messages[ts]
        action = find_action(message.blocks, action_id, option=option)
        action["action_ts"] = self.state.next_ts()
        payload = self._click_payload(user, place, message) | {"actions": [action]}
        await self._ask(
            place, user, self.state.app.name, self.make_envelope("interactive", payload)
        )

    async def say(self, user: str, channel: str, text: str, thread_ts: str = "") -> Message:
        """Write a message. The bot gets it if it is mentioned (`<@U…>`), or in a direct message.

        `text` is as Slack stores it: `&`, `<` and `>` of the person are escaped.
        """
        app, place = self.state.app, self.state.channel(channel)
        message = Message(self.state.next_ts(), user, text, thread_ts=thread_ts)
        self.state.put(place, place.kind_of_post(thread_ts), message)
        event = self.state.as_json(place, message) | {"channel": place.id, "event_ts": message.ts}
        may_hear = place.is_member and "app_mentions:read" in app.scopes
        if place.partner and "im:history" in app.scopes:
            await self._send_event(event | {"channel_type": "im"})
        elif may_hear and not place.partner and f"<@{app.user_id}>" in text:
            await self._send_event(event | {"type": "app_mention"})
        return message

    async def mention(self, user: str, channel: str, text: str, thread_ts: str = "") -> Message:
        """Write a message that begins with the bot's name."""
        return await self.say(user, channel, f"<@{self.state.app.user_id}> {text}", thread_ts)

    async def open_home(self, user: str) -> None:
        """Open the bot's Home tab."""
        event = {
            "type": "app_home_opened",
            "user": user,
            "channel": self.state.direct(user).id,
            "tab": "home",
            "event_ts": self.state.next_ts(),
        }
        view = self.state.home_tabs.get(user)
        await self._send_event(event | ({"view": view} if view else {}))

    async def close(self) -> None:
        """Cancel all repeats that are still due."""
        for task in self._retries:
            task.cancel()
        await asyncio.gather(*self._retries, return_exceptions=True)

    def make_envelope(self, kind: str, payload: dict[str, Any]) -> Envelope:
        """Put a payload into an envelope."""
        return Envelope(self.state.new_id("envelope-"), kind, payload)

    async def deliver_once(self, envelope: Envelope) -> dict[str, Any]:
        """Deliver it once. Raises `Refused` if it is not acknowledged in time."""
        try:
            async with asyncio.timeout(self.ack_limit_s):
                return await self.transport.deliver(envelope)
        except TimeoutError:
            raise Refused("operation_timeout") from None
        except Unreachable:
            raise Refused("dispatch_failed") from None

    async def _ask(
        self, place: Channel, user: str, what: str, envelope: Envelope
    ) -> dict[str, Any]:
        try:
            return await self.deliver_once(envelope)
        except Refused as error:
            self._show_slackbot_note(place, user, f'{what} failed with the error "{error}"')
            return {}

    def _show(self, place: Channel, user: str, command: str, answer: dict[str, Any]) -> None:
        """Show the message in the acknowledgement of a command."""
        try:
            chat.respond(self.state, ResponseUrl(place.id, user, self.state.now()), answer)
        except Refused:
            self._show_slackbot_note(
                place, user, f'{command} failed with the error "invalid_command_response"'
            )

    def _show_slackbot_note(self, place: Channel, user: str, text: str) -> None:
        chat.show_ephemeral(self.state, place, chat.Content(text, []), user, sender=SLACKBOT.id)

    async def _send_event(self, event: dict[str, Any]) -> None:
        """Deliver an event; if it is not acknowledged, repeat it in the background."""
        envelope = self.make_envelope("events_api", self._event_payload(event))
        if not await self._deliver_event(envelope):
            task = asyncio.create_task(self._repeat(envelope))
            self._retries.add(task)
            task.add_done_callback(self._retries.discard)

    async def _repeat(self, envelope: Envelope) -> None:
        for number, wait_s in enumerate(self.retry_after_s, start=1):
            await asyncio.sleep(wait_s)
            name = self.state.new_id("envelope-")
            again = replace(envelope, id=name, retry=number, retry_reason="timeout")
            if await self._deliver_event(again):
                return

    async def _deliver_event(self, envelope: Envelope) -> bool:
        try:
            async with asyncio.timeout(self.ack_limit_s):
                await self.transport.deliver(envelope)
        except (TimeoutError, Unreachable):
            return False
        return True

    def _command_payload(
        self, user: str, place: Channel, command: str, text: str
    ) -> dict[str, Any]:
        state = self.state
        return {
            "token": "local-verification-token",
            "team_id": state.team_id,
            "team_domain": "local",
            "channel_id": place.id,
            "channel_name": "directmessage" if place.partner else place.name,
            "user_id": user,
            "user_name": state.user(user).name,
            "command": command,
            "text": text,
            "api_app_id": state.app.id,
            "is_enterprise_install": "false",
            "response_url": self._issue_response_url("commands", place, user),
            "trigger_id": state.grants.issue_trigger(user),
        }

    def interaction_payload(self, kind: str, user: str) -> dict[str, Any]:
        """Return the keys that all payloads of interactions have."""
        state = self.state
        name = state.user(user).name
        return {
            "type": kind,
            "token": "local-verification-token",
            "user": {"id": user, "username": name, "name": name, "team_id": state.team_id},
            "api_app_id": state.app.id,
            "trigger_id": state.grants.issue_trigger(user),
            "team": {"id": state.team_id, "domain": "local"},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _click_payload(self, user: str, place: Channel, message: Message) -> dict[str, Any]:
        state = self.state
        container = {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": place.id,
            "is_ephemeral": bool(message.only_for),
        }
        if message.thread_ts:
            container["thread_ts"] = message.thread_ts
        payload = self.interaction_payload("block_actions", user) | {
            "container": container,
            "channel": {"id": place.id, "name": place.name},
            "state": {"values": {}},
            "response_url": self._issue_response_url("actions", place, user, message.ts),
        }
        if not message.only_for:  # Slack does not send a message that only the person sees
            payload["message"] = state.as_json(place, message)
        return payload

    def _event_payload(self, event: dict[str, Any]) -> dict[str, Any]:
        state = self.state
        bot = {"team_id": state.team_id, "user_id": state.app.user_id, "is_bot": True}
        return {
            "token": "local-verification-token",
            "team_id": state.team_id,
            "api_app_id": state.app.id,
            "event": event,
            "type": "event_callback",
            "event_id": state.new_id("Ev"),
            "event_time": int(state.now()),
            "authorizations": [{"enterprise_id": None, **bot, "is_enterprise_install": False}],
            "is_ext_shared_channel": False,
        }

    def _issue_response_url(self, kind: str, place: Channel, user: str, ts: str = "") -> str:
        name = self.state.grants.issue_response_url(place.id, user, ts)
        return f"{self.state.base_url}/{kind}/{name}"


def find_action(
    blocks: list[dict[str, Any]], action_id: str, *, block_id: str = "", option: str = ""
) -> dict[str, Any]:
    """Return the element that is used, as in a payload. Raises `LookupError`."""
    for block in blocks:
        if block_id not in ("", block["block_id"]):
            continue
        for element in find_elements(block):
            if element["action_id"] == action_id:
                keys = ("type", "action_id", "text", "value", "style", "url", "placeholder")
                action = {key: element[key] for key in keys if key in element}
                chosen = {"selected_option": find_option(element, option)} if option else {}
                return action | chosen | {"block_id": block["block_id"]}
    raise LookupError(action_id)


def find_option(element: dict[str, Any], value: str) -> dict[str, Any]:
    """Find the option with a value. Raises `LookupError`."""
    groups = element.get("option_groups") or [element]
    for group in groups:
        for option in group["options"]:
            if option["value"] == value:
                return dict(option)
    raise LookupError(value)
