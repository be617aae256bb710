"""`auth0-check run` by a fast clock: `fast.py CONFIG SPEED START`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bot.app.bot import Bot
from bot.app.clock import SystemClock
from bot.app.notification_router import build_notifiers
from bot.app.prober import LiveProber, webhook_config
from bot.config import load_settings
from bot.telemetry import set_up_logging
from bot.webhooks.counts import PushedCounts


class Patient:
    """The same time, but limits in real seconds: on a busy machine nothing looks down."""

    speed = 1.0

    def __init__(self, clock: SystemClock) -> None:
        self.now = clock.now
        self.sleep = asyncio.sleep


async def main(config: str, speed: str, start: str) -> None:
    settings = load_settings(Path(config), {})
    set_up_logging(settings.secrets())
    clock = SystemClock(float(speed), float(start))
    counts = PushedCounts(webhook_config(settings).tenants, clock)
    looking = LiveProber(settings, Patient(clock), counts=counts)
    await Bot(settings, clock, looking, counts, build_notifiers(settings, looking.fetcher)).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
