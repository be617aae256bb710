"""`auth0-check run` with a fast clock: `fast.py CONFIG SPEED START`."""

from __future__ import annotations

import asyncio
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


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
