"""How the bot gets along with a Slack that is away, refuses it, and comes back."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from bot.core.state.rules import Rules
from bot.ports import Doubt, Reason, Refused
from bot.simulator.virtual import VirtualClock, VirtualLoop, run_virtually
from bot.slack.checks import SCOPES, SlackStatus, Workspace
from bot.slack.session import (
    MAX_PAUSE_S,
    MAX_RETRY_AFTER_S,
    RECHECK_S,
    REFUSED_PAUSE_S,
    SlackSession,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.ports import CallFailed
    from bot.slack.web_api import SlackWeb

START = 1_700_000_000.0
HOUR_S = 3600.0
AWAY = Refused("Slack", Reason.UNREACHABLE, "unreachable")
REVOKED = Refused("Slack", Reason.REJECTED, "token_revoked")
ANSWERS = {
    "auth.test": {"team": "Acme", "team_id": "T1", "user": "auth0-check", "user_id": "U0BOT"},
    "apps.connections.open": {"url": "wss://slack.invalid"},
    "conversations.info": {"channel": {"id": "C1", "is_member": True}},
}


@dataclass
class FakeWeb:
    """Slack's Web API in virtual time: each method is well, or fails as `faults` say."""

    clock: VirtualClock
    faults: dict[str, CallFailed] = field(default_factory=dict)
    calls: list[tuple[float, str]] = field(default_factory=list)
    api_url: str = "https://slack.invalid/api/"
    granted_scopes: frozenset[str] = frozenset({*SCOPES, "users:read"})

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        self.calls.append((self.clock.now(), method))
        if fault := self.faults.get(method) or self.faults.get("all"):
            raise fault
        if params.get("channel") == "C2":
            raise Refused("Slack", Reason.REJECTED, "channel_not_found")
        return cast("Mapping[str, Any]", ANSWERS[method])

    def times(self, method: str) -> list[float]:
        return [at for at, name in self.calls if name == method]


@dataclass
class World:
    clock: VirtualClock
    web: FakeWeb
    session: SlackSession
    workspaces: list[Workspace] = field(default_factory=list)

    def status(self) -> SlackStatus:
        return self.session.health.status

    async def accept(self) -> None:
        self.workspaces.append(await self.session.wait_until_accepted())


def play(
    story: Callable[[World], Awaitable[None]],
    channels: tuple[str, ...] = ("C1",),
    *,
    is_http: bool = False,
) -> None:
    """Run a session beside a story, in virtual time."""

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, START)
        web = FakeWeb(clock)
        app_token = None if is_http else "xapp-canary"
        session = SlackSession(
            cast("SlackWeb", web),
            clock,
            Rules({}),
            channels={channel: f"the setting of {channel}" for channel in channels},
            app_token=app_token,
        )
        world = World(clock, web, session)
        tasks = [asyncio.create_task(work) for work in (session.run(), world.accept())]
        await story(world)
        assert not tasks[0].done()  # nothing ends the session
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    run_virtually(main)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.levelname} {record.message}" for record in caplog.records]


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


