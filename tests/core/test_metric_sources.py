from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from bot.core.model.measurement import FIRST_READ, ChangeMade, ExternalAlert, Group, MetricKind
from bot.core.model.observation import Cause, Fault, SignalState, Stage, Target
from bot.core.signals.metric_threshold import MetricLimits
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import IncidentKind
from bot.core.state.rules import TenantRules
from bot.core.state.stimulus import (
    CheckRequested,
    QueryMetrics,
    SignalChanged,
    Started,
    StartProbe,
    Tick,
)
from bot.core.tenant.step import due_at
from bot.slack.render.verdict import evidence_text

SERIES = {
    "checkout": MetricLimits(MetricKind.METRICS),
    "web": MetricLimits(MetricKind.ERRORS, every_s=60.0),
    "logs": MetricLimits(MetricKind.LOGS, share=0.1),
    "app": MetricLimits(MetricKind.METRICS, is_pushed=True),
}
GONE = Fault(Stage.HTTP, "http_503", 503)
REFUSED = Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant")
PROD = TenantRules("prod", "acme.us.auth0.com", "US-1", metrics=SERIES, monitors=("alertmanager",))


@pytest.fixture
def measured(steps: Any, make_rules: Any) -> Any:
    """A healthy tenant, all of whose sources were queried once."""
    made = type(steps)(make_rules(tenants={"prod": PROD, "other": TenantRules("other", "d")}))
    made.healthy()
    made.tick("prod")
    return made


def asked(effects: list[Any]) -> list[str]:
    return [effect.target.name for effect in effects if isinstance(effect, QueryMetrics)]


def series(steps: Any, name: str) -> Any:
    return steps.world.states["prod"].metrics[name]


def fail(steps: Any) -> None:
    """Let the users of one application fail, more and more."""
    for failed in (50, 80):
        steps.wait(30)
        steps.count("prod.checkout", failed=failed, total=100)


def alert(at: float, **more: Any) -> ExternalAlert:
    given = {"is_firing": True, "title": "errors", **more}
    return ExternalAlert(Target("prod", "alertmanager"), "a", at, **given)


def test_every_source_is_queried_at_its_interval(measured: Any) -> None:
    """Each independently, from the start on."""
    times = {name: [] for name in SERIES}  # type: dict[str, list[float]]
    for _ in range(12):
        measured.wait(10)
        for name in asked(measured.tick("prod")):
            times[name].append(_ * 10 + 10)

    assert times["checkout"] == times["logs"] == [30, 60, 90, 120]
    assert times["web"] == [60, 120]


def test_after_a_bad_reading_it_is_queried_twice_as_often(measured: Any) -> None:
    """Until it fires or recovers."""
    measured.wait(30)
    measured.tick("prod")
    measured.count("prod.checkout", failed=50, total=100)
    assert due_at(measured.world.states["prod"]) <= measured.now + 15
    measured.wait(15)
    assert "checkout" in asked(measured.tick("prod"))
    measured.count("prod.checkout", failed=80, total=100)

    (incident,) = measured.incidents
    assert (incident.kind, incident.problems[0].signal) == (IncidentKind.FAILING, "checkout")


def test_while_one_source_is_bad_the_others_are_queried_often(measured: Any) -> None:
    """What one shows the others may explain, before the message goes."""
    measured.wait(30)
    measured.tick("prod")
    measured.count("prod.checkout", failed=50, total=100)
    times = []
    for _ in range(9):
        measured.wait(2)
        times += [measured.now for name in asked(measured.tick("prod")) if name == "logs"]

    assert [round(b - a) for a, b in pairwise(times)] == [8]


