"""The wall clock is wrong, or moves: the bot distrusts what it sees for a while, not for good."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, experiment

if TYPE_CHECKING:
    from tests.faults.lab import Lab
    from tests.faults.program import Admin

WATCHES, TOLD = "checks count again", "an outage after that is posted"
SAID = "/health says that the host's clock is wrong"
WATCH_S, TELL_S = 120.0, 10.0
SMALL, LARGE = (1.0, 10.0, 59.0), (61.0, 90.0, 600.0, 3600.0, 7200.0, 36_000.0)
TARGET = "prod.login"
WRONG_S = 30.0


@experiment(Kind.CLOCK, {WATCHES: WATCH_S, TOLD: TELL_S, SAID: 30})
async def clock_steps_and_stays(lab: Lab) -> None:
    """The wall clock moves by more than a minute, up to 10 hours, either way, and stays."""
    admin = await step(lab, lab.dice.choice(LARGE) * lab.dice.choice((-1, 1)))

    async def is_said() -> bool:
        _, health = await admin.health()
        return "clock" in str(health["parts"]["clock"].get("reason", ""))

    await lab.reach(SAID, is_said)


@experiment(Kind.CLOCK, {WATCHES: WATCH_S, TOLD: TELL_S})
async def clock_steps_a_little(lab: Lab) -> None:
    """The wall clock moves by less than a minute, either way, and stays."""
    await step(lab, lab.dice.choice(SMALL) * lab.dice.choice((-1, 1)))


@experiment(Kind.CLOCK, {WATCHES: WATCH_S, TOLD: TELL_S})
async def clock_is_behind_at_the_start(lab: Lab) -> None:
    """The wall clock is an hour behind when the bot starts, and is put right."""
    await start_wrong(lab, -3600.0)


@experiment(Kind.CLOCK, {WATCHES: WATCH_S, TOLD: TELL_S})
async def clock_is_ahead_at_the_start(lab: Lab) -> None:
    """The wall clock is three hours ahead when the bot starts, and is put right."""
    await start_wrong(lab, 3 * 3600.0)


@experiment(Kind.CLOCK, {WATCHES: WATCH_S, TOLD: TELL_S})
async def restart_with_a_clock_behind_the_state(lab: Lab) -> None:
    """The bot is killed and started again with a clock an hour behind what it has saved."""
    preload = lab.use_preload()
    preload.set(clock_offset_s=3600.0)  # so that the second clock is right, as that of Auth0 is
    await lab.start_watching()
    await lab.idle(5, 15)
    await lab.program.kill()
    preload.set()
    began, admin = lab.now(), await lab.start()
    await watch_and_tell(lab, admin, 0, began)


@experiment(Kind.CLOCK, {WATCHES: WATCH_S, TOLD: TELL_S})
async def host_is_suspended(lab: Lab) -> None:
    """The bot is stopped for up to 3 minutes, as a suspended host does, and goes on."""
    admin = await lab.start_watching()
    await lab.idle(5, 15)
    lab.program.signal(signal.SIGSTOP)
    await lab.idle(10, 180)
    lab.program.signal(signal.SIGCONT)
    checks = await admin.count_checks(TARGET)
    await watch_and_tell(lab, admin, checks.get("ok", 0), lab.now())


async def step(lab: Lab, by_s: float) -> Admin:
    """Move the clock at a random moment; return where the program is asked."""
    preload = lab.use_preload()
    admin = await lab.start_watching()
    await lab.idle(2, 15)
    checks = await admin.count_checks(TARGET)
    preload.set(clock_offset_s=by_s)
    await watch_and_tell(lab, admin, checks.get("ok", 0), lab.now())
    return admin


async def start_wrong(lab: Lab, by_s: float) -> None:
    """Start with a wrong clock, and put it right after a while."""
    preload = lab.use_preload()
    preload.set(clock_offset_s=by_s)
    admin = await lab.start_watching()
    await lab.idle(WRONG_S, WRONG_S + 15)
    _check_nothing_fails(lab)
    checks = await admin.count_checks(TARGET)
    preload.set()
    await watch_and_tell(lab, admin, checks.get("ok", 0), lab.now())


async def watch_and_tell(lab: Lab, admin: Admin, good: int, since: float) -> None:
    """See that checks count again, that nothing false was said, and that an outage is posted."""

    async def watches() -> bool:
        # One check may have been on its way when the clock moved.
        return (await admin.count_checks(TARGET)).get("ok", 0) >= good + 2

    await lab.reach(WATCHES, watches, since)
    _check_nothing_fails(lab)
    await asyncio.sleep(lab.dice.uniform(0, 5))
    known = len(lab.slack.cards())
    await lab.strike()
    await lab.reach(TOLD, lambda: " fail" in _newest(lab, known))


def _check_nothing_fails(lab: Lab) -> None:
    wrong = [card.text for card in lab.slack.cards() if " fail" in card.text]
    lab.check(not wrong, f"nothing is called an outage: {wrong}")


def _newest(lab: Lab, known: int) -> str:
    return " ".join(card.text for card in lab.slack.cards()[known:])
