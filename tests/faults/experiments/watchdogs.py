"""The bot watches itself, and lets others watch it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.preload import FOR_GOOD_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.faults.lab import Lab

READY, ALIVE = "systemd learns that it is ready", "systemd learns that it works, again and again"
ENDED = "the process ends, for its supervisor to start it again"
RED, GREEN = "/health is red", "/health is green again"
PINGED = "the ping address is asked for"
WATCHDOG_S = 4.0
LOOK_ON_S = 60.0


@experiment(Kind.WATCHDOG, {READY: 10, ALIVE: 12}, tier=Tier.TEST)
async def systemd_supervises(lab: Lab) -> None:
    """The bot runs as a service of systemd, which restarts it after 4 s of silence."""
    async with listen_as_systemd(lab) as heard:
        await lab.start()
        await lab.reach(READY, lambda: "READY=1" in heard, lab.program.started_at)
        await lab.reach(ALIVE, lambda: heard.count("WATCHDOG=1") >= 3)


@experiment(Kind.WATCHDOG, {ENDED: 60})
async def event_loop_stands_still(lab: Lab) -> None:
    """The event loop never turns again."""
    preload = lab.use_preload()
    async with listen_as_systemd(lab) as heard:
        await lab.start_watching()
        await lab.idle()
        preload.set(epoll_s=FOR_GOOD_S)
        lab.may_end = True
        await lab.idle(1, 1)
        known = heard.count("WATCHDOG=1")
        await lab.reach(ENDED, lambda: lab.program.status)
        lab.check(heard.count("WATCHDOG=1") == known, "systemd was not told that it works")


@experiment(Kind.WATCHDOG, {RED: 90, GREEN: 90})
async def slack_is_away_from_a_pod(lab: Lab) -> None:
    """Slack refuses connections: the bot says so, and stays in its Service."""
    admin = await lab.start_watching()
    await lab.idle()
    await lab.slack.site.shut()
    began = lab.now()

    async def is_in_service() -> bool:
        return [(await admin.get(path))[0] for path in ("/livez", "/readyz")] == [200, 200]

    async def is_red() -> bool:
        status, health = await admin.health()
        return status == 503 and bool(health)

    async def is_green() -> bool:
        return (await admin.health())[0] == 200

    await lab.reach(RED, is_red, began)
    await lab.hold(is_in_service, LOOK_ON_S, "the pod lives and is ready")
    await lab.slack.site.open()
    await lab.reach(GREEN, is_green)


@experiment(Kind.WATCHDOG, {PINGED: 30}, tier=Tier.TEST)
async def somebody_misses_the_bot(lab: Lab) -> None:
    """A service elsewhere expects a ping after each full cycle of checks."""
    ping_url = f"http://{lab.outside.site.address}/ping/lab"
    await lab.start_watching(lab.settings(ping_url=ping_url))
    await lab.reach(PINGED, lambda: lab.outside.pings)


@asynccontextmanager
async def listen_as_systemd(lab: Lab) -> AsyncIterator[list[str]]:
    """Give programs that start now a supervisor; yield what it hears.

    https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html (read 2026-11)
    """
    path, heard = lab.folder / "notify", list[str]()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as service:
        service.bind(str(path))
        loop = asyncio.get_running_loop()
        loop.add_reader(service, lambda: heard.extend(service.recv(4096).decode().split("\n")))
        microseconds = f"{WATCHDOG_S * 1e6:.0f}"
        lab.environment |= {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": microseconds}
        try:
            yield heard
        finally:
            loop.remove_reader(service)
