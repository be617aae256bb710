"""What is posted where, and how a message whose answer was lost is found again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.oncall import CallReason
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident, IncidentKind, IncidentLife, MessageRef
from bot.core.state.outbox import Call, Delivery, Post, Reply
from bot.core.state.rules import Rules
from bot.core.state.tenant import Tenants
from bot.core.state.timeline import WhyEntry
from bot.ports import Refused, View
from bot.simulator.workspace.workspace import Workspace
from bot.slack.outbound.messenger import (
    EVENT_TYPE,
    MAX_PAGES,
    MAX_TENANTS,
    PAGE_SIZE,
    SlackMessenger,
)
from bot.slack.web_api import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

START = 1_772_445_600.0
CHANNEL = "C0ALERTS"


class LocalSlack:
    """Slack's Web API over the local workspace; each call takes as long as Slack's limits want."""

    def __init__(self) -> None:
        self.at = START
        self.workspace = Workspace(lambda: self.at)
        self.calls: list[str] = []

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        self.at += 2.0
        self.calls.append(method)
        body = self.workspace.call(method, self.workspace.state.app.bot_token, params).body
        if not body["ok"]:
            raise refusal(body["error"])
        return body

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        raise NotImplementedError

    async def post(self, key: str, **more: Any) -> MessageRef:
        payload = {"event_type": EVENT_TYPE, "event_payload": {"k": key}}
        params = {"channel": CHANNEL, "text": "FIRING", "metadata": payload, **more}
        sent = await self.call("chat.postMessage", params)
        return MessageRef(sent["channel"], sent["ts"])

    async def chatter(self, count: int, **more: Any) -> None:
        for _ in range(count):
            await self.call("chat.postMessage", {"channel": CHANNEL, "text": "chatter", **more})


@pytest.fixture
def slack() -> LocalSlack:
    return LocalSlack()


@pytest.fixture
def messenger(slack: LocalSlack) -> SlackMessenger:
    return SlackMessenger(slack, channel=CHANNEL, status_link="")


def lost(slack: LocalSlack, key: str = "1:post:1", *, is_reply: bool = False) -> Delivery:
    body = Reply(1, WhyEntry(START)) if is_reply else Post(1)
    return Delivery(key, "incident:1", 1, body, created_at=slack.at, started_at=slack.at)


async def test_a_call_of_hundreds_of_tenants_is_taken(
    slack: LocalSlack, messenger: SlackMessenger
) -> None:
    """Slack limits a message's metadata: the call names the first tenants only."""
    tenants = tuple(f"{number:03}-{'x' * 36}" for number in range(500))
    incident = Incident(
        id=1,
        kind=IncidentKind.FAILING,
        severity=Severity.CRITICAL,
        tenants=tenants,
        since=START,
        verdict=Verdict(Cause.UNCLEAR, Scope.UNKNOWN, 0.0),
        life=IncidentLife(START),
    )
    call = Call(1, CallReason.BEGUN, START)
    delivery = Delivery("1:post:1", "incident:1", 1, Post(1), created_at=START, call=call)
    view = View(START, Rules({}), Tenants({}), DeskState({1: incident}))

    assert await messenger.send(delivery, view, None)
    (message,) = slack.workspace.messages(CHANNEL)
    assert message.metadata
    assert message.metadata["event_payload"] == {
        "k": "1:post:1",
        "incident": 1,
        "tenants": list(tenants[:MAX_TENANTS]),
        "reason": "begun",
    }


async def test_it_is_found_in_a_busy_channel(slack: LocalSlack, messenger: SlackMessenger) -> None:
    """People have written hundreds of messages since."""
    delivery = lost(slack)
    ref = await slack.post(delivery.key)
    await slack.chatter(2 * PAGE_SIZE)

    assert await messenger.find(delivery, None) == ref


async def test_it_is_found_in_a_long_thread(slack: LocalSlack, messenger: SlackMessenger) -> None:
    """The thread begins with its oldest reply."""
    top = await slack.post("1:post:1")
    await slack.chatter(PAGE_SIZE + 1, thread_ts=top.ts)
    slack.at += 2 * 3600.0
    delivery = lost(slack, "1:reply:9", is_reply=True)
    ref = await slack.post(delivery.key, thread_ts=top.ts)

    assert await messenger.find(delivery, top) == ref


async def test_what_did_not_arrive_is_not_found(
    slack: LocalSlack, messenger: SlackMessenger
) -> None:
    """The search ends where the channel's messages are older than the try by far."""
    await slack.chatter(3 * PAGE_SIZE)
    slack.at += 2 * 3600.0
    delivery = lost(slack)
    slack.calls.clear()

    assert await messenger.find(delivery, None) is None
    assert slack.calls == ["conversations.history"]


async def test_a_channel_that_is_too_busy(slack: LocalSlack, messenger: SlackMessenger) -> None:
    """It may be there: nobody knows, and the message is later labelled as a possible double."""
    delivery = lost(slack)
    channel = slack.workspace.state.channel(CHANNEL)
    await slack.chatter(1)
    (message,) = channel.messages.values()
    for number in range(MAX_PAGES * PAGE_SIZE):
        ts = f"{START + number}"
        channel.messages[ts] = message

    with pytest.raises(Refused, match="too_many_messages"):
        await messenger.find(delivery, None)
