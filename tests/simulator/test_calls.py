"""What counts as a call, from the messages and pages as they were accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.observation import Cause
from bot.core.oncall import CallReason
from bot.core.state.outbox import PagerAction
from bot.simulator.calls import Call, CallWatch, are_calls_right, count_steps
from bot.simulator.contact_points import AcceptedPage
from bot.simulator.scenario import Answer, CallSpan, Window
from bot.simulator.workspace.model import MessageKind, User
from bot.simulator.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.simulator.workspace.model import Channel, Message

PEOPLE = [
    User("U1", "ann", "Ann"),
    User("U2", "ben", "Ben"),
    User("U0ASLEEP", "cho", "Cho", is_in_dnd=True),
]
CHANNEL = "C0ALERTS"


class Slack:
    """A workspace in which the calls are watched."""

    def __init__(self) -> None:
        self.workspace = Workspace(lambda: 1_700_000_000.0, people=list(PEOPLE))
        self.watch = CallWatch(self.workspace.state)
        self.workspace.on_message(self._on_message)
        self.ts = ""

    def _on_message(self, channel: Channel, kind: MessageKind, message: Message) -> None:
        self.ts = message.ts
        self.watch.watch_message(0.0, channel, kind, message)

    def call(self, method: str, **params: Any) -> Mapping[str, Any]:
        token = self.workspace.state.app.bot_token
        return self.workspace.call(method, token, {"channel": CHANNEL, **params}).body

    def post(self, text: str, about: Mapping[str, Any] | None = None, **params: Any) -> list[Call]:
        """Post a message of incident 1. Returns all calls so far."""
        payload = {"k": "1:reply:1"} if about is None else about
        metadata = {"event_type": "auth0_check", "event_payload": payload}
        answer = self.call("chat.postMessage", text=text, metadata=metadata, **params)
        assert answer["ok"], answer
        return self.watch.calls


@pytest.fixture
def slack() -> Slack:
    return Slack()


def label(reason: str = "begun", incident: int = 1, *tenants: str) -> dict[str, Any]:
    return {"k": "x", "incident": incident, "tenants": list(tenants), "reason": reason}


def test_a_mention_in_a_top_level_message_is_a_call(slack: Slack) -> None:
    """Its metadata says what it is about."""
    assert slack.post("<@U1> Login fails", label("worse", 3, "prod", "eu")) == [
        Call(0.0, 3, "mention", ("U1",), CallReason.WORSE, ("prod", "eu"))
    ]


@pytest.mark.parametrize("text", ["<!here> x", "<!channel> x", "<!subteam^S1> x", "<@U1|ann> x"])
def test_groups_and_channels_are_called_too(slack: Slack, text: str) -> None:
    """All that Slack takes for a mention notifies."""
    assert len(slack.post(text, label())) == 1


def test_a_mention_in_the_blocks_is_a_call(slack: Slack) -> None:
    """Slack notifies whoever is mentioned there, too."""
    block = {"type": "section", "text": {"type": "mrkdwn", "text": "<@U1> Login fails"}}

    assert [call.who for call in slack.post("Login fails", label(), blocks=[block])] == [("U1",)]


def test_in_a_thread_only_what_is_broadcast_calls(slack: Slack) -> None:
    """A silent reply notifies nobody but who is in the thread."""
    slack.post("Login fails")
    parent = slack.ts
    assert slack.post("<@U1> still", label(), thread_ts=parent) == []
    assert len(slack.post("<@U1> still", label(), thread_ts=parent, reply_broadcast=True)) == 1


def test_an_edit_calls_nobody(slack: Slack) -> None:
    """Slack does not notify of a mention that is added later."""
    slack.post("Login fails", label())
    slack.call("chat.update", ts=slack.ts, text="<@U1> Login fails")

    assert slack.watch.calls == []


def test_a_message_only_for_one_person_calls_nobody(slack: Slack) -> None:
    """It is an answer to what that person has just asked."""
    slack.call("chat.postEphemeral", user="U1", text="<@U2> has it")

    assert slack.watch.calls == []


def test_a_direct_message_is_a_call(slack: Slack) -> None:
    """Whoever gets it is called."""
    calls = slack.post("Login fails", label("unacknowledged"), channel="U1")

    assert [(call.how, call.who) for call in calls] == [("dm", ("U1",))]


def test_the_question_whether_it_still_holds_is_no_call(slack: Slack) -> None:
    """It is known by its button."""
    button = {
        "type": "button",
        "action_id": "still_on_it",
        "text": {"type": "plain_text", "text": "Still on it"},
    }
    blocks = [{"type": "actions", "elements": [button]}]

    assert slack.post("Still on it?", label(), channel="U1", blocks=blocks) == []


def test_nobody_is_called_who_cannot_hear_it(slack: Slack) -> None:
    """In Do Not Disturb there is no sound; who is not there is mentioned in vain."""
    assert slack.post("<@U0ASLEEP> <@U0GONE> x", label()) == []
    assert slack.post("x", label(), channel="U0ASLEEP") == []
    assert [call.who for call in slack.post("<@U0ASLEEP> <@U1> x", label())] == [("U1",)]


def test_a_mention_of_who_did_something_is_no_call(slack: Slack) -> None:
    """Unless the message is meant as a call to them."""
    slack.watch.has_acted.add("U1")

    assert slack.post("<@U1> has it") == []
    assert len(slack.post("<@U1> it is worse", label("worse"))) == 1


def test_news_to_somebody_who_was_called_is_no_call(slack: Slack) -> None:
    """For that incident. Whoever was not called before is woken by it."""
    slack.post("<@U1> Login fails", label())

    assert len(slack.post("<@U1> <@U1> it is over")) == 1
    assert len(slack.post("It is over", channel="U1")) == 1
    calls = slack.post("<@U2> it is over")
    assert [(call.who, call.reason) for call in calls[1:]] == [(("U2",), CallReason.UNACKNOWLEDGED)]
    assert len(slack.post("<@U1> it is over", {"k": "2:reply:1"})) == 3


def test_what_is_about_no_incident_is_no_call(slack: Slack) -> None:
    """Unless it says that it is one."""
    assert slack.post("Who is on call: <@U1>", {"k": "silence:1"}) == []
    assert len(slack.post("<@U1> nothing can be checked", label("cannot_check"))) == 1


def test_what_people_write_is_no_call(slack: Slack) -> None:
    """They may mention whom they like."""
    state = slack.workspace.state
    channel = state.channel(CHANNEL)
    text = state.message(channel, slack.call("chat.postMessage", text="x")["ts"])
    message = type(text)(state.next_ts(), "U2", "<@U1> look", metadata=None)

    assert slack.watch.watch_message(0.0, channel, MessageKind.POST, message) is None


def test_a_page_is_a_call_if_it_wakes_people(slack: Slack) -> None:
    """Only a trigger, and only one that the contact point does not merely log."""
    page = AcceptedPage(
        "pager", PagerAction.TRIGGER, is_loud=True, incident=1, reason="back", tenants=("eu",)
    )

    assert slack.watch.watch_page(5.0, page) == Call(
        5.0, 1, "page", ("pager",), CallReason.BACK, ("eu",)
    )
    assert slack.watch.watch_page(5.0, AcceptedPage("pager", PagerAction.TRIGGER)) is None


def call_at(t: float, how: str = "mention", who: str = "U1", incident: int = 1) -> Call:
    return Call(t, incident, how, (who,), CallReason.BEGUN, ("prod",))


def answer(**given: Any) -> Answer:
    return Answer(Cause.AUTH0, (), 60.0, alert=True, **given)


SPAN = CallSpan(0.0, 240.0, None, "")


@pytest.mark.parametrize(
    ("wanted", "times", "is_right"),
    [
        ({}, [], None),
        ({"called": (SPAN,)}, [], False),
        ({"called": (SPAN,)}, [0.0], True),
        ({"called": (SPAN,)}, [240.0], True),
        ({"called": (SPAN,)}, [240.001], False),
        ({"called": (SPAN, CallSpan(300.0, 400.0, None, ""))}, [1.0], False),
        ({"called": (CallSpan(0.0, 9.0, "prod", ""),)}, [1.0], True),
        ({"called": (CallSpan(0.0, 9.0, "eu", ""),)}, [1.0], False),
        ({"quiet": (Window(300.0, 400.0),)}, [], True),
        ({"quiet": (Window(300.0, 400.0),)}, [299.9, 400.0], True),
        ({"quiet": (Window(300.0, 400.0),)}, [300.0], False),
        ({"calls_most": 0}, [], True),
        ({"calls_most": 0}, [1.0], False),
        ({"calls_most": 2}, [1.0, 600.0], True),
        ({"calls_most": 2}, [-5.0, 1.0, 600.0], False),
        ({"called": (SPAN,), "calls_most": 1}, [1.0, 600.0], False),
    ],
)
def test_calls_are_held_against_the_answer(
    wanted: dict[str, Any], times: list[float], *, is_right: bool | None
) -> None:
    """Each span needs one, no quiet span has one, and there are not too many."""
    assert are_calls_right(answer(**wanted), [call_at(t) for t in times]) is is_right


@pytest.mark.parametrize(
    ("calls", "count"),
    [
        ([call_at(0), call_at(0, "dm"), call_at(30, "page", "pager")], 1),
        ([call_at(0), call_at(0, "page", "pager"), call_at(0, "page", "mail")], 1),
        ([call_at(0), call_at(30.1, "dm")], 2),
        ([call_at(0), call_at(20, "dm"), call_at(40, "page", "pager")], 2),
        ([call_at(0), call_at(1)], 2),
        ([call_at(0), call_at(0, incident=2)], 2),
        ([call_at(0), call_at(0, incident=2), call_at(5, "dm")], 2),
    ],
)
def test_calls_of_one_step_by_several_ways_count_once(calls: list[Call], count: int) -> None:
    """Within 30 s, of one incident; the same way twice is two calls."""
    assert count_steps(calls) == count
