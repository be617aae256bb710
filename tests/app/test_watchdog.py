from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING

import pytest

from bot.app.watchdog import (
    CHECK_EVERY_S,
    EXIT_STUCK,
    LoopGuard,
    Progress,
    SystemdNotifier,
    Watchdog,
)
from bot.simulator.virtual import VirtualLoop, run_virtually

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 60.0


class Part:
    """A part that the test lets stall; another start helps only if the test says so."""

    def __init__(self, *, is_helped: bool = False) -> None:
        self.is_helped = is_helped
        self.is_stuck = self.has_work = True
        self.done = 0
        self.restarts: list[float] = []
        """When, by the loop's time; 0 outside of a loop."""
        self.ended: list[tuple[float, int]] = []
        progress = Progress("part", lambda: self.has_work, self.count, LIMIT_S, self.restart)
        self.watchdog = Watchdog([progress], lambda _: None, self.end)

    def count(self) -> int:
        self.done += not self.is_stuck
        return self.done

    def restart(self) -> None:
        self.restarts.append(now())
        self.is_stuck = not self.is_helped

    def end(self, status: int) -> None:
        self.ended.append((now(), status))
        self.is_stuck = False

    def watch(self, span_s: float) -> None:
        async def main(_: VirtualLoop) -> None:
            watching = asyncio.create_task(self.watchdog.run())
            await asyncio.sleep(span_s)
            watching.cancel()

        run_virtually(main)


def now() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return 0.0


def test_a_part_that_stalls_is_started_again_and_then_the_process_ends() -> None:
    """Twice it is given another chance, then a supervisor has to start the bot again."""
    part = Part()
    part.watch(300)

    assert part.restarts == [LIMIT_S, 2 * LIMIT_S]
    assert part.ended == [(3 * LIMIT_S, EXIT_STUCK)]


def test_a_part_that_gets_on_again_has_its_chances_back() -> None:
    """While it stalls it is a problem, and the bot is not well."""
    part = Part(is_helped=True)
    problems = []
    for _ in range(2 + int(LIMIT_S / CHECK_EVERY_S)):
        part.watchdog.check()
        problems.append((part.watchdog.problem("part"), part.watchdog.is_well))

    assert problems[-3:] == [("", True), ("no progress for 60 s", False), ("", True)]
    for _ in range(5):
        part.is_stuck = True
        part.watch(LIMIT_S + CHECK_EVERY_S)
    assert len(part.restarts) == 6
    assert part.ended == []


def test_a_part_without_work_does_not_stall() -> None:
    """An empty outbox may stay empty."""
    part = Part()
    part.has_work = False
    part.watch(3600)

    assert (part.restarts, part.ended) == ([], [])


def test_a_process_that_stood_still_does_not_count_as_stalled() -> None:
    """It was stopped for an hour; the part could do nothing in that time."""
    part = Part()

    async def main(loop: VirtualLoop) -> None:
        watching = asyncio.create_task(part.watchdog.run())
        for _ in range(5):
            await asyncio.sleep(CHECK_EVERY_S)
            loop.leap(3600)
        watching.cancel()

    run_virtually(main)

    assert part.restarts == []


async def test_a_loop_that_stands_still_ends_the_process() -> None:
    """A thread sees it: nothing on the loop can."""
    ended: list[int] = []
    guarding = asyncio.create_task(LoopGuard(limit_s=0.3, end=ended.append).run())
    await asyncio.sleep(0.1)
    assert ended == []
    began = time.monotonic()
    while not ended and time.monotonic() - began < 60:
        time.sleep(0.01)  # noqa: ASYNC251 - stands still on purpose
    guarding.cancel()

    assert ended == [EXIT_STUCK]


@pytest.mark.parametrize("kind", ["file", "abstract"])
async def test_systemd_learns_that_the_bot_is_ready_and_well(tmp_path: Path, kind: str) -> None:
    """While a part stalls the watchdog of systemd hears nothing."""
    address = str(tmp_path / "s") if kind == "file" else f"\0auth0-check-{tmp_path.name}-{now()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(0)
        well = [True, False, False, True]
        environment = {"NOTIFY_SOCKET": address.replace("\0", "@"), "WATCHDOG_USEC": "20000"}
        notifier = SystemdNotifier(environment, lambda: well.pop(0) if well else False)
        notifying = asyncio.create_task(notifier.run())
        loop = asyncio.get_running_loop()
        said = [await loop.sock_recv(systemd, 100) for _ in range(3)]
        notifying.cancel()

    assert said == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
    assert well == []


async def test_without_systemd_nothing_is_said() -> None:
    """Nor does it harm."""
    notifying = asyncio.create_task(SystemdNotifier({}, lambda: True).run())
    await asyncio.sleep(0.01)

    assert not notifying.done()
    notifying.cancel()
