from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.core.model.observation import FeedReading, Observation, Outcome, Target
from bot.core.oncall import Shifts
from bot.core.state.stimulus import Observed, StartProbe
from bot.runtime.probe_runner import PROBES_PER_S, ProbeRunner
from bot.simulator.virtual import VirtualClock, VirtualLoop, run_virtually

if TYPE_CHECKING:
    from bot.core.model.measurement import Measurement
    from bot.core.state.stimulus import Stimulus


class InstantProber:
    """A `Prober` that records when it probes."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.at: list[float] = []

    async def probe(self, target: Target) -> Observation:
        self.at.append(self._clock.now())
        return Observation(target, self._clock.now(), Outcome.OK, 0.1)

    async def measure(self, target: Target) -> Measurement:
        raise AssertionError(target)

    async def poll_feed(self, target: Target) -> FeedReading:
        raise AssertionError(target)

    async def poll_shifts(self) -> Shifts:
        raise NotImplementedError


def run_probes(
    count: int, request_id: str = "", times: int = 1
) -> tuple[list[float], list[Stimulus]]:
    """Launch probes of so many targets in one moment, and wait a minute."""
    submitted: list[Stimulus] = []
    probers: list[InstantProber] = []

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, 0.0)
        probers.append(InstantProber(clock))
        runner = ProbeRunner(clock, probers[0], submitted.append)
        for number in range(count * times):
            runner.launch(StartProbe(Target(f"t{number % count}", "login"), request_id))
        await clock.sleep(60)
        await runner.stop()

    run_virtually(main)
    return probers[0].at, submitted


def test_a_storm_is_spread_over_time() -> None:
    """At most fifty start in any second, and every result is submitted."""
    at, submitted = run_probes(200)

    assert at[-1] == pytest.approx(199 / PROBES_PER_S)
    assert len([one for one in submitted if isinstance(one, Observed)]) == 200


def test_a_storm_leaves_no_queue_behind() -> None:
    """A target that waits for its turn is not queued again, however often it is launched."""
    at, _ = run_probes(200, times=5)

    assert len(at) == 200


def test_what_a_person_asked_for_is_never_dropped() -> None:
    """It may be late, but it is done as often as people asked for it."""
    at, _ = run_probes(100, request_id="r1", times=3)

    assert len(at) == 300