@pytest.mark.parametrize("has_spoken", [True, False])
def test_a_message_waits_for_users_who_may_name_the_cause(
    measured: Any, *, has_spoken: bool
) -> None:
    """For five seconds, then it goes without; it goes at once where they have spoken."""
    for _ in range(25):
        measured.wait(30)
        measured.tick("prod")
        measured.see("prod.login")
        measured.count("prod.checkout", total=1000)
    for _ in range(3):
        measured.wait(8)
        measured.see("prod.login", REFUSED)
    before = measured.incidents
    measured.wait(4)
    if has_spoken:
        measured.count("prod.checkout", total=1000)
    else:
        measured.on_desk(Tick(measured.now))
        before += measured.incidents
        measured.wait(1)
        measured.on_desk(Tick(measured.now))

    (incident,) = measured.incidents
    assert before == []
    assert incident.verdict.stated_cause is (Cause.PROBE if has_spoken else Cause.UNCLEAR)


def test_a_message_waits_for_no_source_that_cannot_speak(measured: Any) -> None:
    """Nobody knows what is usual, or the source has no data."""
    measured.count("prod.checkout", no_data_reason="HTTP 503")
    measured.fail("prod.login")

    assert [each.verdict.stated_cause for each in measured.incidents] == [Cause.UNCLEAR]


def test_users_alone_are_enough_for_an_incident(measured: Any) -> None:
    """While the synthetic login works: half of all real incidents are like this."""
    measured.see("prod.login")
    fail(measured)
    rows = {fact.rule_id for fact in measured.incidents[0].verdict.evidence_for}

    assert "users-fail-alone" in rows
    assert measured.incidents[0].verdict.cause is Cause.APP


def test_a_first_bad_reading_starts_a_login_probe(measured: Any) -> None:
    """At once: does the synthetic user fail as well?"""
    measured.wait(30)
    effects = measured.count("prod.checkout", failed=50, total=100)

    assert "prod" in [effect.target.owner for effect in effects if isinstance(effect, StartProbe)]


@pytest.mark.parametrize(("failed", "every_s"), [((50,), 5), ((50, 80), 10)])
def test_while_users_fail_the_login_is_repeated(
    measured: Any, failed: tuple[int, ...], every_s: int
) -> None:
    """As often as if it failed itself: of a fault in part of the logins one a minute shows little.

    It does not go on for ever: users may fail for hours, and the login has told all it can.
    """
    for count in failed:
        measured.wait(15)
        measured.count("prod.checkout", failed=count, total=100)
    begun, times = measured.now, list[float]()
    for _ in range(400):
        measured.wait(1)
        probes = [e.target for e in measured.tick("prod") if isinstance(e, StartProbe)]
        times += [measured.now - begun for each in probes if each == Target("prod", "login")]
    gaps = [round(later - earlier) for earlier, later in pairwise(times)]

    assert {abs(gap - every_s) <= 1 for gap in gaps[:5]} == {True}  # a grid of whole seconds
    assert gaps[-1] == 60


def test_missing_data_is_never_a_change(measured: Any) -> None:
    """A source without data while it fires goes on firing, and keeps the reason."""
    fail(measured)
    before = series(measured, "checkout").reading
    effects = []
    for _ in range(40):
        measured.wait(30)
        effects += measured.count("prod.checkout", no_data_reason="HTTP 503")

    assert not [e for e in effects if isinstance(e, SignalChanged)]
    assert series(measured, "checkout").state is SignalState.FIRING
    assert series(measured, "checkout").reading == before
    assert measured.incidents[0].is_open
    assert measured.incidents[0].problems[0].no_data_reason == "HTTP 503"


@pytest.mark.parametrize(("name", "is_told"), [("checkout", True), ("app", False)])
def test_missing_data_is_reported_after_five_minutes(
    measured: Any, name: str, *, is_told: bool
) -> None:
    """For sources that we query; an application that sends only failures is never reported."""
    measured.count(f"prod.{name}", total=50)
    begin = measured.now
    measured.wait(299)
    measured.count(f"prod.{name}", no_data_reason="timeout read")
    assert series(measured, name).no_data_since is None
    measured.wait(1)
    measured.count(f"prod.{name}", no_data_reason="timeout read")

    assert series(measured, name).no_data_since == (begin if is_told else None)


