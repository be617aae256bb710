"""The real clock, at speed 1 or, for the demo, faster."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _monotonic_s() -> float:
    """Return seconds that never step and, where the system can, go on while it is suspended."""
    source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(source)


class SystemClock:
    """The `Clock` port: the wall clock as it was at the start, and what has elapsed since.

    A wall clock that is stepped later moves nothing: all that is due stays due.

    Args:
        speed: how many times as fast as a real clock it runs.
        start: the instant to begin at; None: now.
        wall_time: the host's wall clock, which may step.
        monotonic: the host's clock that never steps.
    """

    def __init__(
        self,
        speed: float = 1.0,
        start: float | None = None,
        *,
        wall_time: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = _monotonic_s,
    ) -> None:
        self.speed = speed
        self._wall_time = wall_time
        self._monotonic = monotonic
        self._is_wall_time = start is None
        self._wall_zero = wall_time()
        self._start = self._wall_zero if start is None else start
        self._zero = monotonic()

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        return self._start + (self._monotonic() - self._zero) * self.speed

    async def sleep(self, span_s: float) -> None:
        """Wait for a span of this clock."""
        await asyncio.sleep(span_s / self.speed)

    def wall_clock_step_s(self) -> float:
        """Return how far the wall clock was moved since the start, in seconds of a real clock.

        0 for a clock with a `start` of its own: it does not follow the wall clock.
        """
        if not self._is_wall_time:
            return 0.0
        return self._wall_time() - self._wall_zero - (self._monotonic() - self._zero)
