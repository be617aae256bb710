"""Faults of our own side: name resolution, the way out, a proxy, the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.judge.families import answers
from tests.judge.families.registry import family
from tests.judge.fault import Draw, Fault, NotHere

if TYPE_CHECKING:
    from tests.judge.setup import Setup


def _everything(setup: Setup) -> list[str]:
    """Return all places that are reached by our way out."""
    places = [place for tenant in setup.tenants for place in tenant.places]
    logs = [f"{tenant.name}.logs" for tenant in setup.tenants if tenant.logins]
    return [*places, *setup.control_places, *logs, "feed"]


def _auth0(setup: Setup) -> list[str]:
    return [place for tenant in setup.tenants for place in tenant.places]


@family("network-resolver")
def resolver(setup: Setup, draw: Draw) -> Fault:
    """Our name resolution fails for everybody's names."""
    fault, share = Fault(), draw.amount("share", 0.4, 1.0)
    fault.fail(_everything(setup), draw.pick("answer", answers.NAMES_FAIL), share)
    return fault


@family("network-way-out")
def way_out(setup: Setup, draw: Draw) -> Fault:
    """Our way out is cut."""
    fault = Fault()
    answer = draw.pick("answer", ("{connect: timeout}", "{connect: refused}", "{connect: reset}"))
    fault.fail(_everything(setup), answer, draw.amount("share", 0.7, 1.0))
    return fault


@family("network-loss")
def loss(setup: Setup, draw: Draw) -> Fault:
    """Our way out loses a part of all connections."""
    fault, answer = Fault(), draw.pick("answer", ("{connect: timeout}", "{connect: reset}"))
    fault.fail(_everything(setup), answer, draw.amount("share", 0.2, 0.6))
    return fault


@family("network-proxy")
def proxy(setup: Setup, draw: Draw) -> Fault:
    """Our proxy answers in everybody's place."""
    fault = Fault(changes={"image": 0.1})
    fault.fail(
        _everything(setup), draw.pick("answer", answers.PROXY), draw.amount("share", 0.5, 1.0)
    )
    return fault


@family("network-inspector", odds=0.5)
def inspector(setup: Setup, _draw: Draw) -> Fault:
    """Something on our way opens TLS with a certificate of its own."""
    fault = Fault()
    fault.fail(_everything(setup), "{tls: untrusted}")
    return fault


@family("network-slow")
def slow(setup: Setup, draw: Draw) -> Fault:
    """Our way out is slow, whoever answers."""
    fault, answer = Fault(), draw.pick("answer", answers.SLOW)
    fault.fail([*_auth0(setup), *setup.control_places], answer)
    return fault


@family("network-firewall")
def firewall(setup: Setup, draw: Draw) -> Fault:
    """A firewall of ours lets nothing through to Auth0; users come by other ways."""
    fault = Fault()
    answer = draw.pick(
        "answer", ("{connect: timeout}", "{connect: refused}", "{connect: reset}", "{hang: true}")
    )
    fault.fail(_auth0(setup), answer)
    return fault


@family("network-address-blocked", odds=0.5)
def address_blocked(setup: Setup, draw: Draw) -> Fault:
    """Auth0's edge blocks the address of the bot."""
    fault = Fault()
    fault.fail(_auth0(setup), answers.BLOCKED, draw.amount("share", 0.8, 1.0))
    return fault


@family("network-clock")
def clock(setup: Setup, draw: Draw) -> Fault:
    """The clock of the bot's host is wrong."""
    fault = Fault()
    if not setup.controls:
        raise NotHere
    fault.fail(["bot"], draw.pick("answer", ("{clock: +1h}", "{clock: +10m}", "{clock: -20m}")))
    return fault
