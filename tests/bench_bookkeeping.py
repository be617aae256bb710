"""How cheap the bookkeeping is: storms, months, commits. Part of `make bench`.

Where a figure is CPU time, other programs on the machine hardly disturb it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from bot.core.model.observation import CONTROL, Fault, Observation, Outcome, Stage, Target
from bot.core.state.desk import BotState, DeskState
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import Observed, Started, StartProbe, Stimulus, Tick
from bot.core.state.tenant import Tenants, TenantState
from bot.core.step import due_at, step
from bot.ports import Change
from bot.simulator.memory import MemoryStore
from bot.simulator.reading import load_file
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.store import open_store
from tests.judge.months import QuickPlayer, write_month

if TYPE_CHECKING:
    from bot.simulator.scenario import Scenario

GONE = Fault(Stage.HTTP, "http_503", 503)
PROBES_PER_S = 50.0
HEALTHY_S, STORM_S = 70.0, 120.0
DAY_HOURS = 24
ONE_TENANT = """\
format: 1
name: one
start: 2026-03-02T10:00:00Z
warmup: 5m
duration: 60m
seed: 1
tenants: {prod: {domain: acme.us.auth0.com, environment: US-1}}
controls: [plain1, plain2]
timeline: []
"""
WARM_UP_COMMITS = 30
WATCHED_MIN = 65


class Storm:
    """Many tenants of one environment, probed in turn, that all fail from an instant on."""

    def __init__(self, count: int) -> None:
        names = [f"t{number:05}" for number in range(count)]
        hosts = (Target(CONTROL, "one"), Target(CONTROL, "other"))
        self._rules = Rules({n: TenantRules(n, n, "EU-1") for n in names}, hosts)
        phases = {name: TenantState(phase=place / count) for place, name in enumerate(names)}
        self._state = BotState(Tenants(phases), DeskState())
        self._waiting: dict[Target, None] = {}
        self._now = self._next_turn_at = 0.0
        self.times_ms: list[float] = []
        self._step(Started(0.0))

    def play(self, span_s: float, fault: Fault | None) -> None:
        """Go on for so long, with this result of each tenant's probes."""
        end_at = self._now + span_s
        while self._now < end_at:
            due = due_at(self._state, self._rules)
            turn_at = max(self._next_turn_at, self._now) if self._waiting else end_at
            self._now = min(turn_at, max(self._now, end_at if due is None else due))
            if due is not None and due <= self._now:
                self._step(Tick(self._now))
            elif self._waiting:
                target = next(iter(self._waiting))
                del self._waiting[target]
                self._next_turn_at = self._now + 1 / PROBES_PER_S
                failed = None if target.owner == CONTROL else fault
                outcome = Outcome.FAILED if failed else Outcome.OK
                seen = Observation(target, self._now - 0.2, outcome, 0.2, failed)
                self._step(Observed(self._now, seen))

    def _step(self, stimulus: Stimulus) -> None:
        begun_s = time.process_time()
        self._state, effects = step(self._state, stimulus, self._rules)
        self.times_ms.append((time.process_time() - begun_s) * 1000)
        started = (effect for effect in effects if isinstance(effect, StartProbe))
        self._waiting |= dict.fromkeys(effect.target for effect in started)


def stormed() -> list[tuple[str, str, str]]:
    """Step through two minutes in which all tenants fail."""
    rows = []
    for count, goal in ((20, ""), (500, "0.3 ms"), (1000, "0.3 ms")):
        storm = Storm(count)
        storm.play(HEALTHY_S, None)
        storm.times_ms.clear()
        storm.play(STORM_S, GONE)
        times = storm.times_ms
        p95 = quantiles(times, n=20)[-1]
        measured = f"mean {sum(times) / len(times):.2f} ms, 95 % {p95:.2f}, max {max(times):.0f}"
        rows.append((f"one step while all of {count:,} tenants fail", goal, measured))
    return rows


def played() -> tuple[str, str, str]:
    """Play a day of a healthy, noisy month."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "month-0.yml"
        file.write_text(write_month(0, days=1))
        player = QuickPlayer(load_file(file))
    begun_s = time.process_time()
    player.play()
    return "judge-long: a day", "1.2 s CPU", f"{time.process_time() - begun_s:.1f} s CPU"


class RecordingStore(MemoryStore):
    """Remembers what was committed."""

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[Change] = []

    async def commit(self, change: Change) -> None:
        """Apply a change, which the engine uses no more."""
        self.changes.append(change)
        await super().commit(change)


def written() -> tuple[str, str, str]:
    """Write what an hour with one healthy tenant commits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "one.yml"
        file.write_text(ONE_TENANT)
        changes = _record(load_file(file))
        size = asyncio.run(_measure_bytes(changes, folder))
    a_day = size / (len(changes) - WARM_UP_COMMITS) * len(changes) / WATCHED_MIN * 1440 / 1e6
    measured = f"{a_day:.0f} MB, {len(changes) / WATCHED_MIN:.1f} commits a minute"
    return "written a day, one healthy tenant", "15 MB", measured


def _record(scenario: Scenario) -> list[Change]:
    store = RecordingStore()

    async def main(loop: VirtualLoop) -> None:
        await Simulation(loop, scenario, 1, lambda _: None, store=store).run()

    run_virtually(main)
    return [change for change in store.changes if change != Change()]


async def _measure_bytes(changes: list[Change], folder: Path) -> int:
    store = await open_store(str(folder / "one.sqlite"), 0.0)
    for change in changes[:WARM_UP_COMMITS]:
        await store.commit(change)
    before = _written_bytes()
    for change in changes[WARM_UP_COMMITS:]:
        await store.commit(change)
    size = _written_bytes() - before
    await store.close()
    return size


def _written_bytes() -> int:
    """Return how many bytes this process has caused to be written to disks (Linux)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
