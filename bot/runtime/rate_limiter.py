"""Spaces out calls to Slack, the most urgent first: Slack refuses callers that are faster."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from itertools import count


class RateLimiter:
    """Grants one turn at a time.

    Args:
        gap_s: between two turns, in real seconds: Slack's limits know no other clock.
    """

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = count()
        self._is_running = False

    async def acquire(self, priority: int = 0) -> None:
        """Wait for a turn: the lowest priority number first, within one number in order."""
        turn = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (priority, next(self._count), turn))
        if not self._is_running:
            self._grant_next()
        await turn

    def _grant_next(self) -> None:
        """Grant one turn, and the next one a gap later, whether anybody waits by then or not."""
        while self._waiting and self._waiting[0][2].done():  # cancelled
            heappop(self._waiting)
        self._is_running = bool(self._waiting)
        if self._is_running:
            heappop(self._waiting)[2].set_result(None)
            asyncio.get_running_loop().call_later(self._gap_s, self._grant_next)
