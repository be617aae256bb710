"""Looks on their way: started at a bearable pace, and told to the engine when they come back."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

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
    from collections.abc import Callable, Coroutine

    from bot.core.model.observation import Target
    from bot.ports import Clock, Prober

log = logging.getLogger(__name__)

PROBES_PER_S = 50.0
"""Over all tenants: a burst of many must not look like our own outage."""


class ProbeRunner:
    """Makes the looks that the steps want.

    Args:
        clock: the time.
        prober: looks.
        tell: takes what was seen.
    """

    def __init__(self, clock: Clock, prober: Prober, submit: Callable[[Stimulus], None]) -> None:
        self._clock = clock
        self._prober = prober
        self._submit = submit
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_start_at = 0.0
        self._waiting: set[Target] = set()
        """Not queued again: the queue never grows beyond one turn of all targets, each has its
        turn, and what is told is as fresh as the pace allows."""

    def launch(self, effect: Effect) -> None:
        """Start the look that an effect asks for, if it asks for one."""
        match effect:
            case StartProbe(target=target, request_id=asked_by):
                if asked_by or target not in self._waiting:
                    self._waiting.add(target)
                    self._spawn(self._probe(effect))
            case QueryMetrics():
                self._spawn(self._query_metrics(effect))
            case PollFeed():
                self._spawn(self._poll_feed(effect))
            case PollShifts():
                self._spawn(self._poll_shifts())
            case _:
                pass

    async def stop(self) -> None:
        """Break off what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _probe(self, effect: StartProbe) -> None:
        now = self._clock.now()
        start = max(now, self._next_start_at)
        self._next_start_at = start + 1 / PROBES_PER_S
        if start > now:
            await self._clock.sleep(start - now)
        self._waiting.discard(effect.target)
        seen = await self._prober.probe(effect.target)
        self._submit(Observed(self._clock.now(), seen, effect.request_id))

    async def _query_metrics(self, effect: QueryMetrics) -> None:
        measurement = await self._prober.measure(effect.target)
        self._submit(Measured(self._clock.now(), measurement, effect.request_id))

    async def _poll_feed(self, effect: PollFeed) -> None:
        reading = await self._prober.poll_feed(effect.target)
        self._submit(FeedPolled(self._clock.now(), reading))

    async def _poll_shifts(self) -> None:
        shifts = await self._prober.poll_shifts()
        self._submit(ShiftsPolled(self._clock.now(), shifts))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a look broke off", exc_info=task.exception())
