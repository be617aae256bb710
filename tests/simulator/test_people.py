"""People who press the buttons of the bot's messages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.access import Person, Verb
from bot.core.model.command import Acknowledge, Resolve
from bot.core.state.desk import DeskState
from bot.core.state.rules import Rules
from bot.core.state.tenant import Tenants
from bot.ports import View
from bot.simulator.entries import CLICKS
from bot.simulator.people import PRESSED, Button, VirtualTransport, find_button, press_button
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.simulator.workspace.people import People
from bot.simulator.workspace.workspace import Workspace
from bot.slack import actions
from bot.slack.inbound.forms import Forms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.core.model.command import Request
    from bot.simulator.scenario import Scenario

CHANNEL = "C0ALERTS"


def button(name: str, incident: int) -> dict[str, Any]:
    value = actions.IncidentValue(incident=incident).model_dump_json()
    text = {"type": "plain_text", "text": name}
    return {"type": "button", "action_id": name, "text": text, "value": value}


def menu(*verbs: Verb) -> dict[str, Any]:
    values = [actions.MenuValue(verb=verb, incident=1) for verb in verbs]  # type: ignore[arg-type]
    options = [
        {
            "text": {"type": "plain_text", "text": value.verb},
            "value": value.model_dump_json(exclude_none=True),
        }
        for value in values
    ]
    return {"type": "overflow", "action_id": actions.MORE, "options": options}


class Slack:
    """A workspace with the bot's messages in it, and what people's clicks ask for."""

    def __init__(self) -> None:
        self.workspace = Workspace(lambda: 1_700_000_000.0)
        self.requests: list[Request] = []
        view = View(0.0, Rules({}), Tenants({}), DeskState())
        forms = Forms(self, lambda: view)
        transport = VirtualTransport(Person, lambda: view, self.requests.append, forms)
        self.people = People(self.workspace.state, transport)

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        return self.workspace.call(method, self.workspace.state.app.bot_token, params).body

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        self.workspace.respond(response_url, params)

    def post(self, *elements: dict[str, Any], method: str = "chat.postMessage", **to: Any) -> str:
        blocks = [{"type": "actions", "elements": list(elements)}]
        params = {"channel": CHANNEL, "text": "x", "blocks": blocks, **to}
        token = self.workspace.state.app.bot_token
        body = self.workspace.call(method, token, params).body
        assert body["ok"], body
        return str(body.get("ts") or body.get("message_ts"))

    def find(self, name: str = "acknowledge", user: str = "U1") -> Button | None:
        return find_button(self.workspace.state, user, name, 1)


@pytest.fixture
def slack() -> Slack:
    return Slack()


def test_the_buttons_of_today_have_the_names_that_people_press() -> None:
    """What a scenario calls them is their action id."""
    assert {actions.ACKNOWLEDGE, actions.RESOLVE} <= {*CLICKS}


def test_the_newest_message_that_has_it_is_found(slack: Slack) -> None:
    """Not one of another incident, and not one whose button was taken away."""
    slack.post(button("acknowledge", 1))
    second = slack.post(button("acknowledge", 1))
    slack.post(button("acknowledge", 2))
    edited = slack.post(button("acknowledge", 1))
    slack.post(button("resolve", 1), method="chat.update", ts=edited)

    assert slack.find() == Button(CHANNEL, second, "acknowledge")


def test_an_option_of_the_menu_is_found(slack: Slack) -> None:
    """By its verb."""
    ts = slack.post(button("acknowledge", 1), menu(Verb.ESCALATE, Verb.RESOLVE))
    found = slack.find("resolve")

    assert found is not None
    assert (found.ts, found.action_id) == (ts, actions.MORE)
    assert json.loads(found.option) == {"v": 1, "verb": "resolve", "incident": 1}


def test_nobody_presses_what_they_do_not_see(slack: Slack) -> None:
    """Direct messages and answers are for one person."""
    slack.post(button("acknowledge", 1), channel="U2")
    slack.post(button("acknowledge", 1), method="chat.postEphemeral", user="U2")

    assert slack.find(user="U1") is None
    assert slack.find(user="U2") is not None


@pytest.mark.parametrize("value", ["7", "[]", "{", '{"incident": "1"}'])
def test_other_values_are_no_buttons_of_an_incident(slack: Slack, value: str) -> None:
    """A link or an old button carries something else."""
    odd = button("acknowledge", 1) | {"value": value}
    slack.post(odd)

    assert slack.find() is None


@pytest.mark.parametrize(
    ("name", "command"), [("acknowledge", Acknowledge(1)), ("resolve", Resolve(1))]
)
async def test_a_click_reaches_the_bot_as_slack_sends_it(
    slack: Slack, name: str, command: object
) -> None:
    """It is parsed as the bot parses Slack's payloads, with an address for the answer."""
    slack.post(button("acknowledge", 1), menu(Verb.RESOLVE))
    result = await press_button(slack.people, "U1", name, 1)
    (request,) = slack.requests

    assert (result, request.command, request.user) == (PRESSED, command, "U1")
    assert request.response_url


async def test_a_click_that_needs_words_opens_a_form(slack: Slack) -> None:
    """The bot gets nothing until it is filled in."""
    slack.post(button("silence", 1))
    await press_button(slack.people, "U1", "silence", 1)

    assert slack.workspace.state.modals["U1"]["callback_id"] == actions.SILENCE_FORM
    assert slack.requests == []


@pytest.mark.parametrize(
    ("user", "name", "result"),
    [
        ("U1", "take_over", "no message has a button take_over of #1"),
        ("U0GONE", "acknowledge", "there is no such person"),
    ],
)
async def test_what_cannot_be_pressed_is_said(
    slack: Slack, user: str, name: str, result: str
) -> None:
    """It ends no simulation."""
    slack.post(button("acknowledge", 1))

    assert await press_button(slack.people, user, name, 1) == result
    assert slack.requests == []


def test_who_types_or_clicks_has_done_something(make_scenario: Callable[..., Scenario]) -> None:
    """A later mention of them as the one who did it is no call."""
    scenario = make_scenario(
        "people:",
        "  - {at: -29m, user: U1, say: /auth0-check help}",
        "  - {at: -29m, user: U2, click: acknowledge, incident: 1}",
    )
    has_acted: set[str] = set()

    async def main(loop: VirtualLoop) -> None:
        simulation = Simulation(loop, replace(scenario, duration_s=1.0), 7, lambda _: None)
        await simulation.run()
        has_acted.update(simulation.story.call_watch.has_acted)

    run_virtually(main)

    assert has_acted == {"U1", "U2"}
