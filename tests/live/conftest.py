"""The real program as a child process, with a Slack workspace and a tenant in this process."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot.app.clock import SystemClock
from bot.config.settings import Login
from bot.simulator.local import LocalTenants
from bot.simulator.reading import load_file
from bot.simulator.workspace.model import User
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace
from bot.simulator.world import RequestOutcome, World
from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.core.model.observation import Target
    from bot.simulator.scenario import Scenario
    from bot.simulator.workspace.model import Message

ROOT = Path(__file__).parents[2]
CHANNEL = "C0ALERTS"
PATIENCE_S = 200.0
"""Until what must come has come: the bot is another process, and the machine may be busy."""
ACK_LIMIT_S = 20.0
"""Slack itself waits three seconds, which a busy machine may need to run the bot at all."""
LOGIN = {
    "client_id": "probe-client",
    "client_secret": "canary-client-secret",
    "username": "probe@example.test",
    "password": "canary-password",
    "realm": "users",
    "scope": "profile",
    "expect_id_token": False,
}
"""Its token is opaque: the login still works while the signing keys are missing."""
SECRET = re.compile(r"canary-(?:client-secret|password)|\b(?:xoxb|xapp)-\w")
"""No run of the program may write it, whatever it is about."""
SCENARIO = """\
format: 1
name: live
about: Whether the tenant is down is up to the test. One connection fails all the time.
start: {start}
warmup: 2m
duration: 10m
tenants:
  prod: {{domain: acme.us.auth0.com, environment: US-1}}
controls: [neutral]
timeline:
  - {{target: {failing}, from: 0m, is: {{http: 503}}}}
logs:
  - tenant: prod
    rows:
      s: {{rate: 5/s, connection: google-oauth2}}
      f: {{rate: 5/s, description: SAML response without assertion, connection: saml-corp}}
"""


class SwitchedWorld(World):
    """A world whose time is either before the outage or in it."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self.is_down = False
        self.arrived: Counter[str] = Counter()
        """Requests so far, by target."""

    def draw_arrived_request(self, target: Target | str, at: float) -> RequestOutcome:  # noqa: ARG002 - the switch decides
        self.arrived[str(target)] += 1
        offset_s = 60.0 if self.is_down else -60.0
        return super().draw_arrived_request(target, self.scenario.start_at + offset_s)


@dataclass
class Child:
    """`auth0-check` in a process of its own."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    """The lines that it has written so far."""
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip())
            self._news.set()

    async def says(self, pattern: str, within_s: float = PATIENCE_S) -> re.Match[str]:
        """Wait for a line of the log."""
        async with asyncio.timeout(within_s):
            while True:
                self._news.clear()
                for line in self.lines:
                    if found := re.search(pattern, line):
                        return found
                await self._news.wait()

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def ended(self) -> int:
        """Wait for its end; return its exit status."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()

    async def stop(self) -> int:
        """Ask it to stop in good order; return its exit status."""
        self.process.terminate()
        return await self.ended()


@asynccontextmanager
async def run(*arguments: str, module: str = "bot", **environment: str) -> AsyncIterator[Child]:
    """Start `auth0-check` with nothing else in its environment."""
    command = (sys.executable, "-m", "tests.steady", module, *arguments)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env=environment, stdout=PIPE, stderr=STDOUT
    )
    child = Child(process)
    listening = asyncio.create_task(child.listen())
    try:
        yield child
    finally:
        await child.kill()
        await listening
        print(*child.lines, sep="\n")  # noqa: T201 - pytest shows it where a test fails
    assert not SECRET.search("\n".join(child.lines))


@dataclass
class Town:
    """A workspace and a tenant, and the configuration that leads there."""

    server: WorkspaceServer
    workspace: Workspace
    world: SwitchedWorld
    tenants: LocalTenants
    config: dict[str, Any]
    folder: Path

    def write(self, **changes: Any) -> str:
        """Write the configuration file, with whole sections replaced; return its path."""
        file = self.folder / "auth0-check.yml"
        file.write_text(json.dumps(self.config | changes))  # JSON is YAML
        return str(file)

    def said(self, user: str = "") -> list[Message]:
        """Return the channel's messages for everybody, or for one person alone; oldest first.

        Without the greeting, with which each channel begins.
        """
        said = [m for m in self.workspace.messages(CHANNEL) if m.only_for == user]
        return [m for m in said if not m.text.startswith("Hello")]

    def check_secrets(self) -> None:
        """Fail if a secret of the configuration is in a message or in a file of the bot's."""
        app = self.workspace.state.app
        secrets = (LOGIN["password"], LOGIN["client_secret"], app.bot_token, app.app_token)
        written = {"messages": repr(self.workspace.messages(CHANNEL)).encode()}
        database = Path(self.config["database"])
        written |= {file.name: file.read_bytes() for file in self.folder.glob(f"{database.name}*")}
        leaks = {
            f"{secret} in {name}"
            for name in written
            for secret in secrets
            if str(secret).encode() in written[name]
        }
        assert not leaks

    async def command(self, text: str, *, user: str = "U1") -> None:
        """Type a command, and wait until Slack has an acknowledgement or says that it failed."""
        await self.server.people.type_command(user, CHANNEL, f"/auth0-check {text}")

    async def until(self, is_so: Callable[[], object], within_s: float = PATIENCE_S) -> None:
        async with asyncio.timeout(within_s):
            while not is_so():  # noqa: ASYNC110 - polls from outside, as a person would
                await asyncio.sleep(0.02)


@pytest.fixture
def failing() -> str:
    """The target that fails in the outage: keys may be fetched as often as a test likes."""
    return "prod.wellknown"


@pytest.fixture
async def town(tmp_path: Path, failing: str) -> AsyncIterator[Town]:
    file = tmp_path / "live.yml"
    clock = SystemClock()
    start = datetime.fromtimestamp(clock.now(), UTC).isoformat()
    file.write_text(SCENARIO.format(start=start, failing=failing))
    world = SwitchedWorld(load_file(file))
    people = [User(f"U{n}", f"person{n}", f"Person {n}") for n in range(1, 31)]
    workspace = Workspace(clock.now, people=people)
    logins = {"prod": [Login.model_validate(LOGIN)]}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(WorkspaceServer(workspace, port=find_free_port()))
        server.people.ack_limit_s = ACK_LIMIT_S
        tenants = await stack.enter_async_context(LocalTenants(world, clock, logins))
        app = workspace.state.app
        config = {
            "slack": {
                "bot_token": app.bot_token,
                "app_token": app.app_token,
                "channel": CHANNEL,
                "mention": "@here",
                "api_url": server.api_url,
            },
            "thresholds": {
                "fail_count": 3,
                "window": 5,
                "recover_count": 2,
                "mention_after": "2s",
            },
            "tenants": [
                {
                    "name": "prod",
                    "domain": "acme.us.auth0.com",
                    "environment": "US-1",
                    "ca_file": str(tenants.ca_file),
                    "feed_url": tenants.feed_urls["prod"],
                    "probe": {"every": "1s", "confirm_every": "1s"},
                    "logins": [LOGIN],
                }
            ],
            "feed": {"every": "1s"},
            "controls": list(tenants.control_urls.values()),
            "resolve": tenants.resolve,
            "database": str(tmp_path / "auth0-check.sqlite"),
            "server": {"admin_listen": "127.0.0.1:0"},
        }
        town = Town(server, workspace, world, tenants, config, tmp_path)
        yield town
        town.check_secrets()


@pytest.fixture
def auth0_check() -> Callable[..., Any]:
    """Start the program; it runs while the returned context is open."""
    return run
