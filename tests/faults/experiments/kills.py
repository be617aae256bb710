"""The process is killed again and again while alerts flow."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import sqlite3
from collections import Counter, defaultdict
from contextlib import closing
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.lab import START_S
from tests.faults.site import cut_after_done, cut_before
from tests.faults.tenants import AUTH0_DOWN

if TYPE_CHECKING:
    from aiohttp import web

    from tests.faults.lab import Lab
    from tests.faults.site import Fault, Handler
    from tests.faults.slack import Message

SETTLED = "all is over, and said once"
KILLS, FEW_KILLS = 25, 4
FAST = 10.0
ENVIRONMENTS = "US-1", "US-3", "EU-1", "EU-2", "AU-1", "JP-1"
MANY = tuple(f"tenant-{number}" for number in range(len(ENVIRONMENTS)))
LATE_S = 5.0
LIFE_S, UNTIL_POST_S = 15.0, 60.0
"""The longest from a start to a kill, at random or at the next message."""
ABOUT_A_CALL = re.compile(r"Paged by|got a direct message|For \d+ (s|min)")


@experiment(
    Kind.CRASHES, {SETTLED: 900}, tier=Tier.QUICK, tenants=MANY, test_speed=FAST, speed=FAST
)
async def killed_while_alerts_flow(lab: Lab) -> None:
    """The bot is killed 25 times (or 4) at random or in mid-post, while tenants fail."""
    await kill_again_and_again(lab)


@experiment(Kind.CRASHES, {SETTLED: 900}, tier=Tier.TEST, tenants=MANY, test_speed=FAST, speed=FAST)
async def killed_while_answers_get_lost(lab: Lab) -> None:
    """The same, and of each five messages Slack loses one's answer and takes one up to 5 s late."""
    lab.slack.site.faults["chat.postMessage"] = lose_answers(lab)
    await kill_again_and_again(lab)


def lose_answers(lab: Lab) -> Fault:
    """Return a fault that loses some answers, and does some work late."""

    async def answer(request: web.BaseRequest, handle: Handler) -> web.StreamResponse:
        fate = lab.dice.random()
        if fate < 1 / 5:
            return await cut_after_done(request, handle)
        if fate < 2 / 5:
            await request.read()
            asyncio.get_running_loop().call_later(
                lab.dice.uniform(0, LATE_S / lab.speed),
                lambda: asyncio.ensure_future(handle(request)),
            )
            return await cut_before(request, handle)
        return await handle(request)

    return answer


async def kill_again_and_again(lab: Lab) -> None:
    """Kill the program, check its database, start it again; in the end let it finish its work."""
    lab.may_end = True
    await lab.load_code_once()
    settings = lab.settings()
    for tenant, environment in zip(settings["tenants"], ENVIRONMENTS, strict=True):
        tenant["environment"] = environment  # each has incidents of its own
    weather = asyncio.create_task(let_tenants_fail(lab))
    kills = lab.measured["kills"] = FEW_KILLS if lab.is_quick else KILLS
    lab.measured["kills in mid-post"] = 0
    try:
        for _ in range(kills):
            await lab.start(settings)
            await lab.until(
                lambda: lab.program.find("admin_listen: listening"), START_S, "it has started"
            )
            await die(lab)
            check_database(lab)
    finally:
        weather.cancel()
    lab.heal()
    lab.may_end = False
    await lab.start()
    await lab.reach(SETTLED, lambda: is_settled(lab))
    check_messages(lab)


async def let_tenants_fail(lab: Lab) -> None:
    """Let tenants fail and recover at random."""
    faults = lab.tenants.site.faults
    while True:
        name = lab.dice.choice(MANY)
        if faults.pop(name, None) is None:
            faults[name] = AUTH0_DOWN
        await lab.idle(1, 8)


