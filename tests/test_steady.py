"""The loop that all tests run on."""

from __future__ import annotations

import asyncio
import gc
import time

import pytest

from tests.steady import pass_time


def works(span_s: float) -> None:
    """Use the processor for so long."""
    end = time.thread_time() + span_s
    while time.thread_time() < end:
        pass


async def test_it_keeps_real_time() -> None:
    """What is waited and what is worked count in full."""
    loop, began = asyncio.get_running_loop(), time.monotonic()
    at = loop.time()
    await asyncio.sleep(0.05)
    works(0.05)

    assert 0.1 <= loop.time() - at <= time.monotonic() - began


async def test_a_stall_does_not_count() -> None:
    """A limit does not strike because the process was stopped for longer than the limit."""
    answer = asyncio.get_running_loop().create_future()

    async def answers() -> None:
        for _ in range(20):  # as a request by loopback takes some turns of the loop
            await asyncio.sleep(0)
        answer.set_result("in time")

    async with asyncio.timeout(0.2):
        asyncio.get_running_loop().call_soon(time.sleep, 0.5)
        task = asyncio.create_task(answers())
        assert await answer == "in time"
    await task


async def test_a_garbage_collection_does_not_count() -> None:
    """How long one takes depends on how many tests there are."""
    garbage: list[list[int]] = [[] for _ in range(300_000)]
    loop = asyncio.get_running_loop()
    at, worked_s = loop.time(), time.thread_time()
    for _ in range(3):
        gc.collect()

    assert loop.time() - at < (time.thread_time() - worked_s) / 4
    assert garbage


async def test_time_can_be_moved_to_where_a_limit_strikes() -> None:
    """What waits for a long limit need not wait in real time."""
    late: list[str] = []
    began = time.monotonic()
    asyncio.get_running_loop().call_later(59.9, late.append, "at its time")
    try:
        async with asyncio.timeout(60):
            await pass_time(70)
    except TimeoutError:
        assert late
        assert time.monotonic() - began < 30
    else:
        raise AssertionError("no limit")


async def test_a_limit_strikes_all_the_same() -> None:
    """What hangs, and what works for too long, is given up."""
    loop = asyncio.get_running_loop()
    for hang in (lambda: None, lambda: works(0.1)):
        began = loop.time()
        try:
            async with asyncio.timeout(0.1):
                loop.call_soon(hang)
                await asyncio.Event().wait()
        except TimeoutError:
            assert loop.time() - began < 0.2
        else:
            raise AssertionError("no limit")


@pytest.mark.xdist_group("together")
def test_a_group_of_tests_runs_in_one_process(
    request: pytest.FixtureRequest,
) -> None:
    """pytest-xdist 3.8 takes the group from the test's id, and from pytest 9.2 on finds none."""
    is_grouped = getattr(request.config.option, "loadgroup", False)

    assert request.node.nodeid.endswith("@together") is is_grouped
