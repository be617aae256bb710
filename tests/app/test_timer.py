from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.app.clock import APSchedulerTimer, SystemClock
from bot.simulator.virtual import VirtualClock, VirtualLoop, run_virtually

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEED = 20.0


class Alarm:
    """Records when it is woken, in seconds of the clock since its creation."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._begun_at = clock.now()
        self.woken: asyncio.Queue[float] = asyncio.Queue()

    def __call__(self) -> None:
        self.woken.put_nowait(self._clock.now() - self._begun_at)


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock(SPEED, start=1_000_000.0)


@pytest.fixture
async def alarm(clock: SystemClock) -> Alarm:
    return Alarm(clock)


@pytest.fixture
async def timer(clock: SystemClock, alarm: Alarm) -> Iterator[APSchedulerTimer]:  # type: ignore[misc]
    timer = APSchedulerTimer(clock)
    timer.start(alarm)
    yield timer
    timer.stop()


async def test_it_wakes_at_the_time_of_the_clock(
    timer: APSchedulerTimer, alarm: Alarm, clock: SystemClock
) -> None:
    """The clock runs twenty times as fast as a real one."""
    begun = asyncio.get_running_loop().time()
    timer.wake_at(clock.now() + 2.0)
    woken = await asyncio.wait_for(alarm.woken.get(), 5.0)

    assert woken >= 1.9
    assert asyncio.get_running_loop().time() - begun < 1.9


async def test_the_last_call_counts(
    timer: APSchedulerTimer, alarm: Alarm, clock: SystemClock
) -> None:
    """A new time, earlier or later, replaces the one before."""
    timer.wake_at(clock.now() + 1000.0)
    timer.wake_at(clock.now() + 2.0)
    await asyncio.wait_for(alarm.woken.get(), 5.0)
    timer.wake_at(clock.now() + 2.0)
    timer.wake_at(clock.now() + 1000.0)
    await asyncio.sleep(4.0 / SPEED)

    assert alarm.woken.empty()


async def test_what_is_overdue_is_due_now(
    timer: APSchedulerTimer, alarm: Alarm, clock: SystemClock
) -> None:
    """However late it is. By default APScheduler drops a job that is a second late."""
    timer.wake_at(clock.now() - 3600.0)

    assert await asyncio.wait_for(alarm.woken.get(), 5.0) < 30.0


async def test_the_same_time_can_be_set_again(
    timer: APSchedulerTimer, alarm: Alarm, clock: SystemClock
) -> None:
    """After it has passed, it wakes once more."""
    at = clock.now()
    for _ in range(2):
        timer.wake_at(at)
        await asyncio.wait_for(alarm.woken.get(), 5.0)


def test_the_watchdog_wakes_when_the_scheduler_is_dead() -> None:
    """Once, a few seconds after the due time."""
    woken: list[float] = []

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, 0.0)
        timer = APSchedulerTimer(clock)
        timer.start(lambda: woken.append(clock.now()))
        timer.stop()
        timer.wake_at(3.0)
        watching = asyncio.create_task(timer.watch())
        await clock.sleep(60.0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    run_virtually(main)

    assert len(woken) == 1
    assert 3.0 < woken[0] <= 15.0
