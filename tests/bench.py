"""What the product must reach, measured side by side with its goals: `make bench`.

Figures depend on the machine, so nothing here is a test; run it alone on an idle machine.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from rich.console import Console
from rich.table import Table

from bot.app.clock import SystemClock
from bot.config.settings import Login
from bot.simulator.local import LocalTenants
from bot.simulator.reading import load_example
from bot.simulator.simulation import play_scenario
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace
from bot.simulator.world import World
from tests.bench_bookkeeping import played, stormed, written
from tests.bench_outage import timed
from tests.bench_probe import probed
from tests.bench_scale import scaled
from tests.bench_step import reported, triaged

if TYPE_CHECKING:
    from bot.simulator.scenario import Scenario

WATCHED_S = 60.0
COMMANDS = 50
LOGIN = {"client_id": "probe", "username": "probe", "password": "probe", "realm": "users"}
SCENARIO = "single-failure"
PAGE = Path(__file__).parents[1] / "docs" / "dev" / "performance.md"
BEGIN, END = "<!-- made by `make bench` -->", "<!-- end of the made part -->"
OUTAGES = ("outage", "ours", "before", "Prometheus, defaults", "Prometheus, tuned", "goal", "ratio")


def simulated() -> tuple[str, str, str]:
    """Play an hour and a bit with three tenants."""
    scenario = load_example("region-503")
    speeds = []
    for seed in range(3):
        summary = play_scenario(scenario, seed, lambda _: None, requests=False).summary
        speeds.append(summary["virtual_s"] / summary["wall_s"])
    return "simulate, three tenants", "2,000 times", f"{statistics.median(speeds):,.0f} times"


def simulated_on_all_cores() -> tuple[str, str, str]:
    """Play many worlds, on one core and on all."""
    scenarios = [load_example("region-503")] * 16
    seeds = range(len(scenarios))
    begun = time.perf_counter()
    for scenario, seed in zip(scenarios, seeds, strict=True):
        _play_quietly(scenario, seed)
    alone_s = time.perf_counter() - begun
    with ProcessPoolExecutor() as pool:
        list(pool.map(_play_quietly, scenarios[:2], seeds[:2]))  # the workers have started
        begun = time.perf_counter()
        list(pool.map(_play_quietly, scenarios, seeds))
        together_s = time.perf_counter() - begun
    cores = os.cpu_count() or 1
    return f"--seeds on {cores} cores", f"{cores} times", f"{alone_s / together_s:.1f} times"


def _play_quietly(scenario: Scenario, seed: int) -> None:
    play_scenario(scenario, seed, lambda _: None, requests=False)


class Lab:
    """Servers in this process, the bot in another."""

    def __init__(self, stack: AsyncExitStack, folder: Path) -> None:
        self._stack, self._folder = stack, folder
        self.workspace = Workspace(SystemClock().now)
        self.server = WorkspaceServer(self.workspace)
        self.first_look = asyncio.Event()

    async def start(self, logins: int = 1, *, hanging: bool = False) -> asyncio.subprocess.Process:
        """Start servers and a bot whose logins all work, or all hang."""
        await self._stack.enter_async_context(self.server)
        clock = SystemClock()
        scenario = replace(load_example(SCENARIO), timeline=(), start_at=clock.now())
        world = World(scenario)
        named = [{**LOGIN, "name": f"login-{n}", "username": f"probe-{n}"} for n in range(logins)]
        settings = {t.name: [Login.model_validate(n) for n in named] for t in scenario.tenants}
        tenants = LocalTenants(world, clock, settings)
        await self._stack.enter_async_context(tenants)
        port = await self._hang() if hanging else 0
        config = self._folder / "config.yml"
        config.write_text(yaml.safe_dump(self._config(tenants, named, port)))
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run", "--config", str(config)),
            stderr=asyncio.subprocess.DEVNULL,
        )

    def _config(self, tenants: LocalTenants, logins: list[dict[str, str]], port: int) -> object:
        app = self.workspace.state.app
        tenant = {
            "name": "prod",
            "domain": "acme.us.auth0.com",
            "ca_file": str(tenants.ca_file),
            "feed_url": tenants.feed_urls["prod"],
            "logins": logins,
        }
        if port:
            tenant["base_url"] = f"http://127.0.0.1:{port}"
        return {
            "slack": {
                "bot_token": app.bot_token,
                "app_token": app.app_token,
                "channel": "C0ALERTS",
                "api_url": self.server.api_url,
            },
            "tenants": [tenant],
            "controls": list(tenants.control_urls.values()),
            "resolve": dict(tenants.resolve),
            "database": str(self._folder / "bench.sqlite"),
            "server": {"admin_listen": "127.0.0.1:0"},
        }

    async def _hang(self) -> int:
        """Accept connections and never answer."""

        async def connected(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            self.first_look.set()
            await reader.read()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self._stack.callback(server.close)
        return int(server.sockets[0].getsockname()[1])


async def running() -> list[tuple[str, str, str]]:
    """Watch a bot with one tenant at its usual interval."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        lab = Lab(stack, folder)
        begun = time.perf_counter()
        bot = await lab.start()
        first_s = await _first_look(lab, begun)
        await asyncio.sleep(15)
        cpu = _cpu_s(bot.pid)
        await asyncio.sleep(WATCHED_S)
        share = (_cpu_s(bot.pid) - cpu) / WATCHED_S
        memory = _memory_mb(bot.pid)
        await _stop(bot)
    return [
        ("run, one tenant: memory", "120 MB", f"{memory:.0f} MB"),
        ("run, one tenant: of a core", "1 %", f"{share:.2%}"),
        ("run: first probe after the start", "3 s", f"{first_s:.1f} s"),
    ]


