"""`simulate`: the real engine in a virtual world, in virtual time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from bot.app.clock import ClockWatch
from bot.app.notification_router import NotificationRouter
from bot.app.prober import ClockCheckedProber
from bot.app.rules import rules_of
from bot.config import ConfigError, Settings, build_settings
from bot.config.document import Document
from bot.core.commands.parse import parse_request
from bot.core.model.access import Person
from bot.core.model.command import Question, Request
from bot.core.model.measurement import Push
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.simulator.baselines import BaselinePlayers
from bot.simulator.bot_host import HostProber, build_bot_clock
from bot.simulator.calls import CallWatch
from bot.simulator.contact_points import build_contact_points
from bot.simulator.memory import MemoryStore
from bot.simulator.people import VirtualTransport, press_button
from bot.simulator.scenario_settings import (
    changes_of,
    channels_of,
    measured_signals,
    people_of,
    tenant_settings,
)
from bot.simulator.story import Event, Score, Story
from bot.simulator.virtual import VirtualClock, VirtualLoop, VirtualTimer, run_virtually
from bot.simulator.virtual_slack import VirtualSlack
from bot.simulator.workspace.model import SCOPES, App
from bot.simulator.workspace.people import People
from bot.simulator.workspace.workspace import Workspace
from bot.simulator.world import World
from bot.slack.inbound.forms import Forms
from bot.slack.outbound.answers import QuestionAnswerer
from bot.slack.outbound.messenger import SlackMessenger
from bot.slack.render.text import COMMAND

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from bot.core.model.finding import Finding
    from bot.core.model.measurement import ChangeMade
    from bot.core.state.stimulus import Effect
    from bot.ports import InboxItem
    from bot.simulator.prober import VirtualProber
    from bot.simulator.scenario import Scenario, UserInput

SCORE_AFTER_S = 60.0
"""Seconds that the bot has after `decidable`."""
BOT_NAME = "auth0-check"
"""The bot's name, beside those of the baselines."""
AFTER_ALL_S = 1e-6
"""Added to an instant, to come after everything else that happens then."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run of one scenario."""

    summary: Event
    scores: dict[str, Score]
    """The scores of the bot and the baselines; empty without an `answer`."""

    calls_correct: bool | None = None
    """Whether people were called as the `answer` says; None: it does not say."""

    @property
    def is_correct(self) -> bool:
        """Whether the bot gave the scenario's `answer`."""
        return BOT_NAME in self.scores and self.scores[BOT_NAME].is_right


def settings_for(scenario: Scenario, **given: Any) -> Settings:
    """Return the configuration for a scenario.

    Args:
        scenario: names tenants and controls; its `bot` overrides.
        given: whole sections or keys in place of the dummies, such as `slack`.

    Raises ConfigError, with the lines of the scenario, where `bot` is wrong.
    """
    values: dict[str, Any] = {
        "slack": {"bot_token": "xoxb-x", "app_token": "xapp-x", "channel": "#auth0-alerts"},
        "prometheus": {"url": "https://prometheus.example"},
        "sentry": {"organization": "acme", "token": "simulated"},
        "tenants": [tenant_settings(scenario, tenant) for tenant in scenario.tenants],
        "controls": [f"https://{name}" for name in scenario.controls],
    }
    merged = _merge(_merge(values, given), scenario.bot)
    places = {loc[1:]: place for loc, place in scenario.document.places.items() if "bot" in loc[:1]}
    places.setdefault((), scenario.document.place_of(()))
    return build_settings(Document(scenario.document.folder, places, merged))


