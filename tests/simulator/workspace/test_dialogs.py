"""Shortcuts, modals and the Home tab reach the bot, and people see its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.simulator.workspace.dialogs import CONNECTION_ERROR, EMPTY
from bot.simulator.workspace.model import SCOPES, App, Refused, User
from bot.simulator.workspace.transports import Unreachable

if TYPE_CHECKING:
    from bot.simulator.workspace.dialogs import Dialogs
    from bot.simulator.workspace.server import WorkspaceServer
    from bot.simulator.workspace.transports import Envelope
    from tests.simulator.workspace.conftest import Bench


def text(words: str) -> dict[str, str]:
    return {"type": "plain_text", "text": words}


def field(name: str, element: dict[str, Any], **more: bool) -> dict[str, Any]:
    element = {"action_id": name, **element}
    return {"type": "input", "block_id": name, "label": text(name), "element": element, **more}


OPTION = {"text": text("Production"), "value": "prod"}
FORM = {
    "type": "modal",
    "callback_id": "f",
    "title": text("Silence"),
    "submit": text("Silence"),
    "blocks": [
        field("what", {"type": "static_select", "options": [OPTION]}, dispatch_action=True),
        field("until", {"type": "datetimepicker"}, optional=True),
        field("why", {"type": "plain_text_input"}),
    ],
}
HOME = {
    "type": "home",
    "blocks": [
        {"type": "actions", "block_id": f"b{value}", "elements": [button]}
        for value in "12"
        for button in [{"type": "button", "action_id": "end", "value": value, "text": text("End")}]
    ],
}


class Bot:
    """A transport that records envelopes and gives the answers that the test wants."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.answer: dict[str, Any] = {}
        self.is_deaf = False

    async def deliver(self, envelope: Envelope) -> dict[str, Any]:
        if self.is_deaf:
            raise Unreachable
        self.heard.append(envelope.payload)
        return self.answer


@pytest.fixture
def bot(server: WorkspaceServer) -> Bot:
    server.people.transport = bot = Bot()
    return bot


@pytest.fixture
def dialogs(server: WorkspaceServer) -> Dialogs:
    return server.dialogs


async def test_a_shortcut_opens_a_modal(bench: Bench, bot: Bot, dialogs: Dialogs) -> None:
    """Its trigger opens one modal, for the person who chose it."""
    await dialogs.choose_shortcut("U2", "ask")
    (asked,) = bot.heard
    assert (asked["type"], asked["callback_id"]) == ("shortcut", "ask")

    body = bench.call("views.open", trigger_id=asked["trigger_id"], view=FORM)

    assert bench.workspace.state.modals == {"U2": body["view"]}
    again = bench.call("views.open", trigger_id=asked["trigger_id"], view=FORM)
    assert again["error"] == "exchanged_trigger_id"


async def opened(bench: Bench, bot: Bot, dialogs: Dialogs) -> dict[str, Any]:
    await dialogs.choose_shortcut("U1", "ask")
    trigger_id = bot.heard.pop()["trigger_id"]
    view: dict[str, Any] = bench.call("views.open", trigger_id=trigger_id, view=FORM)["view"]
    return view


async def test_a_modal_is_filled_in(bench: Bench, bot: Bot, dialogs: Dialogs) -> None:
    """A choice is reported at once where the form wants it; all values on submission."""
    view = await opened(bench, bot, dialogs)
    values = {"what": "prod", "why": "an upgrade", "until": "1700000000"}

    choice = {"action_id": "what", "option": "prod"}
    await dialogs.use("U1", choice, values, is_home=False)
    assert await dialogs.submit("U1", values) == {}

    used, sent = bot.heard
    assert used["container"] == {"type": "view", "view_id": view["id"]}
    assert used["actions"][0]["selected_option"] == OPTION
    assert sent["type"] == "view_submission"
    assert sent["view"]["state"] == used["view"]["state"]
    assert sent["view"]["state"]["values"] == {
        "what": {"what": {"type": "static_select", "selected_option": OPTION}},
        "until": {"until": {"type": "datetimepicker", "selected_date_time": 1_700_000_000}},
        "why": {"why": {"type": "plain_text_input", "value": "an upgrade"}},
    }
    assert bench.workspace.state.modals == {}


