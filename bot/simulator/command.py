"""The `simulate` command: reads the files, plays them, and prints the results."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from statistics import mean, median, quantiles
from typing import TYPE_CHECKING

from bot.config import ConfigError
from bot.simulator.reading import example_names, load_example, load_file
from bot.simulator.scenario import ScenarioError
from bot.simulator.score import compare, render_tables
from bot.simulator.simulation import RunResult, play_scenario, settings_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.simulator.scenario import Scenario
    from bot.simulator.story import Event


SCORED = frozenset({"cause_scored", "correct", "calls_correct"})
"""The fields of a summary that only `--score` prints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateCommand:
    """Plays scenarios and prints their events."""

    echo: Callable[[str], None]
    is_json: bool = False
    is_scored: bool = False
    is_compared: bool = False
    with_requests: bool = False

    def run(self, files: Sequence[str], seeds: int | None) -> bool:
        """Play all files. Returns whether each result is what its `answer` says.

        Raises ValueError with every problem of every file.
        """
        scenarios = find_scenarios(files)
        untold = [scenario.name for scenario in scenarios if scenario.answer is None]
        if self.is_compared and untold:
            raise ValueError(f"no `answer` to compare with: {', '.join(untold)}")
        if seeds is None:
            runs = [self._play_once(scenario) for scenario in scenarios]
        else:
            runs = self._play_seeds(scenarios, seeds)
        if self.is_compared:
            summary = compare(runs)
            self.echo(json.dumps(summary) if self.is_json else render_tables(summary))
        return all(run.is_correct and run.calls_correct is not False for run in runs)

    def _play_once(self, scenario: Scenario) -> RunResult:
        return play_scenario(scenario, scenario.seed, self._emit, requests=self.with_requests)

    def _emit(self, event: Event) -> None:
        if event["event"] == "summary" and not self.is_scored:
            event = {k: v for k, v in event.items() if k not in SCORED}
        self.echo(json.dumps(event) if self.is_json else render_event(event))

    def _play_seeds(self, scenarios: list[Scenario], seeds: int) -> list[RunResult]:
        """Play each file in many worlds, on all cores."""
        jobs = [(s, s.seed + place) for s in scenarios for place in range(seeds)]
        with ProcessPoolExecutor() as pool:
            runs = list(pool.map(_play_quietly, *zip(*jobs, strict=True)))
        for _, group in groupby(runs, key=lambda run: run.summary["scenario"]):
            self._print_worlds(list(group))
        return runs

    def _print_worlds(self, runs: list[RunResult]) -> None:
        if self.is_json:
            for run in runs:
                self._emit(run.summary)
        summary = summarize_worlds(runs)
        if self.is_json:
            self.echo(json.dumps(summary))
        else:
            self.echo(_render_worlds(summary))


def _render_worlds(summary: Event) -> str:
    has_calls = summary["calls_correct_share"] is not None
    head = "{scenario}: {seeds} worlds, correct {correct_share:.0%}, alerts in {alerted_share:.0%}"
    head += ", calls correct {calls_correct_share:.0%}" if has_calls else ""
    times = "; first alert after mean {mean_s} s, median {median_s} s, 95 % {p95_s} s"
    return (head + (times if summary["mean_s"] is not None else "")).format(**summary)


def summarize_worlds(runs: list[RunResult]) -> Event:
    """Summarize many worlds of one scenario; the times are those of the first alert, in seconds."""
    calls = [run.calls_correct for run in runs if run.calls_correct is not None]
    firsts = [s for run in runs if (s := run.summary["first_alert_s"]) is not None]
    return {
        "event": "seeds",
        "scenario": runs[0].summary["scenario"],
        "seeds": len(runs),
        "correct_share": round(mean(run.is_correct for run in runs), 3),
        "calls_correct_share": round(mean(calls), 3) if calls else None,
        "alerted_share": round(len(firsts) / len(runs), 3),
        "mean_s": round(mean(firsts), 1) if firsts else None,
        "median_s": round(median(firsts), 1) if firsts else None,
        "p95_s": round(_p95(firsts), 1) if firsts else None,
    }


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20, method="inclusive")[-1] if len(values) > 1 else values[0]


def _play_quietly(scenario: Scenario, seed: int) -> RunResult:
    return play_scenario(scenario, seed, lambda _: None, requests=False)


def find_scenarios(names: Sequence[str]) -> list[Scenario]:
    """Read files, or examples by name. Raises ValueError with every problem of every file."""
    found, problems = [], []
    for name in names:
        try:
            scenario = find_scenario(name)
            settings_for(scenario)
        except (ScenarioError, ConfigError) as error:
            problems.append(str(error))
        else:
            found.append(scenario)
    if problems:
        raise ValueError("\n".join(problems))
    return found


def find_scenario(name: str) -> Scenario:
    """Read one file, or the example of that name. Raises ScenarioError."""
    if Path(name).exists():
        return load_file(Path(name))
    if name not in example_names():
        near = get_close_matches(name, example_names(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"examples: {', '.join(example_names())}"
        raise ScenarioError(f"{name}: neither a file nor an example; {hint}")
    return load_example(name)


def render_event(event: Event) -> str:
    """Return an event as a line for people."""
    minutes, seconds = divmod(abs(event["t"]), 60)
    time = f"{'-' if event['t'] < 0 else '+'}{minutes:03.0f}:{seconds:04.1f}"
    text = _RENDERERS[event["event"]](event).replace("\u200b", "")  # it can be copied
    return f"{time}  {event['event']:<8} {text}"


def _render_summary(event: Event) -> str:
    alert = event["first_alert_s"]
    first = "no alert" if alert is None else f"{event['alerts']} alert(s), first after {alert} s"
    speed = event["virtual_s"] / max(event["wall_s"], 0.001)
    verdict = ""
    if "correct" in event:
        right = "right" if event["correct"] else "WRONG"
        verdict = f"; scored {event['cause_scored']}: {right}"
        if event["calls_correct"] is not None:
            verdict += f", calls {'right' if event['calls_correct'] else 'WRONG'}"
    return (
        f"{event['scenario']}, seed {event['seed']}: {first}; "
        f"cause {event['cause_final']}{verdict}; "
        f"{sum(event['requests'].values())} requests, {speed:.0f} times real time"
    )


_RENDERERS: dict[str, Callable[[Event], str]] = {
    "request": lambda e: f"{e['target']}: {e['result']} ({e['latency_ms']} ms)",
    "greeting": lambda e: f"{e['channel']}: {e['text'].splitlines()[0]}",
    "signal": lambda e: f"{e['tenant']}.{e['signal']} {e['state']} ({e['reason']})",
    "incident": lambda e: (
        f"#{e['incident']} {e['state']}, {e['severity']}: {', '.join(e['tenants'])}"
    ),
    "verdict": lambda e: (
        f"#{e['incident']} {e['cause']} ({e['confidence']:.2f}, {e['scope']}): "
        + "; ".join(e["because"])
    ),
    "message": lambda e: f"[{e['kind']}] {e['text']}",
    "page": lambda e: f"#{e['incident']} {e['action']} by {e['contact_point']}",
    "click": lambda e: f"{e['user']} {e['click']} #{e['incident']}: {e['result']}",
    "call": lambda e: f"#{e['incident']} {e['how']} {', '.join(e['who'])}: {e['reason']}",
    "summary": _render_summary,
}
