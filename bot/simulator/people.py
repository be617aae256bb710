"""People of a scenario who click: they press what the bot's messages really have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace.blocks import find_elements
from bot.simulator.workspace.model import Refused
from bot.slack.inbound.payloads import parse_click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.core.model.access import Person
    from bot.core.model.command import Request
    from bot.ports import View
    from bot.simulator.workspace.model import Message
    from bot.simulator.workspace.people import People
    from bot.simulator.workspace.state import State
    from bot.simulator.workspace.transports import Envelope
    from bot.slack.inbound.forms import Forms

PRESSED = "pressed"


@dataclass(frozen=True, slots=True)
class Button:
    """A button, or an option of a menu, in a message."""

    channel: str
    ts: str
    action_id: str
    option: str = ""
    """The option's value; empty: it is a button."""


def find_button(state: State, user: str, name: str, incident: int) -> Button | None:
    """Find an incident's button in the newest message that has it and that the person sees.

    Args:
        state: the workspace.
        user: the person.
        name: the button's action id, or the verb of a menu's option.
        incident: the incident's number, which the button's value names.
    """
    seen = (
        (message.ts, channel.id, message)
        for channel in state.channels
        if channel.partner in ("", user)
        for message in channel.messages.values()
        if message.only_for in ("", user)
    )
    for ts, channel_id, message in sorted(seen, key=lambda one: one[0], reverse=True):
        for action_id, option, value in _find_values(message):
            is_it = value.get("verb", action_id) == name and value.get("incident") == incident
            if is_it:
                return Button(channel_id, ts, action_id, option)
    return None


def _find_values(message: Message) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield each button and option: action id, the option, and what its value says."""
    for element in find_elements(message.blocks):
        action_id = element["action_id"]
        if "value" in element:
            yield action_id, "", _read_value(element["value"])
        for option in element.get("options", ()):
            yield action_id, option["value"], _read_value(option["value"])


def _read_value(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


async def press_button(people: People, user: str, name: str, incident: int) -> str:
    """Let somebody press a button. Returns `PRESSED`, or why they cannot."""
    try:
        people.state.user(user)
    except Refused:
        return "there is no such person"
    button = find_button(people.state, user, name, incident)
    if button is None:
        return f"no message has a button {name} of #{incident}"
    place = button.channel, button.ts, button.action_id
    await people.click(user, *place, option=button.option)
    return PRESSED


@dataclass(frozen=True, slots=True)
class VirtualTransport:
    """The way of clicks to the bot, without a socket.

    Args:
        find_person: returns what the bot knows of who clicks.
        view: returns the state that the click is about.
        accept: takes the request.
        forms: open where only a form can complete a request.
    """

    find_person: Callable[[str], Person]
    view: Callable[[], View]
    accept: Callable[[Request], None]
    forms: Forms

    async def deliver(self, envelope: Envelope) -> dict[str, Any]:
        """Parse a click as the bot's listeners do, open the form it needs, and acknowledge it."""
        payload = envelope.payload
        person = self.find_person(payload["user"]["id"])
        request = parse_click(payload, person, self.view())
        if self.forms.is_needed(request, payload):
            await self.forms.open(payload["trigger_id"], request)
        else:
            self.accept(request)
        return {}
