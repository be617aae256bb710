"""What a host does to a program: it stalls it, and gives it little of a core. And an attacker."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.faults.program import Program

PERIOD_S = 0.1
"""In which a share of a core is given, as the kernel's own scheduler does for containers."""
TICK_S = 0.002
HALF_A_REQUEST = b"POST /hooks/report HTTP/1.1\r\nHost: bot.test\r\nX-Half"


@contextmanager
def ahead_of_others(*pids: int) -> Iterator[None]:
    """Let processes run before all others, where that is allowed.

    What is measured in parts of a second is the program, not what else the machine is busy with.
    """
    before = [(pid, os.sched_getscheduler(pid), os.sched_getparam(pid)) for pid in pids]
    with suppress(PermissionError):
        for pid in pids:
            # What the lab itself starts meanwhile is another experiment's program.
            reset = os.SCHED_RESET_ON_FORK if pid == os.getpid() else 0
            os.sched_setscheduler(pid, os.SCHED_RR | reset, os.sched_param(1))
    try:
        yield
    finally:
        with suppress(PermissionError, ProcessLookupError):
            for pid, policy, parameter in before:
                os.sched_setscheduler(pid, policy, parameter)


@asynccontextmanager
async def stalls(program: Program, span_s: float, every_s: float) -> AsyncIterator[None]:
    """Stop the program for a span again and again."""

    async def stall() -> None:
        try:
            while True:
                await asyncio.sleep(every_s - span_s)
                program.signal(signal.SIGSTOP)
                await asyncio.sleep(span_s)
                program.signal(signal.SIGCONT)
        finally:
            program.signal(signal.SIGCONT)

    async with _meanwhile(stall):
        yield


@asynccontextmanager
async def share_of_a_core(program: Program, share: float) -> AsyncIterator[None]:
    """Stop the program in each period once it has used up its share, as containers are limited."""
    now = asyncio.get_running_loop().time

    async def limit() -> None:
        try:
            while program.status is None:
                ends_at, before_s = now() + PERIOD_S, program.used_s()
                while now() < ends_at and program.used_s() - before_s < share * PERIOD_S:  # noqa: ASYNC110
                    await asyncio.sleep(TICK_S)
                program.signal(signal.SIGSTOP)
                await asyncio.sleep(max(0.0, ends_at - now()))
                program.signal(signal.SIGCONT)
        finally:
            program.signal(signal.SIGCONT)

    async with _meanwhile(limit):
        yield


@asynccontextmanager
async def half_sent_requests(
    port: int, count: int, addresses: Callable[[int], str]
) -> AsyncIterator[list[socket.socket]]:
    """Hold so many connections with half a request head each, and renew those that are cut.

    Args:
        port: of the listener on loopback.
        count: of the connections.
        addresses: returns where the n-th one comes from, such as 127.0.3.7.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * count)), hard))
    held: dict[int, socket.socket] = {}

    async def attack() -> None:
        loop = asyncio.get_running_loop()
        while True:
            for number in range(count):
                if number in held and not _is_cut(held[number]):
                    continue
                if number in held:
                    held.pop(number).close()
                connection = socket.socket()
                connection.setblocking(False)  # noqa: FBT003 - the standard library's own argument
                connection.bind((addresses(number), 0))
                with suppress(OSError, TimeoutError):
                    async with asyncio.timeout(0.2):
                        await loop.sock_connect(connection, ("127.0.0.1", port))
                        await loop.sock_sendall(connection, HALF_A_REQUEST)
                held[number] = connection
            await asyncio.sleep(0.5)

    try:
        async with _meanwhile(attack):
            yield list(held.values())
    finally:
        for connection in held.values():
            connection.close()


def _is_cut(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@asynccontextmanager
async def _meanwhile(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