@pytest.mark.parametrize("fault", [AWAY, Doubt("Slack", "http_503")], ids=str)
def test_slack_is_away_for_two_hours_from_the_start(
    fault: CallFailed, caplog: pytest.LogCaptureFixture
) -> None:
    """The pauses grow to half a minute, and soon after Slack is back the bot is accepted."""

    async def story(world: World) -> None:
        world.web.faults["all"] = fault
        await world.clock.sleep(2 * HOUR_S)
        assert world.status() is SlackStatus.CONNECTING
        assert world.session.health.since == START
        assert "Slack at https://slack.invalid/api/" in world.session.health.reason
        tries = world.web.times("auth.test")
        pauses = [later - earlier for earlier, later in pairwise(tries)]
        assert all(pause <= MAX_PAUSE_S for pause in pauses)
        assert pauses[0] < 2
        assert min(pauses[10:]) > 10
        assert len({round(pause, 3) for pause in pauses[10:]}) > 10  # not in step with others
        assert world.workspaces == []

        world.web.faults.clear()
        await world.clock.sleep(MAX_PAUSE_S)
        assert world.status() is SlackStatus.CONNECTED
        assert world.session.health.since > START + 2 * HOUR_S
        assert world.session.health.reason == ""
        assert [w.team_id for w in world.workspaces] == ["T1"]

    play(story)

    away, back = lines(caplog)  # an outage is two lines, however long it is
    assert away.startswith("WARNING Slack at https://slack.invalid/api/ ")
    assert back == "INFO Slack accepts the bot: it posts to Acme as @auth0-check"


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open", "conversations.info"])
def test_a_refusal_is_said_once_and_retried_slowly(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The line has the remedy. Whoever mends it need not restart the bot."""

    async def story(world: World) -> None:
        world.web.faults[method] = REVOKED
        if method == "conversations.info":
            world.web.faults[method] = Refused("Slack", Reason.REJECTED, "channel_not_found")
        await world.clock.sleep(HOUR_S)
        health = world.session.health
        assert (health.status, health.since) == (SlackStatus.REFUSED, START)
        assert len(world.web.times("auth.test")) == HOUR_S / REFUSED_PAUSE_S

        world.web.faults.clear()
        await world.clock.sleep(REFUSED_PAUSE_S)
        assert world.status() is SlackStatus.CONNECTED

    play(story)

    refused, accepted = lines(caplog)
    assert refused.startswith("ERROR ")
    assert ": copy the" in refused
    assert accepted.startswith("INFO Slack accepts the bot")


def test_a_token_that_is_revoked_on_a_quiet_day() -> None:
    """It is noticed within a minute, not at the next alert."""

    async def story(world: World) -> None:
        await world.clock.sleep(HOUR_S)
        world.web.faults["auth.test"] = REVOKED
        await world.clock.sleep(RECHECK_S)

        assert world.status() is SlackStatus.REFUSED
        assert "token_revoked" in world.session.health.reason
        # Socket Mode's address is not asked for without need.
        assert len(world.web.times("apps.connections.open")) == 1

    play(story)


@pytest.mark.parametrize(("asked_s", "waited_s"), [(90.0, 90.0), (86_400.0, MAX_RETRY_AFTER_S)])
def test_slacks_limit_is_kept(asked_s: float, waited_s: float) -> None:
    """The bot waits as long as Slack wants, but not for a day."""

    async def story(world: World) -> None:
        world.web.faults["all"] = Refused("Slack", Reason.RATE_LIMITED, "ratelimited", asked_s)
        await world.clock.sleep(waited_s - 1)
        assert len(world.web.calls) == 1

        world.web.faults.clear()
        await world.clock.sleep(2)
        assert world.status() is SlackStatus.CONNECTED

    play(story)


def test_socket_mode_does_not_connect() -> None:
    """A new check of the app token is made at once; until Slack accepts it nobody goes on."""

    async def story(world: World) -> None:
        await world.clock.sleep(10)
        world.web.faults["apps.connections.open"] = REVOKED
        again = asyncio.create_task(world.session.check_again())
        await world.clock.sleep(1)
        assert world.status() is SlackStatus.REFUSED
        assert "SLACK_APP_TOKEN" in world.session.health.reason
        assert not again.done()

        world.web.faults.clear()
        await world.clock.sleep(REFUSED_PAUSE_S)
        assert again.done()

    play(story)


def test_one_of_two_channels_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """That one is named. What people type is answered all the same."""

    async def story(world: World) -> None:
        await world.clock.sleep(1)
        assert world.status() is SlackStatus.REFUSED
        assert world.session.channel_ids == {"C1": "C1"}
        assert len(world.workspaces) == 1

    play(story, ("C2", "C1"))

    (line,) = lines(caplog)
    assert "the setting of C2 C2 is unknown to the bot" in line


def test_http_mode_has_no_app_token() -> None:
    """Slack is not asked for a Socket Mode connection."""

    async def story(world: World) -> None:
        await world.clock.sleep(HOUR_S)
        assert world.status() is SlackStatus.CONNECTED
        assert world.web.times("apps.connections.open") == []

    play(story, is_http=True)