async def die(lab: Lab) -> None:
    """Kill the program: in mid-post, before or after Slack took it; or after some time."""
    before, program = lab.slack.site.faults.get("chat.postMessage"), lab.program
    longest_s = LIFE_S
    if lab.dice.random() < 1 / 2:
        is_taken = lab.dice.random() < 1 / 2

        async def kill(request: web.BaseRequest, handle: Handler) -> web.StreamResponse:
            if is_taken:
                await (before(request, handle) if before else handle(request))
            program.signal(signal.SIGKILL)
            lab.measured["kills in mid-post"] += 1
            return await cut_before(request, handle)

        lab.slack.site.faults["chat.postMessage"] = kill
        longest_s = UNTIL_POST_S
    latest = lab.now() + lab.dice.uniform(0, longest_s) / lab.speed
    while lab.program.status is None and lab.now() < latest:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await lab.program.kill()
    lab.slack.site.faults.pop("chat.postMessage", None)
    if before:
        lab.slack.site.faults["chat.postMessage"] = before


def check_database(lab: Lab) -> None:
    """See that a copy of what a killed program leaves behind is whole."""
    database, copy = lab.folder / "auth0-check.sqlite", lab.folder / "copy.sqlite"
    for suffix in ("", "-wal"):
        part = database.with_name(database.name + suffix)
        if part.exists():
            shutil.copy(part, copy.with_name(copy.name + suffix))
    with closing(sqlite3.connect(copy)) as connection:
        (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    lab.check(verdict == "ok", f"the database is whole: {verdict}")
    for path in lab.folder.glob("copy.sqlite*"):
        path.unlink()


def read_incidents(lab: Lab) -> dict[int, bool]:
    """Return the incidents by number, and whether each is over."""
    with closing(sqlite3.connect(lab.folder / "auth0-check.sqlite")) as connection:
        rows = connection.execute("SELECT id, resolved_at FROM incident").fetchall()
    return {number: resolved_at is not None for number, resolved_at in rows}


def is_settled(lab: Lab) -> bool:
    """Tell whether all incidents are over and nothing waits to be sent."""
    if not lab.slack.socket.is_connected or not all(read_incidents(lab).values()):
        return False
    with closing(sqlite3.connect(lab.folder / "auth0-check.sqlite")) as connection:
        waiting = "SELECT count(*) FROM outbox WHERE status NOT IN ('sent', 'dead')"
        (count,) = connection.execute(waiting).fetchone()
    return bool(count == 0)


def check_messages(lab: Lab) -> None:
    """See that each incident has one message, which says that it is over, and each line is once.

    Calls overtake what only informs, and what is said of a call waits until it was taken; within
    each of these kinds a thread's lines come in their order.
    """
    lab.measured["incidents"] = len(read_incidents(lab))
    ours = [message for message in lab.slack.messages if message.key[:1].isdigit()]
    lines = [message for message in ours if ":reply:" in message.key]
    cards = Counter(int(m.key.partition(":")[0]) for m in ours if ":reply:" not in m.key)
    wanted = Counter(dict.fromkeys(read_incidents(lab), 1))
    lab.check(cards == wanted, f"each incident has one message: {cards} and {wanted}")
    twice = [key for key, count in Counter(m.key for m in lines).items() if count > 1]
    lab.check(not twice, f"no line is there twice: {twice}")
    firing = [json.dumps(m.text) for m in ours if ":reply:" not in m.key and "FIRING" in m.text]
    lab.check(not firing, f"no message says that something fails: {firing}")
    kinds = defaultdict[tuple[str, str], list[int]](list)
    for line in lines:
        incident, _, number = line.key.split(":")
        kinds[incident, kind_of(line)].append(int(number))
    late = {kind: numbers for kind, numbers in kinds.items() if numbers != sorted(numbers)}
    lab.check(not late, f"lines of a kind keep their order: {late}")


def kind_of(line: Message) -> str:
    """Return whether a line makes a call, is about one, or only informs."""
    if "reason" in line.params["metadata"]["event_payload"]:
        return "call"
    return "about a call" if ABOUT_A_CALL.search(line.text) else "news"
