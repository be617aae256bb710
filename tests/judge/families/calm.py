"""Worlds in which nobody is to be alerted: single failures, and nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.judge.families.registry import family
from tests.judge.fault import Draw, Fault

if TYPE_CHECKING:
    from tests.judge.setup import Setup


@family("blip-single-failures")
def single_failures(setup: Setup, draw: Draw) -> Fault:
    """Half a percent of all logins fails."""
    fault = Fault(alert=False)
    share = draw.amount("share", 0.004, 0.012)
    fault.fail([p for t in setup.tenants for p in t.logs_in], "{http: 503, body: html}", share)
    return fault


@family("blip-ten-seconds")
def ten_seconds(setup: Setup, draw: Draw) -> Fault:
    """Everything of one tenant fails for ten seconds."""
    fault = Fault(alert=False, lasts_s=10.0)
    fault.fail(
        draw.tenant(setup.tenants).places, draw.pick("answer", ("{connect: reset}", "{hang: true}"))
    )
    return fault


@family("blip-slow-moment")
def slow_moment(setup: Setup, draw: Draw) -> Fault:
    """Logins are slow for half a minute."""
    fault = Fault(alert=False, lasts_s=30.0)
    fault.fail(draw.tenant(setup.tenants).logs_in, "{latency: 2500ms}")
    return fault


@family("none-nothing")
def nothing(_setup: Setup, _draw: Draw) -> Fault:
    """All is well; sources have their usual noise."""
    return Fault(alert=False)


@family("none-mailing")
def mailing(setup: Setup, draw: Draw) -> Fault:
    """A mailing brings people who mistype their passwords."""
    fault = Fault(alert=False)
    tenant = draw.tenant(t for t in setup.tenants if t.logins)
    fault.successes[tenant.name] = draw.amount("volume", 1.2, 1.7)
    fault.add_rows(tenant, ("fp", "", ""), draw.amount("typos", 0.1, 0.25))
    for app in tenant.apps:
        fault.calls[tenant.name, app] = 0.015, 1.4
    return fault


@family("none-attack")
def attack(setup: Setup, draw: Draw) -> Fault:
    """Stolen passwords are tried in masses, and refused; everybody else gets in."""
    fault = Fault(alert=False)
    tenant = draw.tenant(t for t in setup.tenants if t.logins)
    for code, times in (("fp", 8.0), ("fu", 4.0), ("limit_mu", 0.3), ("limit_wc", 0.1)):
        fault.add_rows(tenant, (code, "", ""), times)
    return fault


@family("none-ebb")
def ebb(setup: Setup, draw: Draw) -> Fault:
    """The evening comes, and people go home."""
    fault = Fault(alert=False)
    left = draw.amount("volume", 0.5, 0.8)
    for tenant in setup.tenants:
        if tenant.logins:
            fault.successes[tenant.name] = left
        for app in tenant.apps:
            fault.calls[tenant.name, app] = 0.0, left
    return fault


@family("none-control-down")
def control_down(setup: Setup, draw: Draw) -> Fault:
    """One control endpoint of two is down, and nothing else."""
    fault = Fault(alert=False)
    fault.fail([draw.pick("control", setup.control_places[1:])], "{connect: timeout}")
    return fault


@family("none-a-little-slower")
def a_little_slower(setup: Setup, _draw: Draw) -> Fault:
    """Logins take twice as long as usual, which is still fast."""
    fault = Fault(alert=False)
    fault.fail([p for t in setup.tenants for p in t.logs_in], "{latency: 330ms}")
    return fault
