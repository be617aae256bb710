from __future__ import annotations

import resource
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.observation import FeedReading, Observation, Outcome, Target
from bot.core.oncall import Shifts
from bot.core.state.stimulus import Observed, Priority, StartProbe, TurnDropped, Unanswered
from bot.runtime.probe_runner import (
    ADAPT_EVERY_S,
    CATCH_UP_S,
    LATE_TURN_S,
    LONGEST_WAIT_S,
    MOST_PER_S,
    PROBES_PER_S,
    SLOWER,
    Lateness,
    Pace,
    ProbeQueue,
    ProbeRunner,
)
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
    """It begins with fifty a second, and every result is submitted."""
    at, submitted = run_probes(200)

    assert at[20] == pytest.approx(20 / PROBES_PER_S, rel=0.2)
    assert at[-1] > 1.0
    assert len([one for one in submitted if isinstance(one, Observed)]) == 200


def test_the_pace_rises_while_many_wait() -> None:
    """Up to what one core carries: 5,000 tenants are through within half a minute."""
    at, _ = run_probes(5_000)
    a_second = Counter(int(each) for each in at)

    assert max(a_second.values()) == pytest.approx(MOST_PER_S, abs=2)
    assert at[-1] < 30.0


def test_the_pace_falls_while_the_loop_is_late() -> None:
    """And stays where it is while the loop is in time and few wait."""
    pace = Pace()
    for second in range(1, 4):
        pace.adapt(second, LATE_TURN_S + 0.01, 1_000)
    fallen = pace.per_s
    pace.adapt(4.0, 0.0, 1)

    assert fallen == pytest.approx(PROBES_PER_S * SLOWER**3)
    assert pace.per_s == fallen


def test_one_late_turn_is_not_missed() -> None:
    """Between two changes of the pace there are many turns."""
    pace = Pace()
    pace.adapt(1.0, 0.0, 0)
    for turn in range(20):
        pace.adapt(1.0 + turn / 100, LATE_TURN_S + 0.01 if turn == 7 else 0.0, 1_000)
    pace.adapt(1.0 + ADAPT_EVERY_S, 0.0, 1_000)

    assert pace.per_s == PROBES_PER_S * SLOWER


def test_a_storm_leaves_no_queue_behind() -> None:
    """A target that waits for its turn is not queued again, however often it is launched."""
    at, _ = run_probes(200, times=5)

    assert len(at) == 200


def test_a_turn_that_is_left_out_is_reported() -> None:
    """So that it costs the synthetic user no login."""
    _, submitted = run_probes(200, times=5)

    assert len([one for one in submitted if isinstance(one, TurnDropped)]) == 4 * 200


def test_what_a_person_asked_for_is_never_dropped() -> None:
    """It may be late, but it is done as often as people asked for it."""
    at, _ = run_probes(100, request_id="r1", times=3)

    assert len(at) == 300


def probe(name: str, priority: Priority = Priority.ROUTINE, **more: Any) -> StartProbe:
    return StartProbe(Target(name, "login"), priority=priority, **more)


def drained(queue: ProbeQueue, now: float = 0.0) -> list[str]:
    return [queue.pop(now).target.owner for _ in range(len(queue))]


WAITING = st.builds(
    probe, st.sampled_from("abcdef"), st.sampled_from(Priority), failures=st.integers(0, 3)
)


@given(st.lists(WAITING))
def test_the_most_urgent_is_first_and_no_target_waits_twice(waiting: list[StartProbe]) -> None:
    """A target keeps the most urgent of its probes."""
    queue = ProbeQueue()
    for each in waiting:
        queue.add(each, 0.0)
    popped = [queue.pop(1.0) for _ in range(len(queue))]
    ranks = [(each.priority, -each.failures) for each in popped]
    best = {
        each.target: (each.priority, -each.failures)
        for each in sorted(waiting, key=lambda each: (-each.priority, each.failures))
    }

    assert ranks == sorted(ranks)
    assert {each.target: rank for each, rank in zip(popped, ranks, strict=True)} == best
    assert sum(queue.dropped.values()) == len(waiting) - len(popped)


