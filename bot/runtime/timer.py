"""Wakes the engine when the next thing is due. APScheduler does nothing else here."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.ports import Clock

log = logging.getLogger(__name__)

JOB_ID = "wake"
LATE_S = 5.0
"""Real seconds after which the watchdog wakes the engine itself: APScheduler 3.11 silently stops
all jobs when a trigger raises once, or when the wall clock is set back (agronholm/apscheduler
#1132 and own measurement)."""


class APSchedulerTimer:
    """The `Timer` port over APScheduler: memory store, UTC, late jobs run, one instance."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._due_at: float | None = None
        self._wake: Callable[[], None] = lambda: None

    def start(self, wake: Callable[[], None]) -> None:
        """Set what to call when something is due."""
        self._wake = wake
        if not self._scheduler.running:
            self._scheduler.start()

    def wake_at(self, at: float) -> None:
        """Call `wake` at this instant, in place of the one set before."""
        if at == self._due_at:
            return
        self._due_at = at
        real_s = max(0.0, at - self._clock.now()) / self._clock.speed
        # APScheduler compares its triggers with the wall clock.
        run_at = datetime.now(UTC) + timedelta(seconds=real_s)  # noqa: TID251
        self._scheduler.add_job(
            self._on_due, DateTrigger(run_at, timezone=UTC), id=JOB_ID, replace_existing=True
        )

    async def watch(self) -> None:
        """Wake the engine whenever APScheduler does not. Never ends."""
        while True:
            await asyncio.sleep(LATE_S)
            late_s = self._clock.now() - (self._due_at or float("inf"))
            if late_s > LATE_S * self._clock.speed:
                log.warning("the timer is %.0f s late; waking the engine without it", late_s)
                self._fire()

    def stop(self) -> None:
        """Stop; the engine is not woken any more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _on_due(self) -> None:
        # A coroutine, as APScheduler runs plain functions in a thread.
        self._fire()

    def _fire(self) -> None:
        self._due_at = None
        self._wake()
