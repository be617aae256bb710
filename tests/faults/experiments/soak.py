"""The bot runs for long, while all around it fails now and then."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections import defaultdict
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.experiments.kills import check_messages, is_settled, lose_answers
from tests.faults.lab import SLACK_DOWN, SOAK_S, START_S
from tests.faults.program import MAX_LINES
from tests.faults.site import answer, cut_before, hang
from tests.faults.tenants import AUTH0_DOWN

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aiohttp import web

    from tests.faults.lab import Lab
    from tests.faults.site import Handler, Site

    Weather = Callable[[Lab, "Truth"], Awaitable[None]]

MEMORY, FILES, TASKS = "memory grows by, in percent", "more descriptors", "more tasks"
FALSE, SETTLED = "false alerts", "seconds until all is over, and said once"
COUNTED = (sys.executable, "-m", "tests.live.counted")
MANY = tuple(f"tenant-{number}" for number in range(200))
EVERY_S = 5.0
"""Between two samples."""
PAUSES_S = (5.0, 25.0)
LATE_S = 300.0
"""For so long after a fault an alert about it is right: signals recover slowly."""
DETECTED_S = 180.0
"""An outage that lasts longer is alerted."""
INCIDENT = re.compile(r"incident=(\d+) state=(\w+) severity=\w+ tenants=(\S*)")


@dataclass(frozen=True)
class Sample:
    """What the bot uses."""

    memory: int
    """Bytes in memory."""
    files: int
    tasks: int


class Truth:
    """When which tenant failed, by the loop's clock."""

    def __init__(self) -> None:
        self.spans = defaultdict[str, list[tuple[float, float]]](list)

    def has_failed(self, tenant: str, at: float) -> bool:
        """Tell whether a tenant failed at an instant, or shortly before."""
        return any(since <= at <= until + LATE_S for since, until in self.spans[tenant])


@experiment(
    Kind.SOAK,
    {MEMORY: 5, FILES: 5, TASKS: 5, FALSE: 0, SETTLED: 900},
    tier=Tier.FULL,
    tenants=MANY,
    times=1,
    lasts_s=SOAK_S,
    unit="",
)
async def soak(lab: Lab) -> None:
    """200 tenants are checked for an hour; they, Slack, pagers, the feed and the host fail."""
    await start_with_defaults(lab)
    truth, samples = Truth(), list[Sample]()
    used_s, began = lab.program.used_s(), lab.now()
    weathers = [asyncio.create_task(let_fail(lab, truth)) for _ in range(3)]
    try:
        while lab.now() < began + lab.soak_s:
            await asyncio.sleep(EVERY_S)
            samples.append(take_sample(lab))
            lab.check(lab.program.status is None, "the bot runs")
            broken = [each.exception() for each in weathers if each.done()]
            lab.check(not broken, f"the weather goes on: {broken}")
    finally:
        for each in weathers:
            each.cancel()
        await asyncio.gather(*weathers, return_exceptions=True)
    span_s = lab.now() - began
    lab.measured |= {
        "minutes": span_s / 60,
        "share of a core": (lab.program.used_s() - used_s) / span_s,
        "checks": len(lab.tenants.logins),
        "outages": sum(map(len, truth.spans.values())),
    }
    heal_all(lab)
    note_growth(lab, samples)
    try:
        await lab.reach(SETTLED, lambda: is_settled(lab))
    finally:
        missed = note_alerts(lab, truth)
    for promise in (MEMORY, FILES, TASKS, FALSE):  # all are known before one fails
        lab.measure(promise, lab.measured[promise])
    lab.check(not missed, f"each outage is alerted: {missed}")
    check_messages(lab)


async def start_with_defaults(lab: Lab) -> None:
    """Start the bot with the intervals and thresholds that it has by default."""
    settings = lab.settings()
    for tenant in settings["tenants"]:
        del tenant["probe"]
    del settings["thresholds"], settings["feed"]
    lab.config.write_text(json.dumps(settings))
    await lab.run(*COUNTED, str(lab.folder / "tasks"), "run", "--config", str(lab.config))
    await lab.until(
        lambda: set(MANY) <= set(lab.tenants.succeeded()) and lab.slack.socket.is_connected,
        START_S,
        "all tenants are checked",
    )


def take_sample(lab: Lab) -> Sample:
    """Return what the bot uses now, and how many tasks it had at the sample before."""
    counted = lab.folder / "tasks"
    tasks = int((counted.exists() and counted.read_text()) or 0)
    lab.program.signal(signal.SIGUSR1)
    return Sample(lab.program.resident_bytes(), lab.program.count_files(), tasks)


