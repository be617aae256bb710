from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.observation import Cause, Fault, FeedReading, FeedState, Severity, Stage
from bot.core.reports import build_report, current_cause
from bot.core.state.incident import IncidentKind, IncidentState, Resolution
from bot.core.state.outbox import Edit, Post, Reply
from bot.core.state.rules import TenantRules
from bot.core.state.stimulus import (
    Delivered,
    FeedPolled,
    MessageLost,
    Send,
    Started,
    StartProbe,
    TenantReport,
    Tick,
)
from bot.core.state.tenant import Tenants
from bot.core.state.timeline import (
    BatchedEntry,
    JoinedEntry,
    MentionEntry,
    MergedEntry,
    RecoveredEntry,
    ReopenedEntry,
    ResolvedEntry,
    SeverityRaisedEntry,
)


def test_single_failures_open_nothing(steps: Any) -> None:
    """Four failures are no outage yet."""
    steps.fail("prod.login", times=4)

    assert steps.incidents == []
    assert steps.bodies() == []


def test_an_outage_opens_one_incident_and_posts_once(steps: Any) -> None:
    """However long it lasts."""
    steps.fail("prod.login", times=30)

    assert [i.state for i in steps.incidents] == [IncidentState.OPEN]
    assert [body for body in steps.bodies() if isinstance(body, Post)] == [Post(1)]


def test_a_tenant_that_fails_for_the_same_cause_joins(steps: Any) -> None:
    """Two tenants of one environment are one incident, with both listed."""
    steps.fail("prod.login")
    steps.fail("staging.login")

    assert [i.tenants for i in steps.incidents] == [("prod", "staging")]
    assert JoinedEntry in steps.entries()