def test_data_ends_it(measured: Any) -> None:
    """Also data that is too little to evaluate."""
    measured.wait(300)
    measured.count("prod.checkout", no_data_reason="timeout read")
    assert series(measured, "checkout").no_data_since is not None
    measured.count("prod.checkout", total=1)

    assert series(measured, "checkout").no_data_since is None
    assert series(measured, "checkout").no_data_reason == ""


def log(steps: Any, succeeded: int, own: int | None = None) -> list[Any]:
    """Let the log have this many rows of users' logins, and of our own."""
    steps.wait(30)
    groups = (Group("success", succeeded),) if succeeded else ()
    told = steps.count("prod.logs", total=float(succeeded), groups=groups, own_rows=own)
    return [(e.state, e.reason) for e in told if isinstance(e, SignalChanged)]


@pytest.mark.parametrize("logins", [5, 10, 50, 1000])
@pytest.mark.parametrize("is_own_known", [False, True])
def test_a_stopped_log_is_no_loss_of_logins(
    measured: Any, logins: int, *, is_own_known: bool
) -> None:
    """Auth0's log store may stop while logins work: then there is no data, and no alert."""
    for place in range(120):
        log(measured, logins, own=place % 2 if is_own_known else None)
    changes = [change for _ in range(20) for change in log(measured, 0, own=None)]

    assert changes == []
    assert series(measured, "logs").no_data_reason == "no rows come"
    assert series(measured, "logs").no_data_since is not None


def test_the_rows_of_our_own_logins_show_that_the_log_works(measured: Any) -> None:
    """If our rows arrive but users' rows do not, users' logins are missing."""
    for place in range(120):
        log(measured, 50, own=place % 2)
    changes = [change for place in range(10) for change in log(measured, 0, own=place % 2)]

    assert changes[-1] == (SignalState.FIRING, Reason.SUCCESSES_MISSING)


def test_a_log_of_few_logins_may_be_empty(measured: Any) -> None:
    """With five logins an hour, half a minute without rows is normal."""
    for place in range(240):
        log(measured, int(place % 24 == 0))

    assert series(measured, "logs").no_data_reason == ""
    assert series(measured, "logs").state is SignalState.OK


def test_a_restart_starts_with_new_data(measured: Any) -> None:
    """Pooled measurements are dropped, firing goes on, and missing data counts from the start."""
    fail(measured)
    measured.wait(3600)
    measured.tenant("prod", Started(measured.now))
    kept = series(measured, "checkout")
    assert (kept.state, kept.recent, kept.read_at) == (SignalState.FIRING, (), None)

    measured.wait(60)
    measured.count("prod.checkout", no_data_reason=FIRST_READ)
    assert series(measured, "checkout").no_data_since is None


def test_an_incident_of_errors_survives_a_restart(measured: Any) -> None:
    """Until the first measurement there is none to take a pattern from."""
    for _ in range(30):
        measured.wait(60)
        measured.see("prod.login")
        measured.count("prod.web", total=None, span_s=120.0)
    groups = (Group("", 90, "callback_mismatch"),)
    for failed in (90, 180):
        measured.wait(60)
        measured.count("prod.web", failed=failed, total=None, span_s=120, groups=groups)
    measured.tenant("prod", Started(measured.now))
    measured.see("prod.login")
    measured.count("prod.web", no_data_reason="HTTP 503")

    assert measured.incidents[0].is_open


def test_what_is_no_longer_configured_is_forgotten(measured: Any) -> None:
    """Its state and its monitors' alerts are dropped."""
    measured.push(alert(measured.now))
    measured.rules = replace(
        measured.rules,
        tenants={**measured.rules.tenants, "prod": replace(PROD, metrics={}, monitors=())},
    )
    measured.tenant("prod", Started(measured.now))
    state = measured.world.states["prod"]

    assert (state.metrics, state.monitors) == ({}, {})
    assert measured.count("prod.checkout", failed=50, total=100) == []


