from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.schedule import Schedule
from bot.simulator.virtual import VirtualClock, VirtualLoop, run_virtually
from bot.wiring.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

SPEED = 20.0


class Alarm:
    """Hears when it is woken, in seconds of the clock since it was made."""

    def __init__(self, clock: SystemClock) -> None:
        self._clock = clock
        self._begun_at = clock.now()
        self.heard: asyncio.Queue[float] = asyncio.Queue()

    def __call__(self) -> None:
        self.heard.put_nowait(self._clock.now() - self._begun_at)


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock(SPEED, start=1_000_000.0)


@pytest.fixture
async def alarm(clock: SystemClock) -> Alarm:
    return Alarm(clock)


@pytest.fixture
async def schedule(clock: SystemClock, alarm: Alarm) -> Iterator[Schedule]:  # type: ignore[misc]
    schedule = Schedule(clock)
    schedule.start(alarm)
    yield schedule
    schedule.stop()


async def test_it_wakes_at_the_time_of_the_clock(
    schedule: Schedule, alarm: Alarm, clock: SystemClock
) -> None:
    """Which runs twenty times as fast as a real one."""
    begun = asyncio.get_running_loop().time()
    schedule.wake_at(clock.now() + 2.0)
    heard = await asyncio.wait_for(alarm.heard.get(), 5.0)

    assert heard >= 1.9
    assert asyncio.get_running_loop().time() - begun < 1.9


async def test_the_last_word_counts(schedule: Schedule, alarm: Alarm, clock: SystemClock) -> None:
    """An earlier or a later time replaces the one before."""
    schedule.wake_at(clock.now() + 1000.0)
    schedule.wake_at(clock.now() + 2.0)
    await asyncio.wait_for(alarm.heard.get(), 5.0)
    schedule.wake_at(clock.now() + 2.0)
    schedule.wake_at(clock.now() + 1000.0)
    await asyncio.sleep(4.0 / SPEED)

    assert alarm.heard.empty()


async def test_what_is_overdue_is_due_now(
    schedule: Schedule, alarm: Alarm, clock: SystemClock
) -> None:
    """However late it is: APScheduler alone would drop it after a second."""
    schedule.wake_at(clock.now() - 3600.0)

    assert await asyncio.wait_for(alarm.heard.get(), 5.0) < 30.0


async def test_the_same_time_can_be_named_again(
    schedule: Schedule, alarm: Alarm, clock: SystemClock
) -> None:
    """Once it has passed, it is news again."""
    at = clock.now()
    for _ in range(2):
        schedule.wake_at(at)
        await asyncio.wait_for(alarm.heard.get(), 5.0)


def test_the_watchdog_wakes_where_the_scheduler_died() -> None:
    """Once, within ten seconds after the time."""
    heard: list[float] = []

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, 0.0)
        schedule = Schedule(clock)
        schedule.start(lambda: heard.append(clock.now()))
        schedule.stop()
        schedule.wake_at(3.0)
        watching = asyncio.create_task(schedule.watch())
        await clock.sleep(60.0)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)

    run_virtually(main)

    assert len(heard) == 1
    assert 3.0 < heard[0] <= 15.0
