"""`auth0-check run` by a fast clock: `fast.py CONFIG SPEED START`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bot.config import load
from bot.hooks.counts import PushedCounts
from bot.telemetry import set_up_logging
from bot.wiring.clock import SystemClock
from bot.wiring.live import Bot
from bot.wiring.looking import Looking
from bot.wiring.measuring import hooks_of
from bot.wiring.outward import notifiers_of


class Patient:
    """The same time, but limits in real seconds: on a busy machine nothing looks down."""

    speed = 1.0

    def __init__(self, clock: SystemClock) -> None:
        self.now = clock.now
        self.sleep = asyncio.sleep


async def main(config: str, speed: str, start: str) -> None:
    settings = load(Path(config), {})
    set_up_logging(settings.secrets())
    clock = SystemClock(float(speed), float(start))
    counts = PushedCounts(hooks_of(settings).tenants, clock)
    looking = Looking(settings, Patient(clock), counts=counts)
    await Bot(settings, clock, looking, counts, notifiers_of(settings, looking.fetcher)).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
