"""The light checks of the token endpoint between the logins, and what their failures begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.fault import classify_refusal
from bot.core.model.observation import (
    TOKEN_ENDPOINT,
    WELLKNOWN,
    Fault,
    Observation,
    Outcome,
    SignalState,
    Stage,
    Target,
)
from bot.core.signals.probe_threshold import ProbeState, Try
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import Observed, StartProbe, Tick, Unanswered
from bot.core.state.tenant import HasData, SharedSignals, Tenants, TenantState, TokenEndpoint
from bot.core.tenant import step as tenant_step
from bot.core.triage.context import TriageContext
from bot.core.triage.from_probes import collect_probe_evidence
from tests.core.test_tenant import GONE, PLAIN, Alone, healthy

LIGHT = replace(PLAIN, light_every_s=15.0)
BEFORE_USER = {"login", "token-endpoint"}


def begin(rules: TenantRules = LIGHT) -> Alone:
    """A tenant that is well, with its first minute behind it."""
    alone = Alone(rules, healthy)
    alone.run(61)
    return alone


def look(alone: Alone, name: str, outcome: Outcome, fault: Fault | None = None) -> None:
    """Give it one result of a check that began now."""
    reason = "odd" if outcome is Outcome.NO_DATA else ""
    seen = Observation(Target("prod", name), alone.now, outcome, 0.1, fault, reason)
    alone.state = tenant_step.step(alone.state, Observed(alone.now, seen), alone.rules)[0]


def test_each_check_has_a_slot_of_its_own() -> None:
    """Every 15 s the token endpoint, except where the login is; the documents between two."""
    alone = Alone(LIGHT, healthy)
    alone.run(121)

    assert alone.at("login") == [0, 60, 120]
    assert alone.at(TOKEN_ENDPOINT) == [15, 30, 45, 75, 90, 105]
    assert alone.at(WELLKNOWN, 1) == [37.5, 97.5]


def test_the_custom_domain_leaves_the_documents_between_two_checks() -> None:
    """However many signals share the minute."""
    alone = Alone(replace(LIGHT, custom_domain="login.acme.example", has_m2m=True), healthy)
    alone.run(61)

    assert alone.at(WELLKNOWN, 1) == [22.5]


def test_without_light_checks_nothing_changes() -> None:
    """The setting switches them off."""
    alone = Alone(PLAIN, healthy)
    alone.run(121)

    assert alone.at(TOKEN_ENDPOINT) == []
    assert alone.at(WELLKNOWN, 1) == [30, 90]


def test_the_first_that_fails_is_the_first_failure_of_the_login() -> None:
    """Four logins follow, by the clock from that instant: 20 s to the alert, not a minute more."""
    alone = Alone(LIGHT, lambda name, at: GONE if name in BEFORE_USER and at >= 70 else None)
    alone.run(96)

    login = alone.state.probes["login"]
    assert alone.at("login", 61) == [80, 85, 90, 95]
    assert (login.state, login.since) == (SignalState.FIRING, alone.now - 96 + 75)


def test_the_token_endpoint_is_asked_beside_a_failing_login() -> None:
    """At once, and in every second slot of the burst: it tells what lies behind it."""
    alone = Alone(LIGHT, lambda name, at: GONE if name == "login" and at >= 60 else None)
    alone.run(81)

    assert alone.at(TOKEN_ENDPOINT, 60) == [60, 70, 75, 80]
    assert alone.state.token_endpoint.last_ok_at == alone.now - 1


def test_a_light_check_alone_fires_nothing() -> None:
    """An answer that we misread for ever starts one burst, which the logins end."""
    alone = Alone(LIGHT, lambda name, at: GONE if name == TOKEN_ENDPOINT and at >= 70 else None)
    alone.run(600)

    login = alone.state.probes["login"]
    assert (login.state, login.ended_at) == (SignalState.OK, None)
    assert len(alone.at("login", 61)) == 19 + 7


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ([], SignalState.OK),
        ([Outcome.NO_DATA], SignalState.OK),
        ([Outcome.OK], SignalState.PENDING),
        ([Outcome.OK, Outcome.NO_DATA], SignalState.PENDING),
        ([Outcome.OK, Outcome.FAILED], SignalState.PENDING),
    ],
)
def test_a_failure_counts_after_a_success_only(outcomes: list[Outcome], state: SignalState) -> None:
    """Before the first one nobody knows what the token endpoint says when it is well."""
    alone = Alone(replace(LIGHT, light_every_s=None), healthy)
    for outcome in outcomes:
        look(alone, TOKEN_ENDPOINT, outcome, GONE if outcome is Outcome.FAILED else None)
    look(alone, TOKEN_ENDPOINT, Outcome.FAILED, GONE)

    assert alone.state.probes["login"].state is state


@pytest.mark.parametrize("name", [TOKEN_ENDPOINT, WELLKNOWN])
def test_a_light_check_that_hangs_starts_a_login(name: str) -> None:
    """It is sent at the next instant by the clock; if the login fails already, it has its own."""
    alone = begin()
    unanswered = Unanswered(alone.now, Target("prod", name))

    effects = tenant_step.step(alone.state, unanswered, LIGHT)[1]
    look(alone, "login", Outcome.FAILED, GONE)
    then = tenant_step.step(alone.state, unanswered, LIGHT)[1]

    assert [e.target.name for e in effects if isinstance(e, StartProbe)] == ["login"]
    assert then == ()


def test_a_light_check_that_hangs_is_reported() -> None:
    """After 5 s, as a routine login."""
    alone = begin()
    effects = tenant_step.step(alone.state, Tick(alone.now + 14), LIGHT)[1]

    assert [(e.target.name, e.repeat_after_s) for e in effects if isinstance(e, StartProbe)] == [
        (TOKEN_ENDPOINT, 5.0)
    ]


@pytest.mark.parametrize(
    ("endpoint", "failed", "is_said"),
    [
        (TokenEndpoint(40.0, 40.0), 5, True),
        (TokenEndpoint(5.0, 5.0), 5, False),
        (TokenEndpoint(40.0, 20.0), 5, False),
        (TokenEndpoint(40.0, 40.0), 2, False),
    ],
)
def test_what_lies_behind_is_blamed_if_the_token_endpoint_is_well(
    endpoint: TokenEndpoint, failed: int, *, is_said: bool
) -> None:
    """Since the logins began to fail, most of them, and by its newest answer."""
    tries = tuple(Try(10.0 + place, GONE if place % 5 < failed else None) for place in range(20))
    login = ProbeState(SignalState.FIRING, tries=(*tries, Try(31.0, GONE)), since=10.0)
    state = TenantState(
        {"login": login, WELLKNOWN: ProbeState()}, token_endpoint=endpoint, data=HasData(40.0)
    )
    context = TriageContext(
        ("prod",), Tenants({"prod": state}), SharedSignals(), Rules({"prod": LIGHT}), 45.0, 10.0
    )

    found = {match.rule_id for match in collect_probe_evidence(context, "prod")}
    assert ("token-endpoint-ok" in found) is is_said


@pytest.mark.parametrize(
    ("status", "document", "expected"),
    [
        (501, {"error": "unsupported_grant_type"}, "ok"),
        (403, {"error": "unsupported_grant_type"}, "ok"),
        (401, {"error": "access_denied"}, "ok"),
        (400, {"error": "invalid_request"}, "ok"),
        (200, {"access_token": "a"}, "ok"),
        (200, None, "no data"),
        (302, None, "no data"),
        (403, None, "no data"),
        (404, {"error": "not_found"}, "no data"),
        (429, {"error": "too_many_requests"}, "no data"),
        (500, {"error": "server_error"}, "oauth server_error"),
        (500, None, "http http_500"),
        (503, {"error": "temporarily_unavailable"}, "http http_503"),
        (520, None, "http http_520"),
    ],
)
def test_what_an_answer_says(
    status: int, document: dict[str, object] | None, expected: str
) -> None:
    """Any answer of the endpoint itself is good; of others only a server's fault counts."""
    fault, no_data_reason = classify_refusal(status, document, headers={}, now=0.0)

    found = f"{fault.stage} {fault.reason}" if fault else "no data" if no_data_reason else "ok"
    assert found == expected
    assert fault is None or fault.stage in {Stage.HTTP, Stage.OAUTH}
