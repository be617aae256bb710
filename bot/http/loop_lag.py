"""Detects a blocked event loop of our own, which makes a healthy target look timed out."""

from __future__ import annotations

import asyncio

TICK_S = 0.1
"""So short that no block of `LIMIT_S` + 0.1 s goes unseen between two ticks."""
LIMIT_S = 0.25


class LoopLag:
    """Ticks on the event loop from the first `mark` on. All times are real, whatever the clock."""

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        """Count a tick that is more than `limit_s` late as a block."""
        self._limit_s = limit_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = 0.0
        self._blocked_at = 0.0

    def mark(self) -> float:
        """Return the loop's time, for `was_blocked_since`."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._blocked_at = loop, 0.0
            self._schedule_tick(loop)
        return loop.time()

    def was_blocked_since(self, mark: float) -> bool:
        """Return whether the loop was blocked, even if the late tick has not run yet."""
        now = asyncio.get_running_loop().time()
        return self._blocked_at > mark or self._is_late(now)

    def _is_late(self, now: float) -> bool:
        return now - self._due > self._limit_s

    def _schedule_tick(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due = loop.time() + TICK_S
        loop.call_at(self._due, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._is_late(loop.time()):
            self._blocked_at = loop.time()
        self._schedule_tick(loop)
