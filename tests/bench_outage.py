"""From the start of an outage to the message, beside Prometheus' rules: part of `make bench`.

All of it is virtual time, so the figures are the same on every machine, and tests hold them.
"""

from __future__ import annotations

import logging
import statistics
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from bot.simulator.reading import load_file
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import run_virtually

if TYPE_CHECKING:
    from bot.simulator.story import Event
    from bot.simulator.virtual import VirtualLoop

MINUTE_S = 60.0
TIMEOUT_S, ANSWER_S = 10.0, 0.2
WHOLE, LOGIN = "[prod.login, prod.wellknown]", "prod.login"
WORLD = """\
format: 1
name: outage
start: 2026-03-02T10:00:{onset_s:06.3f}Z
warmup: 3m
duration: {duration}
seed: {seed}
tenants:
  prod: {{domain: acme.us.auth0.com, environment: US-1}}
controls: [neutral]
timeline:
  - {{target: {target}, from: 0s, to: {to}, share: {share}, is: {fault}}}
"""


@dataclass(frozen=True, slots=True)
class Question:
    """An outage, what is to be reached, and what was measured before (seconds: mean, p95)."""

    what: str
    target: str
    fault: str
    goal: tuple[float, float]
    before: tuple[float, float]
    share: float = 1.0


UNAVAILABLE = "{http: 503, body: html}"
QUESTIONS = (
    Question("whole tenant answers 503", WHOLE, UNAVAILABLE, (28, 38), (35, 48)),
    Question("whole tenant refuses", WHOLE, "{connect: refused}", (28, 38), (35, 48)),
    Question("token endpoint answers 503", LOGIN, UNAVAILABLE, (30, 42), (50, 78)),
    Question("whole tenant hangs", WHOLE, "{hang: true}", (38, 48), (45, 58)),
    Question("token endpoint hangs", LOGIN, "{hang: true}", (40, 52), (60, 88)),
    Question("half of the logins answer 503", LOGIN, UNAVAILABLE, (100, 300), (130, 295), 0.5),
    Question("a fifth of the logins answers 503", LOGIN, UNAVAILABLE, (300, 900), (438, 1051), 0.2),
)


class Peer(NamedTuple):
    """Prometheus with blackbox_exporter and Alertmanager, as a state machine.

    An alert fires once its expression was true at all evaluations for `for_s`; then the group waits
    (Prometheus' alerting rules, Alertmanager's `group_wait`, read 2026-11). A sample counts once
    its scrape has ended. Measured with the real programs (2026-11-30): 156 and 46 s for 503.
    """

    name: str
    every_s: float
    for_s: float
    group_wait_s: float

    def alert_after_s(self, scraped_s: float, evaluated_s: float, *, hangs: bool) -> float:
        """Return when it notifies, with the first scrape and an evaluation at these instants."""
        known_s = scraped_s + (TIMEOUT_S if hangs else ANSWER_S)
        pending_s = evaluated_s + self.every_s * max(
            0, ceil((known_s - evaluated_s) / self.every_s)
        )
        firing_s = pending_s + self.every_s * ceil(self.for_s / self.every_s)
        return firing_s + self.group_wait_s


USUAL = Peer("Prometheus, defaults", 60.0, 60.0, 30.0)
TUNED = Peer("Prometheus, tuned", 15.0, 30.0, 0.0)


def ask_peer(peer: Peer, question: Question, steps: int = 40) -> tuple[float, float]:
    """Return mean and 95th percentile over all phases of scrapes and evaluations."""
    phases = [(step + 0.5) * peer.every_s / steps for step in range(steps)]
    hangs = "hang" in question.fault
    return summarize(
        [peer.alert_after_s(at, other, hangs=hangs) for at in phases for other in phases]
    )


def summarize(seconds: list[float]) -> tuple[float, float]:
    """Return the mean and the 95th percentile."""
    return statistics.mean(seconds), statistics.quantiles(seconds, n=20, method="inclusive")[-1]


def time_messages(question: Question, onsets: int, to: str = "1h") -> list[float]:
    """Return after how many seconds each of so many onsets, spread over the minute, was posted."""
    logging.disable(logging.CRITICAL)
    found = [_time_message(question, n, (n + 0.5) * MINUTE_S / onsets, to) for n in range(onsets)]
    logging.disable(logging.NOTSET)
    return [at for at in found if at is not None]


def _time_message(question: Question, seed: int, onset_s: float, to: str) -> float | None:
    is_partial = question.share < 1
    text = WORLD.format(
        onset_s=onset_s,
        duration="1h" if is_partial else "2m",
        seed=seed,
        target=question.target,
        to=to,
        share=question.share,
        fault=question.fault,
    )
    with TemporaryDirectory() as folder:
        file = Path(folder) / "outage.yml"
        file.write_text(text)
        scenario = load_file(file)
    posted: list[float] = []

    def listen(event: Event) -> None:
        if event["event"] == "message" and event["key"].endswith(":post:1"):
            posted.append(event["t"])

    async def main(loop: VirtualLoop) -> None:
        await Simulation(loop, scenario, seed, listen).run()

    run_virtually(main)
    return posted[0] if posted else None


def timed() -> list[tuple[str, ...]]:
    """Return a row for each question: ours, before, both peers, the goal, and the ratio."""
    rows = []
    for question in QUESTIONS:
        ours = summarize(time_messages(question, 20 if question.share < 1 else 40))
        tuned = ask_peer(TUNED, question) if question.share == 1 else None
        usual = ask_peer(USUAL, question) if question.share == 1 else None
        cells = (ours, question.before, usual, tuned, question.goal)
        shown = (f"{each[0]:.0f} / {each[1]:.0f}" if each else "-" for each in cells)
        ratio = f"{ours[0] / tuned[0]:.2f}" if tuned else "-"
        rows.append((question.what, *shown, ratio))
    return rows
