"""The bot's own host: stalls, little CPU, a dead disk."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.host import share_of_a_core, stalls
from tests.faults.preload import FOR_GOOD_S
from tests.faults.program import COMMAND
from tests.faults.site import hang
from tests.faults.tenants import AUTH0_DOWN

if TYPE_CHECKING:
    from tests.faults.lab import Lab

TOLD = "the channel has the alert"
RED, SAID = "/health is red", "the channel says that nothing is saved"
GREEN = "/health is green again"
ENDED = "it says why and ends, for its supervisor to start it again"
WELL = "probe says that all is well"


@experiment(Kind.STALLS, {TOLD: 60})
async def auth0_hangs_on_a_host_that_stalls(lab: Lab) -> None:
    """The host stalls for 0.4 s every 8 s, and logins hang until the time-out of 10 s."""
    settings = lab.settings()
    settings["tenants"][0]["probe"]["timeout"] = "10s"
    await lab.start_watching(settings)
    async with stalls(lab.program, 0.4, 8.0):
        await lab.idle(0, 8)
        await tell_that_it_hangs(lab)


@experiment(Kind.STALLS, {TOLD: 30}, tier=Tier.QUICK)
async def auth0_hangs_for_less_on_a_host_that_stalls(lab: Lab) -> None:
    """The host stalls for 0.4 s every 1.6 s, and logins hang until a time-out of 2 s."""
    settings = lab.settings()
    settings["tenants"][0]["probe"]["timeout"] = "2s"
    await lab.start_watching(settings)
    async with stalls(lab.program, 0.4, 1.6):
        await tell_that_it_hangs(lab)


async def tell_that_it_hangs(lab: Lab) -> None:
    """Let logins hang."""
    lab.tenants.site.faults["prod"] = hang
    await lab.reach(TOLD, lambda: any(" fail" in card.text for card in lab.slack.cards()))


@experiment(Kind.DISK, {TOLD: 30, RED: 15, SAID: 60, GREEN: 60}, tier=Tier.QUICK)
async def disk_hangs(lab: Lab) -> None:
    """No fsync comes back, logins fail, and then the disk works again."""
    preload = lab.use_preload()
    admin = await lab.start_watching()
    await lab.idle(0, 3)
    preload.set(fsync_s=FOR_GOOD_S)
    hung_at = lab.now()
    await lab.idle(0, 3)

    async def is_red() -> bool:
        return (await admin.health())[0] == 503

    async def is_green() -> bool:
        return (await admin.health())[0] == 200

    lab.tenants.site.faults["prod"] = AUTH0_DOWN
    await asyncio.gather(
        lab.reach(TOLD, lambda: any(" fail" in card.text for card in lab.slack.cards())),
        lab.reach(RED, is_red, hung_at),
        lab.reach(SAID, lambda: any(_says_unsaved(c.words) for c in lab.slack.cards()), hung_at),
    )
    lab.heal()
    preload.set()
    await lab.reach(GREEN, is_green)


@experiment(Kind.DISK, {ENDED: 90})
async def disk_hangs_at_the_start(lab: Lab) -> None:
    """No fsync comes back when the bot starts, so that it cannot know what it did before."""
    lab.use_preload().set(fsync_s=FOR_GOOD_S)
    lab.may_end = True
    await lab.start()
    await lab.reach(ENDED, lambda: lab.program.status, lab.program.started_at)
    lab.check(lab.program.find("Error: .*see whether its disk works"), "the log says why")


def _says_unsaved(text: str) -> bool:
    return any(word in text.lower() for word in ("not saved", "cannot save", "from memory"))


@experiment(Kind.CPU, {WELL: 90}, tier=Tier.QUICK)
async def probe_with_a_tenth_of_a_core(lab: Lab) -> None:
    """`auth0-check probe` runs with 0.1 of a core."""
    lab.config.write_text(json.dumps(lab.settings()))
    lab.may_end = True
    await lab.run(COMMAND, "probe", "--config", str(lab.config))
    began = lab.now()
    async with share_of_a_core(lab.program, 0.1):
        await lab.until(lambda: lab.program.status is not None, 90, "the probe ends")
    await lab.program.ended()
    lines = "\n".join(line for _, line in lab.program.lines)
    lab.check(lab.program.status == 0, f"the exit status {lab.program.status} is 0:\n{lines}")
    await lab.reach(WELL, lambda: True, began)


@experiment(Kind.CPU, {"a login counts": 60, TOLD: 60})
async def run_with_a_tenth_of_a_core(lab: Lab) -> None:
    """The bot runs with 0.1 of a core, and logins fail."""
    admin = await lab.start()
    async with share_of_a_core(lab.program, 0.1):

        async def counts() -> bool:
            return (await admin.count_checks("prod.login")).get("ok", 0) > 0

        await lab.reach("a login counts", counts, lab.program.started_at)
        await lab.idle()
        await lab.strike()
        await lab.reach(TOLD, lambda: any(" fail" in card.text for card in lab.slack.cards()))
