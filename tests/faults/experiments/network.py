"""What comes over the network: attackers at the listener, hostile answers."""

from __future__ import annotations

import asyncio
import http.client
from threading import Event
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.host import half_sent_requests
from tests.faults.lab import START_S
from tests.faults.site import endless_hints, one_byte_chunks

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from tests.faults.lab import Lab
    from tests.faults.program import Program

CONNECTIONS, MAX_FILES = 1100, 1024
HEALTHY, TOLD = "health is answered", "the channel has the alert"
HELD = "no answer holds the loop for longer"
ATTACK_S = 10.0
MAX_LINES_A_SECOND = 20
HOSTILE_S = 15.0


@experiment(Kind.LISTENER, {HEALTHY: 2, TOLD: 20}, tier=Tier.TEST)
async def half_sent_requests_from_one_address(lab: Lab) -> None:
    """1,100 half requests from one address at the public listener, and logins fail."""
    await attack(lab, lambda _: "127.0.0.2")


@experiment(Kind.LISTENER, {HEALTHY: 2, TOLD: 20})
async def half_sent_requests_from_many_addresses(lab: Lab) -> None:
    """1,100 half requests, each from another address, at the public listener, and logins fail."""
    await attack(lab, lambda number: f"127.0.{1 + number // 250}.{1 + number % 250}")


async def attack(lab: Lab, addresses: Callable[[int], str]) -> None:
    """Hold the connections while an outage begins."""
    lab.max_files = MAX_FILES
    hooks = {"change": {"token": "lab-hook-token"}}
    server = {"admin_listen": "127.0.0.1:0", "listen": "127.0.0.1:0"}
    admin = await lab.start_watching(lab.settings(hooks=hooks, server=server))
    port = int(_found(lab.program.find(r"server\.listen: listening on \S+:(\d+)")))
    await lab.idle(0, 3)
    lines = lab.program.count_lines
    async with half_sent_requests(port, CONNECTIONS, addresses):
        await lab.idle(ATTACK_S, ATTACK_S + 5)
        spoken = lab.program.count_lines - lines
        lab.check(spoken < MAX_LINES_A_SECOND * ATTACK_S, f"the log is quiet, with {spoken} lines")

        async def is_healthy() -> bool:
            return (await admin.get("/healthz"))[0] == 200

        await lab.reach(HEALTHY, is_healthy)
        await lab.strike()
        await lab.reach(TOLD, lambda: any(" fail" in card.text for card in lab.slack.cards()))


def _found(match: tuple[float, re.Match[str]] | None) -> str:
    if match is None:
        raise AssertionError("the log does not say where the program listens")
    return str(match[1][1])


@experiment(
    Kind.ANSWERS,
    {HELD: 0.1},
    tier=Tier.QUICK,
    tenants=("evil", "prod", "other", "third"),
    is_busy=True,
)
async def one_byte_chunks_and_endless_hints(lab: Lab) -> None:
    """A tenant's token endpoint answers in chunks of one byte, or with interim answers only."""
    admin = await lab.start_watching()
    found = lab.program.find(r"admin_listen: listening on \S+:(\d+)")
    before = {name: await admin.count_checks(f"{name}.login") for name in lab.tenants.names[1:]}
    stop = Event()
    port = int(_found(found))
    watching = asyncio.create_task(asyncio.to_thread(find_longest_wait, lab.program, port, stop))
    lab.tenants.site.faults["evil"] = lab.dice.choice((one_byte_chunks, endless_hints))
    tries = lab.tenants.count_tries("evil")
    try:
        await lab.until(
            lambda: lab.tenants.count_tries("evil") > tries, START_S, "the login is asked for"
        )
        await lab.idle(HOSTILE_S, HOSTILE_S + 5)
    finally:
        stop.set()
    lab.measure(HELD, await watching)
    for name, known in before.items():
        after = await admin.count_checks(f"{name}.login")
        lab.check(after.get("ok", 0) > known.get("ok", 0), f"{name} is checked meanwhile")
        lost = after.get("no_data", 0) - known.get("no_data", 0)
        lab.check(not lost, f"{name} loses no check; it lost {lost}")


def find_longest_wait(program: Program, port: int, stop: Event) -> float:
    """Ask the program again and again; return how long it worked at most before it answered.

    In a thread, as this process's own loop has other work. Any answer shows that the loop turns.
    What the program worked is what it was busy with; the whole time may be another program's.
    """
    longest_s, connection = 0.0, http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not stop.wait(0.01):
        used_s = program.used_s()
        connection.request("GET", "/livez")
        connection.getresponse().read()
        longest_s = max(longest_s, program.used_s() - used_s)
    connection.close()
    return longest_s
