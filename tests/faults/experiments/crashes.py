"""The process dies again and again."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.lab import START_S
from tests.faults.outside import PAGER

if TYPE_CHECKING:
    from aiohttp import web

    from tests.faults.lab import Lab
    from tests.faults.site import Handler

TOLD = "the channel has the alert, once"
NOTICED = "the crash loop is paged"
EVERY_S = 25.0
"""From start to start. Where a start lasts, the program lives for half of it at least."""
SETTLED_S = 100.0
"""By then it has looked for what Slack took, over several crashes, and might have posted again."""
LISTENS = r"admin_listen: listening"


@experiment(Kind.CRASHES, {TOLD: 75}, tier=Tier.QUICK, test_speed=10)
async def crashes_after_a_kill_in_mid_post(lab: Lab) -> None:
    """The bot is killed in mid-post, before or after Slack took it, then crashes every 25 s."""
    await lab.start_watching()
    await lab.idle()
    is_taken = lab.dice.random() < 1 / 2

    async def kill(request: web.BaseRequest, handle: Handler) -> web.StreamResponse:
        lab.slack.site.faults.clear()
        response = await handle(request) if is_taken else None
        lab.program.signal(signal.SIGKILL)
        return response or await asyncio.get_running_loop().create_future()

    def is_told() -> bool:
        return sum(" fail" in card.text for card in lab.slack.cards()) == 1

    lab.slack.site.faults["chat.postMessage"] = kill
    lab.may_end = True
    await lab.strike()
    await lab.until(lambda: lab.program.status is not None, START_S, "it is killed in mid-post")
    killed_at = lab.now()
    crashing = asyncio.create_task(crash_again_and_again(lab))
    try:
        await lab.reach(TOLD, is_told, killed_at)
        await lab.hold(is_told, SETTLED_S, "there is one message of the outage")
    finally:
        crashing.cancel()


@experiment(Kind.CRASHES, {NOTICED: 240})
async def crash_loop(lab: Lab) -> None:
    """The bot crashes every 25 s, and all is well otherwise."""
    lab.may_end = True
    await lab.start()
    began = lab.now()
    crashing = asyncio.create_task(crash_again_and_again(lab))
    try:
        await lab.reach(NOTICED, lambda: lab.outside.paged(PAGER), began)
    finally:
        crashing.cancel()


async def crash_again_and_again(lab: Lab) -> None:
    """Kill the program after each start, and start it again."""
    while True:
        if lab.program.status is not None:
            await lab.start()
        while lab.program.status is None and not lab.program.find(LISTENS):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        every_s, lived_s = EVERY_S / lab.speed, lab.now() - lab.program.started_at
        await asyncio.sleep(max(every_s - lived_s, every_s / 2))
        await lab.program.kill()