def test_a_tenant_with_its_own_problem_does_not_join(steps: Any) -> None:
    """A wrong password at one tenant is not part of another one's outage."""
    steps.fail("prod.login")
    steps.fail("eu.login", times=3, fault=Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant"))

    assert [i.tenants for i in steps.incidents] == [("prod",), ("eu",)]


def test_it_resolves_when_all_its_tenants_have_recovered(steps: Any) -> None:
    """A tenant that recovers is posted; the incident ends with the last one."""
    steps.fail("prod.login")
    steps.fail("staging.login")
    for where in ("prod.login", "staging.login"):
        for _ in range(3):
            steps.wait(10)
            steps.see(where)

    (incident,) = steps.incidents
    assert incident.state is IncidentState.RESOLVED
    assert steps.entries()[-2:] == [RecoveredEntry, ResolvedEntry]
    assert incident.life.resolved_at == steps.now


def test_no_tenant_works_again_that_did_not_fail(steps: Any) -> None:
    """Of a tenant that comes and goes each line that it works follows one that it fails."""
    steps.fail("prod.login")
    steps.fail("staging.login")
    for _ in range(2):
        for _ in range(20):
            steps.wait(10)
            steps.see("staging.login")
        steps.fail("staging.login")

    told = [(body.entry, body.entry.tenants) for body in steps.bodies() if is_about_tenants(body)]
    assert [(type(entry), names) for entry, names in told] == [
        (JoinedEntry, ("staging",)),
        *[(RecoveredEntry, ("staging",)), (JoinedEntry, ("staging",))] * 2,
    ]


def is_about_tenants(body: Any) -> bool:
    return isinstance(body, Reply) and isinstance(body.entry, BatchedEntry)


def test_half_of_the_logins_failing_is_critical_less_is_a_warning(steps: Any) -> None:
    """The share in the window decides the severity."""
    for _ in range(5):
        for fault in (Fault(Stage.HTTP, "http_502", 502), None, None):
            steps.wait(5)
            steps.see("prod.login", fault)

    severities = [steps.incidents[0].severity]
    steps.fail("prod.login", times=15)
    severities.append(steps.incidents[0].severity)
    assert severities == [Severity.WARNING, Severity.CRITICAL]
    assert SeverityRaisedEntry in steps.entries()


def test_our_own_network_is_a_warning(steps: Any) -> None:
    """Users elsewhere may be fine."""
    for _ in range(5):
        steps.wait(5)
        for where in ("control.neutral", "prod.login", "eu.login"):
            steps.see(where, Fault(Stage.TIMEOUT, "connect"))

    assert steps.incidents[0].severity is Severity.WARNING


def test_others_are_probed_when_one_fails(steps: Any) -> None:
    """So that the first message has evidence."""
    steps.wait(30)
    looks = [
        str(e.target)
        for e in steps.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
        if isinstance(e, StartProbe)
    ]

    assert looks == ["prod.wellknown", "control.neutral", "staging.login", "eu.login"]


def test_while_something_fails_control_endpoints_are_probed_faster(steps: Any) -> None:
    """Every 15 seconds instead of every minute: is it our network, or Auth0?"""

    def count_probes(where: str, fault: Fault | None) -> int:
        since = len(steps.effects)
        for _ in range(24):
            steps.wait(5)
            steps.see(where, fault)
            steps.step(Tick(steps.now))
        controls = [StartProbe(control) for control in steps.rules.controls]
        return sum(effect in controls for effect in steps.effects[since:])

    assert count_probes("prod.login", None) == 2
    assert count_probes("prod.login", Fault(Stage.HTTP, "http_503", 503)) >= 8


def test_numbers_alone_are_updated_once_a_minute(steps: Any) -> None:
    """Edits are expensive; a change of the verdict is edited at once."""
    steps.fail("prod.login", times=5)
    before = len([b for b in steps.bodies() if isinstance(b, Edit)])
    steps.fail("prod.login", times=12)

    assert len([b for b in steps.bodies() if isinstance(b, Edit)]) - before <= 1


def test_a_message_that_slack_lost_is_posted_again(steps: Any) -> None:
    """With a key of its own, so that it is not taken for the first one."""
    steps.fail("prod.login")
    steps.on_desk(Delivered(steps.now, 1, "C1", "1.0", "1:post:1"))
    steps.on_desk(MessageLost(steps.now, 1))
    keys = [e.key for e in steps.effects if isinstance(e, Send) and isinstance(e.body, Post)]

    assert keys == ["1:post:1", "1:post:2"]


def test_a_monitoring_gap_is_posted_once_for_all_tenants(steps: Any) -> None:
    """Probes of all tenants work again within the same minute."""
    steps.wait(200)
    for name in ("prod", "staging", "eu"):
        steps.wait(5)
        steps.see(f"{name}.login")

    assert [(i.kind, i.severity) for i in steps.incidents] == [
        (IncidentKind.MONITORING_GAP, Severity.INFO)
    ]


def test_a_pause_of_the_bot_is_one_monitoring_gap(steps: Any) -> None:
    """The last checks of the tenants before it may be minutes apart."""
    for name in ("prod", "staging", "eu"):
        steps.wait(45)
        steps.see(f"{name}.login")
    steps.now += 3600.0
    steps.step(Tick(steps.now))

    assert [i.kind for i in steps.incidents] == [IncidentKind.MONITORING_GAP]


def test_every_monitoring_gap_is_posted(steps: Any) -> None:
    """A second one within the week is another one."""
    for _ in range(2):
        steps.wait(200)
        steps.see("prod.login")
        steps.wait(3)
        steps.see("prod.login")

    assert [i.kind for i in steps.incidents] == [IncidentKind.MONITORING_GAP] * 2
    assert [body for body in steps.bodies() if isinstance(body, Post)] == [Post(1), Post(2)]


def test_time_without_data_that_was_posted_is_no_gap_as_well(steps: Any) -> None:
    """The incident about it has said so; its end says the rest."""
    steps.starve("prod")
    for _ in range(6):
        steps.see("prod.login")
        steps.wait(60)

    assert [(i.kind, i.is_open) for i in steps.incidents] == [(IncidentKind.NO_DATA, False)]


def test_without_a_result_for_five_minutes_there_is_no_data(steps: Any) -> None:
    """The next tick opens an incident, whatever the reason."""
    steps.starve("prod")

    assert [i.kind for i in steps.incidents] == [IncidentKind.NO_DATA]
    assert steps.incidents[0].verdict.cause is Cause.NETWORK


def test_no_data_does_not_end_a_no_data_incident(steps: Any) -> None:
    """Only usable results do, after four minutes of them."""
    steps.starve("prod")
    steps.see("prod.login", blind="all DNS look-ups hang")
    steps.see("prod.login")
    steps.wait(130)
    steps.see("prod.login")
    assert steps.incidents[0].is_open
    steps.wait(120)
    steps.see("prod.login")

    assert not steps.incidents[0].is_open


TENANTS = ("prod", "staging", "eu")


@pytest.fixture
def no_data(steps: Any) -> Any:
    """Three tenants that could not be checked for five minutes, and now can again."""
    steps.starve(*TENANTS)
    for name in TENANTS:
        steps.see(f"{name}.login")
    return steps


def test_one_failure_after_missing_data_is_an_incident_of_its_own(no_data: Any) -> None:
    """The others are no problem: no new incident for them, and none that says they work."""
    assert [i.tenants for i in no_data.incidents] == [TENANTS]
    for _ in range(5):
        no_data.fail("prod.login", times=1)
        for name in TENANTS[1:]:
            no_data.see(f"{name}.login")

    missing, part, failing = sorted(no_data.incidents, key=lambda i: (i.kind, i.id))
    assert (failing.kind, failing.tenants) == (IncidentKind.FAILING, ("prod",))
    assert (missing.is_open, missing.tenants) == (True, ("staging", "eu"))
    assert (part.tenants, part.life.merged_into) == (("prod",), missing.id)
    sent = no_data.bodies()
    assert [b.incident for b in sent if isinstance(b, Post)] == [missing.id, failing.id]
    entries = [b.entry for b in sent if isinstance(b, Reply) and b.incident == missing.id]
    assert RecoveredEntry(part.life.resolved_at, ("prod",)) in entries


def test_the_last_tenant_that_fails_ends_missing_data(no_data: Any) -> None:
    """Nothing is left that cannot be checked."""
    for name in TENANTS:
        no_data.fail(f"{name}.login")
    no_data.see("prod.login", Fault(Stage.HTTP, "http_503", 503))

    assert {i.kind for i in no_data.desk.open_incidents} == {IncidentKind.FAILING}


def test_a_report_counts_when_each_tenant_was_not_observed(no_data: Any) -> None:
    """Also for a tenant whose part of the incident ended before the others'."""
    no_data.fail("prod.login", times=1)
    no_data.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
    begun = no_data.incidents[0].since
    no_data.wait(600)
    report = build_report(no_data.desk, no_data.world, no_data.rules, begun, no_data.now)

    unobserved = {each.tenant: each.unobserved_s for each in report.tenants}
    assert unobserved == {"prod": 306.0, "staging": 906.0, "eu": 906.0}


def test_data_that_comes_again_opens_no_incident(steps: Any) -> None:
    """A person resolved it while data had just begun to come."""
    steps.starve("prod")
    steps.see("prod.login")
    (incident,) = steps.incidents
    life = replace(incident.life, resolved=Resolution(steps.now))
    steps.desk = steps.desk.with_incident(replace(incident, life=life))
    steps.see("prod.login")

    assert [i.kind for i in steps.incidents] == [IncidentKind.NO_DATA]


@pytest.mark.parametrize(("has_failed", "cause"), [(False, Cause.NONE), (True, Cause.BLIP)])
def test_without_an_incident_the_standing_cause_is_none_or_blip(
    cause: Cause, *, has_failed: bool
) -> None:
    """A failed request without an incident is a blip."""
    assert current_cause((), 0.0, has_failed=has_failed) is cause


def test_the_most_severe_open_incident_decides(steps: Any) -> None:
    """Of two, the critical one; once all are resolved, the last that ended."""
    steps.fail("eu.login", times=3, fault=Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant"))
    for _ in range(5):
        steps.wait(5)
        steps.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
        steps.see("staging.login", Fault(Stage.HTTP, "http_503", 503))
    assert current_cause(tuple(steps.incidents), 0.0, has_failed=True) is Cause.AUTH0

    for _ in range(3):
        steps.wait(10)
        steps.see("prod.login")
        steps.see("staging.login")
    assert current_cause(tuple(steps.incidents), 0.0, has_failed=True) is Cause.PROBE


def test_incidents_are_forgotten_after_a_week(steps: Any) -> None:
    """The state stays small."""
    steps.fail("prod.login")
    for _ in range(3):
        steps.wait(10)
        steps.see("prod.login")
    steps.wait(8 * 86400)
    steps.on_desk(Started(steps.now))

    assert steps.incidents == []


def test_people_are_mentioned_only_if_configured(steps: Any) -> None:
    """Without `mention` nobody is mentioned, and no timeline entry says otherwise."""
    steps.fail("prod.login", times=40)
    steps.on_desk(Tick(steps.now))

    assert MentionEntry not in steps.entries()


def test_a_report_of_a_healthy_tenant_changes_nothing(steps: Any) -> None:
    """It has no effect when it is repeated."""
    before = steps.desk
    steps.on_desk(TenantReport(steps.now, "prod"))

    assert steps.desk == before


def test_a_tenant_that_is_no_longer_configured_leaves_its_incident(
    steps: Any, make_rules: Any
) -> None:
    """With its last tenant an incident ends; the unknown tenant is not probed any more."""
    steps.fail("eu.login", times=3, fault=Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant"))
    tenants = {name: one for name, one in steps.rules.tenants.items() if name != "eu"}
    steps.rules = make_rules(tenants=tenants)
    steps.world = Tenants({name: steps.world.states[name] for name in tenants})
    steps.on_desk(Started(steps.now))
    steps.healthy()

    assert [i.state for i in steps.incidents] == [IncidentState.RESOLVED]


def test_an_incident_goes_on_with_its_other_tenants(steps: Any, make_rules: Any) -> None:
    """One of its tenants was removed from the configuration; the other still fails."""
    for _ in range(5):
        steps.wait(5)
        steps.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
        steps.see("staging.login", Fault(Stage.HTTP, "http_503", 503))
    tenants = {name: one for name, one in steps.rules.tenants.items() if name != "staging"}
    steps.rules = make_rules(tenants=tenants)
    steps.world = Tenants({name: steps.world.states[name] for name in tenants})
    steps.on_desk(Started(steps.now))

    assert [(i.tenants, i.is_open) for i in steps.incidents] == [(("prod",), True)]


def test_a_renewed_failure_is_shown_at_once(steps: Any) -> None:
    """The message changes from resolved to firing, with a timeline entry."""
    steps.fail("prod.login")
    for _ in range(3):
        steps.wait(10)
        steps.see("prod.login")
    before = len(steps.bodies())
    steps.wait(60)
    steps.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
    after = steps.bodies()[before:]

    assert steps.incidents[0].is_open
    assert ReopenedEntry in [type(b.entry) for b in after if isinstance(b, Reply)]
    assert any(isinstance(body, Edit) for body in after)


def test_a_feed_that_we_could_not_poll_keeps_its_state(steps: Any, make_notice: Any) -> None:
    """No data about the status page does not change what it said."""
    feed = steps.rules.tenants["prod"].feed
    steps.read(feed, make_notice())
    blind = FeedReading(feed, steps.now, FeedState.UNREACHABLE, no_data_reason="no_child_process")
    steps.on_desk(FeedPolled(steps.now, blind))

    assert [n.id for n in steps.desk.shared.feeds[feed.name].status_incidents] == ["a1"]


def test_in_an_alert_storm_failures_are_grouped(make: Any) -> None:
    """With five open incidents, what fails for the same cause joins the newest one.

    Ten minutes later that is no storm any more, and a failure is an incident of its own.
    """
    limited = Fault(Stage.OAUTH, "too_many_requests", 429, "too_many_requests")
    names = [f"t{number}" for number in range(1, 9)]
    steps = make(tenants={n: TenantRules(n, f"{n}.auth0.com", environment=n) for n in names})
    steps.healthy()
    for name in names[:7]:
        steps.fail(f"{name}.login", 2, limited)
    grouped = [("t1",), ("t2",), ("t3",), ("t4",), ("t5", "t6", "t7")]
    assert [incident.tenants for incident in steps.desk.open_incidents] == grouped

    steps.wait(600)
    steps.fail("t8.login", 2, limited)
    assert [incident.tenants for incident in steps.desk.open_incidents] == [*grouped, ("t8",)]


@pytest.mark.parametrize(
    ("is_control_found", "cause"), [(True, Cause.PROBE), (False, Cause.NETWORK)]
)
def test_where_no_name_was_ever_found_it_is_our_network(
    new_steps: Any, *, is_control_found: bool, cause: Cause
) -> None:
    """As behind a resolver that answers all questions with no; one name alone is typed wrong."""
    unknown = Fault(Stage.DNS, "nxdomain")
    for _ in range(8):
        new_steps.wait(5)
        new_steps.see("control.neutral", None if is_control_found else unknown)
        new_steps.see("prod.login", unknown)

    assert new_steps.incidents[0].verdict.cause is cause


@pytest.fixture
def merged(steps: Any) -> Any:
    """Two incidents that later evidence has made one: nothing can be reached any more."""
    steps.fail("prod.login")
    steps.fail("eu.login", fault=Fault(Stage.OAUTH, "access_denied", 403, "access_denied"))
    assert [i.tenants for i in steps.incidents if i.is_open] == [("prod",), ("eu",)]
    for _ in range(20):
        for where in ("control.neutral", "eu.login", "prod.login"):
            steps.fail(where, 1, Fault(Stage.DNS, "no_resolver"))
    return steps


def test_incidents_that_turn_out_to_be_one_are_merged(merged: Any) -> None:
    """The younger one ends and names the older one, which goes on."""
    first, second = merged.incidents

    assert (first.tenants, first.is_open) == (("prod", "eu"), True)
    assert first.verdict.cause is Cause.NETWORK
    assert (second.is_open, second.life.merged_into) == (False, first.id)
    assert merged.entries().count(MergedEntry) == 1


def test_a_merged_incident_is_never_reopened(merged: Any) -> None:
    """If its tenant fails again soon, the incident that people follow is reopened."""
    for _ in range(3):
        merged.wait(10)
        for where in ("control.neutral", "eu.login", "prod.login"):
            merged.see(where)
    assert not any(incident.is_open for incident in merged.incidents)
    merged.fail("eu.login")

    first, second = merged.incidents
    assert (first.is_open, first.life.reopen_count) == (True, 1)
    assert (second.is_open, second.life.reopen_count) == (False, 0)
