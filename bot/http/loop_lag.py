"""Detects a blocked event loop of our own, which makes a healthy target look timed out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from bot.ports import Clock

TICK_S = 0.1
"""So short that no block of `LIMIT_S` + 0.1 s goes unseen between two ticks."""
LIMIT_S = 0.25


class LoopLag:
    """Ticks on the event loop from its first use on. All times are real, whatever the clock."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        """Count a tick that is more than `limit_s` late as a stall."""
        self._limit_s = limit_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticked_at = 0.0
        self._stalled_s = 0.0

    def stalled_s(self) -> float:
        """Return how long the loop has stood still so far, even if the late tick has yet to run.

        A stall counts from the tick before it: so it is never shorter than it was, and at most
        `TICK_S` longer.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._ticked_at = loop, loop.time()
            self._tick(loop)
        return self._stalled_s + self._stall_before(loop.time())

    def _stall_before(self, now: float) -> float:
        since_tick_s = now - self._ticked_at
        return since_tick_s if since_tick_s > TICK_S + self._limit_s else 0.0

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        self._stalled_s += self._stall_before(now)
        self._ticked_at = now
        loop.call_later(TICK_S, self._tick, loop)


class StallFreeClock:
    """A clock for one request, which stands still while our event loop does.

    So a stall prolongs the wait for an answer, and no answer is late because of it.
    """

    def __init__(self, clock: Clock, lag: LoopLag) -> None:
        self.speed = clock.speed
        self.sleep = clock.sleep
        self._clock = clock
        self._lag = lag
        self._stalled_before = lag.stalled_s()
        self._latest = clock.now()

    @property
    def stalled_s(self) -> float:
        """Real seconds for which our loop has stood still since this clock was made."""
        return self._lag.stalled_s() - self._stalled_before

    def now(self) -> float:
        """Return the time without the stalls since this clock was made."""
        now = self._clock.now() - self.stalled_s * self.speed
        self._latest = max(self._latest, now)  # a stall counts as a little longer than it was
        return self._latest

    def timeout(self, limit_s: float) -> StallFreeTimeout:
        """Return a time-out of so many real seconds outside the stalls."""
        return StallFreeTimeout(limit_s, self._lag)


class StallFreeTimeout:
    """Like `asyncio.timeout`, but time in which our event loop stands still does not count.

    Raises TimeoutError once the limit has passed outside the stalls.
    """

    def __init__(self, limit_s: float, lag: LoopLag) -> None:
        self._limit_s = limit_s
        self._lag = lag
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() - self._lag.stalled_s() + self._limit_s
        self._handle = self._loop.call_later(self._limit_s, self._end)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._handle.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

    def _end(self) -> None:
        """End the wait, or prolong it by the stalls that came between."""
        left_s = self._ends_at + self._lag.stalled_s() - self._loop.time()
        if left_s > 0:
            self._handle = self._loop.call_later(left_s, self._end)
        else:
            self._timeout.reschedule(self._loop.time())
