"""`demo`: the real bot against a local tenant, feed, control endpoint and Slack workspace."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from bot.app.bot import Bot
from bot.app.rules import control_target
from bot.core.model.observation import CONTROL, Target
from bot.core.state.problem import ProbeProblem
from bot.http import SystemNetwork
from bot.notify.pagerduty import ACCEPTED
from bot.simulator.calls import CallWatch
from bot.simulator.command import find_scenarios, render_event
from bot.simulator.contact_points import PagerDutyService
from bot.simulator.happening import NOTIFY
from bot.simulator.local import LOOPBACK, LocalTenants
from bot.simulator.log_api import LOG_READER
from bot.simulator.measurements import APIS
from bot.simulator.observability import ORGANIZATION, faulty_handler
from bot.simulator.people import press_button
from bot.simulator.playing import FaultyPath, MarkingProber, find_unplayable, slack_fault
from bot.simulator.scenario_settings import changes_of, measured_signals
from bot.simulator.simulation import build_workspace, settings_for
from bot.simulator.stage import DEFAULT_SPEED, FASTEST, Stage, Wanted
from bot.simulator.story import Event, Story
from bot.simulator.story_time import StoryClock, StoryLoop
from bot.simulator.workspace.grants import Grants
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.world import World
from bot.telemetry import set_up_logging

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.config import Settings
    from bot.core.state.incident import Incident
    from bot.simulator.observability import Handler
    from bot.simulator.scenario import Scenario, UserInput

MAX_WARMUP_S = 90.0
"""A demo's warm-up is cut to this: in it each tenant is checked once."""
RECOVERY_S = 300.0
"""Seconds of the story after its end in which the bot must see the recovery."""

ON_CALL: dict[str, Any] = {
    "oncall": {
        "zone": "Europe/Berlin",
        "rotation": {"people": ["U1", "U2"], "hand_over": "Mon 09:00", "start": "2026-01-05"},
    },
    "escalation": {
        "critical": [
            {"after": "3m", "tell": "mention"},
            {"after": "6m", "tell": "dm"},
            {"after": "9m", "tell": "next"},
        ]
    },
}
"""Used where a scenario's `bot` has none, so that there is somebody to acknowledge."""


async def play_demo(
    name: str, *, speed: float | None, port: int, headless: bool, echo: Callable[[str], None]
) -> int:
    """Play a scenario on real sockets, and then whatever people choose on the page.

    Args:
        name: of an example, or a file's path.
        speed: how many times as fast as real time; None: the default.
        port: of the page; 0: any.
        headless: print the story and end by itself, else go on until cancelled.
        echo: prints a line.

    Returns 0 if the alerts are what the scenario says and no incident is open whose fault has
    ended, else 1. Raises ValueError where the scenario cannot be played, OSError where the port
    is taken.
    """
    set_up_logging((), logging.ERROR)
    usual, port = (FASTEST, 0) if headless else (DEFAULT_SPEED, port)
    wanted = Wanted(name, speed or usual)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StoryLoop)  # noqa: S101 - the command line makes it so
    while True:
        scenario = find_scenarios([wanted.scenario])[0]
        if problems := find_unplayable(scenario):
            raise ValueError("\n".join(problems))
        scenario = replace(scenario, warmup_s=min(scenario.warmup_s, MAX_WARMUP_S))
        async with AsyncExitStack() as stack:
            demo = Demo(scenario, loop, wanted, echo)
            await demo.start(stack, port)
            if not headless:
                echo(f"\n  The channel: {demo.server.page_url}\n  Stop with Ctrl-C.\n")
            code = await demo.play(until_stopped=not headless)
            wanted, port = demo.stage.wanted, demo.server.port
        if headless:
            return code


