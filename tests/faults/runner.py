"""Plays experiments again and again, at random moments, and tells how they went."""

from __future__ import annotations

import asyncio
import json
import time
import traceback
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from math import inf
from random import Random
from typing import TYPE_CHECKING

from rich.table import Table

from tests.faults.experiment import Tier
from tests.faults.lab import SOAK_S, Lab, MissedError
from tests.faults.preload import NotPossibleError, build_library

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from rich.console import Console

    from tests.faults.experiment import Experiment

WIDTH = 150


@dataclass(frozen=True)
class Conditions:
    """How a tier plays its experiments."""

    folder: Path
    """For logs and databases; those of runs that pass are removed."""
    seed: int
    at_once: int
    """Experiments that play at the same time."""
    is_quick: bool = False
    """Clocks run as fast as each experiment allows, on a machine that has other work."""
    soak_s: float = SOAK_S
    until: float = inf
    """By `time.monotonic()`: nothing is begun that may last longer."""


@dataclass
class Result:
    """How one run went."""

    experiment: str
    number: int
    took_s: float = 0.0
    measured: dict[str, float] = field(default_factory=dict)
    """What became true, after how many seconds."""
    failure: str = ""
    skipped: str = ""
    """Why this machine cannot play it."""
    ended_at: float = field(default_factory=time.time)

    @property
    def passed(self) -> bool:
        """Whether all promises were kept."""
        return not self.failure and not self.skipped


class Results:
    """The results of this run, and of those before it that are in the same file.

    Args:
        path: a line of JSON each; None: nothing is kept.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        known = path.read_text().splitlines() if path and path.exists() else []
        self.results = [Result(**json.loads(line)) for line in known]

    def add(self, result: Result) -> None:
        """Take a result."""
        self.results.append(result)
        if self._path:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")

    def count(self, name: str) -> int:
        """Return how often an experiment was played."""
        return sum(result.experiment == name for result in self.results)


async def play_all(
    times: Iterable[tuple[Experiment, range]],
    conditions: Conditions,
    keep: Callable[[Result], None] = lambda _: None,
) -> None:
    """Play experiments with these numbers: first those that need all of the machine, one by one.

    Of the others long ones begin first, and busy ones are played one after the other. Where time
    is short, none is played again before each had its turn.

    Args:
        times: what is to be played.
        conditions: how.
        keep: takes each result at once.
    """
    places, core = asyncio.Semaphore(conditions.at_once), asyncio.Semaphore(1)

    async def play_in_time(experiment: Experiment, number: int) -> None:
        speed = experiment.test_speed if conditions.is_quick else experiment.speed
        longest_s = experiment.lasts_s + max(experiment.promises.values()) / speed
        if time.monotonic() + longest_s <= conditions.until:
            keep(await play(experiment, number, conditions))

    async def play_when_possible(experiment: Experiment, number: int) -> None:
        async with core if experiment.is_busy else places:
            await play_in_time(experiment, number)

    with suppress(NotPossibleError):
        build_library()  # now: later it would keep the lab from answering
    ordered = sorted(
        times, key=lambda each: (each[0].tier < Tier.FULL, -max(each[0].promises.values()))
    )
    runs = [(each, number) for each, numbers in ordered for number in numbers]
    if conditions.until < inf:
        runs.sort(key=lambda run: run[1])
    for run in runs:
        if run[0].is_alone:
            await play_in_time(*run)
    await asyncio.gather(*(play_when_possible(*run) for run in runs if not run[0].is_alone))


async def play(experiment: Experiment, number: int, conditions: Conditions) -> Result:
    """Play an experiment once. Never raises."""
    result = Result(experiment.name, number)
    folder = conditions.folder / f"{experiment.name}-{number}"
    folder.mkdir(parents=True)
    lab = Lab(
        folder,
        tenants=experiment.tenants,
        promises=experiment.promises,
        dice=Random(f"{conditions.seed} {experiment.name} {number}"),  # noqa: S311 - no secret
        speed=experiment.test_speed if conditions.is_quick else experiment.speed,
        is_shared=conditions.is_quick or experiment.speed > 1,
        is_quick=conditions.is_quick,
        soak_s=conditions.soak_s,
    )
    began = time.monotonic()
    try:
        async with lab.open():
            await experiment.play(lab)
            await lab.check_secrets()
        missed = experiment.promises.keys() - lab.measured.keys()
        result.failure = ", ".join(f"never measured: {each}" for each in sorted(missed))
    except NotPossibleError as error:
        result.skipped = str(error)
    except MissedError as error:
        result.failure = str(error)
    except Exception:  # noqa: BLE001 - a mistake of the experiment is a failure, too
        result.failure = traceback.format_exc()
    result.took_s, result.measured = time.monotonic() - began, lab.measured
    result.ended_at = time.time()
    if result.failure:
        _keep(lab, result, began)
    else:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    return result


def _keep(lab: Lab, result: Result, began: float) -> None:
    """Write what is known of a failed run beside its database: seconds since it began."""
    events = [(at, f"log  {line}") for program in lab.programs for at, line in program.lines]
    events += [(call.at, f"call {call.method} {call.channel}") for call in lab.slack.calls]
    events += [(each.at, f"post {each.text}") for each in lab.slack.messages]
    events += [(each.at, f"page {each.contact_point} {each.action}") for each in lab.outside.pages]
    events += [(each.at, f"login {each.tenant} {each.is_answered}") for each in lab.tenants.logins]
    lines = [f"{at - began:8.2f} {what}" for at, what in sorted(events)]
    text = "\n".join([result.failure, json.dumps(result.measured), *lines])
    (lab.folder / "events.txt").write_text(text + "\n")


def print_table(
    experiments: Iterable[Experiment], results: list[Result], folder: Path, console: Console
) -> None:
    """Print a row for each promise, and why runs failed."""
    by_name = defaultdict[str, list[Result]](list)
    for result in results:
        by_name[result.experiment].append(result)
    table = Table("fault", "experiment", "what must be true", "limit", "runs", "passed", "worst")
    for experiment in experiments:
        runs = by_name[experiment.name]
        passed = sum(run.passed for run in runs)
        name, style = experiment.name, "" if passed == len(runs) else "red"
        for promise, limit_s in experiment.promises.items():
            times = [run.measured[promise] for run in runs if promise in run.measured]
            worst = f"{max(times):.2f} {experiment.unit}" if times else "-"
            limit = f"{limit_s:g} {experiment.unit}"
            row = (experiment.kind, name, promise, limit, f"{len(runs)}", f"{passed}")
            table.add_row(*row, worst, style=style)
            name = ""
    console.print(table)
    for result in results:
        if result.skipped:
            console.print(f"{result.experiment} was skipped: {result.skipped}")
        elif result.failure:
            where = folder / f"{result.experiment}-{result.number}"
            console.print(f"{result.experiment} failed: {result.failure}\n  see {where}")


def as_json(results: list[Result]) -> str:
    """Return the results for another program."""
    return json.dumps([asdict(result) for result in results])
