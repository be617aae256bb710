"""An event loop on which no limit strikes because the machine is busy with other programs.

A whole program runs on it by `python -m tests.steady MODULE ARGUMENTS`.
"""

from __future__ import annotations

import asyncio
import runpy
import selectors
import sys
import time


class _Counting(selectors.DefaultSelector):
    """Counts how long the loop waited, but not how much later it was woken than it asked."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if events := super().select(0):  # it did not wait, however long the system took for this
            return events
        began = time.monotonic()
        events = super().select(timeout)
        took_s = time.monotonic() - began
        self.waited_s += took_s if timeout is None else min(took_s, max(timeout, 0.0))
        return events


class SteadyLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while the system runs other programs instead.

    Its time is what it waited and what its own thread worked. On an idle machine that is real
    time. On a busy one all limits of all parts on this loop (servers, clients, tests) are
    stretched alike: a ping is answered in time, and an assertion about time keeps its meaning.
    Other processes and threads are not waited for by this time: limits on them are generous.
    """

    def __init__(self) -> None:
        selector = _Counting()
        super().__init__(selector)
        self._counting = selector
        self._zero = time.monotonic() - time.thread_time()

    def time(self) -> float:
        """Return seconds: they begin as those of the monotonic clock, and never run faster."""
        return self._zero + self._counting.waited_s + time.thread_time()


if __name__ == "__main__":
    asyncio.events.new_event_loop = SteadyLoop
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
