"""Watches the watcher: its parts, their progress, the event loop; and tells systemd."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import socket
from collections import defaultdict
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Hashable, Mapping, Sequence
    from typing import Any

    Part = Callable[[], Coroutine[Any, Any, None]]

log = logging.getLogger(__name__)

MAX_ENDS = 3
WINDOW_S = 600.0
"""A part that ends more often within this time cannot be helped by another start."""
PAUSES_S = (1.0, 5.0, 30.0)


class PartLostError(Exception):
    """A part of the bot ends again and again: the process should end and be restarted."""


class Supervisor:
    """Runs parts.

    Args:
        parts: those that never end, by name.
        on_restart: called with the name of a part that ended by itself.
        vital: the parts without which the process must end, if they cannot be kept running; the
            others are tried for ever.
    """

    def __init__(
        self,
        parts: Mapping[str, Part],
        on_restart: Callable[[str], None],
        vital: Collection[str] = (),
    ) -> None:
        self._parts = parts
        self._on_restart = on_restart
        self._vital = vital
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended_at: defaultdict[str, list[float]] = defaultdict(list)

    async def run(self) -> None:
        """Run all parts until cancelled. Raises `PartLostError`."""
        try:
            for name, part in self._parts.items():
                self._tasks[name] = asyncio.create_task(part(), name=name)
            while True:
                await asyncio.wait(self._tasks.values(), return_when=asyncio.FIRST_COMPLETED)
                for name, task in self._tasks.items():
                    if task.done():
                        self._tasks[name] = self._start_again(name, task)
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def restart(self, name: str) -> None:
        """Start a part again that gets nowhere."""
        self._tasks[name].cancel()

    def _start_again(self, name: str, task: asyncio.Task[None]) -> asyncio.Task[None]:
        error = None if task.cancelled() else task.exception()
        log.error("the part %s ended; it is started again", name, exc_info=error)
        now = asyncio.get_running_loop().time()
        recent = self._ended_at[name] = [
            *(at for at in self._ended_at[name] if now - at < WINDOW_S),
            now,
        ]
        if name in self._vital and len(recent) > MAX_ENDS:
            raise PartLostError(f"the part {name} of the bot ended {len(recent)} times") from error
        if not task.cancelled():  # else whoever called `restart` counts it
            self._on_restart(name)
        pause_s = PAUSES_S[min(len(recent), len(PAUSES_S)) - 1]
        return asyncio.create_task(self._run_after(pause_s, self._parts[name]), name=name)

    async def _run_after(self, pause_s: float, part: Part) -> None:
        await asyncio.sleep(pause_s)
        await part()


CHECK_EVERY_S = 5.0
MAX_RESTARTS = 2
LOOP_LIMIT_S = 30.0
EXIT_STUCK = os.EX_SOFTWARE
"""70: supervisors start the bot again after it, as after any status but 0."""


@dataclass(slots=True)
class Progress:
    """How a part gets on. All spans are real seconds."""

    part: str
    has_work: Callable[[], bool]
    """Tells whether it should be doing something."""
    count: Callable[[], Hashable]
    """Returns what is different once it has done something."""
    limit_s: float
    """How long it may do nothing although it has work."""
    restart: Callable[[], None]
    last: Hashable = field(default=None, init=False)
    stalled_s: float = field(default=0.0, init=False)
    restarts: int = field(default=0, init=False)

    def check(self) -> None:
        """Take how it gets on. Checks are counted, not time: the process may have stood still."""
        count = self.count()
        if count != self.last or not self.has_work():
            self.last, self.stalled_s, self.restarts = count, 0.0, 0
        else:
            self.stalled_s += CHECK_EVERY_S

    @property
    def has_stalled(self) -> bool:
        """Whether it has done nothing for too long, even if it was started again since then."""
        return self.stalled_s >= self.limit_s


class Watchdog:
    """Starts a part again that stalls; if that does not help, ends the process.

    Args:
        parts: those that are watched.
        on_restart: called with the name of a part that is started again.
        end: ends the process with an exit status, at once: an orderly end could hang as well.
    """

    def __init__(
        self,
        parts: Sequence[Progress],
        on_restart: Callable[[str], None],
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._parts = parts
        self._on_restart = on_restart
        self._end = end

    async def run(self) -> None:
        """Check again and again. Never ends."""
        while True:
            self.check()
            await asyncio.sleep(CHECK_EVERY_S)

    def problem(self, part: str) -> str:
        """Return since when a part has got nowhere, in one line; empty: it gets on."""
        stalled = (each for each in self._parts if each.part == part and each.has_stalled)
        return next((f"no progress for {each.stalled_s:.0f} s" for each in stalled), "")

    @property
    def is_well(self) -> bool:
        """Whether every part gets on."""
        return not any(each.has_stalled for each in self._parts)

    def check(self) -> None:
        """Look at each part once."""
        for each in self._parts:
            each.check()
            if each.stalled_s < each.limit_s * (each.restarts + 1):
                continue
            log.error("the part %s has made no progress for %.0f s", each.part, each.stalled_s)
            if each.restarts >= MAX_RESTARTS:
                log.critical("starting the part %s again did not help: the bot ends", each.part)
                faulthandler.dump_traceback()
                self._end(EXIT_STUCK)
                return
            each.restarts += 1
            self._on_restart(each.part)
            each.restart()


def end_at_once(reason: str) -> None:
    """End the process, from any thread, before it does anything else."""
    log.critical("%s. The bot ends", reason)
    logging.shutdown()
    os._exit(EXIT_STUCK)


class LoopGuard:
    """A thread that ends the process if the event loop stands still.

    It counts its own waits and not the time: a process that is stopped, or that gets no CPU, does
    not count against the loop.

    Args:
        limit_s: how long the loop may stand still, in real seconds.
        end: ends the process with an exit status.
    """

    def __init__(
        self, limit_s: float = LOOP_LIMIT_S, end: Callable[[int], object] = os._exit
    ) -> None:
        self._limit_s = limit_s
        self._tick_s = limit_s / 30
        self._end = end
        self._has_turned, self._is_over = Event(), Event()
        self._thread = Thread(target=self._watch, name="loop guard", daemon=True)

    async def run(self) -> None:
        """Let the thread watch the running loop. Never ends."""
        self._thread.start()
        try:
            while True:
                self._has_turned.set()
                await asyncio.sleep(self._tick_s)
        finally:
            self._is_over.set()

    def _watch(self) -> None:
        missed = 0
        while not self._is_over.wait(self._tick_s):
            missed = 0 if self._has_turned.is_set() else missed + 1
            self._has_turned.clear()
            if missed * self._tick_s >= self._limit_s:
                log.critical("the event loop stood still for %.0f s: the bot ends", self._limit_s)
                faulthandler.dump_traceback()
                self._end(EXIT_STUCK)
                return


class SystemdNotifier:
    """Tells systemd that the bot is ready and alive (`Type=notify`, `WatchdogSec`).

    https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html (read 2026-11)

    Args:
        environment: has `NOTIFY_SOCKET` and `WATCHDOG_USEC` if systemd started the bot so.
        is_well: tells whether every part gets on; if not, systemd is to restart the bot.
    """

    def __init__(self, environment: Mapping[str, str], is_well: Callable[[], bool]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._every_s = float(environment.get("WATCHDOG_USEC", 0)) / 2_000_000
        self._is_well = is_well

    async def run(self) -> None:
        """Say that the bot is ready, and again and again that it is alive. Never ends."""
        self._send("READY=1")
        while True:
            await asyncio.sleep(self._every_s or CHECK_EVERY_S)
            if self._every_s and self._is_well():
                self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address:
            return
        # An address that begins with @ is in Linux' abstract namespace.
        address = self._address.replace("@", "\0", 1)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
                client.sendto(state.encode(), address)
        except OSError as error:
            log.warning("cannot notify systemd: %s", error)
