"""Healthy, noisy months: how often people are alerted and called though nothing is wrong."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import cos, pi
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from bot.simulator.reading import load_file
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import run_virtually
from tests.judge.play import collect_rarely

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.simulator.virtual import VirtualLoop

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
        scenario = load_file(file)
    made: list[Simulation] = []

    async def main(loop: VirtualLoop) -> None:
        made.append(Simulation(loop, scenario, scenario.seed, lambda _: None))
        await made[0].run()

    run_virtually(main)
    story = made[0].story
    return Month(len(story.alerts), len(story.call_watch.calls))
