"""A machine's token as a second way in: when it is asked for, and what it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.observation import Cause, Fault, Severity, Stage
from bot.core.state.stimulus import StartProbe

GONE = Fault(Stage.HTTP, "http_503", 503)
REFUSED = Fault(Stage.OAUTH, "access_denied", 401, "access_denied")
LIMITED = Fault(Stage.OAUTH, "too_many_requests", 429, "too_many_requests")


@pytest.fixture
def town(make_rules: Any, new_steps: Any) -> Any:
    """Three tenants of which prod has an application for machine tokens; all is well."""
    rules = make_rules()
    prod = replace(rules.tenants["prod"], has_m2m=True)
    made = type(new_steps)(replace(rules, tenants={**rules.tenants, "prod": prod}))
    made.healthy()
    return made


def rows(town: Any) -> set[str]:
    """Name all that spoke for and against the verdict of the only incident."""
    (incident,) = town.incidents
    return {
        fact.rule_id
        for fact in (*incident.verdict.evidence_for, *incident.verdict.evidence_against)
    }


def looked(effects: list[Any]) -> list[str]:
    return [effect.target.name for effect in effects if isinstance(effect, StartProbe)]


def test_it_is_asked_at_the_moment_of_failure(town: Any) -> None:
    """Together with the keys; and the login, where it fails first itself."""
    town.wait(30)
    first, own = looked(town.see("prod.login", GONE)), looked(town.see("prod.m2m", GONE))

    assert first[:2] == ["wellknown", "m2m"]
    assert own == []  # the login is being repeated already
    town.wait(30)
    assert looked(town.see("staging.login", GONE))[:1] == ["wellknown"]


def test_a_machine_that_fails_first_is_held_against_the_login(town: Any) -> None:
    """Which tells whether it is the machine alone."""
    town.wait(30)

    assert looked(town.see("prod.m2m", GONE))[:1] == ["login"]


def test_a_token_that_comes_points_to_the_tenant(town: Any) -> None:
    """It is remembered from the beginning of the trouble, however long that lasts."""
    town.wait(30)
    town.see("prod.login", GONE)
    town.see("prod.wellknown")
    town.see("prod.m2m")
    town.fail("prod.login", times=40)

    assert "m2m-ok" in rows(town)
    assert town.incidents[0].verdict.cause is Cause.TENANT


def test_a_token_from_before_the_trouble_says_nothing(town: Any) -> None:
    """Then it worked just as the login did."""
    town.wait(30)
    town.fail("prod.login", times=5)

    assert not {"m2m-ok", "m2m-fails"} & rows(town)


def test_a_token_says_nothing_where_most_logins_work(town: Any) -> None:
    """It may be one of the many requests that are well."""
    town.wait(30)
    for _ in range(5):
        for fault in (GONE, None, None):
            town.wait(5)
            town.see("prod.login", fault)
            town.see("prod.m2m")

    assert "m2m-ok" not in rows(town)


def test_a_token_that_fails_too_points_to_auth0(town: Any) -> None:
    """No user store and no Action is in its way."""
    for _ in range(5):
        town.wait(5)
        town.see("prod.login", GONE)
        town.see("prod.m2m", GONE)

    assert "m2m-fails" in rows(town)
    assert town.incidents[0].verdict.cause is Cause.AUTH0


def test_an_application_that_never_got_a_token_proves_nothing(town: Any) -> None:
    """It may have been set up wrongly."""
    state = town.world.states["prod"]
    never = replace(state.probes["m2m"], ever_ok=False, last_ok_at=None)
    town.world.states["prod"] = replace(state, probes={**state.probes, "m2m": never})
    for _ in range(5):
        town.wait(5)
        town.see("prod.login", GONE)
        town.see("prod.m2m", REFUSED)

    assert "m2m-fails" not in rows(town)


@pytest.mark.parametrize(
    ("fault", "row", "cause"),
    [
        (REFUSED, "m2m-refused", Cause.PROBE),
        (LIMITED, "m2m-429", Cause.QUOTA),
        (GONE, "m2m-only", Cause.UNCLEAR),
    ],
)
def test_machine_tokens_alone_are_a_warning(
    town: Any, fault: Fault, row: str, cause: Cause
) -> None:
    """Users can log in; what is wrong shows in the answer."""
    for _ in range(5):
        town.wait(5)
        town.see("prod.m2m", fault)
        town.see("prod.login")
        town.see("prod.wellknown")
    (incident,) = town.incidents

    assert row in rows(town)
    assert incident.severity is Severity.WARNING
    assert incident.verdict.cause is cause