def _merge(base: Any, over: Any) -> Any:
    """Merge one mapping over another; tenants and logins are matched by their names."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: _merge(base.get(key), value) for key, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list) and all(_has_name(o) for o in over):
        named = {entry["name"]: entry for entry in over}
        merged = [_merge(entry, named.pop(entry.get("name", "login"), {})) for entry in base]
        return [*merged, *named.values()]
    return over


def _has_name(entry: object) -> bool:
    return isinstance(entry, dict) and "name" in entry


def play_scenario(
    scenario: Scenario, seed: int, emit: Callable[[Event], None], *, requests: bool
) -> RunResult:
    """Play a scenario to its end, as fast as possible.

    Args:
        scenario: what happens.
        seed: which of its worlds.
        emit: gets each event, the summary last.
        requests: whether to emit each request as well.
    """
    begun = time.perf_counter()
    simulation: list[Simulation] = []

    async def main(loop: VirtualLoop) -> None:
        simulation.append(Simulation(loop, scenario, seed, emit, with_requests=requests))
        await simulation[0].run()

    run_virtually(main)
    story, counts = simulation[0].story, dict(sorted(simulation[0].requests.items()))
    summary = story.summary(seed, counts, time.perf_counter() - begun)
    judged = simulation[0].scores()
    if judged:
        summary |= {
            "cause_scored": story.cause_at_score,
            "correct": judged[BOT_NAME].is_right,
            "calls_correct": story.are_calls_right,
        }
    emit(summary)
    return RunResult(summary, judged, story.are_calls_right)


def build_workspace(scenario: Scenario, now: Callable[[], float]) -> Workspace:
    """Build the scenario's workspace; all that the bot can ask of Slack is granted."""
    app = App(scopes=SCOPES | {"dnd:read"})
    people, channels = people_of(scenario), channels_of(scenario)
    return Workspace(now, app=app, people=people, channels=channels)


async def examine_nothing() -> tuple[Finding, ...]:
    """Examine a set-up that is none."""
    return ()


