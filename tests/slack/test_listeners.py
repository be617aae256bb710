from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.request import Verb
from bot.slack.actions import CHECK_AGAIN, LINKS, CheckAgain
from bot.slack.listeners import FOREIGN, NOT_NOTED, OLD_BUTTON
from bot.slack.socket import Socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.slack.listeners import Listeners

PROD = CheckAgain(tenant="prod").model_dump_json()


@pytest.fixture(autouse=True)
async def running(slack: Any, api: Any, clock: Any, listeners: Listeners) -> AsyncIterator[None]:
    """The real Bolt app, connected over Socket Mode."""
    socket = Socket(listeners.app(), "xapp-canary", api, clock)
    task = asyncio.create_task(socket.run())
    await slack.opened.wait()
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def told(slack: Any, listeners: Listeners) -> list[tuple[str, str]]:
    """What people were told, and how."""
    await listeners.close()
    return [
        (method, sent["text"])
        for method, sent, _ in slack.calls
        if method in {"click", "command", "chat.postEphemeral"}
    ]


async def test_command(slack: Any, payloads: Any, inbox: Any) -> None:
    """A command is in the inbox when it is acknowledged, with all that is needed to answer."""
    ack = await slack.deliver("slash_commands", payloads.command("run prod share"))

    assert "payload" not in ack
    (request,) = inbox.requests.values()
    assert (request.verb, request.argument, request.share) == (Verb.RUN, "prod", True)
    assert (request.user, request.channel) == ("U1", "C1")
    assert request.response_url == slack.hook("command")
    assert request.id.startswith("command:")


async def test_renamed_command(slack: Any, payloads: Any, inbox: Any) -> None:
    """The command may have another name in the app's manifest."""
    await slack.deliver("slash_commands", payloads.command("", command="/auth0-staging"))

    assert [request.verb for request in inbox.requests.values()] == [Verb.STATUS]


async def test_click(slack: Any, payloads: Any, inbox: Any) -> None:
    """Check again asks for a run of the button's tenant."""
    await slack.deliver("interactive", payloads.click(CHECK_AGAIN, PROD))

    (request,) = inbox.requests.values()
    assert (request.verb, request.argument, request.channel) == (Verb.RUN, "prod", "C1")
    assert request.id.startswith("click:")


async def test_mention(slack: Any, payloads: Any, inbox: Any) -> None:
    """A mention takes the same words as the command."""
    await slack.deliver("events_api", payloads.mention("alerts"), retry_attempt=0)

    (request,) = inbox.requests.values()
    assert (request.verb, request.user, request.channel) == (Verb.ALERTS, "U1", "C1")
    assert (request.id[:6], request.response_url) == ("event:", "")


async def test_duplicates(slack: Any, payloads: Any, inbox: Any) -> None:
    """A delivery that Slack repeats is acknowledged again and accepted once."""
    envelopes = [
        ("slash_commands", payloads.command("run")),
        ("interactive", payloads.click(CHECK_AGAIN, PROD)),
        ("events_api", payloads.mention("status")),
    ]

    for kind, payload in envelopes * 2:
        await slack.deliver(kind, payload, retry_attempt=1, retry_reason="timeout")

    assert len(inbox.requests) == 3


@pytest.mark.parametrize("action_id", LINKS)
async def test_link(
    slack: Any, payloads: Any, inbox: Any, listeners: Listeners, action_id: str
) -> None:
    """A link button is acknowledged, and that is all."""
    await slack.deliver("interactive", payloads.click(action_id))

    assert inbox.requests == {}
    assert await told(slack, listeners) == []


