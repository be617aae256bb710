from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.incidents.missing_data import REOPEN_WITHIN_S
from bot.core.model.command import Request, Resolve
from bot.core.model.measurement import MetricKind as Counted
from bot.core.model.observation import (
    FEED,
    Cause,
    Fault,
    FeedReading,
    FeedState,
    Severity,
    Stage,
    Target,
)
from bot.core.signals.metric_threshold import MetricLimits
from bot.core.state.incident import IncidentKind, IncidentState
from bot.core.state.outbox import Edit, Post, Reply
from bot.core.state.rules import TenantRules
from bot.core.state.stimulus import CommandReceived, FeedPolled, Send, Started, TenantReport
from bot.core.state.timeline import ReopenedEntry, ResolvedEntry
from bot.slack.render.info import render_missing_data

SERIES = {
    "checkout": MetricLimits(Counted.METRICS),
    "portal": MetricLimits(Counted.METRICS),
    "web": MetricLimits(Counted.ERRORS),
}
TENANTS = ("prod", "staging")
US = Target(FEED, "US-1")


@pytest.fixture
def silent(steps: Any, make_rules: Any) -> Any:
    """Two healthy tenants whose sources have all had data once."""
    tenants = {
        name: TenantRules(name, f"{name}.auth0.com", metrics=SERIES, feed=US) for name in TENANTS
    }
    made = type(steps)(make_rules(tenants=tenants))
    made.healthy()
    for tenant in TENANTS:
        for name in SERIES:
            made.count(f"{tenant}.{name}", total=50)
    return made


def well(steps: Any, span_s: float) -> None:
    """Let time pass in which logins work, minute by minute."""
    for _ in range(int(span_s / 60)):
        steps.wait(60)
        for name in TENANTS:
            steps.see(f"{name}.login")


def missing(steps: Any, *where: str, span_s: float = 300.0) -> None:
    """Let sources have no data for a while."""
    for _ in range(int(span_s / 60)):
        well(steps, 60)
        for each in where:
            steps.count(each, no_data_reason="HTTP 503")


def said(steps: Any, kind: type) -> list[Any]:
    return [e.body for e in steps.effects if isinstance(e, Send) and isinstance(e.body, kind)]


def test_a_source_without_data_is_posted_once(silent: Any) -> None:
    """After five minutes, however long it lasts: nobody is alerted, nothing else is wrong."""
    missing(silent, "prod.checkout", span_s=240)
    assert silent.incidents == []
    missing(silent, "prod.checkout", span_s=3600)

    (incident,) = silent.incidents
    assert (incident.kind, incident.source) == (IncidentKind.SOURCE_NO_DATA, Counted.METRICS)
    assert (incident.severity, incident.verdict.cause) == (Severity.INFO, Cause.NONE)
    assert (incident.problems[0].no_data_reason, incident.since) == ("HTTP 503", silent.now - 3840)
    assert len(said(silent, Post)) == 1
    assert said(silent, Reply) == []
    assert not incident.notification.mentioned


def test_all_sources_of_a_kind_are_one_incident(silent: Any) -> None:
    """Prometheus is down: one message for all its metrics of all tenants."""
    missing(silent, "prod.checkout")
    missing(silent, "prod.checkout", "prod.portal", "staging.checkout")

    (incident,) = silent.incidents
    assert incident.tenants == ("prod", "staging")
    assert len(incident.problems) == 3
    assert len(said(silent, Post)) == 1
    assert said(silent, Edit)


def test_each_kind_of_source_is_an_incident_of_its_own(silent: Any) -> None:
    """If Sentry has no data either, that is another incident."""
    missing(silent, "prod.checkout", "prod.web")

    assert {i.source for i in silent.incidents} == {Counted.METRICS, Counted.ERRORS}


