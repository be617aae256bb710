"""The bot with a fast clock, started again and again: its code is loaded once, and each is a fork.

Loading takes two seconds of a core, which a kill after one second would not be worth.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOM = 4096


class Forked:
    """One process: what `asyncio.subprocess.Process` says of one."""

    def __init__(self, pid: int, stdout: asyncio.StreamReader, status: asyncio.Task[int]) -> None:
        self.pid = pid
        self.stdout = stdout
        self._status = status

    @property
    def returncode(self) -> int | None:
        """Its exit status; None: it runs."""
        return self._status.result() if self._status.done() else None

    async def wait(self) -> int:
        """Wait for its end; return its exit status."""
        return await asyncio.shield(self._status)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if not self._status.done():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Forker:
    """Starts one process after the other."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server

    @staticmethod
    @asynccontextmanager
    async def open(folder: str) -> AsyncIterator[Forker]:
        """Load the code while the context is open."""
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        ours.setblocking(False)  # noqa: FBT003 - the standard library's own argument
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.live.fast", str(theirs.fileno()),
            cwd=folder, env={}, pass_fds=[theirs.fileno()],
        )  # fmt: skip
        theirs.close()
        try:
            with ours:
                yield Forker(ours)
        finally:
            await process.wait()

    async def start(self, *arguments: str) -> Forked:
        """Start the bot: CONFIG SPEED START. The one before has ended."""
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        try:
            socket.send_fds(self._server, ["\0".join(arguments).encode()], [writing])
        finally:
            os.close(writing)
        stdout = asyncio.StreamReader()
        await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(stdout), os.fdopen(reading, "rb")
        )
        pid = int(await loop.sock_recv(self._server, ROOM))
        return Forked(pid, stdout, asyncio.create_task(self._wait()))

    async def _wait(self) -> int:
        return int(await asyncio.get_running_loop().sock_recv(self._server, ROOM))