async def test_required_fields(bench: Bench, bot: Bot, dialogs: Dialogs) -> None:
    """An empty field that is not optional never reaches the bot."""
    await opened(bench, bot, dialogs)

    assert await dialogs.submit("U1", {"why": ""}) == {"what": EMPTY, "why": EMPTY}

    assert bot.heard == []


async def test_answers_to_a_submission(bench: Bench, bot: Bot, dialogs: Dialogs) -> None:
    """The bot may name errors, change the form, or not answer; then the modal stays."""
    view = await opened(bench, bot, dialogs)
    values = {"what": "prod", "why": "x"}

    bot.answer = {"response_action": "errors", "errors": {"why": "Longer, please."}}
    assert await dialogs.submit("U1", values) == {"why": "Longer, please."}
    bot.answer = {"response_action": "update", "view": FORM | {"title": text("Really?")}}
    assert await dialogs.submit("U1", values) == {}
    shown = bench.workspace.state.modals["U1"]
    assert (shown["title"]["text"], shown["id"]) == ("Really?", view["id"])
    bot.answer = {"response_action": "update", "view": {}}
    assert await dialogs.submit("U1", values) == {"": CONNECTION_ERROR}
    bot.is_deaf = True
    assert await dialogs.submit("U1", values) == {"": CONNECTION_ERROR}

    dialogs.close("U1")
    assert bench.workspace.state.modals == {}


async def test_updates(bench: Bench, bot: Bot, dialogs: Dialogs) -> None:
    """A modal is changed by its id, unless it changed in between or is closed."""
    view = await opened(bench, bot, dialogs)
    names = {"view_id": view["id"], "hash": view["hash"]}

    changed = bench.call("views.update", **names, view=FORM)
    assert changed["view"]["hash"] != view["hash"]
    assert bench.call("views.update", **names, view=FORM)["error"] == "hash_conflict"
    dialogs.close("U1")
    assert bench.call("views.update", view_id=view["id"], view=FORM)["error"] == "not_found"


async def test_the_home_tab_is_used(bench: Bench, bot: Bot, dialogs: Dialogs) -> None:
    """Among buttons with the same id the one in the named block counts."""
    bench.call("views.publish", user_id="U1", view=HOME)

    action = {"action_id": "end", "block_id": "b2"}
    await dialogs.use("U1", action, {}, is_home=True)

    (used,) = bot.heard
    assert used["actions"][0]["value"] == "2"
    assert used["view"]["type"] == "home"
    assert "channel" not in used
    with pytest.raises(LookupError):
        await dialogs.use("U1", action | {"block_id": "b3"}, {}, is_home=True)
    with pytest.raises(LookupError):
        await dialogs.use("U2", action, {}, is_home=True)
    bot.is_deaf = True
    with pytest.raises(Refused, match="dispatch_failed"):
        await dialogs.use("U1", action, {}, is_home=True)


async def test_direct_messages(bench: Bench, bot: Bot, server: WorkspaceServer) -> None:
    """The bot gets direct messages without a mention, if it has the scope."""
    place = bench.workspace.state.direct("U2")

    await server.people.say("U2", place.id, "status")

    (heard,) = bot.heard
    event = heard["event"]
    assert (event["type"], event["channel_type"], event["channel"]) == ("message", "im", place.id)


def test_profiles(bench: Bench) -> None:
    """`users.info` has the time zone, and whether a user is a guest."""
    dana, lou = (bench.call("users.info", user=user)["user"] for user in ("U1", "U3"))

    assert (dana["tz"], dana["is_restricted"]) == ("Europe/Berlin", False)
    assert lou["is_restricted"] is True


def test_do_not_disturb(furnish: type[Bench]) -> None:
    """`dnd.info` has the span that goes on; nobody else's snooze is shown, and 1 means never."""
    people = [User("U1", "ann", "Ann"), User("U2", "ben", "Ben", is_in_dnd=True)]
    bench = furnish(given={"app": App(scopes=SCOPES | {"dnd:read"}), "people": people})
    ann, ben = (bench.call("dnd.info", user=user) for user in ("U1", "U2"))

    assert ann == {
        "ok": True,
        "dnd_enabled": False,
        "next_dnd_start_ts": 1,
        "next_dnd_end_ts": 1,
    }
    assert ben["dnd_enabled"] is True
    assert ben["next_dnd_start_ts"] < bench.at < ben["next_dnd_end_ts"]
    assert bench.call("dnd.info", user="U9")["error"] == "user_not_found"