def test_it_ends_when_the_last_of_them_has_data(silent: Any) -> None:
    """A source with data again leaves the incident."""
    missing(silent, "prod.checkout", "staging.checkout")
    silent.count("prod.checkout", total=50)
    assert [(i.is_open, i.tenants) for i in silent.incidents] == [(True, ("staging",))]
    silent.count("staging.checkout", total=1)

    assert silent.incidents[0].state is IncidentState.RESOLVED
    assert [type(body.entry) for body in said(silent, Reply)] == [ResolvedEntry]


@pytest.mark.parametrize(("pause_s", "count"), [(REOPEN_WITHIN_S - 360, 1), (REOPEN_WITHIN_S, 2)])
def test_missing_data_again_soon_is_the_same_incident(
    silent: Any, pause_s: float, count: int
) -> None:
    """Within half an hour the incident is reopened, with a timeline entry."""
    missing(silent, "prod.checkout")
    silent.count("prod.checkout", total=50)
    well(silent, pause_s)
    silent.count("prod.checkout", total=50)
    missing(silent, "prod.checkout")

    assert len(silent.incidents) == len(said(silent, Post)) == count
    assert silent.incidents[-1].is_open
    assert (ReopenedEntry in [type(b.entry) for b in said(silent, Reply)]) is (count == 1)


def test_a_more_severe_incident_includes_it(silent: Any) -> None:
    """While its tenants have an incident, a message of its own would only disturb."""
    silent.fail("prod.login")
    for _ in range(8):
        silent.wait(60)
        silent.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
        silent.count("prod.checkout", no_data_reason="HTTP 503")
    assert [i.kind for i in silent.incidents] == [IncidentKind.FAILING]

    silent.count("staging.checkout", no_data_reason="HTTP 503")
    assert IncidentKind.SOURCE_NO_DATA in [i.kind for i in silent.incidents]


def test_a_more_severe_incident_that_a_person_resolved_includes_it(silent: Any) -> None:
    """It still goes on, so missing data is no news; a person has said that they know."""
    silent.fail("prod.login", times=20)
    resolve = Request("r", silent.now, Resolve(1, is_confirmed=True), user="U1")
    silent.on_desk(CommandReceived(silent.now, resolve))
    for _ in range(8):
        silent.wait(60)
        silent.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
        silent.count("prod.checkout", no_data_reason="HTTP 503")

    assert [i.kind for i in silent.incidents] == [IncidentKind.FAILING]


def test_missing_data_is_posted_after_the_more_severe_incident(silent: Any) -> None:
    """As soon as that one is resolved."""
    silent.fail("prod.login")
    for place in range(12):
        silent.wait(60)
        silent.see("prod.login", Fault(Stage.HTTP, "http_503", 503) if place < 6 else None)
        silent.count("prod.checkout", no_data_reason="HTTP 503")

    assert [(i.kind, i.is_open) for i in silent.incidents] == [
        (IncidentKind.FAILING, False),
        (IncidentKind.SOURCE_NO_DATA, True),
    ]


def test_a_source_that_falls_silent_in_its_own_alert_is_posted(silent: Any) -> None:
    """The open alert would be believed, and the time without figures does not count as failing."""
    for _ in range(10):
        silent.count("prod.checkout", failed=40, total=50)
        well(silent, 60)
    stopped_at = silent.now - 60
    assert [i.kind for i in silent.incidents] == [IncidentKind.FAILING]
    assert not silent.world.states["prod"].has_lost_sight
    missing(silent, "prod.checkout", span_s=2400)

    failing, unknown = silent.incidents
    assert (failing.is_open, unknown.kind) == (True, IncidentKind.SOURCE_NO_DATA)
    assert silent.world.states["prod"].has_lost_sight
    for _ in range(5):
        silent.count("prod.checkout", total=50)
        well(silent, 60)
    (span,) = silent.incidents[0].failing_spans(silent.now)
    assert (silent.desk.open_incidents, span.until) == ([], stopped_at)


def test_what_else_fails_is_still_seen(silent: Any) -> None:
    """With a login that fails as well, the tenant is not out of sight."""
    for _ in range(10):
        silent.count("prod.checkout", failed=40, total=50)
        silent.wait(60)
        silent.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
    for _ in range(10):
        silent.wait(60)
        silent.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
        silent.count("prod.checkout", no_data_reason="HTTP 503")

    assert not silent.world.states["prod"].has_lost_sight


