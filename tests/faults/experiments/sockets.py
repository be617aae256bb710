"""The Socket Mode connection: the bot is patient with Slack, and not with a dead connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.lab import START_S
from tests.faults.slack_socket import SocketFault

if TYPE_CHECKING:
    from tests.faults.lab import Lab

BACK = "the bot is connected again"
DEAD_S = 12.0
"""A dead connection is given up after 10 s, and a new one takes a moment."""
STORM_S = 10.0
MAX_OPENS = 10


@experiment(Kind.SOCKET, {BACK: 60}, tier=Tier.TEST)
async def too_many_websockets(lab: Lab) -> None:
    """Slack ends each new connection at once, as it does where there are too many."""
    await lab.start_watching()
    await lab.idle(0, 3)
    lab.slack.socket.fault = SocketFault.TOO_MANY
    began, opened = lab.now(), len(lab.slack.socket.opened)
    await lab.slack.socket.disconnect("too_many_websockets")
    await lab.idle(STORM_S, STORM_S + 5)
    count = len(lab.slack.socket.opened) - opened
    span_s = lab.now() - began
    lab.check(count <= MAX_OPENS, f"{count} calls in {span_s:.0f} s are few")
    await come_back(lab, lab.now())


@experiment(Kind.SOCKET, {BACK: DEAD_S}, tier=Tier.TEST)
async def socket_without_hello(lab: Lab) -> None:
    """Slack makes a connection and never says hello; the next one is well."""
    await break_one(lab, SocketFault.NO_HELLO)


@experiment(Kind.SOCKET, {BACK: DEAD_S}, tier=Tier.QUICK)
async def handshake_hangs(lab: Lab) -> None:
    """Slack never answers the handshake of a connection; the next one is well."""
    await break_one(lab, SocketFault.HANGING_HANDSHAKE)


@experiment(Kind.SOCKET, {BACK: DEAD_S})
async def handshake_is_refused(lab: Lab) -> None:
    """Slack refuses a handshake with 503, and its ticket is spent; the next one is well."""
    await break_one(lab, SocketFault.REFUSED_HANDSHAKE)


async def break_one(lab: Lab, fault: SocketFault) -> None:
    """Break the next connection, and only that."""
    await lab.start_watching()
    await lab.idle(0, 5)
    lab.slack.socket.fault = fault
    tried = len(lab.slack.socket.tried)
    await lab.slack.socket.disconnect()
    await lab.until(lambda: len(lab.slack.socket.tried) > tried, START_S, "a connection is tried")
    await come_back(lab, lab.slack.socket.tried[-1])


async def come_back(lab: Lab, since: float) -> None:
    """End the fault, and wait until the bot is connected and takes commands."""
    lab.slack.socket.fault = None
    await lab.reach(BACK, lambda: lab.slack.socket.is_connected, since)
    envelope = await lab.slack.socket.type_command("U1", "help")
    await lab.until(
        lambda: envelope in lab.slack.socket.acknowledged, START_S, "a command is taken"
    )
