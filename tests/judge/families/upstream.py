"""Faults of identity and messaging providers behind Auth0."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.judge.families.registry import family
from tests.judge.fault import Draw, Fault, NotHere

if TYPE_CHECKING:
    from tests.judge.setup import Setup

PROVIDERS = ("acme-entra", "google-oauth2", "acme-saml", "acme-okta", "github")


def _fail_provider(
    setup: Setup, draw: Draw, code: str, text: str, low: float, high: float
) -> Fault:
    """Let the users of one connection fail; the synthetic user is in a database."""
    tenant = draw.tenant(t for t in setup.tenants if t.logins)
    fault = Fault()
    row = (code, text, draw.pick("connection", PROVIDERS))
    fault.fail_users(tenant, draw.amount("user_share", low, high), row, "callback: server_error")
    return fault


@family("upstream-provider-down", odds=2)
def provider_down(setup: Setup, draw: Draw) -> Fault:
    """An identity provider is down."""
    text = draw.pick("text", (
        "failed to obtain access token",
        "AADSTS90033: A transient error has occurred",
        "Failed to fetch user profile: 503",
    ))  # fmt: skip
    return _fail_provider(setup, draw, "f", text, 0.25, 0.8)


@family("upstream-provider-times-out")
def provider_times_out(setup: Setup, draw: Draw) -> Fault:
    """An identity provider does not answer."""
    return _fail_provider(setup, draw, "f", "connect ETIMEDOUT 203.0.113.9:443", 0.25, 0.7)


@family("upstream-certificate")
def certificate(setup: Setup, draw: Draw) -> Fault:
    """A company's identity provider signs with a new certificate."""
    return _fail_provider(setup, draw, "f", "invalid thumbprint", 0.2, 0.6)


@family("upstream-small-customer")
def small_customer(setup: Setup, draw: Draw) -> Fault:
    """The identity provider of one customer among many is down."""
    return _fail_provider(setup, draw, "f", "SAML assertion is not valid", 0.1, 0.22)


@family("upstream-messages")
def messages(setup: Setup, draw: Draw) -> Fault:
    """The provider of SMS fails: people wait for their codes."""
    return _fail_messages(setup, draw, "gd_send_sms_failure")


@family("upstream-mail")
def mail(setup: Setup, draw: Draw) -> Fault:
    """The provider of e-mail fails."""
    return _fail_messages(setup, draw, "fn")


def _fail_messages(setup: Setup, draw: Draw, code: str) -> Fault:
    tenant = draw.tenant(t for t in setup.tenants if t.logins)
    fault = Fault()
    fault.fail_users(
        tenant, draw.amount("user_share", 0.2, 0.6), (code, "", ""), "code not delivered"
    )
    return fault


@family("upstream-two-tenants")
def two_tenants(setup: Setup, draw: Draw) -> Fault:
    """An identity provider that two tenants use is down."""
    tenants = [tenant for tenant in setup.tenants if tenant.logins]
    if len(tenants) < 2:
        raise NotHere
    fault = Fault()
    row = ("f", "failed to obtain access token", draw.pick("connection", PROVIDERS))
    for tenant in tenants:
        fault.fail_users(tenant, draw.amount("user_share", 0.2, 0.6), row, "callback: server_error")
    return fault
