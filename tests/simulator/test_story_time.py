"""The time of a demo: it stands still and goes on, and its speed can change."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from bot.simulator.story_time import StoryClock, StoryLoop

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

NOON = 1_772_452_800.0


def run(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=StoryLoop) as runner:
        runner.run(main)


def story_loop() -> StoryLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, StoryLoop)
    return loop


def test_while_time_stands_still_only_sockets_are_served() -> None:
    """No timer is due, however long it lasts; what another thread or a socket brings is handled."""

    async def main() -> None:
        loop, due = story_loop(), list[str]()
        clock = StoryClock(loop, 10.0, NOON)
        loop.call_later(0.01, due.append, "timer")
        loop.stop_time()
        stopped_at = clock.now()
        await asyncio.to_thread(time.sleep, 0.1)
        assert await fetch_echo() == b"x"
        assert (clock.now(), due) == (stopped_at, [])

        loop.start_time()
        await asyncio.sleep(0.02)
        assert due == ["timer"]
        assert stopped_at < clock.now()

    run(main())


async def fetch_echo() -> bytes:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(1))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        answered = await reader.read(1)
        writer.close()
        await writer.wait_closed()
        return answered


def test_another_speed_moves_no_time() -> None:
    """A story goes on from where it is, and who waits for an instant is woken by the new speed."""

    async def main() -> None:
        clock = StoryClock(story_loop(), 1.0, NOON)
        waiting = asyncio.create_task(clock.sleep_until(NOON + 3600.0))
        await asyncio.sleep(0)
        before = clock.now()
        clock.set_speed(36_000.0)
        assert 0 <= clock.now() - before < 3600.0
        async with asyncio.timeout(30.0):
            await waiting

    run(main())
