"""Faults of one tenant's settings, code, database and domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.judge.families import answers
from tests.judge.families.registry import family
from tests.judge.fault import Draw, Fault, NotHere, seen

if TYPE_CHECKING:
    from tests.judge.setup import Setup

SETTING = {"setting": 0.65}
TITLE = "login failed: access_denied"


@family("tenant-action-throws", odds=2)
def action_throws(setup: Setup, draw: Draw) -> Fault:
    """A login Action throws, for all users or for many."""
    tenant, share = draw.tenant(setup.tenants), draw.amount("share", 0.3, 1.0)
    fault = Fault(changes=SETTING, tenant=tenant.name)
    fault.fail(tenant.logs_in, draw.pick("answer", answers.ACTION_DENIED), share)
    row = draw.pick(
        "row", (("actions_execution_failed", "action_error", ""), ("f", "access denied", ""))
    )
    fault.fail_users(tenant, share * 0.97, row, TITLE)
    return fault


@family("tenant-action-denies-some")
def action_denies_some(setup: Setup, draw: Draw) -> Fault:
    """A login Action denies a part of the users; the synthetic user is none of them."""
    tenant = draw.tenant(t for t in setup.tenants if t.logins)
    fault = Fault(changes=SETTING, tenant=tenant.name)
    row = ("f", "access_denied: please verify your e-mail address", "")
    fault.fail_users(tenant, draw.amount("user_share", 0.15, 0.7), row, TITLE)
    return fault


@family("tenant-action-slow")
def action_slow(setup: Setup, draw: Draw) -> Fault:
    """A login Action waits for something slow."""
    tenant = draw.tenant(setup.tenants)
    fault = Fault(changes=SETTING, tenant=tenant.name)
    fault.fail(tenant.logs_in, draw.pick("answer", answers.SLOW))
    return fault


@family("tenant-action-times-out")
def action_times_out(setup: Setup, draw: Draw) -> Fault:
    """A login Action never ends."""
    tenant, share = draw.tenant(setup.tenants), draw.amount("share", 0.4, 1.0)
    fault = Fault(changes=SETTING, tenant=tenant.name)
    answer = draw.pick("answer", ("{hang: true}", answers.ACTION_TIMED_OUT))
    fault.fail(tenant.logs_in, answer, share)
    fault.fail_users(tenant, share, ("actions_execution_failed", "action_timeout", ""), "timeout")
    return fault


@family("tenant-overload")
def overload(setup: Setup, draw: Draw) -> Fault:
    """What the tenant itself does (a bulk import, a slow database) breaks its logins alone."""
    tenant, share = draw.tenant(setup.tenants), draw.amount("share", 0.3, 1.0)
    fault = Fault(changes={"setting": 0.2}, tenant=tenant.name)
    answer = draw.pick("answer", (*answers.BROKEN, answers.SERVER_ERROR, "{hang: true}"))
    fault.fail(tenant.logs_in, answer, share)
    fault.fail_users(tenant, share * 0.97, title="token exchange failed")
    return fault


@family("tenant-action-did-not-run")
def action_did_not_run(setup: Setup, draw: Draw) -> Fault:
    """The login Action was taken out of the flow: tokens lack what it sets."""
    tenant = draw.tenant(setup.tenants)
    fault = Fault(changes=SETTING, tenant=tenant.name)
    fault.fail(tenant.logs_in, answers.NO_PROOF)
    if tenant.tracker:
        fault.events[tenant.name] = "roles claim missing", 25.0
    return fault


@family("tenant-database-down")
def database_down(setup: Setup, draw: Draw) -> Fault:
    """The custom database of our users cannot be reached."""
    tenant, share = draw.tenant(setup.tenants), draw.amount("share", 0.5, 1.0)
    fault = Fault(changes={"setting": 0.2}, tenant=tenant.name)
    fault.fail(tenant.logs_in, draw.pick("answer", answers.DATABASE_BROKEN), share)
    fault.fail_users(tenant, share, ("f", "connect ETIMEDOUT 10.0.0.7:5432", "users"), TITLE)
    return fault


@family("tenant-database-refuses", odds=0.2)
def database_refuses(setup: Setup, draw: Draw) -> Fault:
    """The custom database calls every password wrong."""
    tenant = draw.tenant(setup.tenants)
    fault = Fault(changes={"setting": 0.6}, tenant=tenant.name)
    fault.fail(tenant.logs_in, answers.WRONG_PASSWORD)
    fault.fail_users(tenant, 0.97, ("fp", "Wrong email or password.", "users"), TITLE)
    return fault


@family("tenant-connection-disabled")
def connection_disabled(setup: Setup, draw: Draw) -> Fault:
    """The connection of the users was switched off for the application."""
    tenant = draw.tenant(setup.tenants)
    fault = Fault(changes={"setting": 0.8}, tenant=tenant.name)
    fault.fail(tenant.logs_in, answers.NOT_ENABLED)
    fault.fail_users(tenant, 0.95, ("f", "the connection is not enabled", "users"), TITLE)
    return fault


@family("tenant-other-connection")
def other_connection(setup: Setup, draw: Draw) -> Fault:
    """A connection that the synthetic user does not pass was edited, and refuses its users."""
    tenant = draw.tenant(t for t in setup.tenants if t.logins)
    fault = Fault(changes={"setting": 0.85}, tenant=tenant.name)
    row = ("f", "the connection is not enabled", "customers")
    fault.fail_users(tenant, draw.amount("user_share", 0.2, 0.8), row, TITLE)
    return fault


@family("tenant-no-directory")
def no_directory(setup: Setup, draw: Draw) -> Fault:
    """The default directory was taken out of the settings."""
    tenant = draw.tenant(setup.tenants)
    fault = Fault(changes={"setting": 0.8}, tenant=tenant.name)
    fault.fail(tenant.logs_in, answers.NO_DIRECTORY)
    row = ("fepft", "Authorization server not configured with default connection.", "")
    fault.fail_users(tenant, draw.amount("user_share", 0.3, 0.95), row, TITLE)
    return fault


@family("tenant-custom-certificate")
def custom_certificate(setup: Setup, draw: Draw) -> Fault:
    """The certificate of the custom domain is wrong."""
    tenant = draw.tenant(t for t in setup.tenants if t.custom_domain)
    fault = Fault(changes={"setting": 0.2}, tenant=tenant.name)
    fault.fail([f"{tenant.name}.custom"], draw.pick("answer", answers.CERTIFICATE))
    fault.fail_users(tenant, 0.97, title="certificate verify failed")
    return fault


@family("tenant-custom-name")
def custom_name(setup: Setup, draw: Draw) -> Fault:
    """The record of the custom domain is gone."""
    tenant = draw.tenant(t for t in setup.tenants if t.custom_domain)
    fault = Fault(changes={"setting": 0.2}, tenant=tenant.name)
    fault.fail(
        [f"{tenant.name}.custom"], draw.pick("answer", (answers.NAME_GONE, "{dns: servfail}"))
    )
    fault.fail_users(tenant, 0.97, title="getaddrinfo ENOTFOUND")
    return fault


@family("tenant-custom-proxy")
def custom_proxy(setup: Setup, draw: Draw) -> Fault:
    """Our own proxy in front of the custom domain fails."""
    tenant = draw.tenant(t for t in setup.tenants if t.custom_domain)
    answer = draw.pick("answer", (*answers.BROKEN, *answers.UNREACHABLE, answers.BLOCKED))
    share = draw.amount("share", 0.4, 1.0)
    fault = Fault(changes={"setting": 0.1, "deploy": 0.3}, tenant=tenant.name)
    fault.fail([f"{tenant.name}.custom"], answer, share)
    fault.fail_users(tenant, share * 0.97, title="bad gateway")
    return fault


@family("tenant-gone", odds=0.3)
def gone(setup: Setup, draw: Draw) -> Fault:
    """The tenant was deleted, renamed or suspended."""
    tenant = draw.tenant(setup.tenants)
    fault = Fault(tenant=tenant.name)
    fault.fail(tenant.places, draw.pick("answer", (answers.GONE, "{http: 404, error: not_found}")))
    fault.fail_users(tenant, 0.99, title="login failed: not found")
    if tenant.custom_domain and len(setup.neighbours(tenant)) == 1:
        raise NotHere
    return fault


@family("tenant-machine-action")
def machine_action(setup: Setup, draw: Draw) -> Fault:
    """The Action of machine tokens throws; logins do not run it."""
    tenant = draw.tenant(t for t in setup.tenants if t.m2m)
    fault = Fault(changes=SETTING, tenant=tenant.name)
    answer = draw.pick("answer", (*answers.ACTION_DENIED, answers.SERVER_ERROR))
    fault.fail([f"{tenant.name}.m2m"], answer)
    fault.add_rows(tenant, ("actions_execution_failed", "action_error", ""), 0.5)
    return seen(fault, setup)
