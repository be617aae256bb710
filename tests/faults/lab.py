"""One run's world: a program under test, and all that it talks to."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.faults.forked import Forker
from tests.faults.outside import PAGER, ROUTING_KEY, WEBHOOK, Outside
from tests.faults.preload import Preload
from tests.faults.program import COMMAND, FAST, ROOT, Admin, Program, read_starved_s
from tests.faults.site import answer
from tests.faults.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, Slack
from tests.faults.tenants import AUTH0_DOWN, CLIENT_SECRET, PASSWORD, Tenants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path
    from random import Random

POLL_S = 0.02
SHARED_PATIENCE = 3.0
START_S = 180.0
"""Real seconds for what the lab waits for and nothing promises: others may have the cores."""
SOAK_S = 3600.0
CRITICAL = r"incident=\d+ state=open severity=critical"
SECRETS = [
    secret.encode() for secret in (BOT_TOKEN, APP_TOKEN, CLIENT_SECRET, PASSWORD, ROUTING_KEY)
]
SHOWN = ("/metrics", "/health", "/status", "/status.json")
SLACK_DOWN = answer(503, "<html><body>Service Unavailable</body></html>")


class MissedError(Exception):
    """What must be true was not, or not in time."""


class Lab:
    """Slack, tenants, everything else outside, and the program.

    Args:
        folder: for the configuration and the database.
        tenants: names.
        promises: what must become true, within how many seconds of the program's clock.
        dice: for random moments.
        speed: how many times as fast as real the program's clock runs.
        is_shared: the machine has other work. Then the time does not count in which the program
            or the lab waited for a core, and three times as long as promised is accepted.
        is_quick: a few of what could be many.
        soak_s: how long the soak lasts.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tenants: tuple[str, ...],
        promises: Mapping[str, float],
        dice: Random,
        speed: float = 1.0,
        is_shared: bool = False,
        is_quick: bool = False,
        soak_s: float = SOAK_S,
    ) -> None:
        self.folder = folder
        self.config = folder / "auth0-check.yml"
        self.slack = Slack()
        self.tenants = Tenants(tenants)
        self.outside = Outside()
        self.dice = dice
        self.speed = speed
        self.is_quick = is_quick
        self.soak_s = soak_s
        self.measured: dict[str, float] = {}
        """What became true, after how many seconds of the program's clock."""
        self.environment: dict[str, str] = {}
        """Of programs that are started from now on."""
        self.max_files: int | None = None
        self.may_end = False
        """Whether the program may end by itself."""
        self.programs: list[Program] = []
        self.exit_stack = AsyncExitStack()
        self._admin: Admin | None = None
        self._forker: Forker | None = None
        self._promises = promises
        self._is_shared = is_shared
        self._patience = SHARED_PATIENCE if is_shared else 1.0
        self._starved_before_s = read_starved_s("self")
        self._started = time.time()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Lab]:
        """Serve while the context is open; end the program after it."""
        sites = (self.slack.site, self.tenants.site, self.outside.site)
        async with self.exit_stack as stack:
            for site in sites:
                stack.push_async_callback(site.close)
                await site.open()
            yield self

    @property
    def program(self) -> Program:
        """The newest program."""
        return self.programs[-1]

    def now(self) -> float:
        """Return real seconds, by the loop's clock."""
        return asyncio.get_running_loop().time()

    def _starved_s(self) -> float:
        if not self._is_shared:
            return 0.0
        programs_s = sum(each.starved_s() for each in self.programs)
        return max(read_starved_s("self") - self._starved_before_s, programs_s)

    def use_preload(self) -> Preload:
        """Return switches for programs that are started from now on."""
        preload = Preload(self.folder)
        self.environment |= preload.environment
        return preload

    def settings(self, **sections: Any) -> dict[str, Any]:
        """Return the configuration, with whole sections replaced."""
        found = self.tenants.configure(self.folder) | self.outside.configure()
        feed = f"http://{self.outside.site.address}/feed"
        for tenant in found["tenants"]:
            tenant["feed_url"] = feed
            tenant["probe"] = {"every": "10s", "confirm_every": "1s", "timeout": "5s"}
        return {
            **found,
            "slack": {
                "bot_token": BOT_TOKEN,
                "app_token": APP_TOKEN,
                "channel": CHANNEL,
                "mention": "@here",
                "api_url": self.slack.api_url,
            },
            "thresholds": {
                "fail_count": 3,
                "window": 5,
                "recover_count": 2,
                "mention_after": "0s",
            },
            "feed": {"every": "10s"},
            "database": str(self.folder / "auth0-check.sqlite"),
            "server": {"admin_listen": "127.0.0.1:0"},
        } | sections

    async def start(self, settings: dict[str, Any] | None = None) -> Admin:
        """Start the program, again with the same settings unless others are given. It is ended."""
        if settings is not None or not self.config.exists():
            self.config.write_text(json.dumps(settings or self.settings()))  # JSON is YAML
        if self.speed == 1.0:
            return await self.run(COMMAND, "run", "--config", str(self.config))
        began = self._started + (time.time() - self._started) * self.speed
        arguments = str(self.config), str(self.speed), str(began)
        if self._forker is not None:
            return await self._add(Program(await self._forker.start(*arguments)))
        return await self.run(*FAST, *arguments)

    async def load_code_once(self) -> None:
        """Make further starts cheap, of programs with a fast clock."""
        self._forker = await self.exit_stack.enter_async_context(Forker.open(str(ROOT)))

    async def run(self, *command: str) -> Admin:
        """Start a command as the program."""
        return await self._add(
            await Program.start(*command, environment=self.environment, max_files=self.max_files)
        )

    async def _add(self, program: Program) -> Admin:
        self.programs.append(program)
        self.exit_stack.push_async_callback(program.kill)
        self._admin = await self.exit_stack.enter_async_context(Admin.open(program))
        return self._admin

    async def start_watching(self, settings: dict[str, Any] | None = None) -> Admin:
        """Start the program, and wait until each tenant gave a token and Slack said hello."""
        admin, began = await self.start(settings), self.now()
        wanted = set(self.tenants.names)
        await self.until(
            lambda: wanted <= set(self.tenants.succeeded(began)) and self.slack.socket.is_connected,
            START_S,
            "the program watches all tenants and is connected to Slack",
        )
        return admin

    async def check_secrets(self) -> None:
        """See that no secret is in what the programs wrote, sent, answered or were called with."""
        messages = [*(message.params for message in self.slack.messages)]
        shown = {
            "the log": [line for each in self.programs for _, line in each.lines],
            "Slack": [*messages, self.slack.private_answers],
            "a page": self.outside.pages,
            "the command line": [each.command_line for each in self.programs],
            "an answer": [await self._admin.get(path) for path in SHOWN] if self._admin else [],
        }
        texts = {name: repr(shown[name]).encode() for name in shown}
        texts |= {file.name: file.read_bytes() for file in self.folder.glob("*.sqlite*")}
        leaks = [
            f"{secret!r} in {name}" for name in texts for secret in SECRETS if secret in texts[name]
        ]
        self.check(not leaks, f"no secret is shown: {leaks}")

    async def idle(self, least_s: float = 0.0, most_s: float = 5.0) -> None:
        """Wait until a random moment; seconds of the program's clock."""
        await asyncio.sleep(self.dice.uniform(least_s, most_s) / self.speed)

    async def strike(self, name: str = "prod", wait_for: str = CRITICAL) -> None:
        """Let the logins of a tenant fail, and wait for the log to say so.

        Then a critical incident is open, whose first message calls people.
        """
        struck_at = self.now()
        self.tenants.site.faults[name] = AUTH0_DOWN
        await self.until(
            lambda: self.program.find(wait_for, struck_at), START_S, "a critical incident is open"
        )

    def heal(self) -> None:
        """Let all logins work."""
        self.tenants.site.faults.clear()

    def is_paged_everywhere(self) -> bool:
        """Tell whether each contact point has a page."""
        return all(self.outside.paged(point) for point in (PAGER, WEBHOOK))

    async def reach(
        self, promise: str, is_so: Callable[[], Any], since: float | None = None
    ) -> None:
        """Wait until a promise is kept, and note how long it took. Raises `MissedError`."""
        spent_s = 0.0 if since is None else self.now() - since
        left_s = self._promises[promise] / self.speed - spent_s
        took_s = await self.until(is_so, left_s, promise)
        self.measure(promise, max(0.0, spent_s + took_s) * self.speed, self._patience)

    def measure(self, promise: str, value_s: float, patience: float = 1.0) -> None:
        """Note what was measured in another way. Raises `MissedError` if it is too much."""
        self.measured[promise] = value_s
        limit_s = self._promises[promise] * patience
        self.check(value_s <= limit_s, f"{promise}: {value_s:.2f} s of {limit_s:g}")

    async def until(self, is_so: Callable[[], Any], within_s: float, what: str) -> float:
        """Wait until something is so; return how long it took, in real seconds.

        Raises `MissedError`, which says what.
        """
        limit_s = within_s * self._patience
        zero = self.now() - self._starved_s()
        while not await _ask(is_so):
            if not self.may_end and self.programs and self.program.status is not None:
                raise MissedError(f"not so: {what}; the program ended ({self.program.status})")
            if self.now() - self._starved_s() - zero > limit_s:
                raise MissedError(f"not so after {limit_s:.1f} s: {what}")
            await asyncio.sleep(POLL_S)
        return max(0.0, self.now() - self._starved_s() - zero)

    async def hold(self, is_so: Callable[[], Any], span_s: float, what: str) -> None:
        """See that something stays so for a span of the program's clock. Raises `MissedError`."""
        began = self.now()
        while self.now() < began + span_s / self.speed:
            if not await _ask(is_so):
                raise MissedError(f"no longer so after {self.now() - began:.1f} s: {what}")
            await asyncio.sleep(POLL_S)

    def check(self, is_so: object, what: str) -> None:
        """Raise `MissedError` unless something is so."""
        if not is_so:
            raise MissedError(f"not so: {what}")


async def _ask(is_so: Callable[[], Any]) -> bool:
    found = is_so()
    return bool(await found if inspect.isawaitable(found) else found)
