"""A new database, and open alerts of an earlier one in the channel."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.state.desk import DeskState
from bot.core.state.incident import IncidentMessage
from bot.core.state.rules import Rules
from bot.core.state.tenant import Tenants
from bot.ports import View
from bot.simulator.workspace.model import App
from bot.slack.outbound.messenger import SlackMessenger
from tests.slack.test_messenger import CHANNEL, INCIDENT, START, LocalSlack

if TYPE_CHECKING:
    import pytest

    from bot.core.state.incident import Incident

OPEN = "FIRING critical: Login fails at prod"


def view(*incidents: Incident) -> View:
    return View(START, Rules({}), Tenants({}), DeskState({i.id: i for i in incidents}))


def messenger_of(slack: LocalSlack) -> SlackMessenger:
    ids = {"#auth0-alerts": CHANNEL, CHANNEL: CHANNEL}
    return SlackMessenger(slack, channel=CHANNEL, channel_ids=ids, status_link="")


def texts(slack: LocalSlack) -> list[str]:
    return [message.text for message in slack.workspace.messages(CHANNEL)]


async def test_what_is_marked(caplog: pytest.LogCaptureFixture) -> None:
    """Open incidents only, and none of the people's or the bot's other messages."""
    slack = LocalSlack()
    new = {"event_type": "auth0_check", "event_payload": {"k": "4:edit:1", "open": True}}
    ended = {"event_type": "auth0_check", "event_payload": {"k": "5:edit:1", "open": False}}
    await slack.post("1:post:1", text=f"<!here> <@U1> {OPEN}")
    await slack.post("2:post:1", text="ACKNOWLEDGED by <@U1> critical: Login fails at eu")
    await slack.post("3:post:2", text="RESOLVED: Login at eu works again")
    await slack.post("silence:1:begin", text="everything is silenced")
    await slack.call("chat.postMessage", {"channel": CHANNEL, "text": OPEN})
    for metadata in (new, ended):
        post = {"channel": CHANNEL, "text": "<@U1> Logins fail.", "metadata": metadata}
        await slack.call("chat.postMessage", post)

    await messenger_of(slack).mark_abandoned(view, slack.at + 1)

    assert texts(slack) == [
        f"NO LONGER UPDATED, was {OPEN}",
        "NO LONGER UPDATED, was ACKNOWLEDGED by <@U1> critical: Login fails at eu",
        "RESOLVED: Login at eu works again",
        "everything is silenced",
        OPEN,
        "NO LONGER UPDATED, was Logins fail.",
        "<@U1> Logins fail.",
    ]
    marked = slack.workspace.messages(CHANNEL)[0]
    assert [block["type"] for block in marked.blocks] == ["section", "context"]
    assert marked.metadata is not None
    assert marked.metadata["event_payload"] == {"k": ""}  # a new incident 1 has the same key
    assert f"{CHANNEL} has 3 open alert(s) of an earlier one, now marked" in caplog.text


async def test_our_own_messages_are_not_marked() -> None:
    """Neither those that the state knows, nor those that are newer than the start."""
    slack = LocalSlack()
    ref = await slack.post("1:post:1", text=OPEN)
    started_at = slack.at + 1
    await slack.post("2:post:1", text=OPEN)
    known = replace(INCIDENT, message=IncidentMessage(ref))

    await messenger_of(slack).mark_abandoned(lambda: view(known), started_at)

    assert texts(slack) == [OPEN, OPEN]


async def test_the_channel_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """Without the optional scope the log says so, once."""
    slack = LocalSlack()
    slack.workspace.state.app = App(scopes=frozenset({"chat:write"}))
    await slack.post("1:post:1", text=OPEN)

    await messenger_of(slack).mark_abandoned(view, slack.at + 1)

    assert texts(slack) == [OPEN]
    assert [(r.levelno, r.message) for r in caplog.records] == [
        (
            logging.WARNING,
            "cannot look for open alerts of an earlier database: missing_scope",
        )
    ]
