"""Teams with channels of their own: where an incident is, and who else learns of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.simulator.story import Event
    from tests.stories.conftest import Told

    Tell = Callable[..., Told]

DEFAULT = "auth0-alerts"
BY_TENANT = """\
bot:
  tenants: [{name: eu, channel: "#team-eu"}]
"""
BY_SEVERITY = """\
bot:
  slack: {channels: {critical: "#critical", warning: "#warnings"}}
"""
EU_DOWN = "timeline:\n  - {target: eu.login, from: 2m, to: 10m, is: {http: 503}}\n"


def by_channel(told: Told, *kinds: str) -> dict[str, list[str]]:
    """Return the keys of what was posted, by channel."""
    found: dict[str, list[str]] = {}
    for event in told.of("message"):
        if event["kind"] in kinds:
            found.setdefault(event["channel"], []).append(event["key"])
    return found


def only(events: list[Event]) -> Event:
    (event,) = events
    return event


def test_a_tenant_has_a_channel_of_its_own(tell: Tell) -> None:
    """Its message, edits and thread are there, and nothing is anywhere else."""
    told = tell(BY_TENANT + EU_DOWN)

    assert {event["channel"] for event in told.of("message")} == {"team-eu"}
    assert [event["key"] for event in told.of("message", kind="post")] == ["1:post:1"]
    assert "work again" in told.of("message", kind="update")[-1]["text"]


def test_other_tenants_stay_in_the_default_channel(tell: Tell) -> None:
    """The setting of one tenant concerns no other one."""
    told = tell(BY_TENANT + EU_DOWN.replace("eu.login", "prod.login"))

    assert {event["channel"] for event in told.of("message")} == {DEFAULT}


@pytest.mark.parametrize(
    ("target", "channel"), [("prod.login", "critical"), ("prod.wellknown", "warnings")]
)
def test_each_severity_has_a_channel(tell: Tell, target: str, channel: str) -> None:
    """A login that fails is critical; the keys alone are a warning."""
    told = tell(BY_SEVERITY + EU_DOWN.replace("eu.login", target))

    assert {event["channel"] for event in told.of("message")} == {channel}


def test_an_incident_stays_where_it_began(tell: Tell) -> None:
    """A warning becomes critical: the other channel gets one line with a link, and no more."""
    timeline = """\
timeline:
  - {target: prod.wellknown, from: 2m, to: 20m, is: {http: 503}}
  - {target: prod.login, from: 8m, to: 20m, is: {http: 503}}
"""
    told = tell(BY_SEVERITY + timeline)

    assert by_channel(told, "post") == {"warnings": ["1:post:1"], "critical": ["1:cross-post:1"]}
    assert {event["channel"] for event in told.of("message", kind="reply")} == {"warnings"}
    link = only(told.of("message", key="1:cross-post:1"))
    assert "concerns this channel as well" in link["text"]
    assert link["t"] > 480


def test_tenants_of_two_teams_share_an_incident(tell: Tell) -> None:
    """It is in the channel of the tenant that failed first; the other team gets a link to it."""
    tenants = """\
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1}
  stage: {domain: acme-stage.us.auth0.com, environment: US-1}
"""
    both = """\
bot:
  tenants: [{name: prod, channel: "#team-prod"}, {name: stage, channel: "#team-stage"}]
timeline:
  - {target: stage.login, from: 2m, to: 20m, is: {http: 503}}
  - {target: prod.login, from: 4m, to: 20m, is: {http: 503}}
"""
    told = tell(both, tenants)

    assert by_channel(told, "post") == {
        "team-stage": ["1:post:1"],
        "team-prod": ["1:cross-post:1"],
    }


def test_a_silence_is_announced_where_it_hides_alerts(tell: Tell) -> None:
    """One over a tenant in its channel, one over everything in each channel."""
    people = """\
people:
  - {at: 1m, user: U1, say: "/auth0-check silence eu 5m an upgrade"}
  - {at: 2m, user: U1, say: "/auth0-check silence all 5m a storm"}
"""
    told = tell(BY_TENANT + people)

    assert by_channel(told, "post") == {
        "team-eu": ["silence:1:begin", "silence:2:begin:1", "silence:1:end", "silence:2:end:1"],
        DEFAULT: ["silence:2:begin", "silence:2:end"],
    }


def test_ack_means_the_incident_of_the_channel(tell: Tell) -> None:
    """Two are open: without a number it is the one of the channel where the command is given."""
    timeline = EU_DOWN + "  - {target: prod.login, from: 2m, to: 10m, is: {http: 404}}\n"
    people = 'people:\n  - {at: 5m, user: U1, say: "/auth0-check ack"}\n'
    told = tell(BY_TENANT + timeline + people)

    posts = {event["channel"]: event["key"] for event in told.of("message", kind="post")}
    acked = only(told.of("incident", state="acknowledged"))
    assert posts.keys() == {"team-eu", DEFAULT}
    assert posts[DEFAULT].startswith(f"{acked['incident']}:")
