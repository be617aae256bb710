"""What one fresh login costs in our own processor time: part of `make bench`."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

from bot.app.clock import SystemClock
from bot.app.prober import LiveProber
from bot.config.settings import Login, Settings
from bot.core.model.observation import TOKEN_ENDPOINT, WELLKNOWN, Outcome, Target
from bot.simulator.local import LocalTenants
from bot.simulator.reading import load_example
from bot.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

LOGIN = {"client_id": "probe", "username": "probe", "password": "probe", "realm": "users"}
SLACK = {"bot_token": "xoxb-1-bench", "app_token": "xapp-1-bench", "channel": "C0ALERTS"}
SCENARIO = "single-failure"
ROUNDS, EACH = 5, 30


def probed() -> list[tuple[str, str, str]]:
    """Probe a healthy tenant in another process, one request after the other."""
    with _serve() as (place, ca_file):
        return asyncio.run(_probe(place, ca_file))


async def _probe(place: dict[str, str], ca_file: str) -> list[tuple[str, str, str]]:
    tenant = {
        "name": "prod",
        "domain": "acme.us.auth0.com",
        "ca_file": ca_file,
        "logins": [{**LOGIN, "name": "login"}],
    }
    settings = Settings.model_validate({"slack": SLACK, "tenants": [tenant], "resolve": place})
    prober = LiveProber(settings, SystemClock())
    rows = []
    probes = {"a fresh login": "login", "a light check": TOKEN_ENDPOINT, "discovery": WELLKNOWN}
    for what, name in probes.items():
        times = []
        for _ in range(ROUNDS):
            begun_s = time.process_time()
            for _ in range(EACH):
                seen = await prober.probe(Target("prod", name))
                if seen.outcome is not Outcome.OK:
                    raise RuntimeError(seen)
            times.append((time.process_time() - begun_s) / EACH * 1000)
        rows.append((f"{what}: processor time", "", f"{statistics.median(times):.2f} ms"))
    return rows


@contextmanager
def _serve() -> Iterator[tuple[dict[str, str], str]]:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run_server, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _run_server(pipe: Connection) -> None:
    async def serve() -> None:
        clock = SystemClock()
        scenario = replace(load_example(SCENARIO), timeline=(), start_at=clock.now())
        login = [Login.model_validate({**LOGIN, "name": "login"})]
        tenants = LocalTenants(
            World(scenario), clock, dict.fromkeys((t.name for t in scenario.tenants), login)
        )
        async with tenants:
            pipe.send((dict(tenants.resolve), str(tenants.ca_file)))
            await asyncio.Event().wait()

    asyncio.run(serve())