def test_an_on_demand_check_queries_all_metrics(measured: Any) -> None:
    """Or only the requested one."""
    everything = measured.tenant("prod", CheckRequested(measured.now, "r1"))
    one = measured.tenant("prod", CheckRequested(measured.now, "r2", "web"))

    assert asked(everything) == list(SERIES)
    assert asked(one) == ["web"]


def test_an_authenticated_alert_opens_an_incident(measured: Any) -> None:
    """And its end ends the incident."""
    told = measured.push(alert(measured.now))
    changes = [e for e in told if isinstance(e, SignalChanged)]
    assert [(c.signal, c.state, c.reason) for c in changes] == [
        ("alertmanager", SignalState.FIRING, Reason.EXTERNAL_ALERT)
    ]
    assert measured.incidents[0].problems[0].title == "errors"

    measured.wait(60)
    measured.push(alert(measured.now, is_firing=False))
    assert not measured.incidents[0].is_open


def test_an_alert_that_is_never_resolved_expires(measured: Any) -> None:
    """At the tick that is due for it."""
    measured.push(alert(measured.now, lasts_s=3600.0))
    state = measured.world.states["prod"]
    state = replace(state, due=dict.fromkeys(state.due))
    assert due_at(state) == measured.now + 3600

    measured.wait(3600)
    measured.tick("prod")
    assert measured.world.states["prod"].monitors["alertmanager"].alerts == ()


def test_an_unauthenticated_alert_starts_a_check_and_alerts_nobody(measured: Any) -> None:
    """Anybody who knows the path can send one."""
    effects = measured.push(alert(measured.now, is_unauthenticated=True))

    assert {e.target.owner for e in effects if isinstance(e, StartProbe)} == {"prod"}
    assert measured.incidents == []
    assert not [
        e
        for e in measured.push(alert(measured.now, is_unauthenticated=True, is_firing=False))
        if isinstance(e, StartProbe)
    ]


def test_unknown_monitors_and_tenants_are_ignored(measured: Any) -> None:
    """A monitor or tenant that is not configured changes no state."""
    before = measured.world.states["prod"]
    stranger = replace(alert(measured.now), target=Target("prod", "stranger"))
    elsewhere = replace(alert(measured.now), target=Target("nobody", "alertmanager"))
    measured.push(stranger, elsewhere)

    assert measured.world.states["prod"] == before
    assert measured.incidents == []


def test_the_log_tells_the_environment_and_changes(measured: Any) -> None:
    """The environment stays known when later rows do not name it; a change counts once."""
    change = ChangeMade("c1", measured.now, "client updated", tenant="prod")
    measured.count("prod.logs", total=5.0, environment="EU-2", changes=(change,))
    measured.count("prod.logs", total=5.0, changes=(change,))

    assert measured.world.states["prod"].environment == "EU-2"
    assert measured.desk.shared.changes == (change,)


def test_environments_that_logs_name_make_peers(steps: Any, make_rules: Any) -> None:
    """Without configuration, the logs show which tenants share an environment."""
    logs = {"logs": SERIES["logs"]}
    tenants = {
        name: TenantRules(name, f"{name}.auth0.com", metrics=logs) for name in ("a", "b", "c")
    }
    steps = type(steps)(make_rules(tenants=tenants))
    steps.healthy()
    for name, environment in (("a", "US-1"), ("b", "EU-1"), ("c", "US-1")):
        steps.count(f"{name}.logs", total=9.0, environment=environment)
    for _ in range(5):
        steps.wait(5)
        steps.see("a.login", GONE)
        steps.see("b.login")
        steps.see("c.login")
    verdict = steps.incidents[0].verdict
    facts = {
        fact.rule_id: evidence_text(fact)
        for fact in (*verdict.evidence_for, *verdict.evidence_against)
    }

    assert facts["same-environment-ok"].endswith(": c")
    assert facts["elsewhere-ok"].endswith(": b")
