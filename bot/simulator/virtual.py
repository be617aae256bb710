"""Virtual time: an event loop that jumps to whatever is due next instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bot.ports import Clock


class _VirtualSelector(selectors.SelectSelector):
    """Never waits for a socket: there is none. Where asyncio would wait, virtual time jumps."""

    leap: Callable[[float], None]

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing is due any more in virtual time")
        if timeout > 0:
            self.leap(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is a number."""

    def __init__(self) -> None:
        selector = _VirtualSelector()
        super().__init__(selector)
        selector.leap = self.leap
        self._now = 0.0

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._now

    def leap(self, span_s: float) -> None:
        """Let time pass. Called from outside the loop it is a pause: what came due is late."""
        self._now += span_s


class VirtualClock:
    """The `Clock` port in virtual time."""

    speed = 1.0

    def __init__(self, loop: asyncio.AbstractEventLoop, start: float) -> None:
        self._loop = loop
        self._start = start

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        return self._start + self._loop.time()

    async def sleep(self, span_s: float) -> None:
        """Wait for a span."""
        await asyncio.sleep(span_s)

    def call_at(self, at: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back at an instant, or at once if it has passed."""
        return self._loop.call_at(max(at - self._start, self._loop.time()), callback)


class VirtualTimer:
    """The `Timer` port in virtual time.

    Args:
        clock: the true time.
        bot_clock: what the bot takes for the time; None: the true time.
    """

    def __init__(self, clock: VirtualClock, bot_clock: Clock | None = None) -> None:
        self._clock = clock
        self._bot_clock = bot_clock or clock
        self._handle: asyncio.TimerHandle | None = None
        self._wake: Callable[[], None] | None = None

    def start(self, wake: Callable[[], None]) -> None:
        """Set what to call when something is due."""
        self._wake = wake

    def wake_at(self, at: float) -> None:
        """Call `wake` at this instant, in place of the one set before."""
        if self._handle is not None:
            self._handle.cancel()
        if self._wake is not None:
            ahead_s = self._bot_clock.now() - self._clock.now()
            self._handle = self._clock.call_at(at - ahead_s, self._wake)


def run_virtually(main: Callable[[VirtualLoop], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine in virtual time to its end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)  # noqa: S101 - it was made so
        runner.run(main(loop))
