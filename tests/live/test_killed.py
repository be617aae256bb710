from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.live.conftest import Town

LIVES = 5
BEGINS_IN, ENDS_IN = 1, 4
"""The processes, counted from 0, in which the outage begins and ends."""
SETTLED_S = 200.0
"""After a kill during a post the next process waits 40 s before it searches for the post."""


async def test_killed_again_and_again(town: Town, auth0_check: Any) -> None:
    """One message for one incident, each thread line once, and an answer to every command."""
    dice = Random(7)  # noqa: S311 - no secret
    asking = []
    config = town.write()
    for life in range(LIVES):
        async with auth0_check("run", "--config", config) as child:
            await child.says("Connected to Slack")
            if life == ENDS_IN:
                await town.until(town.said, SETTLED_S)
            town.world.is_down = BEGINS_IN <= life < ENDS_IN
            await asyncio.sleep(dice.uniform(0.0, 2.0))
            asking.append(asyncio.create_task(town.command("run", user=f"U{life + 1}")))
            await asyncio.sleep(dice.uniform(0.0, 0.2))
    async with auth0_check("run", "--config", config) as child:
        await asyncio.gather(*asking)
        await town.until(lambda: "Resolved" in town.said()[-1].text, SETTLED_S)
        await town.until(lambda: all(is_answered(town, n + 1) for n in range(LIVES)))
        assert await child.stop() == 0

    card, *replies = town.said()
    assert "work again" in card.text
    assert all(reply.thread_ts == card.ts for reply in replies)
    keys = [reply.metadata["event_payload"]["k"] for reply in replies if reply.metadata]
    assert keys == [f"1:reply:{number}" for number in range(1, len(replies) + 1)]


def is_answered(town: Town, number: int) -> bool:
    """Tell whether start and result are there, or Slack's message that the command failed."""
    texts = [message.text for message in town.said(f"U{number}")]
    return len(texts) >= 2 or any("failed with the error" in text for text in texts)
