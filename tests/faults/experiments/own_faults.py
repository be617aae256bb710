"""The bot lacks what it needs to check: look-ups of names, memory."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, experiment
from tests.faults.preload import FOR_GOOD_S

if TYPE_CHECKING:
    from tests.faults.lab import Lab

NAMED = "the channel says what the bot lacks"
WELL = "all tenants are checked again"
DNS_FAILS = "my machine's DNS fails"
FEW = ("prod", "second", "third")
MOST_FREE = 400_000
"""Bytes: they may last for a moment."""


@experiment(Kind.OWN, {NAMED: 60, WELL: 120}, tenants=FEW)
async def resolver_pool_is_full(lab: Lab) -> None:
    """No look-up of a name comes back, until all that are allowed at once hang."""
    preload = lab.use_preload()
    lab.environment["FAULTS_TENANTS"] = f"{lab.tenants.site.port}"
    await lab.start_watching(lab.settings(resolve={}))
    await lab.idle()
    preload.set(lookup_s=FOR_GOOD_S)
    await lab.reach(NAMED, lambda: any(DNS_FAILS in c.text for c in lab.slack.cards()))
    await lab.idle(0, 120)
    preload.set()
    await recover(lab)


@experiment(Kind.OWN, {WELL: 120}, tenants=FEW)
async def memory_is_short(lab: Lab) -> None:
    """The bot gets hardly any more memory for minutes, and is started again where it ends."""
    lab.may_end = True
    lab.use_preload()
    lab.environment["FAULTS_TENANTS"] = f"{lab.tenants.site.port}"
    await lab.start_watching(lab.settings(resolve={}))  # each look-up needs a thread
    await lab.idle()
    pid = lab.program.pid
    kept = resource.prlimit(pid, resource.RLIMIT_AS)
    free = lab.dice.choice((0, MOST_FREE))
    resource.prlimit(pid, resource.RLIMIT_AS, (lab.program.mapped_bytes() + free, kept[1]))
    supervising = asyncio.create_task(supervise(lab))
    await lab.idle(60, 400)
    if lab.program.pid == pid:
        resource.prlimit(pid, resource.RLIMIT_AS, kept)
    lab.measured["starts"] = len(lab.programs)
    try:
        await recover(lab)
    finally:
        supervising.cancel()


async def supervise(lab: Lab) -> None:
    """Start the program again whenever it has ended."""
    while True:
        if lab.program.status is not None:
            await lab.start()
        await asyncio.sleep(0.1)


async def recover(lab: Lab) -> None:
    """Wait until all tenants are checked again; see that none was said to be down."""
    ended_at = lab.now()
    await lab.reach(WELL, lambda: {*lab.tenants.names} <= {*lab.tenants.succeeded(ended_at)})
    said = [text for card in lab.slack.cards() for _, text in card.texts]
    down = [text for text in said if " fail" in text and DNS_FAILS not in text]
    lab.check(not down, f"no tenant is said to be down: {down}")
