"""Faults of the synthetic login alone: users do not notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.judge.families import answers
from tests.judge.families.registry import family
from tests.judge.fault import Draw, Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.judge.setup import Setup


def _refuse(
    setup: Setup, draw: Draw, options: Sequence[str], changes: dict[str, float] | None = None
) -> Fault:
    """Refuse the synthetic login of one tenant, by both domains."""
    tenant = draw.tenant(setup.tenants)
    fault = Fault(changes=changes or {}, tenant=tenant.name)
    fault.fail(tenant.logs_in, draw.pick("answer", options))
    return fault


@family("probe-password", odds=2)
def password(setup: Setup, draw: Draw) -> Fault:
    """The password of the synthetic user was changed, or has expired."""
    return _refuse(setup, draw, (answers.WRONG_PASSWORD,))


@family("probe-user-blocked")
def user_blocked(setup: Setup, draw: Draw) -> Fault:
    """The synthetic user is blocked."""
    return _refuse(setup, draw, (answers.BLOCKED_USER, answers.USER_LIMIT[0]))


@family("probe-secret", odds=1.5)
def secret(setup: Setup, draw: Draw) -> Fault:
    """The secret of the synthetic login's application was rotated."""
    return _refuse(setup, draw, answers.WRONG_SECRET, {"client": 0.6})


@family("probe-second-factor")
def second_factor(setup: Setup, draw: Draw) -> Fault:
    """A policy asks the synthetic user for a second factor."""
    return _refuse(setup, draw, (answers.SECOND_FACTOR,), {"setting": 0.5})


@family("probe-grant")
def grant(setup: Setup, draw: Draw) -> Fault:
    """The password grant was switched off for the application of the synthetic login."""
    return _refuse(setup, draw, answers.GRANT_OFF, {"client": 0.75})


@family("probe-api")
def api(setup: Setup, draw: Draw) -> Fault:
    """The API that only the synthetic login asks for was restricted or deleted."""
    return _refuse(setup, draw, answers.API_RESTRICTED, {"setting": 0.6})


@family("probe-wrong-token")
def wrong_token(setup: Setup, draw: Draw) -> Fault:
    """Tokens carry another audience or issuer than the check expects; applications take them."""
    return _refuse(setup, draw, answers.WRONG_TOKEN, {"setting": 0.4})


@family("probe-denied")
def denied(setup: Setup, draw: Draw) -> Fault:
    """An Action denies the synthetic user, and nobody else."""
    return _refuse(setup, draw, answers.ACTION_DENIED[1:], {"setting": 0.3})


@family("probe-bot-detection")
def bot_detection(setup: Setup, draw: Draw) -> Fault:
    """Bot detection suspects the synthetic login."""
    return _refuse(setup, draw, (answers.NOT_VERIFIED, answers.LEAKED))


@family("probe-user-limit")
def user_limit(setup: Setup, draw: Draw) -> Fault:
    """The synthetic user logs in too often for a limit of single users."""
    return _refuse(setup, draw, answers.USER_LIMIT)


@family("probe-machine-secret")
def machine_secret(setup: Setup, draw: Draw) -> Fault:
    """The secret of our application for machine tokens was rotated."""
    tenant = draw.tenant(t for t in setup.tenants if t.m2m)
    fault = Fault(changes={"client": 0.6}, tenant=tenant.name)
    fault.fail([f"{tenant.name}.m2m"], draw.pick("answer", answers.WRONG_SECRET))
    return fault


@family("probe-name-typed-wrong", odds=0.3)
def name_typed_wrong(setup: Setup, draw: Draw) -> Fault:
    """The name of one tenant in the configuration never existed."""
    tenant = draw.tenant(t for t in setup.tenants[1:] if not t.is_counted and not t.custom_domain)
    fault = Fault(begun=True, tenant=tenant.name)
    fault.fail(tenant.places, answers.NAME_GONE)
    return fault
