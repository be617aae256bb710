"""The program under test: `auth0-check`, unmodified, as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import sys
from asyncio.subprocess import PIPE, STDOUT
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, ClientSession, ClientTimeout

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Mapping

    from tests.faults.forked import Forked

ROOT = Path(__file__).parents[2]
COMMAND = str(Path(sys.executable).with_name("auth0-check"))
FAST = (sys.executable, "-m", "tests.live.fast")
"""The same bot with a fast clock: CONFIG SPEED START."""
MAX_LINES = 20_000
"""Lines of the log that are kept; more are only counted."""


class Program:
    """One process."""

    def __init__(self, process: asyncio.subprocess.Process | Forked) -> None:
        self.lines: list[tuple[float, str]] = []
        """The log: when a line came, by the loop's clock, and the line."""
        self.count_lines = 0
        self.started_at = _now()
        self.command_line: list[str] = []
        """As `ps` shows it."""
        with suppress(OSError):  # it has ended
            self.command_line = Path(f"/proc/{process.pid}/cmdline").read_text().split("\0")
        self._starved_s = 0.0
        self._process = process
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls,
        *command: str,
        environment: Mapping[str, str] | None = None,
        max_files: int | None = None,
    ) -> Program:
        """Start a command; `max_files` limits its file descriptors."""
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=dict(environment or {}), stdout=PIPE, stderr=STDOUT
        )
        if max_files is not None:
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (max_files, max_files))
        return cls(process)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status; None: it runs."""
        return self._process.returncode

    def find(self, pattern: str, since: float = 0.0) -> tuple[float, re.Match[str]] | None:
        """Return the first line of the log that matches, and when it came."""
        for at, line in self.lines:
            if at >= since and (found := re.search(pattern, line)):
                return at, found
        return None

    def count_files(self) -> int:
        """Return how many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - names alone are counted

    def mapped_bytes(self) -> int:
        """Return how much memory it has mapped."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[0]
        return int(pages) * resource.getpagesize()

    def resident_bytes(self) -> int:
        """Return how much memory it has in use."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def used_s(self) -> float:
        """Return the seconds of CPU that it has used."""
        used_ns = 0
        for each in Path(f"/proc/{self.pid}/task").glob("*/schedstat"):
            with suppress(OSError):  # a thread has ended
                used_ns += int(each.read_text().split()[0])
        return used_ns * 1e-9

    def starved_s(self) -> float:
        """Return for how long it was ready to run while others had the cores."""
        self._starved_s = read_starved_s(str(self.pid)) or self._starved_s
        return self._starved_s

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def kill(self) -> None:
        """End it at once, as `kill -9` does."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading

    async def ended(self) -> int:
        """Wait for its end; return its exit status."""
        status = await self._process.wait()
        await self._reading
        return status

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            self.count_lines += 1
            if len(self.lines) < MAX_LINES:
                self.lines.append((_now(), line.decode(errors="replace").rstrip()))


def read_starved_s(process: str) -> float:
    """Return for how long the main thread of a process waited for a core; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) * 1e-9
    except OSError:
        return 0.0


class Admin:
    """What the program answers on its admin listener."""

    def __init__(self, session: ClientSession, program: Program) -> None:
        self._session = session
        self._program = program

    @staticmethod
    @asynccontextmanager
    async def open(program: Program) -> AsyncIterator[Admin]:
        """Ask the program while the context is open."""
        async with ClientSession(timeout=ClientTimeout(total=5)) as session:
            yield Admin(session, program)

    async def get(self, path: str) -> tuple[int, str]:
        """Return status and body; status 0: there was no answer."""
        found = self._program.find(r"admin_listen: listening on (\S+)")
        if found is None:
            return 0, ""
        try:
            async with self._session.get(f"http://{found[1][1]}{path}") as answer:
                return answer.status, await answer.text()
        except (ClientError, OSError, TimeoutError):
            return 0, ""

    async def health(self) -> tuple[int, dict[str, Any]]:
        """Return the status of `/health`, and what it says of each part."""
        status, body = await self.get("/health")
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = None
        return status, parsed if isinstance(parsed, dict) else {}

    async def count_checks(self, target: str) -> dict[str, int]:
        """Return how many checks of a target ended how."""
        _, body = await self.get("/metrics")
        rows = re.findall(
            rf'^auth0_check_checks_total{{outcome="(\w+)",target="{re.escape(target)}"}} ([\d.]+)',
            body,
            re.MULTILINE,
        )
        return {outcome: int(float(count)) for outcome, count in rows}


def _now() -> float:
    return asyncio.get_running_loop().time()
