"""Runs the checks that the steps ask for, at a limited rate, and submits the results."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import TYPE_CHECKING

from bot.core.model.observation import CONTROL
from bot.core.state.stimulus import (
    Effect,
    FeedPolled,
    Measured,
    Observed,
    PollFeed,
    PollShifts,
    QueryMetrics,
    ShiftsPolled,
    StartProbe,
    Stimulus,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.observation import Target
    from bot.ports import Clock, Prober

log = logging.getLogger(__name__)

Check = StartProbe | QueryMetrics | PollFeed | PollShifts
"""An effect that asks for a check."""
PROBES, CONTROLS, FEEDS, SOURCES, SHIFTS = "probes", "controls", "feeds", "sources", "shifts"
"""What is checked: tenants, control endpoints, status feeds, metrics, the on-call calendar."""
PROBES_PER_S = 50.0
"""Over all tenants: a burst of many must not look like our own outage."""
HANGS_S = 300.0
"""Real seconds beyond which no check lasts: each has a time-out of its own, which is shorter."""


class ProbeRunner:
    """Runs probes and queries as tasks.

    Args:
        clock: the time.
        prober: probes targets and queries sources.
        submit: takes each result.
    """

    def __init__(self, clock: Clock, prober: Prober, submit: Callable[[Stimulus], None]) -> None:
        self._clock = clock
        self._prober = prober
        self._submit = submit
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_start_at = 0.0
        self._waiting: set[Target] = set()
        """Not queued again. So the queue never holds more than one probe a target, no target waits
        for ever, and each result is as fresh as the rate allows."""
        self.finished: Counter[str] = Counter()
        """How many checks have ended, whatever came of them: by the names below."""

    def launch(self, effect: Effect) -> None:
        """Start the check that an effect asks for, if it asks for one.

        What a person asked for is always started.
        """
        if isinstance(effect, StartProbe):
            if not effect.request_id and effect.target in self._waiting:
                return
            self._waiting.add(effect.target)
        elif not isinstance(effect, Check):
            return
        task = asyncio.get_running_loop().create_task(self._run(effect))
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def restart(self) -> None:
        """Cancel what is running, as it gets nowhere. What is due next is started as always."""
        self._waiting.clear()
        self._next_start_at = 0.0
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """Cancel what is running."""
        self.restart()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, effect: Check) -> None:
        """Wait for a turn, check, and submit the result."""
        async with asyncio.timeout(HANGS_S):
            match effect:
                case StartProbe(target=target):
                    # Not the clock's time, which may be corrected.
                    now = asyncio.get_running_loop().time() * self._clock.speed
                    start_at = max(now, self._next_start_at)
                    self._next_start_at = start_at + 1 / PROBES_PER_S
                    if start_at > now:
                        await self._clock.sleep(start_at - now)
                    self._waiting.discard(target)
                    observation = await self._prober.probe(target)
                    self._submit(Observed(self._clock.now(), observation, effect.request_id))
                case QueryMetrics():
                    measurement = await self._prober.measure(effect.target)
                    self._submit(Measured(self._clock.now(), measurement, effect.request_id))
                case PollFeed():
                    reading = await self._prober.poll_feed(effect.target)
                    self._submit(FeedPolled(self._clock.now(), reading))
                case PollShifts():
                    shifts = await self._prober.poll_shifts()
                    self._submit(ShiftsPolled(self._clock.now(), shifts))
        self.finished[_name_of(effect)] += 1

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a check failed unexpectedly", exc_info=task.exception())


def _name_of(effect: Check) -> str:
    match effect:
        case StartProbe(target=target):
            return CONTROLS if target.owner == CONTROL else PROBES
        case QueryMetrics():
            return SOURCES
        case PollFeed():
            return FEEDS
        case PollShifts():
            return SHIFTS