class Simulation:
    """The bot and the scenario's world in one virtual loop."""

    def __init__(
        self,
        loop: VirtualLoop,
        scenario: Scenario,
        seed: int,
        emit: Callable[[Event], None],
        *,
        with_requests: bool = False,
        store: MemoryStore | None = None,
    ) -> None:
        self.world = World(scenario, seed)
        self.clock = VirtualClock(loop, self.world.begin_at)
        self._bot_clock = build_bot_clock(loop, self.clock, self.world)
        self._clock_watch = ClockWatch(self._bot_clock)
        self._loop = loop
        self._with_requests = with_requests
        settings = settings_for(scenario)
        self.workspace = build_workspace(scenario, self.clock.now)
        self.workspace.state.add_channels(settings.slack_channels())
        self._call_watch = CallWatch(self.workspace.state)
        self.story = Story(
            scenario,
            emit,
            lambda: self.engine.view().desk.incidents,
            self._call_watch,
            self._ahead_s,
        )
        self.workspace.on_message(lambda *args: self.story.record_message(self.clock.now(), *args))
        prober = self._build_prober(settings)
        self.requests = prober.requests
        self._accepting: set[asyncio.Task[object]] = set()
        store = store or MemoryStore()
        self.engine = Engine(
            rules_of(settings),
            clock=self._bot_clock,
            prober=ClockCheckedProber(prober, self._bot_clock, self._clock_watch),
            store=store,
            timer=VirtualTimer(self.clock, self._bot_clock),
            listener=self,
        )
        self.baselines = BaselinePlayers(self.engine.view)
        self._outbox_delivery = self._build_delivery(settings, store)
        self.engine.attach(self._outbox_delivery)
        self._clock_watch.attach(self._on_clock_correction, self.engine.submit)

    def _on_clock_correction(self, by_s: float, was_paused: bool) -> None:  # noqa: FBT001 - a callback
        if not was_paused:
            self.engine.correct_clock(by_s)

    def _build_prober(self, settings: Settings) -> VirtualProber:
        return HostProber(
            settings,
            self.world,
            self.clock,
            self._bot_clock,
            self._clock_watch,
            measured_signals=measured_signals(self.world.scenario, settings),
            timeout_s=settings.tenants[0].probe.timeout,
            on_request=self._on_request,
        )

    def _build_delivery(self, settings: Settings, store: MemoryStore) -> OutboxDelivery:
        slack = VirtualSlack(self.workspace, self.world, self.clock)
        self._questions = QuestionAnswerer(
            slack,
            self._bot_clock,
            view=self.engine.view,
            catch_up=self.engine.catch_up,
            submit=self.engine.submit,
            examine=examine_nothing,
        )
        self._forms = Forms(slack, self.engine.view)
        messenger = SlackMessenger(
            slack,
            channel=settings.slack.channel,
            channel_ids={
                ref: self.workspace.state.channel(ref).id for ref in settings.slack_channels()
            },
            status_link=settings.status_link,
            broadcasts_calls=settings.slack.broadcast,
        )
        return OutboxDelivery(
            clock=self._bot_clock,
            store=store,
            messenger=NotificationRouter(
                messenger,
                build_contact_points(
                    settings,
                    self.world,
                    self.clock,
                    lambda page: self.story.record_page(self.clock.now(), page),
                ),
            ),
            view=self.engine.view,
            submit=self.engine.submit,
        )

    async def run(self) -> None:
        """Play to the end of the scenario."""
        self._schedule_events()
        tasks = [
            asyncio.create_task(work) for work in (self.engine.run(), self._outbox_delivery.run())
        ]
        await self.clock.sleep(self.world.end_at - self.clock.now() + AFTER_ALL_S)
        if self.world.scenario.answer and self.story.cause_at_score is None:
            self._score()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _schedule_events(self) -> None:
        """Schedule what happens by itself."""
        scenario = self.world.scenario
        for begin_at, until in self.world.pauses():
            self.clock.call_at(begin_at, partial(self._loop.leap, until - begin_at))
        for at, change in changes_of(scenario):
            self.clock.call_at(at, partial(self._push_change, change))
        for place, one in enumerate(scenario.people):
            act = (
                partial(self._click, one) if one.click else partial(self._send_command, one, place)
            )
            self.clock.call_at(scenario.start_at + one.at_s, act)
        answer = scenario.answer
        if answer and answer.alert and answer.decidable_s is not None:
            at = scenario.start_at + answer.decidable_s + SCORE_AFTER_S + AFTER_ALL_S
            self.clock.call_at(min(at, self.world.end_at), self._score)

    def _push_change(self, change: ChangeMade) -> None:
        """Tell the bot of a change, which it takes for made just now."""
        at = change.at + self._ahead_s()
        self.accept(Push(change.id, at, (replace(change, at=at),)))

    def _ahead_s(self) -> float:
        """Return by how many seconds the bot's time is ahead of the true one."""
        return self._bot_clock.now() - self.clock.now()

    def _send_command(self, typed: UserInput, place: int) -> None:
        """Let somebody type something in Slack."""
        state, view = self.workspace.state, self.engine.view()
        self._call_watch.has_acted.add(typed.user)
        request = Request(
            f"saying-{place}",
            view.now,
            user=typed.user,
            channel=state.channels[0].id,
            person=self._find_person(typed.user),
        )
        request = parse_request(typed.say.removeprefix(COMMAND), request, view.desk, view.rules)
        self._take_request(request)

    def _click(self, clicked: UserInput) -> None:
        """Let somebody press a button in Slack."""
        self._call_watch.has_acted.add(clicked.user)
        transport = VirtualTransport(
            self._find_person, self.engine.view, self._take_request, self._forms
        )
        people = People(self.workspace.state, transport)

        async def press() -> None:
            button, number = clicked.click, clicked.incident
            result = await press_button(people, clicked.user, button, number)
            self.story.record_click(self.clock.now(), clicked, result)

        self._run_soon(press())

    def _find_person(self, user: str) -> Person:
        known = [u for u in self.workspace.state.people if u.id == user]
        return Person(user, known[0].zone, is_guest=known[0].is_guest) if known else Person(user)

    def _take_request(self, request: Request) -> None:
        """Answer a question; give the engine what changes something."""
        if isinstance(request.command, Question):
            self._run_soon(self._questions.answer(request))
        else:
            self.accept(request)

    def accept(self, received: InboxItem) -> None:
        """Give the engine a request or a push."""
        self._run_soon(self.engine.accept(received))

    def _run_soon(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)

    def listen(self, at: float, effect: Effect) -> None:
        """Record an effect, as the engine's `EffectListener`."""
        self.story.listen(at, effect)
        self.baselines.on_effect(effect)

    def _score(self) -> None:
        self.story.score()
        self.baselines.score()

    def scores(self) -> dict[str, Score]:
        """Return the scores; empty where the scenario has no `answer`."""
        answer, ours = self.world.scenario.answer, self.story.bot_score
        return {BOT_NAME: ours, **self.baselines.score_against(answer)} if answer and ours else {}

    def _on_request(self, place: str, at: float, result: str, latency_ms: float) -> None:
        self.story.record_request(at, result)
        if self._with_requests:
            self.story.emit_request(self.clock.now(), place, result, latency_ms)


__all__ = ["ConfigError", "RunResult", "Simulation", "play_scenario", "settings_for"]
