"""Healthy, noisy months: how often people are alerted and called though nothing is wrong."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from math import cos, pi
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, TypeVar

from bot.app.rules import rules_of
from bot.core import step
from bot.core.model.observation import Severity
from bot.core.state.desk import BotState, DeskState
from bot.core.state.outbox import Post
from bot.core.state.stimulus import (
    Delivered,
    FeedPolled,
    Measured,
    Observed,
    PollFeed,
    QueryMetrics,
    Send,
    Started,
    StartProbe,
    Tick,
)
from bot.core.state.tenant import Tenants, TenantState
from bot.runtime.probe_runner import PROBES_PER_S
from bot.simulator.prober import VirtualProber
from bot.simulator.reading import load_file
from bot.simulator.scenario_settings import measured_signals
from bot.simulator.simulation import Simulation, settings_for
from bot.simulator.virtual import run_virtually
from bot.simulator.world import World
from tests.judge.play import collect_rarely

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterator

    from bot.core.model.observation import Target
    from bot.core.state.stimulus import Effect, Stimulus
    from bot.simulator.scenario import Scenario
    from bot.simulator.virtual import VirtualLoop

T = TypeVar("T")
PEOPLE_ARE_ALERTED = {Severity.CRITICAL, Severity.WARNING}
SLACK_S = 0.2
"""How long Slack takes to accept a message."""

DAYS = 30
QUIETEST_HOUR = 4
NIGHT = 0.12
"""Of the traffic at noon."""
SUNDAY = 6
HEAD = """\
format: 1
name: {name}
about: A healthy month with its noise.
start: 2026-06-01T00:00:00Z
warmup: 30m
duration: {hours}h
seed: {seed}
bot: {{slack: {{mention: "@here"}}}}
tenants:
  prod: {{domain: fjord.eu.auth0.com, environment: EU-1}}
  stage: {{domain: fjord-stage.eu.auth0.com, environment: EU-1}}
controls: [plain1, plain2]
timeline:
  - {{target: "*.login", share: 0.005, is: {{http: 503, body: html}}}}
"""
CALLS = (
    "  - {{signal: {app}, tenant: prod, from: {at}m, to: {to}m, requests: {rate:.2f}/min{more}}}"
)
ROWS = "  - {{tenant: prod, from: {at}m, to: {to}m, rows: {{s: {s:.2f}/min, fp: {fp:.2f}/min}}}}"
ANSWER = "answer: {cause: none, accept: [blip], alert: false}\n"


@dataclass(frozen=True, slots=True)
class Month:
    """What came of one month."""

    alerts: int
    calls: int
    checks: int
    """How many requests the bot made."""


def write_month(number: int, days: int = DAYS) -> str:
    """Write one month: a busy application, a small one, a log, dips, peaks and mailings."""
    random = Random(f"month {number}")  # noqa: S311 - a simulation
    sizes = {"web": 10 ** random.uniform(1.5, 2.3), "tool": 10 ** random.uniform(0.5, 1.2)}
    usual = {app: random.uniform(0.004, 0.02) for app in sizes}
    mailings = {(random.randrange(days), random.randrange(8, 18)) for _ in range(4)}
    metrics, rows = [], []
    for hour in range(-1, 24 * days):
        level = _level(hour, random)
        at, to = 60 * hour, 60 * hour + 60
        is_mailing = (hour // 24, hour % 24) in mailings
        for app, size in sizes.items():
            share = usual[app] + (0.02 if is_mailing else 0.0)
            rate = size * level * (1.4 if is_mailing else 1.0)
            more = f", errors: {100 * share:.2f}%"
            metrics.append(CALLS.format(app=app, at=at, to=to, rate=rate, more=more))
            if random.random() < 0.01:
                more = f", errors: {100 * min(0.06, 4 * share):.2f}%"
                peak = at + random.randrange(55)
                metrics.append(CALLS.format(app=app, at=peak, to=peak + 1, rate=rate, more=more))
        logins = sizes["web"] * 0.4 * level * (1.4 if is_mailing else 1.0)
        typos = logins * (0.25 if is_mailing else 0.07)
        rows.append(ROWS.format(at=at, to=to, s=logins, fp=typos))
    head = HEAD.format(name=f"month-{number}", hours=24 * days, seed=number)
    return "\n".join([head + "metrics:", *metrics, "logs:", *rows, ANSWER])


def _level(hour: int, random: Random) -> float:
    """Return the share of noon's traffic: nights, weekends, and evenings that differ."""
    day = NIGHT + (1 - NIGHT) * (1 - cos(2 * pi * (hour - QUIETEST_HOUR) / 24)) / 2
    week = 0.5 if hour // 24 % 7 >= SUNDAY - 1 else 1.0
    dip = random.uniform(0.6, 0.85) if hour % 24 in {18, 19} and random.random() < 0.2 else 1.0
    return day * week * dip * random.uniform(0.9, 1.1)


def play_months(count: int, workers: int, days: int = DAYS) -> Iterator[Month]:
    """Play months in one pool."""
    with ProcessPoolExecutor(workers, initializer=collect_rarely) as pool:
        yield from pool.map(play_month, range(count), [days] * count)