def note_growth(lab: Lab, samples: list[Sample]) -> None:
    """Compare the last sixth with that after the first tenth, in which caches fill."""
    sixth = len(samples) // 6
    before, after = samples[len(samples) // 10 :][:sixth], samples[-sixth:]

    def more(name: str) -> float:
        then, now = (median(getattr(each, name) for each in part) for part in (before, after))
        lab.measured[f"{name} before"], lab.measured[f"{name} after"] = then, now
        return max(0.0, float(now - then))

    lab.measured[MEMORY] = 100 * more("memory") / lab.measured["memory before"]
    lab.measured[FILES], lab.measured[TASKS] = more("files"), more("tasks")


def note_alerts(lab: Lab, truth: Truth) -> list[tuple[str, float]]:
    """Count the false alerts; return the outages that lasted, and none was about them."""
    lab.check(lab.program.count_lines < MAX_LINES, "all lines of the log are there")
    false, alerted = follow_incidents(lab.program.lines, truth)
    lab.measured["alerts"], lab.measured[FALSE] = len(lab.slack.cards()), len(false)
    return [
        (name, until - since)
        for name, spans in truth.spans.items()
        for since, until in spans
        if until - since > DETECTED_S
        and not any(begun <= until + LATE_S and since <= over for begun, over in alerted[name])
    ]


def follow_incidents(
    lines: Iterable[tuple[float, str]], truth: Truth
) -> tuple[list[str], dict[str, list[tuple[float, float]]]]:
    """Return the false lines, and when each tenant was in an open incident.

    A line lists all of an incident's tenants, also those that work again: it is false if one that
    is new in it has not failed, or none has.
    """
    false, alerted = list[str](), defaultdict[str, list[tuple[float, float]]](list)
    known, begun = defaultdict[str, set[str]](set), dict[tuple[str, str], float]()
    for at, line in lines:
        if not (found := INCIDENT.search(line)):
            continue
        number, state, names = found[1], found[2], found[3].split(",")
        if state == "open":
            failed = {name for name in names if truth.has_failed(name, at)}
            false += [line] * (not failed or not set(names) - known[number] <= failed)
            known[number] |= {*names}
            for name in names:
                begun.setdefault((number, name), at)
        else:
            for name in names:
                alerted[name].append((begun.pop((number, name), at), at))
    for (_, name), at in begun.items():
        alerted[name].append((at, inf))
    return false, alerted


async def let_fail(lab: Lab, truth: Truth) -> None:
    """Let one thing fail after the other."""
    while True:
        await lab.idle(*PAUSES_S)
        await lab.dice.choice(WEATHERS)(lab, truth)


async def fail_a_tenant(lab: Lab, truth: Truth) -> None:
    """Let the logins of a tenant fail for minutes."""
    faults, name = lab.tenants.site.faults, lab.dice.choice(MANY)
    if name in faults:
        return
    since = lab.now()
    faults[name] = lab.dice.choice((AUTH0_DOWN, hang, cut_before, answer(500, "oops")))
    truth.spans[name].append((since, inf))
    try:
        await lab.idle(30, 400)
    finally:
        faults.pop(name, None)
        truth.spans[name][-1] = since, lab.now()


async def fail_one_login(lab: Lab, _: Truth) -> None:
    """Let a few tenants fail once."""
    faults = lab.tenants.site.faults

    def fail_once(name: str) -> None:
        async def fail(request: web.BaseRequest, handle: Handler) -> web.StreamResponse:
            faults.pop(name, None)
            return await AUTH0_DOWN(request, handle)

        faults.setdefault(name, fail)

    for name in lab.dice.sample(MANY, 5):
        fail_once(name)
    await lab.idle(30, 60)


async def fail_slack(lab: Lab, _: Truth) -> None:
    """Let Slack fail in one way for less than a minute."""
    site, way = lab.slack.site, lab.dice.choice(("shut", "down", "hang", "lost", "wait", "reset"))
    if way == "shut":
        await site.shut()
        try:
            await lab.idle(1, 40)
        finally:
            await site.open()
    elif way == "wait":
        lab.slack.waits["chat.postMessage"] = 5.0
        await lab.idle(1, 40)
        lab.slack.waits.clear()
    elif way == "reset":
        site.reset()
    elif way == "lost":
        await fail_site(lab, site, "chat.postMessage", lose_answers(lab))
    else:
        await fail_site(lab, site, "*", hang if way == "hang" else SLACK_DOWN)


async def fail_outside(lab: Lab, _: Truth) -> None:
    """Let a contact point, the feed or the control endpoint fail."""
    name = lab.dice.choice(("pager", "webhook", "feed", "control"))
    fault = lab.dice.choice((hang, cut_before, answer(503), answer(200, "<html>nonsense")))
    await fail_site(lab, lab.outside.site, name, fault)


async def fail_site(lab: Lab, site: Site, name: str, fault: object) -> None:
    """Let one thing of a site fail for less than a minute."""
    if name in site.faults:
        return
    site.faults[name] = fault  # type: ignore[assignment]
    try:
        await lab.idle(1, 50)
    finally:
        site.faults.pop(name, None)


async def stall(lab: Lab, _: Truth) -> None:
    """Stop the bot for a moment."""
    lab.program.signal(signal.SIGSTOP)
    await lab.idle(0.5, 5)
    lab.program.signal(signal.SIGCONT)


async def use_commands(lab: Lab, _: Truth) -> None:
    """Let people ask."""
    if lab.slack.socket.is_connected:
        words = lab.dice.choice(("status", "help", "why", f"run {lab.dice.choice(MANY)}", "report"))
        await lab.slack.socket.type_command(lab.dice.choice(("U1", "U2")), words)


WEATHERS: tuple[Weather, ...] = (
    fail_a_tenant,
    fail_a_tenant,
    fail_one_login,
    fail_slack,
    fail_slack,
    fail_outside,
    stall,
    use_commands,
)


def heal_all(lab: Lab) -> None:
    """End all faults."""
    for site in (lab.tenants.site, lab.slack.site, lab.outside.site):
        site.faults.clear()
    lab.slack.waits.clear()
    lab.program.signal(signal.SIGCONT)
