"""`auth0-check run` with a fast clock: `fast.py CONFIG SPEED START`.

`fast.py SOCKET`, a file descriptor, waits there for such arguments, and makes a fork for each.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

from bot.app.bot import Bot
from bot.app.clock import SystemClock
from bot.config import build_settings, load_document
from bot.telemetry import set_up_logging


class PatientClock:
    """The same time, but time-outs in real seconds: a busy machine must not look like an outage."""

    speed = 1.0

    def __init__(self, clock: SystemClock) -> None:
        self.now = clock.now
        self.sleep = asyncio.sleep


async def main(config: str, speed: str, start: str) -> None:
    settings = build_settings(load_document(Path(config), {}))
    set_up_logging(settings.secrets())
    clock = SystemClock(float(speed), float(start))
    await Bot(settings, clock, prober_clock=PatientClock(clock)).run()


def serve(lab: socket.socket) -> None:
    """Start a process for each request, and say how it ended."""
    while True:
        request, files, *_ = socket.recv_fds(lab, 4096, 1)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            lab.close()
            os.dup2(files[0], 1)
            os.dup2(files[0], 2)
            os.close(files[0])
            asyncio.run(main(*request.decode().split("\0")))
            return
        os.close(files[0])
        lab.sendall(f"{pid}".encode())
        _, status = os.waitpid(pid, 0)
        lab.sendall(f"{os.waitstatus_to_exitcode(status)}".encode())


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(main(*sys.argv[1:]))
    else:
        serve(socket.socket(fileno=int(sys.argv[1])))
