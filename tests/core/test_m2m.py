"""Machine tokens as a second kind of login: when they are probed, and what they prove."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Fault, Severity, Stage
from bot.core.signals.metric_threshold import MetricLimits
from bot.core.state.stimulus import Started, StartProbe

GONE = Fault(Stage.HTTP, "http_503", 503)
REFUSED = Fault(Stage.OAUTH, "access_denied", 401, "access_denied")
LIMITED = Fault(Stage.OAUTH, "too_many_requests", 429, "too_many_requests")


@pytest.fixture
def town(make_rules: Any, new_steps: Any) -> Any:
    """Three healthy tenants, of which prod has an application for machine tokens."""
    rules = make_rules()
    prod = replace(rules.tenants["prod"], has_m2m=True)
    made = type(new_steps)(replace(rules, tenants={**rules.tenants, "prod": prod}))
    made.healthy()
    return made


def rule_ids(town: Any) -> set[str]:
    """Return the evidence for and against the verdict of the only incident."""
    (incident,) = town.incidents
    return {
        evidence.rule_id
        for evidence in (*incident.verdict.evidence_for, *incident.verdict.evidence_against)
    }


def probed(effects: list[Any]) -> list[str]:
    return [effect.target.name for effect in effects if isinstance(effect, StartProbe)]


def test_it_is_probed_when_a_login_fails(town: Any) -> None:
    """Together with the keys; if it fails first itself, the login is probed."""
    town.wait(30)
    first, own = probed(town.see("prod.login", GONE)), probed(town.see("prod.m2m", GONE))

    assert first[:2] == ["wellknown", "m2m"]
    assert own == []  # the login is being repeated already
    town.wait(30)
    assert probed(town.see("staging.login", GONE))[:1] == ["wellknown"]


def test_a_failing_machine_token_starts_a_login_probe(town: Any) -> None:
    """The login tells whether only machine tokens fail."""
    town.wait(30)

    assert probed(town.see("prod.m2m", GONE))[:1] == ["login"]


def test_it_is_asked_for_when_users_fail(town: Any) -> None:
    """An application's failing calls may be those for its own tokens."""
    metrics = {"checkout": MetricLimits(MetricKind.METRICS)}
    prod = replace(town.rules.tenants["prod"], metrics=metrics)
    town.rules = replace(town.rules, tenants={**town.rules.tenants, "prod": prod})
    town.tenant("prod", Started(town.now))
    town.wait(30)
    effects = town.count("prod.checkout", failed=40, total=50)

    assert "m2m" in probed(effects)


def test_a_working_token_speaks_against_auth0(town: Any) -> None:
    """It counts from the beginning of the problem, however long that lasts. It blames nobody."""
    town.wait(30)
    town.see("prod.login", GONE)
    town.see("prod.wellknown")
    town.see("prod.m2m")
    town.fail("prod.login", times=40)

    assert "m2m-ok" in rule_ids(town)
    assert town.incidents[0].verdict.cause is Cause.UNCLEAR


def test_a_token_from_before_the_problem_says_nothing(town: Any) -> None:
    """At that time the login worked as well."""
    town.wait(30)
    town.fail("prod.login", times=5)

    assert not {"m2m-ok", "m2m-fails"} & rule_ids(town)


def test_a_token_says_nothing_if_most_logins_work(town: Any) -> None:
    """It may be one of the many requests that work."""
    town.wait(30)
    for _ in range(5):
        for fault in (GONE, None, None):
            town.wait(5)
            town.see("prod.login", fault)
            town.see("prod.m2m")

    assert "m2m-ok" not in rule_ids(town)


def test_a_failing_token_points_to_auth0(town: Any) -> None:
    """It passes through no user store and no Action."""
    for _ in range(5):
        town.wait(5)
        town.see("prod.login", GONE)
        town.see("prod.m2m", GONE)

    assert "m2m-fails" in rule_ids(town)
    assert town.incidents[0].verdict.cause is Cause.AUTH0


def test_an_application_that_never_got_a_token_proves_nothing(town: Any) -> None:
    """Its set-up may be wrong."""
    state = town.world.states["prod"]
    never = replace(state.probes["m2m"], ever_ok=False, last_ok_at=None)
    town.world.states["prod"] = replace(state, probes={**state.probes, "m2m": never})
    for _ in range(5):
        town.wait(5)
        town.see("prod.login", GONE)
        town.see("prod.m2m", REFUSED)

    assert "m2m-fails" not in rule_ids(town)


@pytest.mark.parametrize(
    ("fault", "row", "cause"),
    [
        (REFUSED, "m2m-refused", Cause.PROBE),
        (LIMITED, "m2m-429", Cause.QUOTA),
        (GONE, "m2m-only", Cause.AUTH0),
    ],
)
def test_machine_tokens_alone_are_a_warning(
    town: Any, fault: Fault, row: str, cause: Cause
) -> None:
    """Users can log in; the response shows what is wrong."""
    for _ in range(5):
        town.wait(5)
        town.see("prod.m2m", fault)
        town.see("prod.login")
        town.see("prod.wellknown")
    (incident,) = town.incidents

    assert row in rule_ids(town)
    assert incident.severity is Severity.WARNING
    assert incident.verdict.cause is cause
