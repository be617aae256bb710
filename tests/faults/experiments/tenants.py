"""Many tenants at once, and each tenant's own state."""

from __future__ import annotations

import os
import re
import resource
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.host import ahead_of_others
from tests.faults.tenants import AUTH0_DOWN

if TYPE_CHECKING:
    from tests.faults.lab import Lab

FIRST, ALL = "the first tenant is checked", "all tenants are checked"
MANY = tuple(f"tenant-{number}" for number in range(500))
TOLD = "the channel has the failing tenant's alert"
UNKNOWN = "the bot says that it cannot check"
LOOK_ON_S = 60.0
OPENED = r"incident=(\d+) state=open"


@experiment(Kind.MANY_TENANTS, {FIRST: 2}, tier=Tier.TEST, tenants=MANY, is_alone=True)
async def start_with_500_tenants(lab: Lab) -> None:
    """The bot starts with 500 tenants."""
    await lab.start(_every_minute(lab))
    with ahead_of_others(lab.program.pid, os.getpid()):
        await lab.reach(FIRST, lambda: any(lab.tenants.succeeded()), lab.program.started_at)


@experiment(Kind.MANY_TENANTS, {ALL: 62}, tenants=MANY, is_busy=True)
async def check_500_tenants(lab: Lab) -> None:
    """The bot starts with 500 tenants, which are checked each minute."""
    await lab.start(_every_minute(lab))
    wanted = set(MANY)
    await lab.reach(ALL, lambda: wanted <= set(lab.tenants.succeeded()), lab.program.started_at)


def _every_minute(lab: Lab) -> dict[str, object]:
    settings = lab.settings()
    for tenant in settings["tenants"]:
        del tenant["probe"]
    return settings


@experiment(
    Kind.NO_DATA,
    {UNKNOWN: 330, TOLD: 30},
    tier=Tier.QUICK,
    tenants=("prod", "second", "third"),
    test_speed=20,
)
async def tenant_fails_after_missing_data(lab: Lab) -> None:
    """The bot cannot check any tenant for over 5 minutes; then one fails, and the others work."""
    await lab.start_watching()
    await lab.idle(0, 20)
    kept = resource.prlimit(lab.program.pid, resource.RLIMIT_NOFILE)
    # No descriptor below 3 is ever free, so that nothing can be opened.
    resource.prlimit(lab.program.pid, resource.RLIMIT_NOFILE, (3, kept[1]))
    await lab.reach(UNKNOWN, lambda: lab.program.find(OPENED))
    await lab.idle(10, 30)
    lab.tenants.site.faults["prod"] = AUTH0_DOWN
    resource.prlimit(lab.program.pid, resource.RLIMIT_NOFILE, kept)
    known = _numbers(lab)
    await lab.reach(TOLD, lambda: any(" fail" in c.text for c in lab.slack.cards()))
    await lab.hold(
        lambda: _numbers(lab) <= known | _numbers(lab, "critical"),
        LOOK_ON_S,
        "nothing is opened but the incident of the tenant that fails",
    )
    alerts = [card.text for card in lab.slack.cards() if card.key[:1].isdigit()]  # no greeting
    lab.check(
        len(alerts) <= 2, f"one alert says that it could not check, one that prod fails: {alerts}"
    )


def _numbers(lab: Lab, severity: str = "") -> set[str]:
    """Return the incidents that the log says were opened."""
    lines = (re.search(rf"{OPENED} severity={severity}", line) for _, line in lab.program.lines)
    return {found[1] for found in lines if found}
