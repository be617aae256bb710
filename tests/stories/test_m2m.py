"""What a second login path adds to the verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stories.conftest import Told

    Tell = Callable[..., Told]

ONE = "tenants:\n  prod: {domain: acme.us.auth0.com, environment: US-1, m2m: true}\n"
TWO = f"{ONE}  staging: {{domain: acme-staging.us.auth0.com, environment: US-1, m2m: true}}\n"


def during(targets: str, fault: str = "{http: 503}") -> str:
    return f"timeline: [{{target: [{targets}], from: 100s, to: 20m, is: {fault}}}]\n"


def causes(told: Told) -> list[str]:
    return list(dict.fromkeys(verdict["cause"] for verdict in told.of("verdict")))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("targets", "cause"), [("prod.login", "unclear"), ("prod.login, prod.m2m", "auth0")]
)
def test_it_keeps_from_blaming_auth0(tell: Tell, targets: str, cause: str, seed: int) -> None:
    """From the first message on, even without another tenant to compare with.

    That a token comes is no fact about settings of the tenant: nobody is blamed.
    """
    told = tell(during(targets), tenants=ONE, seed=seed)

    assert causes(told) == [cause]
    assert told.summary["alerts"] == 1


def test_it_does_not_exonerate_auth0_when_other_tenants_fail_too(tell: Tell) -> None:
    """Auth0's own user store may be down."""
    told = tell(during("prod.login, staging.login"), tenants=TWO)

    assert causes(told) == ["auth0"]


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("{http: 401, error: access_denied}", "probe"),
        ("{http: 429, error: too_many_requests}", "quota"),
    ],
)
def test_machine_tokens_alone_mention_nobody(tell: Tell, fault: str, cause: str) -> None:
    """A warning with the cause that the answer names; users can log in."""
    told = tell(f"bot: {{slack: {{mention: '@here'}}}}\n{during('prod.m2m', fault)}", tenants=ONE)

    assert causes(told) == [cause]
    assert {event["severity"] for event in told.of("incident")} == {"warning"}
    assert told.of("message", mentions=["<!here>"]) == []


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("{http: 401, error: access_denied}", "probe"),
        ("{http: 429, error: too_many_requests}", "quota"),
        ("{http: 503}", "auth0"),
    ],
)
def test_one_trouble_of_two_tenants_is_one_alert(tell: Tell, fault: str, cause: str) -> None:
    """One secret, one client that asks too often, or Auth0 itself."""
    told = tell(during("prod.m2m, staging.m2m", fault), tenants=TWO)

    assert causes(told) == [cause]
    assert told.summary["alerts"] == 1


def test_it_costs_little_while_all_is_healthy(tell: Tell) -> None:
    """A fifth of the requests of the logins."""
    told = tell("", tenants=ONE)

    assert told.summary["requests"]["prod.login"] >= 35
    assert told.summary["requests"]["prod.m2m"] == pytest.approx(7, abs=1)
