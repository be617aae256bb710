"""Plays worlds, all files and seeds in one pool, and keeps what the bot said in each."""

from __future__ import annotations

import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot.core.model.observation import Cause
from bot.simulator.reading import load_file
from bot.simulator.simulation import BOT_NAME, SCORE_AFTER_S, Simulation
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.slack.render.text import CAUSES, USERS_MAY_BE_FINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bot.simulator.scenario import Scenario
    from bot.simulator.story import Event

ROOT = Path(__file__).parents[2]
SCENARIOS = ROOT / "tests" / "scenarios"
GENERATED = re.compile(r"^(.+?)-\d+-\d+$")
"""The name of a generated world: its family, the seed and its number."""
NAMES = {
    text.removesuffix(USERS_MAY_BE_FINE).split(":")[0]: cause
    for cause, text in CAUSES.items()
    if cause not in {Cause.UNCLEAR, Cause.NONE, Cause.BLIP}
}
AFTER_VERDICT_S = 90.0
"""Seconds that a world goes on after the instant of its score where only that matters."""


@dataclass(frozen=True, slots=True)
class Job:
    """A file, played with one seed."""

    path: str
    seed: int
    """Added to that of the file."""
    is_for_fit: bool = False
    """Whether to record what triage sees, and to stop soon after the instant of the score."""


@dataclass(frozen=True, slots=True)
class Instant:
    """What triage saw at one instant, for the fit."""

    features: tuple[tuple[str, float], ...]
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


def play(jobs: Sequence[Job], workers: int) -> Iterator[Played]:
    """Play worlds in one pool; the results come in the order of the jobs."""
    if workers == 1:
        yield from map(play_one, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(play_one, jobs, chunksize=4)


def play_one(job: Job) -> Played:
    """Play one world."""
    scenario = load_file(Path(job.path))
    answer = scenario.answer
    if answer is None:
        raise ValueError(f"{job.path}: no `answer`")
    if job.is_for_fit and answer.decidable_s is not None:
        until_s = answer.decidable_s + SCORE_AFTER_S + AFTER_VERDICT_S
        scenario = replace(scenario, duration_s=min(scenario.duration_s, until_s))
    return _Recorder(scenario, scenario.seed + job.seed, is_for_fit=job.is_for_fit).play()


def read_cause(text: str) -> Cause:
    """Return the cause that the text of a message names; unclear where it names none."""
    _, _, verdict = text.rpartition("erdict")
    named = [(at, cause) for name, cause in NAMES.items() if (at := verdict.find(name)) >= 0]
    return min(named)[1] if named else Cause.UNCLEAR


class _Recorder:
    """Plays one world and records what the fit and the tables need."""

    def __init__(self, scenario: Scenario, seed: int, *, is_for_fit: bool) -> None:
        self._scenario = scenario
        self._is_for_fit = is_for_fit
        self._seed = seed
        self._first: Cause | None = None
        self._instants: list[Instant] = []

    def play(self) -> Played:
        made: list[Simulation] = []

        async def main(loop: VirtualLoop) -> None:
            made.append(Simulation(loop, self._scenario, self._seed, self._on_event))
            self._simulation = made[0]
            for after_s in self._instants_s() if self._is_for_fit else ():
                at = self._scenario.start_at + after_s
                made[0].clock.call_at(at, self._record)
            await made[0].run()

        run_virtually(main)
        return self._result(made[0])

    def _instants_s(self) -> Iterator[float]:
        """Yield when evidence is recorded: early ones, that of the score, and one later."""
        answer = self._scenario.answer
        if answer and answer.alert and answer.decidable_s is not None:
            yield answer.decidable_s + SCORE_AFTER_S / 2
            yield answer.decidable_s + SCORE_AFTER_S
            yield answer.decidable_s + SCORE_AFTER_S + AFTER_VERDICT_S - 1

    def _on_event(self, event: Event) -> None:
        is_alert = event["event"] == "message" and event["key"].endswith(":post:1")
        if is_alert and event["severity"] in {"critical", "warning"} and self._first is None:
            self._first = read_cause(event["text"])
            if self._is_for_fit:
                self._record()

    def _record(self) -> None:
        """Record what triage sees of the gravest open incident."""
        from tests.judge.features import read_features  # noqa: PLC0415 - features need the fit's table

        features = read_features(self._simulation.engine.view())
        answer = self._scenario.answer
        if features is None or answer is None or answer.decidable_s is None:
            return
        offset_s = self._simulation.clock.now() - self._scenario.start_at
        good = {str(answer.cause), *map(str, answer.accept)}
        if offset_s < answer.decidable_s:
            good.add("unclear")
        is_scored = abs(offset_s - answer.decidable_s - SCORE_AFTER_S) < 1
        self._instants.append(Instant(features, tuple(sorted(good)), is_scored))

    def _result(self, simulation: Simulation) -> Played:
        answer, score = self._scenario.answer, simulation.scores()[BOT_NAME]
        assert answer is not None
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
            changes=sum(a != b for a, b in zip(said, said[1:], strict=False)),
            calls_correct=story.are_calls_right,
            instants=tuple(self._instants),
        )


def jobs_of(paths: Iterable[Path], seeds: int, *, is_for_fit: bool = False) -> list[Job]:
    """Return the jobs for files, each with so many seeds."""
    return [Job(str(path), seed, is_for_fit) for path in paths for seed in range(seeds)]
