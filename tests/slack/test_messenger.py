"""What is posted where, and how a message whose answer was lost is found again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.command import Request, ShowSilences
from bot.core.model.observation import Cause, Scope, Severity, Target, Verdict
from bot.core.oncall import CallReason
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident, IncidentKind, IncidentLife, MessageRef
from bot.core.state.outbox import Answer, Call, CrossPost, Delivery, Edit, Post, Reply
from bot.core.state.rules import Rules
from bot.core.state.silence import Silence
from bot.core.state.tenant import Tenants
from bot.core.state.timeline import MentionEntry, ReopenedEntry
from bot.ports import Doubt, Reason, Refused, View
from bot.simulator.workspace.workspace import Workspace
from bot.slack.outbound.messenger import MAX_TENANTS, SlackMessenger
from bot.slack.outbound.own_messages import EVENT_TYPE, MAX_PAGES, PAGE_SIZE
from bot.slack.web_api import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

START = 1_772_445_600.0
CHANNEL = "C0ALERTS"
INCIDENT = Incident(
    id=1,
    kind=IncidentKind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod",),
    since=START,
    life=IncidentLife(START),
    verdict=Verdict(Cause.AUTH0, Scope.ENVIRONMENT, 0.9),
)


class LocalSlack:
    """Slack's Web API over the local workspace; each call takes as long as Slack's limits want."""

    def __init__(self) -> None:
        self.at = START
        self.workspace = Workspace(lambda: self.at)
        self.calls: list[str] = []
        self.is_away = False

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        self.at += 2.0
        self.calls.append(method)
        if self.is_away:
            raise Doubt("Slack", "timeout")
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
    body = Reply(1, ReopenedEntry(START)) if is_reply else Post(1)
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
        "open": True,
    }


@pytest.mark.parametrize(("count", "pages"), [(5, 1), (40, 3), (400, 4)])
async def test_a_long_answer_has_pages(
    slack: LocalSlack, messenger: SlackMessenger, count: int, pages: int
) -> None:
    """Nothing of it is left out, up to four pages; the last one says if there is more."""
    silences = {
        n: Silence(n, Target("shop", ""), START, START + 9e5, "U0BEN", f"<{n}> " + "&" * 99)
        for n in range(1, count + 1)
    }
    view = View(START, Rules({}), Tenants({}), DeskState(silences=silences))
    request = Request("r", START, ShowSilences(), user="U1", channel=CHANNEL, is_direct=True)

    await messenger.send(
        Delivery("answer:r:1", "answer:r", 1, Answer(request), created_at=START), view, None
    )

    messages = slack.workspace.messages(CHANNEL)
    shown = json.dumps([message.blocks for message in messages])
    assert len(messages) == pages == len(slack.calls)
    assert all(f"S{n} *shop*" in shown for n in silences if pages < 4)
    assert ("and there is more" in shown) == (pages == 4)


@pytest.mark.parametrize(
    ("mentioned", "is_on", "seen"),
    [
        (("U1",), True, "in both"),
        (("U1",), False, "in the thread"),
        (("@here",), True, "in the channel"),
        (("S0TEAM",), False, "in the channel"),
    ],
)
async def test_where_a_call_is_seen(
    slack: LocalSlack, mentioned: tuple[str, ...], seen: str, *, is_on: bool
) -> None:
    """Without broadcasts in the thread alone, but for a group, which a reply may not notify."""
    messenger = SlackMessenger(slack, channel=CHANNEL, status_link="", broadcasts_calls=is_on)
    ref = await messenger.send(lost(slack), view(slack), None)
    entry = MentionEntry(START, mentioned)
    call = Call(1, CallReason.BEGUN, START)
    delivery = replace(lost(slack, "1:mention:1"), body=Reply(1, entry), call=call)

    await messenger.send(delivery, view(slack), ref)

    message = slack.workspace.messages(CHANNEL)[-1]
    places = {(True, True): "in both", (True, False): "in the thread"}
    assert places.get((bool(message.thread_ts), message.broadcast), "in the channel") == seen


@pytest.fixture
def teams(slack: LocalSlack) -> SlackMessenger:
    """A messenger of a bot whose tenant has a channel of its own, which was then archived."""
    slack.workspace.state.add_channels(["C0TEAM"])
    slack.workspace.state.channel("C0TEAM").is_archived = True
    return SlackMessenger(slack, channel=CHANNEL, status_link="")


def view(slack: LocalSlack) -> View:
    return View(slack.at, Rules({}), Tenants({}), DeskState({1: INCIDENT}))


async def test_a_channel_that_is_gone(slack: LocalSlack, teams: SlackMessenger) -> None:
    """The alert goes to the default channel: somebody must see it."""
    delivery = replace(lost(slack), body=Post(1, "C0TEAM"))

    ref = await teams.send(delivery, view(slack), None)

    assert ref is not None
    assert ref.channel == CHANNEL
    assert len(slack.workspace.messages(CHANNEL)) == 1


@pytest.mark.parametrize("body", [Edit(1), Reply(1, ReopenedEntry(START))], ids=["edit", "reply"])
async def test_a_channel_that_is_gone_with_the_message(
    slack: LocalSlack, teams: SlackMessenger, body: Edit | Reply
) -> None:
    """The message counts as lost, so that it is posted again."""
    with pytest.raises(Refused) as caught:
        await teams.send(replace(lost(slack), body=body), view(slack), MessageRef("C0TEAM", "1.0"))

    assert caught.value.reason is Reason.MESSAGE_LOST


async def test_a_link_for_a_channel_that_is_gone(slack: LocalSlack, teams: SlackMessenger) -> None:
    """It is dropped: what follows in the incident's lane must not wait for it."""
    delivery = replace(lost(slack), body=CrossPost(1, "C0TEAM"))

    assert await teams.send(delivery, view(slack), MessageRef(CHANNEL, "1.0")) is None
    assert slack.workspace.messages(CHANNEL) == []


async def test_a_name_becomes_an_id(slack: LocalSlack) -> None:
    """Slack searches no channel by its name: the search is put off until the id is known."""
    ids: dict[str, str] = {}
    messenger = SlackMessenger(slack, channel="#auth0-alerts", channel_ids=ids, status_link="")
    delivery = lost(slack)
    ref = await slack.post(delivery.key)
    with pytest.raises(Refused) as caught:
        await messenger.find(delivery, None)
    assert caught.value.reason is Reason.UNAVAILABLE

    ids["#auth0-alerts"] = CHANNEL

    assert await messenger.find(delivery, None) == ref


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
