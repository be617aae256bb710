from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.live.conftest import Town

LIVES = 7
OUTAGE = (1, 5)
"""It begins during this life, the first being 0, and ends during that one."""


async def test_killed_again_and_again(town: Town, auth0_check: Any) -> None:
    """One message for the incident, each line of its thread once, every command answered."""
    dice = Random(7)  # noqa: S311 - no secret
    asking: list[asyncio.Task[None]] = []
    config = town.write()
    for life in range(LIVES):
        async with auth0_check("run", "--config", config) as child:
            await child.says("listening on")
            if life in OUTAGE:
                town.world.is_down = life == OUTAGE[0]
            await asyncio.sleep(dice.uniform(0.0, 2.0))
            command = town.server.people.type_command(f"U{life + 1}", "C0ALERTS", "/auth0-check run")
            asking.append(asyncio.create_task(command))
            await asyncio.sleep(dice.uniform(0.0, 0.2))
    async with auth0_check("run", "--config", config) as child:
        await asyncio.gather(*asking)
        def show():
            return town.said()
        try:
            await town.until(lambda: any("Resolved" in m.text for m in town.said() if m.thread_ts), 60)
        finally:
            for m in town.said(): print(m.ts, m.thread_ts, m.metadata, m.text[:100])
            for n in range(LIVES):
                for m in town.said(f"U{n+1}"): print(n+1, m.user, m.text[:60])
            print(*child.lines, sep="\n")
