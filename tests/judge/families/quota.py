"""Limits of one tenant that are used up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.judge.families import answers
from tests.judge.families.registry import family
from tests.judge.fault import Draw, Fault

if TYPE_CHECKING:
    from tests.judge.setup import Setup, Tenant


def _limit(tenant: Tenant, share: float, answer: str, volume: float) -> Fault:
    """Refuse a share of a tenant's logins for a rate limit, while it is called more than usual."""
    fault = Fault(tenant=tenant.name)
    fault.fail(tenant.logs_in, answer, share)
    for app in tenant.apps:
        fault.calls[tenant.name, app] = share * 0.95, volume
    if tenant.logins:
        fault.successes[tenant.name] = max(0.3, volume * (1 - share) / 2)
        fault.rows[tenant.name] = {("api_limit", "", ""): 14.0}
    return fault


@family("quota-campaign", odds=2)
def campaign(setup: Setup, draw: Draw) -> Fault:
    """Many more people than usual log in, and the tenant's limit is reached."""
    answer, share = draw.pick("answer", answers.LIMITED), draw.amount("share", 0.25, 0.8)
    return _limit(draw.tenant(setup.tenants), share, answer, draw.amount("volume", 3.0, 8.0))


@family("quota-retries-of-a-release")
def retries(setup: Setup, draw: Draw) -> Fault:
    """A release of ours calls again and again, and uses the limit up."""
    answer, share = draw.pick("answer", answers.LIMITED), draw.amount("share", 0.4, 0.95)
    fault = _limit(draw.tenant(setup.tenants), share, answer, draw.amount("volume", 5.0, 15.0))
    fault.changes = {"deploy": 0.7}
    return fault


@family("quota-somebody-else")
def somebody_else(setup: Setup, draw: Draw) -> Fault:
    """Something that nobody counts uses the limit up: applications call as ever."""
    answer, share = draw.pick("answer", answers.LIMITED), draw.amount("share", 0.25, 1.0)
    return _limit(draw.tenant(setup.tenants), share, answer, 1.0)


@family("quota-attack")
def attack(setup: Setup, draw: Draw) -> Fault:
    """Stolen passwords are tried in masses, and use the limit up."""
    tenant = draw.tenant(t for t in setup.tenants if t.logins)
    answer, share = draw.pick("answer", answers.LIMITED), draw.amount("share", 0.2, 0.5)
    fault = _limit(tenant, share, answer, draw.amount("volume", 5.0, 12.0))
    fault.rows[tenant.name] |= {
        ("fp", "", ""): tenant.logins * 12,
        ("fu", "", ""): tenant.logins * 3,
        ("limit_wc", "", ""): 12.0,
        ("limit_mu", "", ""): 15.0,
    }
    fault.successes[tenant.name] = 1.0 - share
    return fault


@family("quota-machine-tokens")
def machine_tokens(setup: Setup, draw: Draw) -> Fault:
    """The quota of machine tokens is used up; people log in as ever."""
    tenant = draw.tenant(t for t in setup.tenants if t.m2m)
    fault = Fault(tenant=tenant.name)
    fault.fail([f"{tenant.name}.m2m"], draw.pick("answer", answers.MACHINE_LIMITED))
    fault.add_rows(tenant, ("feccft", "too many requests", ""), 0.6)
    return fault


@family("quota-log-only")
def log_only(setup: Setup, draw: Draw) -> Fault:
    """The limit of a path that the synthetic login does not take is reached."""
    tenant = draw.tenant(t for t in setup.tenants if t.logins)
    share = draw.amount("user_share", 0.2, 0.6)
    fault = Fault(tenant=tenant.name)
    fault.fail_users(tenant, share, title="429 too many requests")
    fault.rows[tenant.name] = {("api_limit", "", ""): max(10.0, tenant.logins * share / 2)}
    return fault
