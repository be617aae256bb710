"""Faults of Auth0's own service."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.judge.families import answers
from tests.judge.families.registry import family
from tests.judge.fault import Draw, Fault, NotHere, seen

if TYPE_CHECKING:
    from tests.judge.setup import Setup, Tenant

FAILED_TITLE = "token exchange failed"
DOWN = (*answers.BROKEN, *answers.UNREACHABLE, answers.SERVER_ERROR)


def _environment(setup: Setup, draw: Draw, least: int = 1) -> list[Tenant]:
    """Return the tenants of the environment that is hit, at least so many."""
    tenants = setup.neighbours(draw.tenant(setup.tenants))
    if len(tenants) < least:
        raise NotHere
    return tenants


def _fail_tenants(fault: Fault, tenants: list[Tenant], answer: str, share: float) -> Fault:
    """Let logins, machine tokens and users of tenants fail alike."""
    for tenant in tenants:
        fault.fail(tenant.logs_in, answer, share)
        fault.fail_users(tenant, share * 0.97, title=FAILED_TITLE)
    return fault


@family("auth0-region-down", odds=2)
def region_down(setup: Setup, draw: Draw) -> Fault:
    """Everything of one environment fails."""
    tenants, answer = _environment(setup, draw), draw.pick("answer", DOWN)
    share = draw.amount("share", 0.7, 1.0)
    fault = _fail_tenants(Fault(post=0.7), tenants, answer, share)
    for tenant in tenants:
        fault.fail([f"{tenant.name}.wellknown"], answer, share)
        fault.fail([p for p in tenant.places if p.endswith(".m2m")], answer, share)
    return fault


@family("auth0-region-logins", odds=2)
def region_logins(setup: Setup, draw: Draw) -> Fault:
    """Logins of one environment fail; discovery and keys come from a cache."""
    tenants, answer = _environment(setup, draw), draw.pick("answer", DOWN)
    fault = _fail_tenants(Fault(post=0.7), tenants, answer, draw.amount("share", 0.6, 1.0))
    if draw.pick("machines", (True, False)):
        for tenant in tenants:
            fault.fail([p for p in tenant.places if p.endswith(".m2m")], answer)
    return fault


@family("auth0-region-partial")
def region_partial(setup: Setup, draw: Draw) -> Fault:
    """A part of all requests to one environment fails."""
    tenants, answer = _environment(setup, draw), draw.pick("answer", DOWN)
    share = draw.amount("share", 0.15, 0.6)
    fault = _fail_tenants(Fault(post=0.5), tenants, answer, share)
    for tenant in tenants:
        fault.fail([f"{tenant.name}.wellknown"], answer, share * 0.8)
    return fault


@family("auth0-region-slow")
def region_slow(setup: Setup, draw: Draw) -> Fault:
    """Logins of one environment are slow."""
    fault = Fault(post=0.5)
    for tenant in _environment(setup, draw):
        fault.fail(tenant.logs_in, draw.pick("answer", answers.SLOW))
    return fault


@family("auth0-everywhere")
def everywhere(setup: Setup, draw: Draw) -> Fault:
    """The edge in front of all environments fails."""
    answer, share = draw.pick("answer", DOWN), draw.amount("share", 0.3, 1.0)
    fault = _fail_tenants(Fault(post=0.8), list(setup.tenants), answer, share)
    for tenant in setup.tenants:
        fault.fail([f"{tenant.name}.wellknown"], answer, share)
        fault.fail([p for p in tenant.places if p.endswith(".m2m")], answer, share)
    return fault


@family("auth0-names")
def names(setup: Setup, draw: Draw) -> Fault:
    """The name servers of Auth0's domain fail, in all environments."""
    answer, share = draw.pick("answer", answers.NAMES_FAIL), draw.amount("share", 0.3, 1.0)
    fault = _fail_tenants(Fault(post=0.6), list(setup.tenants), answer, share)
    for tenant in setup.tenants:
        fault.fail([f"{tenant.name}.wellknown"], answer, share)
    return fault


@family("auth0-machine-tokens")
def machine_tokens(setup: Setup, draw: Draw) -> Fault:
    """Machine tokens of one environment fail."""
    fault = Fault(post=0.5)
    answer = draw.pick("answer", (*answers.BROKEN, answers.SERVER_ERROR))
    for tenant in _environment(setup, draw):
        fault.fail([p for p in tenant.places if p.endswith(".m2m")], answer)
    return seen(fault, setup)


@family("auth0-extensibility")
def extensibility(setup: Setup, draw: Draw) -> Fault:
    """The platform that runs Actions fails for all tenants of an environment."""
    fault, share = Fault(post=0.6), draw.amount("share", 0.4, 1.0)
    answer = draw.pick("answer", (answers.SERVER_ERROR, *answers.ACTION_DENIED))
    for tenant in _environment(setup, draw):
        fault.fail(tenant.logs_in, answer, share)
        row = ("actions_execution_failed", "platform_error", "")
        fault.fail_users(tenant, share, row, FAILED_TITLE)
    return fault