@dataclass
class Demo:
    """One scenario on real sockets, and the bot in it."""

    scenario: Scenario
    loop: StoryLoop
    wanted: Wanted
    echo: Callable[[str], None]

    def __post_init__(self) -> None:
        begin = self.scenario.start_at - self.scenario.warmup_s
        self.clock = StoryClock(self.loop, self.wanted.speed, begin)
        self.world = World(self.scenario)
        self.workspace = build_workspace(self.scenario, self.clock.now)
        # What Slack issues for seconds is for a person's seconds, not for those of the story.
        self.workspace.state.grants = Grants(self.loop.time)
        self.workspace.fault = partial(slack_fault, self.world, self.clock)
        self.server = WorkspaceServer(self.workspace)
        self.bot: Bot | None = None
        self._webhook_token = token_urlsafe(24)
        self.story = Story(
            self.scenario, self._emit, self._incidents, CallWatch(self.workspace.state)
        )
        self.workspace.on_message(lambda *args: self.story.record_message(self.clock.now(), *args))

    async def start(self, stack: AsyncExitStack, port: int) -> None:
        """Start the servers, and build the bot for them."""
        self.server = WorkspaceServer(self.workspace, port=port)
        self.stage = Stage(self.scenario, self.loop, self.clock, self.wanted, self.server.page)
        self.workspace.on_message(self.stage.note_message)
        await stack.enter_async_context(self.server)
        logins = {t.name: t.logins for t in settings_for(self.scenario).tenants}
        tenants = LocalTenants(self.world, self.clock, logins)
        await stack.enter_async_context(tenants)
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="auth0-check-", ignore_cleanup_errors=True)
        )
        settings = self._build_settings(tenants, Path(folder))
        self.workspace.state.add_channels(settings.slack_channels())
        pagers = {
            point.name: await tenants.serve(self._pager_handler(point.name))
            for point in settings.notify
        }
        settings = _reach_pagers(settings, pagers)
        names: dict[Target, Target | str] = {
            control_target(url): Target(CONTROL, name) for name, url in tenants.control_urls.items()
        }
        names |= {
            target: APIS[gauge.kind]
            for target, gauge in measured_signals(self.scenario, settings).items()
            if gauge.kind in APIS
        }
        self.bot = Bot(
            settings,
            self.clock,
            network=FaultyPath(
                SystemNetwork(settings.resolve),
                self.world,
                self.clock,
                {
                    (LOOPBACK, int(address.rpartition(":")[2])): Target(NOTIFY, name)
                    for name, address in pagers.items()
                },
            ),
            wrap_prober=lambda prober: MarkingProber(prober, names),
        )

    async def play(self, *, until_stopped: bool) -> int:
        """Run the bot to the end of the story; see `play_demo` for what is returned."""
        assert self.bot is not None  # noqa: S101 - start comes first
        running = asyncio.create_task(self.bot.run())
        works = [self._play_commands(), self._post_changes()]
        works += [self.stage.wait_for_viewers(), self.stage.show()] if until_stopped else []
        helpers = [asyncio.create_task(work) for work in works]
        try:
            leaving = asyncio.create_task(self.stage.wait_for_choice())
            ending = asyncio.create_task(self._wait_for_end())
            helpers += [leaving, ending]
            await asyncio.wait({running, ending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                await running
            if leaving.done():
                return 0
            code = self._report_outcome()
            if until_stopped:
                self.echo("The story is over. The bot goes on; stop it with Ctrl-C.")
                await asyncio.wait({running, leaving}, return_when=asyncio.FIRST_COMPLETED)
            return code
        finally:
            self.loop.start_time()  # what ends waits for a second of it
            for task in (running, *helpers):
                task.cancel()
            await asyncio.gather(running, *helpers, return_exceptions=True)

    def _build_settings(self, tenants: LocalTenants, folder: Path) -> Settings:
        app = self.workspace.state.app
        return settings_for(
            self.scenario,
            slack={
                "bot_token": app.bot_token,
                "app_token": app.app_token,
                "channel": self.workspace.state.channels[0].id,
                "api_url": self.server.api_url,
            },
            prometheus={"url": tenants.prometheus_url, "token": tenants.secret},
            sentry={
                "url": tenants.sentry_url,
                "organization": ORGANIZATION,
                "token": tenants.secret,
            },
            hooks={"change": {"token": self._webhook_token}},
            tenants=[
                self._tenant_settings(tenant.name, tenants) for tenant in self.scenario.tenants
            ],
            controls=list(tenants.control_urls.values()),
            resolve=tenants.resolve,
            database=str(folder / "demo.sqlite"),
            server={"admin_listen": "127.0.0.1:0", "listen": "127.0.0.1:0"},
            **{key: value for key, value in ON_CALL.items() if key not in self.scenario.bot},
        )

    def _pager_handler(self, name: str) -> Handler:
        """Return what answers as PagerDuty's Events API, with the scenario's faults."""
        service = PagerDutyService(name)

        async def answer(request: web.Request) -> web.Response:
            event = await request.json()
            self.story.record_page(self.clock.now(), service.accept(event))
            return web.json_response({"status": "success"}, status=ACCEPTED)

        return faulty_handler(self.world, self.clock, Target(NOTIFY, name), answer)

    def _tenant_settings(self, name: str, tenants: LocalTenants) -> dict[str, Any]:
        given: dict[str, Any] = {
            "name": name,
            "ca_file": str(tenants.ca_file),
            "feed_url": tenants.feed_urls[name],
        }
        if any(log.tenant == name for log in self.scenario.logs):
            given["logs"] = {"client_id": LOG_READER, "client_secret": tenants.secret}
        return given

    def _incidents(self) -> dict[int, Incident]:
        engine = self.bot.engine if self.bot else None
        return engine.view().desk.incidents if engine else {}

    def _emit(self, event: Event) -> None:
        self.echo(render_event(event))

    async def _wait_for_end(self) -> None:
        """Wait for the end of the story, and then for the bot to see the recovery."""
        await self.clock.sleep_until(self.world.end_at)
        until = self.clock.now() + RECOVERY_S
        while self._unresolved_incidents() and self.clock.now() < until:
            await self.clock.sleep(1.0)

    def _unresolved_incidents(self) -> list[int]:
        """Return the open incidents whose fault has ended, without those that wait for people."""
        return [
            number
            for number, incident in self._incidents().items()
            if incident.is_open
            and not any(isinstance(p, ProbeProblem) and p.is_stopped for p in incident.problems)
            and not any(self.scenario.is_ongoing(name) for name in incident.tenants)
        ]

    def _report_outcome(self) -> int:
        answer, alerts = self.scenario.answer, len(self.story.alerts)
        left = self._unresolved_incidents()
        for number in left:
            self.echo(f"#{number} is still open, though its fault has ended")
        is_right = answer is None or bool(alerts) == answer.alert
        wanted = "none told" if answer is None else "one or more" if answer.alert else "none"
        self.echo(f"{self.scenario.name}: {alerts} alert(s); wanted: {wanted}")
        self.stage.end = (
            f"The end: {alerts} alert(s), wanted were {wanted}. The bot goes on. "
            "Restart it, or choose another scenario."
        )
        return 0 if is_right and not left else 1

    async def _post_changes(self) -> None:
        """Post deploys to the bot's webhook, as a pipeline does."""
        for at, change in changes_of(self.scenario):
            await self.clock.sleep_until(at)
            if self.bot and self.bot.public_address:
                host, port = self.bot.public_address
                body = {"what": change.what, "app": change.app, "tenant": change.tenant}
                body = {key: value for key, value in body.items() if value}
                headers = {"Authorization": f"Bearer {self._webhook_token}"}
                url = f"http://{host}:{port}/hooks/change"
                async with aiohttp.ClientSession() as session:
                    await session.post(url, json=body, headers=headers)

    async def _play_commands(self) -> None:
        """Let people type and click what the scenario says."""
        await asyncio.gather(*(self._act(one) for one in self.scenario.people))

    async def _act(self, one: UserInput) -> None:
        await self.clock.sleep_until(self.scenario.start_at + one.at_s)
        people = self.server.people
        self.story.call_watch.has_acted.add(one.user)
        if one.click:
            result = await press_button(people, one.user, one.click, one.incident)
            self.story.record_click(self.clock.now(), one, result)
        else:
            channel = self.workspace.state.channels[0].id
            await people.type_command(one.user, channel, one.say)


def _reach_pagers(settings: Settings, addresses: Mapping[str, str]) -> Settings:
    """Return the settings with local contact points, whatever addresses they name."""
    points = tuple(
        point.model_copy(
            update={
                "pagerduty": point.pagerduty
                and point.pagerduty.model_copy(update={"url": f"http://{addresses[point.name]}"})
            }
        )
        for point in settings.notify
    )
    return settings.model_copy(update={"notify": points})