FEED_FAULTS = {
    "gone": (FeedState.UNREACHABLE, 404, 600),
    "moved": (FeedState.UNREACHABLE, 301, 600),
    "refused": (FeedState.UNREACHABLE, 403, 600),
    "too many requests": (FeedState.UNREACHABLE, 429, 3600),
    "down": (FeedState.UNREACHABLE, 503, 3600),
    "no feed": (FeedState.UNREADABLE, 200, 3600),
}


@pytest.mark.parametrize("name", FEED_FAULTS)
def test_a_status_page_that_cannot_be_read_is_posted_once(silent: Any, name: str) -> None:
    """After an hour; after ten minutes if its address is wrong. It ends when it can be read."""
    state, status, after_s = FEED_FAULTS[name]
    fault = Fault(Stage.HTTP, f"http_{status}", status, description="so")
    silent.read(US)
    begun = silent.now + 60
    for _ in range(120):
        well(silent, 60)
        silent.on_desk(FeedPolled(silent.now, FeedReading(US, silent.now, state, fault=fault)))

    (incident,) = silent.incidents
    assert (incident.kind, incident.severity) == (IncidentKind.SOURCE_NO_DATA, Severity.INFO)
    assert (incident.since, incident.life.opened_at) == (begun, begun + after_s)
    assert incident.tenants == TENANTS
    assert incident.problems[0].fault == fault
    assert f"HTTP {status}: so" in str(render_missing_data(incident).blocks)
    assert len(said(silent, Post)) == 1
    silent.read(US)
    assert silent.desk.open_incidents == []


def test_a_status_page_that_falters_is_not_posted(silent: Any) -> None:
    """Each time that it can be read, the hour begins anew."""
    for place in range(180):
        well(silent, 60)
        state = FeedState.UNREACHABLE if place % 50 else FeedState.OK
        silent.on_desk(FeedPolled(silent.now, FeedReading(US, silent.now, state)))

    assert silent.incidents == []


def test_a_status_page_that_fails_with_the_logins_is_no_message_of_its_own(silent: Any) -> None:
    """While both tenants have an incident it is left to that."""
    for _ in range(80):
        silent.wait(60)
        for name in TENANTS:
            silent.see(f"{name}.login", Fault(Stage.HTTP, "http_503", 503))
        reading = FeedReading(US, silent.now, FeedState.UNREACHABLE)
        silent.on_desk(FeedPolled(silent.now, reading))

    assert {i.kind for i in silent.incidents} == {IncidentKind.FAILING}


def test_a_source_that_is_no_longer_configured_is_not_missed(silent: Any) -> None:
    """The incident ends with it."""
    missing(silent, "prod.checkout")
    tenants = silent.rules.tenants
    fewer = replace(tenants["prod"], metrics={"web": SERIES["web"]})
    silent.rules = replace(silent.rules, tenants={**tenants, "prod": fewer})
    silent.tenant("prod", Started(silent.now))
    silent.on_desk(TenantReport(silent.now, "prod"))

    assert not silent.incidents[0].is_open


def test_resolved_by_hand_it_stays_resolved(silent: Any) -> None:
    """As long as data is missing, for an hour; the next evaluation does not reopen it."""
    missing(silent, "prod.checkout")
    (incident,) = silent.incidents
    resolve = Request(
        "r", silent.now, Resolve(1, "the exporter is moved", is_confirmed=True), user="U1"
    )
    silent.on_desk(CommandReceived(silent.now, resolve))
    missing(silent, "prod.checkout", span_s=1200)
    assert silent.incidents[0].life.reopen_count == incident.life.reopen_count
    assert silent.desk.open_incidents == []

    missing(silent, "prod.checkout", span_s=3000)
    assert [i.kind for i in silent.desk.open_incidents] == [IncidentKind.SOURCE_NO_DATA]