@pytest.mark.parametrize(
    ("action_id", "value"),
    [
        ("acknowledge_v0", "{}"),
        (CHECK_AGAIN, ""),
        (CHECK_AGAIN, "prod"),
        (CHECK_AGAIN, '{"v":2,"tenant":"prod"}'),
        (CHECK_AGAIN, '{"v":1,"tenant":"prod","run":"rm"}'),
        (CHECK_AGAIN, '{"v":1,"tenant":"<!channel>"}'),
        (CHECK_AGAIN, '{"v":1,"tenant":"' + "x" * 41 + '"}'),
        (CHECK_AGAIN, '{"v":1,"tenant":["prod"]}'),
        (CHECK_AGAIN, "[" * 2000),
    ],
)
async def test_old_button(
    slack: Any, payloads: Any, inbox: Any, listeners: Listeners, action_id: str, value: str
) -> None:
    """An unknown button, or one with a value that is not ours, is explained and does nothing."""
    await slack.deliver("interactive", payloads.click(action_id, value))

    assert inbox.requests == {}
    assert await told(slack, listeners) == [("click", OLD_BUTTON)]


async def test_other_workspace(slack: Any, payloads: Any, inbox: Any, listeners: Listeners) -> None:
    """People of another company, as in a shared channel, are turned away kindly."""
    ann = {"id": "U9", "team_id": "T9"}

    ack = await slack.deliver("slash_commands", payloads.command("run", team_id="T9"))
    await slack.deliver("interactive", payloads.click(CHECK_AGAIN, PROD, user=ann))
    await slack.deliver("events_api", payloads.mention("run", user_team="T9"))

    assert inbox.requests == {}
    assert ack["payload"] == {"text": FOREIGN}
    assert await told(slack, listeners) == [("click", FOREIGN), ("chat.postEphemeral", FOREIGN)]


@pytest.mark.parametrize("is_slow", [True, False])
async def test_inbox_fails(
    slack: Any,
    payloads: Any,
    inbox: Any,
    listeners: Listeners,
    caplog: pytest.LogCaptureFixture,
    *,
    is_slow: bool,
) -> None:
    """When the inbox fails or hangs, the acknowledgement comes in time and people are told."""
    inbox.delay_s, inbox.error = (60.0, None) if is_slow else (0.0, OSError("disk full"))

    ack = await slack.deliver("slash_commands", payloads.command("run"))
    await slack.deliver("interactive", payloads.click(CHECK_AGAIN, PROD))
    await slack.deliver("events_api", payloads.mention("run"))

    assert ack["payload"] == {"text": NOT_NOTED}
    assert await told(slack, listeners) == [("click", NOT_NOTED), ("chat.postEphemeral", NOT_NOTED)]
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 3
    assert "/hook/" not in caplog.text


async def test_hanging_handlers(slack: Any, payloads: Any, inbox: Any, until: Any) -> None:
    """Commands that hang do not delay the next: it is the first to be acknowledged."""
    inbox.delay_s = 60.0
    hanging = [payloads.command("run") for _ in range(20)]
    for number, payload in enumerate(hanging):
        envelope = {"type": "slash_commands", "envelope_id": f"H{number}", "payload": payload}
        await slack.sockets[-1].send_json(envelope)
    await until(lambda: inbox.started == len(hanging))
    inbox.delay_s = 0.0

    await slack.deliver("slash_commands", payloads.command("status"))

    assert [request.verb for request in inbox.requests.values()] == [Verb.STATUS]


@pytest.mark.parametrize("missing", ["trigger_id", "user_id", "text"])
async def test_unreadable(
    slack: Any, payloads: Any, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    """A payload without what we need is acknowledged with a sentence and logged."""
    payload = payloads.command("run")
    del payload[missing]

    ack = await slack.deliver("slash_commands", payload)

    assert ack["payload"] == {"text": NOT_NOTED}
    assert "not understood" in caplog.text


async def test_other_bots(slack: Any, payloads: Any, inbox: Any) -> None:
    """Bots that mention us are not answered: they could answer back for ever."""
    await slack.deliver("events_api", payloads.mention("status", bot_id="B9"))

    assert inbox.requests == {}


async def test_cannot_tell(
    slack: Any,
    payloads: Any,
    inbox: Any,
    listeners: Listeners,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """When even the excuse cannot be sent, that is logged, without the secret address."""
    inbox.error = OSError("disk full")
    slack.answers["click"] = (404, {}, b"expired_url")

    await slack.deliver("interactive", payloads.click(CHECK_AGAIN, PROD))
    await listeners.close()

    assert "expired_url" in caplog.text
    assert "/hook/" not in caplog.text