async def _first_look(lab: Lab, begun: float) -> float:
    """Ask until the bot says that it has looked."""
    while True:
        answer = await _ask(lab, "/auth0-check", limit_s=20)
        if "ok in" in answer:
            return time.perf_counter() - begun
        await asyncio.sleep(0.05)


async def acknowledged() -> tuple[str, str, str]:
    """Type commands while 200 probes hang."""
    async with AsyncExitStack() as stack:
        lab = Lab(stack, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        bot = await lab.start(200, hanging=True)
        await lab.first_look.wait()
        await asyncio.sleep(5)
        times = []
        for _ in range(COMMANDS):
            begun = time.perf_counter()
            await lab.server.people.type_command("U1", "C0ALERTS", "/auth0-check help")
            times.append((time.perf_counter() - begun) * 1000)
        await _stop(bot)
    p95 = statistics.quantiles(times, n=20)[-1]
    measured = f"median {statistics.median(times):.0f} ms, 95 % {p95:.0f} ms"
    return "/auth0-check acknowledged while 200 probes hang", "100 ms", measured


async def _ask(lab: Lab, text: str, limit_s: float) -> str:
    before = len(lab.workspace.messages("C0ALERTS"))
    await lab.server.people.type_command("U1", "C0ALERTS", text)
    async with asyncio.timeout(limit_s):
        while len(lab.workspace.messages("C0ALERTS")) == before:  # noqa: ASYNC110 - no event here
            await asyncio.sleep(0.01)
    return lab.workspace.messages("C0ALERTS")[-1].text


async def _stop(bot: asyncio.subprocess.Process) -> None:
    bot.terminate()
    await bot.wait()


def _cpu_s(pid: int) -> float:
    """Return the seconds of processor time that a process and its children have used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


async def live() -> list[tuple[str, str, str]]:
    """Measure the running bot, one figure after the other."""
    return [*await running(), await acknowledged()]


def write_outages() -> None:
    """Measure how soon outages are posted, and write that into the page."""
    rows = [OUTAGES, ("---",) * len(OUTAGES), *timed()]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
    Console().print(table, soft_wrap=True)


def main() -> None:
    """Write the page, and print what depends on the machine.

    With `virtual`, only the first; with `scale N`, what N tenants cost instead.
    """
    table = Table("what", "goal", "measured")
    if sys.argv[1:2] == ["scale"]:
        for row in asyncio.run(scaled(int(sys.argv[2]))):
            table.add_row(*row)
        Console().print(table)
        return
    write_outages()
    if sys.argv[1:] == ["virtual"]:
        return
    for row in (
        triaged(),
        *stormed(),
        reported(),
        played(),
        written(),
        simulated(),
        simulated_on_all_cores(),
        *probed(),
        *asyncio.run(live()),
    ):
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
