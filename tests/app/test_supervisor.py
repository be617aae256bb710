from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bot.app.watchdog import MAX_ENDS, WINDOW_S, PartLostError, Supervisor
from bot.simulator.virtual import run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any


class Parts:
    """Parts that record their starts: one that fails after a while, one that never ends."""

    def __init__(self, fails_after_s: float = 10.0) -> None:
        self.fails_after_s = fails_after_s
        self.starts: list[str] = []
        self.restarts: list[str] = []

    async def weak(self) -> None:
        self.starts.append("weak")
        await asyncio.sleep(self.fails_after_s)
        raise ValueError("weak")

    async def strong(self) -> None:
        self.starts.append("strong")
        await asyncio.Event().wait()

    def supervisor(self, vital: tuple[str, ...] = ()) -> Supervisor:
        parts = {"weak": self.weak, "strong": self.strong}
        return Supervisor(parts, self.restarts.append, vital)


def virtually(what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run_virtually(lambda _: what())


def test_a_part_that_fails_is_started_again_and_the_others_go_on() -> None:
    """With growing pauses, for ever."""
    parts = Parts()

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await parts.supervisor().run()

    virtually(run)

    assert parts.starts.count("strong") == 1
    assert 80 < parts.starts.count("weak") < 100
    assert {*parts.restarts} == {"weak"}


def test_a_vital_part_that_fails_again_and_again_ends_the_bot() -> None:
    """Only if it does so within ten minutes."""
    parts, patient = Parts(), Parts(fails_after_s=WINDOW_S / MAX_ENDS)

    async def run() -> None:
        with pytest.raises(PartLostError, match="the part weak of the bot ended 4 times") as error:
            await parts.supervisor(vital=("weak",)).run()
        assert isinstance(error.value.__cause__, ValueError)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10 * WINDOW_S):
                await patient.supervisor(vital=("weak",)).run()

    virtually(run)

    assert parts.starts == ["weak", "strong", *["weak"] * MAX_ENDS]


def test_a_part_that_gets_nowhere_is_started_again_from_outside() -> None:
    """It is cancelled; whoever did that counts it."""
    parts = Parts(fails_after_s=1e6)

    async def run() -> None:
        supervisor = parts.supervisor()
        running = asyncio.create_task(supervisor.run())
        await asyncio.sleep(10)
        supervisor.restart("strong")
        await asyncio.sleep(10)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.sleep(100)

    virtually(run)

    assert parts.starts == ["weak", "strong", "strong"]
    assert parts.restarts == []
