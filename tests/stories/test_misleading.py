"""Situations that once led to a wrong verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stories.conftest import Told

    Tell = Callable[..., Told]

THREE = """\
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1}
  staging: {domain: acme-staging.us.auth0.com, environment: US-1}
  eu: {domain: acme.eu.auth0.com, environment: EU-1}
"""


def causes(told: Told) -> list[str]:
    return list(dict.fromkeys(verdict["cause"] for verdict in told.of("verdict")))


@pytest.mark.parametrize("onset_s", range(0, 60, 10))
def test_a_regional_outage_is_never_called_the_tenants(tell: Tell, onset_s: int) -> None:
    """Successes before the first failure prove nothing; so the bot probes others at that moment."""
    told = tell(
        "timeline:\n"
        "  - {target: [prod.login, staging.login], "
        f"from: {onset_s}s, to: 10m, is: {{http: 503}}}}\n",
        tenants=THREE,
    )

    assert causes(told) == ["auth0"]
    assert told.summary["alerts"] == 1


@pytest.mark.parametrize(
    "fault",
    ["{http: 403, error: access_denied}", "{token: no_proof}", "{http: 403, error: mfa_required}"],
)
def test_the_same_mistake_at_two_tenants_is_not_auth0s(tell: Tell, fault: str) -> None:
    """A deploy that breaks an Action in production and staging is our own mistake."""
    told = tell(
        f"timeline:\n  - {{target: [prod.login, staging.login], from: 1m, to: 10m, is: {fault}}}\n"
        "changes:\n  - {at: 30s, tenant: prod, what: action deployed}\n",
        tenants=THREE,
    )

    assert "auth0" not in causes(told)


@pytest.mark.parametrize("eu", ["acme.eu.auth0.com, environment: EU-1", "b.us.auth0.com"])
def test_one_vault_for_three_test_users(tell: Tell, eu: str) -> None:
    """All refused at once they are one alert about the test users, and not Auth0's."""
    told = tell(
        "timeline:\n  - {target: '*.login', from: 1m, to: 20m, is: "
        "{http: 403, error: invalid_grant, description: Wrong email or password.}}\n",
        tenants=THREE.replace("acme.eu.auth0.com, environment: EU-1", eu),
    )

    assert causes(told) == ["probe"]
    assert told.summary["alerts"] == 1
    assert told.of("call") == []


def test_test_users_that_are_refused_minutes_apart_are_two_alerts(tell: Tell) -> None:
    """They have nothing in common but the kind."""
    told = tell(
        "timeline:\n"
        "  - {target: prod.login, from: 1m, to: 20m, is: {http: 403, error: invalid_grant}}\n"
        "  - {target: staging.login, from: 6m, to: 20m, is: {http: 403, error: invalid_grant}}\n",
        tenants=THREE,
    )

    assert causes(told) == ["probe"]
    assert told.summary["alerts"] == 2


def test_a_sleep_in_an_outage_changes_nothing_about_it(tell: Tell) -> None:
    """Healthy tenants do not join it, nobody is mentioned again, and the verdict stays."""
    told = tell(
        "bot: {slack: {mention: '@here'}}\n"
        "timeline:\n"
        "  - {target: prod.login, from: 0m, to: 20m, is: {http: 503}}\n"
        "  - {target: bot, from: 5m, to: 12m, is: {paused: true}}\n",
        tenants=THREE,
    )
    mine = [verdict["cause"] for verdict in told.of("verdict", incident=1)]

    assert set(mine) == {"unclear"}
    assert told.of("incident", incident=1)[-1]["tenants"] == ["prod"]
    assert len(told.of("message", mentions=["<!here>"])) == 1


@pytest.mark.parametrize("what", ["{dns: servfail}", "{connect: timeout}", "{dns: timeout}"])
def test_our_own_network_shows_without_any_control_endpoint(tell: Tell, what: str) -> None:
    """If nothing at all can be reached, Auth0 in two environments is hardly the cause."""
    told = tell(
        f"timeline:\n  - {{target: ['*.login', '*.wellknown', feed, control.neutral], "
        f"from: 1m, to: 10m, is: {what}}}\n",
        tenants=THREE,
    )

    assert causes(told)[-1] == "network"


def test_a_rate_limit_that_asks_for_an_hour_is_reported_soon(tell: Tell) -> None:
    """Before it is reported the bot checks again within a minute, whatever the header says."""
    told = tell(
        "timeline:\n"
        "  - {target: prod.login, from: 0m, to: 20m, "
        "is: {http: 429, error: too_many_requests, headers: {Retry-After: '3600'}}}\n"
    )

    assert told.summary["first_alert_s"] < 150
    assert causes(told) == ["quota"]


def test_a_refusal_of_the_key_discovery_stops_nothing(tell: Tell) -> None:
    """Only a login has credentials; a proxy's 403 may end by itself."""
    told = tell(
        "timeline:\n"
        "  - {target: prod.wellknown, from: 1m, to: 10m, is: {http: 403, error: invalid_grant}}\n"
    )

    assert [event["state"] for event in told.of("incident")] == ["open", "resolved"]


def test_repeated_on_demand_checks_do_not_get_the_user_blocked(tell: Tell) -> None:
    """Auth0 blocks at the tenth refusal; a check every ten seconds stays below that."""
    asked = "\n".join(
        f"  - {{at: {300 + 10 * n}s, user: U1, say: /auth0-check run prod}}" for n in range(40)
    )
    told = tell(
        "timeline:\n  - {target: prod.login, from: 0m, is: {http: 403, error: invalid_grant}}\n"
        f"people:\n{asked}\n"
    )
    refused = [e for e in told.of("request", target="prod.login") if e["result"] != "ok"]

    assert 4 <= len(refused) < 10
