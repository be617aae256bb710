"""An event loop on which no limit strikes because the machine is busy with other programs.

A whole program runs on it by `python -m tests.steady MODULE ARGUMENTS`.
"""

from __future__ import annotations

import asyncio
import gc
import runpy
import selectors
import sys
import threading
import time

STEP_S = 0.1


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

    Its time is what it waited and what its own thread worked, but for the garbage collections: a
    process with thousands of tests has so many objects that one takes up to 0.8 s (2026-11). On an
    idle machine that is real time. On a busy one all limits of all parts on this loop (servers,
    clients, tests) are stretched alike: a ping is answered in time, and an assertion about time
    keeps its meaning. Other processes and threads are not waited for by this time: limits on them
    are generous.
    """

    def __init__(self) -> None:
        selector = _Counting()
        super().__init__(selector)
        self._counting = selector
        self.ahead_s = time.monotonic() - time.thread_time()
        self._collecting_since = 0.0
        self._thread = threading.get_ident()
        gc.callbacks.append(self._leave_out)

    def time(self) -> float:
        """Return seconds: they begin as those of the monotonic clock, and run no faster."""
        return self.ahead_s + self._counting.waited_s + time.thread_time()

    def close(self) -> None:
        """Close the loop."""
        if not self.is_closed():
            gc.callbacks.remove(self._leave_out)
        super().close()

    def _leave_out(self, phase: str, _: dict[str, int]) -> None:
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._collecting_since = time.thread_time()
        else:
            self.ahead_s -= time.thread_time() - self._collecting_since


async def pass_time(span_s: float) -> None:
    """Let so much time pass at once, where a limit must strike: so that it can be a long one.

    It passes in small steps, with turns of the loop in between, or it would look like a stall.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteadyLoop)
    end = loop.time() + span_s
    while loop.time() < end:
        loop.ahead_s += STEP_S
        await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.events.new_event_loop = SteadyLoop
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