@family("auth0-keys", odds=0.5)
def keys(setup: Setup, draw: Draw) -> Fault:
    """Discovery and keys of one environment fail; logins work where keys are cached."""
    fault, answer = Fault(post=0.4), draw.pick("answer", (*answers.BROKEN, *answers.UNREACHABLE))
    for tenant in _environment(setup, draw):
        fault.fail([f"{tenant.name}.wellknown"], answer, draw.amount("share", 0.6, 1.0))
    return fault


@family("auth0-refusals", odds=0.15)
def refusals(setup: Setup, draw: Draw) -> Fault:
    """An outage in which good requests get 401, 403 or 404."""
    tenants = _environment(setup, draw)
    answer = draw.pick("answer", answers.REFUSED_IN_AN_OUTAGE)
    return _fail_tenants(Fault(post=0.6), tenants, answer, draw.amount("share", 0.6, 1.0))


@family("auth0-certificate", odds=0.2)
def certificate(setup: Setup, draw: Draw) -> Fault:
    """Tenants of one environment show a wrong certificate."""
    tenants, answer = _environment(setup, draw), draw.pick("answer", answers.CERTIFICATE)
    fault = _fail_tenants(Fault(post=0.6), tenants, answer, 1.0)
    for tenant in tenants:
        fault.fail([f"{tenant.name}.wellknown"], answer)
    return fault


@family("auth0-login-page")
def login_page(setup: Setup, draw: Draw) -> Fault:
    """The page where users log in fails at all tenants of an environment; passwords work by API."""
    fault, share = Fault(post=0.5), draw.amount("user_share", 0.3, 0.98)
    for tenant in _environment(setup, draw, 2):
        fault.fail_users(tenant, share, title="timeout of the login page")
    if len(fault.calls) + len(fault.successes) < 2:
        raise NotHere
    return fault


@family("auth0-second-factor")
def second_factor(setup: Setup, draw: Draw) -> Fault:
    """Push messages of the second factor fail at all tenants of an environment."""
    fault, share = Fault(post=0.5), draw.amount("user_share", 0.3, 0.6)
    tenants = [tenant for tenant in _environment(setup, draw, 2) if tenant.logins]
    if len(tenants) < 2:
        raise NotHere
    for tenant in tenants:
        fault.fail_users(tenant, share, ("gd_send_pn_failure", "", ""), FAILED_TITLE)
    return fault


@family("auth0-code-exchange")
def code_exchange(setup: Setup, draw: Draw) -> Fault:
    """The exchange of codes fails at all tenants of an environment, which leaves no row."""
    fault, share = Fault(post=0.5), draw.amount("user_share", 0.3, 0.98)
    for tenant in _environment(setup, draw, 2):
        for app in tenant.apps:
            fault.calls[tenant.name, app] = share, 1.0
    if len({tenant for tenant, _ in fault.calls}) < 2:
        raise NotHere
    return fault


@family("auth0-custom-domains", odds=0.4)
def custom_domains(setup: Setup, draw: Draw) -> Fault:
    """The edge of custom domains fails; canonical domains work."""
    fault, answer = Fault(post=0.5), draw.pick("answer", (*answers.BROKEN, *answers.UNREACHABLE))
    tenants = [tenant for tenant in setup.tenants if tenant.custom_domain]
    if len(tenants) < 2:
        raise NotHere
    for tenant in tenants:
        fault.fail([f"{tenant.name}.custom"], answer)
        fault.fail_users(tenant, 0.95, title=FAILED_TITLE)
    return fault


@family("auth0-several-providers", odds=0.4)
def several_providers(setup: Setup, draw: Draw) -> Fault:
    """All connections to identity providers fail at once: the part of Auth0 that calls them."""
    fault, share = Fault(post=0.5), draw.amount("user_share", 0.4, 0.75)
    tenant = draw.tenant(t for t in setup.tenants if t.logins >= 30)
    fault.fail_users(tenant, share)
    for number, connection in enumerate(("google-oauth2", "acme-entra", "acme-okta")):
        code = ("f", "fc", "fcoa")[number]
        fault.add_rows(tenant, (code, "failed to obtain access token", connection), share / 3)
    return fault


@family("auth0-one-tenant-of-a-pool", odds=0.5)
def pool(setup: Setup, draw: Draw) -> Fault:
    """A part of an environment fails: one of our tenants is in it, its neighbours are not."""
    tenant, answer = draw.tenant(setup.tenants), draw.pick("answer", DOWN)
    fault = _fail_tenants(Fault(post=0.3), [tenant], answer, draw.amount("share", 0.5, 1.0))
    fault.fail([f"{tenant.name}.wellknown"], answer)
    fault.fail([p for p in tenant.places if p.endswith(".m2m")], answer)
    return fault
