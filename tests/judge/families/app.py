"""Faults of our own applications: Auth0 answers well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.judge.families.registry import family
from tests.judge.fault import Draw, Fault, NotHere

if TYPE_CHECKING:
    from tests.judge.fault import Row
    from tests.judge.setup import Setup, Tenant

DEPLOY = {"deploy": 0.65}


def _break(
    setup: Setup, draw: Draw, share: float, row: Row | None = None, title: str = ""
) -> tuple[Fault, Tenant]:
    """Break one application at one tenant; the log has its rows, if it writes any."""
    tenant = draw.tenant(t for t in setup.tenants if t.apps)
    fault = Fault(changes=DEPLOY, app=draw.pick("app", list(tenant.apps)))
    fault.calls[tenant.name, fault.app] = share, 1.0
    if row and tenant.logins:
        fault.add_rows(tenant, row, share / len(tenant.apps))
        fault.successes[tenant.name] = 1 - share / len(tenant.apps)
    if title and tenant.tracker:
        fault.events[tenant.name] = title, 25 * share
    return fault, tenant


@family("app-callback")
def callback(setup: Setup, draw: Draw) -> Fault:
    """A release sends a callback address that the tenant does not know."""
    row = (
        "f",
        "Callback URL mismatch. It is not in the list of allowed callback URLs",
        "",
    )
    return _break(setup, draw, draw.amount("user_share", 0.3, 0.98), row, "callback url mismatch")[
        0
    ]


@family("app-state")
def state(setup: Setup, draw: Draw) -> Fault:
    """The application loses the state between redirect and callback; logins succeed at Auth0."""
    share = draw.amount("user_share", 0.25, 0.98)
    return _break(setup, draw, share, title="state mismatch")[0]


@family("app-secret")
def secret(setup: Setup, draw: Draw) -> Fault:
    """A release carries the wrong client secret: codes are not exchanged."""
    fault, tenant = _break(
        setup, draw, draw.amount("user_share", 0.5, 0.98), title="invalid_client"
    )
    fault.add_rows(tenant, ("feacft", "Unauthorized", ""), 0.5)
    return fault


@family("app-code-reused")
def code_reused(setup: Setup, draw: Draw) -> Fault:
    """The application exchanges codes twice."""
    fault, tenant = _break(setup, draw, draw.amount("user_share", 0.2, 0.7), title="invalid_grant")
    fault.add_rows(tenant, ("feacft", "Invalid authorization code", ""), 0.5)
    return fault


@family("app-small-share")
def small_share(setup: Setup, draw: Draw) -> Fault:
    """A release breaks a small part of the calls."""
    return _break(setup, draw, draw.amount("user_share", 0.08, 0.25))[0]


@family("app-sessions")
def sessions(setup: Setup, draw: Draw) -> Fault:
    """The application's own session store fails; nothing was released."""
    fault, _ = _break(setup, draw, draw.amount("user_share", 0.3, 0.98))
    fault.changes = {"deploy": 0.1}
    return fault


@family("app-tracker-only")
def tracker_only(setup: Setup, draw: Draw) -> Fault:
    """A release throws errors that only the error tracker sees."""
    tenant = draw.tenant(t for t in setup.tenants if t.tracker)
    fault = Fault(changes={"deploy": 0.8}, app=next(iter(tenant.apps), "web"))
    title = draw.pick("title", ("state mismatch", "invalid redirect_uri", "unknown client"))
    fault.events[tenant.name] = title, draw.amount("events", 15, 60)
    return fault


@family("app-no-way-to-log-in")
def no_way_to_log_in(setup: Setup, draw: Draw) -> Fault:
    """A release takes the way to the login away: successes vanish, nothing fails."""
    tenant = draw.tenant(t for t in setup.tenants if t.logins >= 40)
    fault = Fault(changes={"deploy": 0.8}, app=next(iter(tenant.apps), "web"))
    fault.successes[tenant.name] = 0.03
    for app in tenant.apps:
        fault.calls[tenant.name, app] = 0.0, 0.05
    return fault


@family("app-wrong-tenant", odds=0.3)
def wrong_tenant(setup: Setup, draw: Draw) -> Fault:
    """A release asks the tenant of another stage: what is missing here arrives there."""
    tenant = draw.tenant(t for t in setup.tenants if t.logins >= 30)
    others = [t for t in setup.tenants if t.logins and t != tenant]
    if not others:
        raise NotHere
    fault = Fault(changes={"deploy": 0.85}, app=next(iter(tenant.apps), "web"))
    fault.successes = {tenant.name: 0.04, others[0].name: 1 + tenant.logins / others[0].logins}
    fault.calls = {(tenant.name, app): (0.0, 0.05) for app in tenant.apps}
    fault.add_rows(others[0], ("f", "unknown client", ""), 0.8)
    return fault


@family("app-cluster-without-egress", odds=0.5)
def cluster(setup: Setup, draw: Draw) -> Fault:
    """The applications' cluster cannot reach Auth0; the bot and the browsers can."""
    tenants = [tenant for tenant in setup.tenants if tenant.apps]
    if not tenants or not any(t.tracker for t in tenants):
        raise NotHere
    fault = Fault(changes={"deploy": 0.3}, app=next(iter(tenants[0].apps)))
    for tenant in tenants:
        for app in tenant.apps:
            fault.calls[tenant.name, app] = draw.amount("user_share", 0.6, 1.0), 1.0
        if tenant.tracker:
            fault.events[tenant.name] = "connect ECONNREFUSED", 30.0
    return fault
