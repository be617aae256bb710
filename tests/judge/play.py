"""Plays worlds, all files and seeds in one pool, and keeps what the bot said in each."""

from __future__ import annotations

import gc
import logging
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.model.observation import Cause
from bot.simulator.reading import load_file
from bot.simulator.simulation import BOT_NAME, SCORE_AFTER_S, Simulation
from bot.simulator.virtual import run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bot.ports import View
    from bot.simulator.scenario import Answer, Scenario
    from bot.simulator.story import Event
    from bot.simulator.virtual import VirtualLoop

    Features = tuple[tuple[str, float], ...]
    ReadFeatures = Callable[[View], Features | None]

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "tests" / "scenarios"
GENERATED = re.compile(r"^(.+?)-\d+-\d+$")
"""The name of a generated world: its family, the seed and its number."""
SENTENCES = (
    (Cause.UNCLEAR, r"not clear"),
    (Cause.NETWORK, r"my machine's network|^I cannot check|of my machine"),
    (Cause.PROBE, r"^The test login"),
    (Cause.QUOTA, r"^A rate limit of|because of the tenant's rate limit"),
    (Cause.UPSTREAM, r"[Aa] provider behind Auth0"),
    (Cause.TENANT, r"[Aa] settings change in|[Aa] setting or code of this tenant"),
    (Cause.APP, r"^Our (?:release|application)|because of our (?:release|app)"),
    (Cause.AUTH0, r"^Auth0 (?:is|has)|because of Auth0"),
)
"""What the first line of a message says where it names a cause; the first that matches counts."""
AFTER_VERDICT_S = 90.0
"""Seconds that a world goes on after the instant of its score where only that matters."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file, played with one seed."""

    path: str
    seed: int
    """Added to that of the file."""


@dataclass(frozen=True, slots=True)
class Instant:
    """What triage saw at one instant, for the fit."""

    features: Features
    """The answer to each question, by its rule, and how strong it is."""
    good: tuple[str, ...]
    """The causes that are right at this instant."""
    is_scored: bool


@dataclass(frozen=True, slots=True)
class Played:
    """One world, and what the bot said in it."""

    name: str
    family: str
    truth: Cause
    good: tuple[Cause, ...]
    is_alert_due: bool
    cause: Cause
    confidence: float
    is_right: bool
    said_first: Cause | None
    """The cause that the first message names; None: there was no message."""
    changes: int
    """Changes of the cause after the first message."""
    calls_correct: bool | None
    instants: tuple[Instant, ...]


def family_of(name: str) -> str:
    """Return the family of a world: that of the generator, else the file alone."""
    match = GENERATED.match(name)
    return match[1] if match else name


def own_corpus() -> list[Path]:
    """Return the project's own scenarios that were there before worlds were generated."""
    return sorted(SCENARIOS.glob("*.yml")) + sorted((SCENARIOS / "unseen").glob("*.yml"))


def play(jobs: Sequence[Job], workers: int, read: ReadFeatures | None = None) -> Iterator[Played]:
    """Play worlds in one pool; the results come in the order of the jobs.

    Args:
        jobs: what to play.
        workers: how many processes.
        read: reads what the fit learns from; with it worlds end soon after their score.
    """
    play_job = partial(play_one, read=read)
    if workers == 1:
        yield from map(play_job, jobs)
        return
    with ProcessPoolExecutor(workers, initializer=collect_rarely) as pool:
        yield from pool.map(play_job, jobs, chunksize=4)


def collect_rarely() -> None:
    """Look for garbage less often: a world makes little, and that costs a sixth of the time."""
    gc.set_threshold(200_000, 50, 50)


def play_one(job: Job, read: ReadFeatures | None = None) -> Played:
    """Play one world, without its log: worlds without Slack would fill the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return _play_quietly(job, read)
    finally:
        logging.disable(before)


def _play_quietly(job: Job, read: ReadFeatures | None) -> Played:
    scenario = load_file(Path(job.path))
    answer = scenario.answer
    if answer is None:
        raise ValueError(f"{job.path}: no `answer`")
    if read and answer.decidable_s is not None:
        until_s = answer.decidable_s + SCORE_AFTER_S + AFTER_VERDICT_S
        scenario = replace(scenario, duration_s=min(scenario.duration_s, until_s))
    return _Recorder(scenario, answer, scenario.seed + job.seed, read).play()


def read_cause(text: str) -> Cause:
    """Return the cause that the text of a message names; unclear where it names none."""
    named = (cause for cause, words in SENTENCES if re.search(words, text))
    return next(named, Cause.UNCLEAR)


class _Recorder:
    """Plays one world and records what the fit and the tables need."""

    def __init__(
        self, scenario: Scenario, answer: Answer, seed: int, read: ReadFeatures | None
    ) -> None:
        self._scenario = scenario
        self._answer = answer
        self._seed = seed
        self._read = read
        self._first: Cause | None = None
        self._instants: list[Instant] = []

    def play(self) -> Played:
        made: list[Simulation] = []

        async def main(loop: VirtualLoop) -> None:
            self._simulation = Simulation(loop, self._scenario, self._seed, self._on_event)
            made.append(self._simulation)
            for after_s in self._instants_s():
                self._simulation.clock.call_at(self._scenario.start_at + after_s, self._record)
            await self._simulation.run()

        run_virtually(main)
        return self._result(made[0])

    def _instants_s(self) -> Iterator[float]:
        """Yield when evidence is recorded: early, at the instant of the score, and later."""
        decidable_s = self._answer.decidable_s
        if self._read and self._answer.alert and decidable_s is not None:
            yield decidable_s + SCORE_AFTER_S / 2
            yield decidable_s + SCORE_AFTER_S
            yield decidable_s + SCORE_AFTER_S + AFTER_VERDICT_S - 1

    def _on_event(self, event: Event) -> None:
        is_alert = event["event"] == "message" and event["key"].endswith(":post:1")
        if is_alert and event["severity"] in {"critical", "warning"} and self._first is None:
            self._first = read_cause(event["text"])
            self._record()

    def _record(self) -> None:
        """Record what triage sees of the gravest open incident."""
        decidable_s = self._answer.decidable_s
        features = self._read(self._simulation.engine.view()) if self._read else None
        if features is None or decidable_s is None:
            return
        offset_s = self._simulation.clock.now() - self._scenario.start_at
        good = {str(self._answer.cause), *map(str, self._answer.accept)}
        if offset_s < decidable_s:
            good.add("unclear")
        is_scored = abs(offset_s - decidable_s - SCORE_AFTER_S) < 1
        self._instants.append(Instant(features, tuple(sorted(good)), is_scored))

    def _result(self, simulation: Simulation) -> Played:
        answer, score = self._answer, simulation.scores()[BOT_NAME]
        story = simulation.story
        alerted_s = story.alerts[0] if story.alerts else float("inf")
        said = [cause for at_s, cause, _ in story.causes if at_s >= alerted_s - 1]
        return Played(
            name=self._scenario.name,
            family=family_of(self._scenario.name),
            truth=answer.cause,
            good=(answer.cause, *answer.accept),
            is_alert_due=answer.alert,
            cause=score.cause,
            confidence=score.confidence,
            is_right=score.is_right,
            said_first=self._first,
            changes=sum(a != b for a, b in pairwise(said)),
            calls_correct=story.are_calls_right,
            instants=tuple(self._instants),
        )


def jobs_of(paths: Iterable[Path], seeds: int) -> list[Job]:
    """Return the jobs for files, each with so many seeds."""
    return [Job(str(path), seed) for path in paths for seed in range(seeds)]
