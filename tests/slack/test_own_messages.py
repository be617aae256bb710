"""What becomes of the bot's own messages: deleted ones, copies, those of a lost database."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bot.core.state.desk import DeskState
from bot.core.state.incident import IncidentMessage
from bot.core.state.rules import Rules
from bot.core.state.tenant import Tenants
from bot.ports import View
from bot.simulator.workspace.model import App
from bot.slack.outbound.own_messages import CHECK_MESSAGES_S, mark_abandoned, watch_messages
from tests.slack.test_messenger import CHANNEL, INCIDENT, START, LocalSlack, lost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.core.state.incident import Incident

OPEN = "FIRING critical: Login fails at prod"


def view(*incidents: Incident) -> View:
    return View(START, Rules({}), Tenants({}), DeskState({i.id: i for i in incidents}))


class Clock:
    """Ends after some rounds; before each, something may happen."""

    speed = 1.0

    def __init__(self, happens: dict[int, Callable[[], Awaitable[object]]], last: int) -> None:
        self.round = 0
        self._happens = happens
        self._last = last

    def now(self) -> float:
        return START + CHECK_MESSAGES_S * self.round

    async def sleep(self, span_s: float) -> None:
        assert span_s == CHECK_MESSAGES_S
        self.round += 1
        if self.round > self._last:
            raise asyncio.CancelledError
        if self.round in self._happens:
            await self._happens[self.round]()


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

    await mark_abandoned(slack, [CHANNEL, CHANNEL], view, slack.at + 1)

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

    await mark_abandoned(slack, [CHANNEL, CHANNEL], lambda: view(known), started_at)

    assert texts(slack) == [OPEN, OPEN]


async def test_the_channel_cannot_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """Without the optional scope the log says so, once."""
    slack = LocalSlack()
    slack.workspace.state.app = App(scopes=frozenset({"chat:write"}))
    await slack.post("1:post:1", text=OPEN)

    await mark_abandoned(slack, [CHANNEL, CHANNEL], view, slack.at + 1)

    assert texts(slack) == [OPEN]
    assert [(r.levelno, r.message) for r in caplog.records] == [
        (
            logging.WARNING,
            "cannot look for open alerts of an earlier database: missing_scope",
        )
    ]


async def test_a_message_that_somebody_deletes() -> None:
    """Slack says for each open incident whether its message is there; if not, it is updated."""
    slack = LocalSlack()
    ref = await slack.post("1:post:1", text=OPEN)
    known = view(replace(INCIDENT, message=IncidentMessage(ref)))
    updated: list[tuple[int, int]] = []

    async def go_away() -> None:
        slack.is_away = True

    delete = {"channel": CHANNEL, "ts": ref.ts}
    clock = Clock({3: lambda: slack.call("chat.delete", delete), 4: go_away}, last=5)
    with pytest.raises(asyncio.CancelledError):
        await watch_messages(
            slack, clock, lambda: known, lambda number: updated.append((clock.round, number)), {}
        )

    assert updated == [(3, 1)]


@pytest.mark.parametrize("scopes", [None, {"chat:write"}])
async def test_a_copy_that_shows_late(
    scopes: set[str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A post whose answer was lost, and which shows after the second one, is marked as a copy."""
    slack = LocalSlack()
    ref = await slack.post("1:post:1", text=OPEN)
    known = view(replace(INCIDENT, message=IncidentMessage(ref)))
    delivery = replace(lost(slack), created_at=START, started_at=START)
    if scopes:
        slack.workspace.state.app = App(scopes=frozenset(scopes))

    clock = Clock({3: lambda: slack.post("1:post:1", text="the first one")}, last=9)
    with pytest.raises(asyncio.CancelledError):
        await watch_messages(slack, clock, lambda: known, lambda _: None, {1: delivery})

    copy = texts(slack)[1]
    assert texts(slack)[0] == OPEN
    if scopes:
        assert copy == "the first one"
        assert "cannot look for copies of 1:post:1: missing_scope" in caplog.text
    else:
        assert copy.startswith("NO LONGER UPDATED: Slack's answer was lost")
        assert "Incident #1 goes on" in copy
        assert slack.calls.count("chat.update") == 1
