"""How long each stage of a look takes, by the clock port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model import Timing

if TYPE_CHECKING:
    from bot.ports import Clock


class Stopwatch:
    """Times one stage after the other."""

    def __init__(self, clock: Clock, stage: str) -> None:
        """Start with `stage`."""
        self._clock = clock
        self.stage = stage
        self.started_at = self._since = clock.now()
        self._done: list[Timing] = []

    def begin(self, stage: str) -> None:
        """End the present stage and begin another; beginning the same one again goes on with it."""
        if stage != self.stage:
            self._done = list(self.timings())
            self.stage, self._since = stage, self._clock.now()

    def timings(self) -> tuple[Timing, ...]:
        """Return the stages so far, the present one up to now."""
        return (*self._done, Timing(self.stage, self._clock.now() - self._since))

    def elapsed_s(self) -> float:
        """Return the time since the start."""
        return self._clock.now() - self.started_at
