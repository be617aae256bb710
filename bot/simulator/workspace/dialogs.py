"""What people do with shortcuts, modals and the Home tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace import views
from bot.simulator.workspace.model import Refused
from bot.simulator.workspace.people import find_action, find_option

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.simulator.workspace.people import People

CONNECTION_ERROR = "We had some trouble connecting. Try again?"
EMPTY = "Please complete this required field."

Values = dict[str, str]
"""What was filled in, by the fields' blocks: for a select the option's value, for a time its epoch
seconds. Other fields keep what the form was opened with."""


@dataclass(slots=True)
class Dialogs:
    """The users' side of views. Raises `Refused` where the bot does not acknowledge in time."""

    people: People

    async def choose_shortcut(self, user: str, callback_id: str) -> None:
        """Choose a global shortcut."""
        payload = self.people.interaction_payload("shortcut", user)
        payload |= {"callback_id": callback_id, "action_ts": self.people.state.next_ts()}
        await self.people.deliver_once(self.people.make_envelope("interactive", payload))

    async def use(
        self, user: str, action: Mapping[str, str], values: Values, *, is_home: bool
    ) -> None:
        """Use an element of the modal or the Home tab: its `action_id`, `block_id` and `option`.

        Raises `LookupError` where it is not there.
        """
        state = self.people.state
        view = (state.home_tabs if is_home else state.modals)[user]
        used = find_action(
            view["blocks"],
            action["action_id"],
            block_id=action.get("block_id", ""),
            option=action.get("option", ""),
        )
        payload = self.people.interaction_payload("block_actions", user) | {
            "container": {"type": "view", "view_id": view["id"]},
            "view": _fill_in(view, values),
            "actions": [used | {"action_ts": state.next_ts()}],
        }
        await self.people.deliver_once(self.people.make_envelope("interactive", payload))

    async def submit(self, user: str, values: Values) -> dict[str, str]:
        """Submit the modal. Returns the problems by block; empty if it was accepted."""
        view = _fill_in(self.people.state.modals[user], values)
        if empty := dict.fromkeys(_find_empty_fields(view), EMPTY):
            return empty
        payload = self.people.interaction_payload("view_submission", user)
        payload |= {"view": view, "response_urls": []}
        try:
            answer = await self.people.deliver_once(
                self.people.make_envelope("interactive", payload)
            )
            return self._apply_answer(user, answer)
        except Refused:
            return {"": CONNECTION_ERROR}

    def _apply_answer(self, user: str, answer: Mapping[str, Any]) -> dict[str, str]:
        action = answer.get("response_action")
        if action == "errors":
            return dict(answer["errors"])
        if action == "update":
            views.replace_modal(self.people.state, user, answer["view"])
        else:
            self.close(user)
        return {}

    def close(self, user: str) -> None:
        """Close the modal."""
        self.people.state.show_modal(user, None)


def _fill_in(view: dict[str, Any], values: Values) -> dict[str, Any]:
    """Return a view as in payloads: with its state."""
    fields = {
        block["block_id"]: {block["element"]["action_id"]: _field_state(block, values)}
        for block in view["blocks"]
        if block["type"] == "input"
    }
    return view | {"state": {"values": fields}}


def _field_state(block: dict[str, Any], values: Values) -> dict[str, Any]:
    element = block["element"]
    value = values.get(block["block_id"])
    if element["type"] == "static_select":
        chosen = find_option(element, value) if value else element.get("initial_option")
        return {"type": "static_select", "selected_option": chosen}
    if element["type"] == "datetimepicker":
        at = int(value) if value else element.get("initial_date_time")
        return {"type": "datetimepicker", "selected_date_time": at}
    text = element.get("initial_value") if value is None else value or None
    return {"type": element["type"], "value": text}


def _find_empty_fields(view: dict[str, Any]) -> Iterator[str]:
    """Yield the empty fields that Slack itself requires."""
    for block in view["blocks"]:
        if block["type"] == "input" and not block.get("optional"):
            (field,) = view["state"]["values"][block["block_id"]].values()
            if not any(value for key, value in field.items() if key != "type"):
                yield block["block_id"]