def play_month(number: int, days: int = DAYS) -> Month:
    """Play one month, without keeping what happens in it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"month-{number}.yml"
        file.write_text(write_month(number, days))
        return QuickPlayer(load_file(file)).play()


def play_whole(scenario: Scenario) -> Month:
    """Play a scenario with all of the bot: engine, delivery, messages and Slack."""
    made: list[Simulation] = []

    async def main(loop: VirtualLoop) -> None:
        made.append(Simulation(loop, scenario, scenario.seed, lambda _: None))
        await made[0].run()

    run_virtually(main)
    story = made[0].story
    calls = {call.incident for call in story.call_watch.calls}
    return Month(len(story.alerts), len(calls), made[0].requests.total())


class _Clock:
    """A `Clock` whose sleep hands the span to the player."""

    speed = 1.0

    def __init__(self, now: float) -> None:
        self.at = now

    def now(self) -> float:
        return self.at

    async def sleep(self, span_s: float) -> None:
        await _Sleep(span_s)


class _Sleep:
    def __init__(self, span_s: float) -> None:
        self._span_s = span_s

    def __await__(self) -> Generator[float, None, None]:
        yield self._span_s


class QuickPlayer:
    """Plays a scenario with the real step and the simulator's draws, and nothing else.

    Every check is drawn, and its result stepped, as the whole bot does it. What costs most of its
    time and decides nothing is left out: event loop, tasks, commits, messages. Slack takes each
    message after `SLACK_S`, and the bot's clock is right.
    """

    def __init__(self, scenario: Scenario) -> None:
        world, settings = World(scenario, scenario.seed), settings_for(scenario)
        self._rules, self._clock = rules_of(settings), _Clock(world.begin_at)
        self._end_at = world.end_at
        self._prober = VirtualProber(
            world, self._clock, measured_signals=measured_signals(scenario, settings)
        )
        names = self._rules.tenants
        phases = {n: TenantState(phase=place / len(names)) for place, n in enumerate(names)}
        self.state = BotState(Tenants(phases), DeskState())
        self._queue: list[tuple[float, bool, int, float, Callable[[], Stimulus | None]]] = []
        self._count, self._tick, self._next_start_at = 0, 0, 0.0
        self._waiting: set[Target] = set()
        self._alerts: set[int] = set()
        self._called: set[int] = set()

    def play(self) -> Month:
        """Play to the end."""
        self._step(Started(self._clock.at))
        while self._queue[0][0] <= self._end_at:
            _, _, number, at, work = heappop(self._queue)
            self._clock.at = max(at, self._clock.at)
            stimulus = work()
            if stimulus and (number == self._tick or not isinstance(stimulus, Tick)):
                self._step(stimulus)
        return Month(len(self._alerts), len(self._called), self._prober.requests.total())

    def _step(self, stimulus: Stimulus) -> None:
        self.state, effects = step.step(self.state, stimulus, self._rules)
        for effect in effects:
            self._act(effect)
        due = step.due_at(self.state, self._rules)
        if due is not None:
            self._tick = self._push(max(due, self._clock.at), lambda: Tick(self._clock.at))

    def _push(
        self, at: float, work: Callable[[], Stimulus | None], *, is_turn: bool = False
    ) -> int:
        self._count += 1
        # Rounded: sums that are one instant differ in their last digits.
        heappush(self._queue, (round(at, 5), is_turn, self._count, at, work))
        return self._count

    def _act(self, effect: Effect) -> None:
        now, prober = self._clock.at, self._prober
        match effect:
            case StartProbe(target=target):
                if target in self._waiting:
                    return
                self._waiting.add(target)
                start_at = max(now, self._next_start_at)
                self._next_start_at = start_at + 1 / PROBES_PER_S
                # What is due at the same instant asks for the same target first: it waits once.
                self._push(start_at, partial(self._begin, target), is_turn=True)
            case QueryMetrics(target=target):
                self._go_on(prober.measure(target), lambda got: Measured(self._clock.at, got))
            case PollFeed(target=target):
                self._go_on(prober.poll_feed(target), lambda got: FeedPolled(self._clock.at, got))
            case Send(key=key, body=Post(incident=number)):
                if self.state.desk.incidents[number].severity in PEOPLE_ARE_ALERTED:
                    self._alerts.add(number)
                taken = partial(Delivered, now + SLACK_S, number, "C1", f"{now:.6f}", key)
                self._push(now + SLACK_S, taken)
        if isinstance(effect, Send) and effect.call:
            self._called.add(effect.call.incident)

    def _begin(self, target: Target) -> None:
        self._waiting.discard(target)
        seen = self._prober.probe(target)
        self._go_on(seen, lambda got: Observed(self._clock.at, got))

    def _go_on(self, check: Coroutine[float, None, T], made: Callable[[T], Stimulus]) -> None:
        """Run a check to its next wait, or to its result, which is then stepped."""
        try:
            span_s = check.send(None)
        except StopIteration as ended:
            self._step(made(ended.value))
        else:
            self._push(self._clock.at + span_s, partial(self._go_on, check, made))