def test_nothing_waits_for_ever() -> None:
    """After a minute it comes before all but what confirms or is routine."""
    queue = ProbeQueue()
    queue.add(probe("old", Priority.KNOWN), 0.0)
    queue.add(probe("repeat", Priority.REPEAT), LONGEST_WAIT_S)
    queue.add(probe("routine"), LONGEST_WAIT_S)

    assert drained(queue, LONGEST_WAIT_S) == ["routine", "old", "repeat"]


def test_a_short_queue_keeps_the_order_in_which_it_came() -> None:
    """Nothing is gained by another one; a long queue is sorted until it is short again."""
    queue = ProbeQueue(few=2)
    for each in (probe("known", Priority.KNOWN), probe("a"), probe("b"), probe("c")):
        queue.add(each, 0.0)

    assert drained(queue) == ["a", "b", "known", "c"]


def test_turns_that_the_loop_was_late_for_are_made_up_for() -> None:
    """So the pace is what it says, also on a busy loop; after a long pause there is no burst."""
    at: list[float] = []

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, 0.0)
        prober = InstantProber(clock)
        runner = ProbeRunner(clock, prober, lambda _: None)
        for number in range(100):
            runner.launch(probe(f"t{number}"))
        await clock.sleep(0.01)
        loop.leap(10.0)
        await clock.sleep(60)
        at.extend(prober.at)
        await runner.stop()

    run_virtually(main)
    late = [each for each in at if 10.0 <= each < 10.02]

    assert SLOWER * CATCH_UP_S * PROBES_PER_S < len(late) <= CATCH_UP_S * PROBES_PER_S + 2
    assert len(at) == 100


def test_lateness_is_that_of_routine_probes() -> None:
    """Repeats wait in a storm by design; what is due by the clock and waits is a sign."""

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, 0.0)
        runner = ProbeRunner(clock, InstantProber(clock), lambda _: None)
        for _ in range(2):
            for number in range(12):
                runner.launch(probe(f"known{number}", Priority.KNOWN))
                runner.launch(probe(f"t{number}"))
        await clock.sleep(60)
        lateness = runner.take_lateness()

        assert lateness.dropped == 12
        assert lateness.delay_s == pytest.approx(23 / PROBES_PER_S)
        assert runner.take_lateness() == Lateness(0.0, 0)
        await runner.stop()

    run_virtually(main)


class HangingProber(InstantProber):
    """Answers after ten seconds."""

    async def probe(self, target: Target) -> Observation:
        await self._clock.sleep(10)
        return await super().probe(target)


@pytest.mark.parametrize(("repeat_after_s", "said"), [(5.0, [5.0]), (20.0, []), (None, [])])
def test_a_probe_without_an_answer_is_said(repeat_after_s: float | None, said: list[float]) -> None:
    """Once, when its repeat is due, and only while there is no answer."""
    submitted: list[Stimulus] = []

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, 0.0)
        runner = ProbeRunner(clock, HangingProber(clock), submitted.append)
        runner.launch(probe("t", repeat_after_s=repeat_after_s))
        await clock.sleep(60)
        await runner.stop()

    run_virtually(main)

    assert [each.at for each in submitted if isinstance(each, Unanswered)] == said
    assert len(submitted) == len(said) + 1


class CountingProber(HangingProber):
    """Knows how many probes run at once."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock)
        self.running = self.most = 0

    async def probe(self, target: Target) -> Observation:
        self.running += 1
        self.most = max(self.most, self.running)
        seen = await super().probe(target)
        self.running -= 1
        return seen


def test_probes_that_hang_leave_files_for_the_rest() -> None:
    """Each has a connection; at most half of the files that the process may open."""
    probers: list[CountingProber] = []

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, 0.0)
        probers.append(CountingProber(clock))
        runner = ProbeRunner(clock, probers[0], lambda _: None)
        for number in range(300):
            runner.launch(probe(f"t{number}"))
        await clock.sleep(120)
        await runner.stop()

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        run_virtually(main)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert probers[0].most == 100
    assert len(probers[0].at) == 300
