"""A test alert in a local workspace, with somebody who presses the button."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from aiohttp import web

from bot.app.clock import SystemClock
from bot.app.rehearsal import (
    NAME,
    Rehearsal,
    WatchedMessenger,
    shorten,
)
from bot.config.loading import build_settings, load_document
from bot.core.model.finding import Finding, Level, worst_level
from bot.core.state.outbox import Delivery, Post
from bot.ports import CallFailed
from bot.simulator.people import press_button
from bot.simulator.workspace.model import MessageKind
from bot.slack.web_api import refusal
from tests.app.test_doctor import Place, place

if TYPE_CHECKING:
    from pathlib import Path

    from bot.config import Settings

ROTATION = {"people": ["U1", "U2"], "hand_over": "Mon 09:00", "start": "2026-01-05"}
STEPS = [
    {"after": "5m", "tell": "dm"},
    {"after": "10m", "tell": "next"},
    {"after": "15m", "tell": "pager"},
]


async def settings_of(here: Place, folder: Path, pager: str) -> Settings:
    whole = here.good() | {
        "oncall": {"rotation": ROTATION},
        "escalation": {"critical": STEPS},
        "notify": [{"name": "pager", "pagerduty": {"routing_key": "x" * 32, "url": pager}}],
    }
    file = folder / "bot.yml"
    file.write_text(json.dumps(whole))
    return build_settings(load_document(file, {}))


async def test_a_test_alert_goes_the_whole_way(tmp_path: Path) -> None:
    """Post, mention, direct messages, pager, click, end; then nothing of it is left in Slack."""
    pages: list[dict[str, Any]] = []
    seen: list[tuple[MessageKind, str]] = []
    found: list[Finding] = []

    async def page(request: web.Request) -> web.Response:
        pages.append(await request.json())
        return web.json_response({"status": "success"}, status=202)

    async with place(tmp_path) as here:
        pager = await here.tenants.serve(page)
        settings = await settings_of(here, tmp_path, f"http://{pager}")
        here.workspace.on_message(lambda _, kind, message: seen.append((kind, message.text)))
        pressed: list[asyncio.Task[Any]] = []

        def note(finding: Finding) -> None:
            found.append(finding)
            if finding.what == "acknowledge":
                click = press_button(here.server.people, "U2", "acknowledge", 1)
                pressed.append(asyncio.create_task(click))

        await Rehearsal(settings, note, clock=SystemClock(8.0, SystemClock().now())).play()
        left = here.workspace.messages("C0ALERTS")
    lines = {finding.what: finding for finding in found}

    assert worst_level(found) is Level.OK, found
    assert lines.keys() >= {
        *("post, with a mention", "direct message to U1", "direct message to U2"),
        *("call by pager", "acknowledgement by pager", "end by pager"),
        *("click on Acknowledge", "end", "messages"),
    }, lines.keys()
    assert lines["click on Acknowledge"].detail == "by U2"
    posts = [text for kind, text in seen if kind in {MessageKind.POST, MessageKind.DIRECT}]
    assert posts
    assert all(NAME in text for text in posts), posts
    assert all(NAME in event["payload"]["summary"] for event in pages if "payload" in event)
    assert left == []
    assert not (tmp_path / "bot.sqlite").exists()


class Unreached:
    """A `Messenger` whose Slack cannot be reached."""

    async def send(self, *_: Any) -> None:
        raise refusal("unreachable")


async def test_what_did_not_arrive_is_said_once() -> None:
    """The bot tries again; the person reads a line."""
    found: list[Finding] = []
    watched = WatchedMessenger(cast("Any", Unreached()), found.append)
    post = Delivery("1:post:1", "incident:1", 1, Post(1), created_at=0.0)
    for _ in range(3):
        with pytest.raises(CallFailed):
            await watched.send(post, cast("Any", None), None)

    assert [(one.what, one.detail) for one in found] == [("post", "unreachable")]


async def test_nobody_is_asked_about_a_post_that_is_not_there(tmp_path: Path) -> None:
    """If Slack is lost on the way, nobody is to press a button, and nothing is removed."""
    found: list[Finding] = []
    async with place(tmp_path) as here:
        settings = await settings_of(here, tmp_path, "http://127.0.0.1:9")
    nowhere = settings.slack.model_copy(update={"api_url": "http://127.0.0.1:9/api/"})
    settings = settings.model_copy(update={"slack": nowhere, "notify": ()})
    clock = SystemClock(99.0, SystemClock().now())
    await Rehearsal(settings, found.append, clock=clock, patience_s=0.0).play()
    lines = {finding.what: finding for finding in found}

    assert lines["Slack"].level is Level.PROBLEM
    assert not lines.keys() & {"acknowledge", "click on Acknowledge", "messages"}, lines


async def test_slack_is_lost_on_the_way(tmp_path: Path) -> None:
    """The test ends soon and says so, what was paged is resolved, and nobody is waited for."""
    pages: list[str] = []
    found: list[Finding] = []
    ended: list[asyncio.Task[None]] = []

    async def page(request: web.Request) -> web.Response:
        pages.append((await request.json())["event_action"])
        return web.json_response({"status": "success"}, status=202)

    def note(finding: Finding) -> None:
        found.append(finding)
        if finding.what == "acknowledge":
            rehearsal.patience_s = 0.5
            ended.append(asyncio.create_task(here.server.stop()))

    async with place(tmp_path) as here:
        pager = await here.tenants.serve(page)
        settings = await settings_of(here, tmp_path, f"http://{pager}")
        clock = SystemClock(5.0, SystemClock().now())
        rehearsal = Rehearsal(settings, note, clock=clock)
        await rehearsal.play()
    lines = {finding.what: finding for finding in found}

    assert ended
    assert lines["Slack"].detail.startswith("no Slack for 0 s, so the test ends: ")
    assert "by hand" in lines["Slack"].remedy
    assert "click on Acknowledge" not in lines
    assert pages[0] == "trigger"
    assert pages[-1] == "resolve"


async def test_only_me(tmp_path: Path) -> None:
    """With `only`, one person is called, and no pager."""
    async with place(tmp_path) as here:
        settings = await settings_of(here, tmp_path, "http://127.0.0.1:9")
    short = shorten(settings, "U7")

    assert short.notify == ()
    assert short.slack.mention == "U7"
    assert short.oncall
    assert short.oncall.rotation
    assert short.oncall.rotation.people == ("U7",)
    assert [step.tell for step in short.escalation.critical] == ["dm"]
