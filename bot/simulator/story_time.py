"""The time of a story on real sockets: it can be stopped, and its speed can change."""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import TYPE_CHECKING

from bot.app.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable


class _StoppableSelector(selectors.DefaultSelector):
    """While time stands still, it waits for sockets only: no timer can become due."""

    is_stopped: Callable[[], bool]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        is_waiting = timeout is None or timeout > 0
        return super().select(None if is_waiting and self.is_stopped() else timeout)


class StoryLoop(asyncio.SelectorEventLoop):
    """An event loop whose time can be stopped: sockets are served on, and nothing is late."""

    def __init__(self) -> None:
        selector = _StoppableSelector()
        selector.is_stopped = lambda: self.is_stopped
        self._stopped_at: float | None = None
        self._lost_s = 0.0
        super().__init__(selector)

    def time(self) -> float:
        """Return the seconds for which time has not stood still."""
        now = time.monotonic() if self._stopped_at is None else self._stopped_at
        return now - self._lost_s

    @property
    def is_stopped(self) -> bool:
        """Whether time stands still."""
        return self._stopped_at is not None

    def stop_time(self) -> None:
        """Let time stand still from now on."""
        if self._stopped_at is None:
            self._stopped_at = time.monotonic()

    def start_time(self) -> None:
        """Let time go on."""
        if self._stopped_at is not None:
            self._lost_s += time.monotonic() - self._stopped_at
            self._stopped_at = None


class StoryClock(SystemClock):
    """The clock of a story, which stands still with its loop.

    Args:
        loop: its time.
        speed: how many times as fast as that it runs.
        start: the instant to begin at.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, speed: float, start: float) -> None:
        super().__init__(speed, start, monotonic=loop.time)

    def set_speed(self, speed: float) -> None:
        """Run at another speed from now on."""
        now = self.now()
        self.speed = speed
        self.correct(now - self.now())

    async def sleep_until(self, at: float) -> None:
        """Wait for an instant, whatever the speed is meanwhile."""
        while (left_s := at - self.now()) > 0:
            await self.sleep(min(left_s, self.speed * STEP_S))


STEP_S = 0.2
"""After so many seconds of the loop a change of speed is noticed."""
