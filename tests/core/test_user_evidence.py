from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.auth0_logs.events import RowKind
from bot.core.model.measurement import ChangeMade, ExternalAlert, Group, Measurement, MetricKind
from bot.core.model.observation import (
    LOGS,
    WELLKNOWN,
    Evidence,
    Fault,
    SignalState,
    Stage,
    Target,
)
from bot.core.signals.baseline import Baseline
from bot.core.signals.external_alerts import Monitor
from bot.core.signals.metric_threshold import (
    MetricLimits,
    MetricReading,
    MetricState,
    observe_metric,
)
from bot.core.signals.probe_threshold import ProbeState, Reason, Try
from bot.core.state.problem import Impact
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import SharedSignals, Tenants, TenantState
from bot.core.triage.context import TriageContext, are_users_down, measure_impact
from bot.core.triage.evidence_table import EVIDENCE_TABLE
from bot.core.triage.verdict import collect_evidence
from bot.slack.render.verdict import evidence_text

NOW = 1_772_445_600.0
SINCE = NOW - 300
GONE = Fault(Stage.HTTP, "http_503", 503)
SERIES = {
    "checkout": MetricLimits(MetricKind.METRICS),
    "portal": MetricLimits(MetricKind.METRICS),
    "web": MetricLimits(MetricKind.ERRORS),
    LOGS: MetricLimits(MetricKind.LOGS),
}
RULES = Rules(
    {
        name: TenantRules(name, f"{name}.auth0.com", "US-1", metrics=SERIES, realms=("users",))
        for name in ("prod", "b")
    }
)
WELL = ProbeState(ever_ok=True, last_ok_at=NOW - 10, last_at=NOW - 10)
DOWN = ProbeState(
    state=SignalState.FIRING,
    tries=tuple(Try(SINCE + 5 * place, GONE) for place in range(5)),
    since=SINCE,
    ever_ok=True,
    last_ok_at=SINCE - 30,
    last_at=NOW,
)
LOGINS = (Group(RowKind.SUCCESS, 40, connection="users"), Group(RowKind.USER, 5))


def counted(
    failed: float = 1.0, total: float | None = 200.0, *groups: Group, usual: float = 1.0
) -> MetricState:
    """Return a healthy metric with these values of the last two minutes."""
    return MetricState(
        recent=(Measurement(Target("prod", "any"), NOW - 5, 120, failed, total, groups),),
        reading=MetricReading(
            is_good=True, failed=failed, total=total, span_s=120.0, expected_failures=usual
        ),
        baseline=Baseline(3600.0, 30 * usual, 30 * 200.0, 3600.0),
        begun_at=NOW - 9000,
        read_at=NOW - 5,
        judged_at=NOW - 5,
        good_at=NOW - 5,
    )


def bad(series: MetricState, reason: Reason) -> MetricState:
    reading = replace(series.reading, reason=reason, is_good=False)
    return replace(series, state=SignalState.FIRING, since=SINCE, reason=reason, reading=reading)


WELL_SERIES = {
    "checkout": counted(),
    "portal": counted(),
    "web": counted(2, None),
    LOGS: counted(1, 41, *LOGINS, Group(RowKind.FAILURE, 1)),
}
CHECKOUT_FAILS = {"checkout": bad(counted(80), Reason.SHARE)}


def case(
    *,
    login: ProbeState = WELL,
    keys: ProbeState = WELL,
    series: dict[str, MetricState] | None = None,
    elsewhere: dict[str, MetricState] | None = None,
    monitors: dict[str, Monitor] | None = None,
    changes: tuple[ChangeMade, ...] = (),
) -> TriageContext:
    signals = {"login": login, WELLKNOWN: keys}
    here = TenantState(signals, metrics={**WELL_SERIES, **(series or {})}, monitors=monitors or {})
    there = TenantState(
        {"login": WELL, WELLKNOWN: WELL}, metrics={**WELL_SERIES, **(elsewhere or {})}
    )
    world = Tenants({"prod": here, "b": there})
    shared = SharedSignals(changes=changes)
    return TriageContext(("prod",), world, shared, RULES, NOW, login.since or SINCE)


def log(*failed: Group, well: int = 40, others: str = "users") -> dict[str, MetricState]:
    """Return a firing log with these rows, and successes by another connection."""
    count = sum(group.count for group in failed)
    rows = (Group(RowKind.SUCCESS, well, connection=others), *failed)
    return {LOGS: bad(counted(count, count + well, *rows), Reason.SHARE)}


def errors(pattern: str) -> dict[str, MetricState]:
    return {"web": bad(counted(90, None, Group("", 90, pattern)), Reason.EVENTS)}


def made(at: float, what: str, tenant: str = "", app: str = "") -> tuple[ChangeMade, ...]:
    return (ChangeMade("c", at, what, tenant, app),)


FIRING = ExternalAlert(Target("prod", "alertmanager"), "a", SINCE, is_firing=True, title="x")
ALERT = Monitor((FIRING,), (NOW + 60,))
FEW = replace(counted(0, 4), reading=replace(counted(0, 4).reading, expected_successes=40.0))
MISSING = bad(FEW, Reason.SUCCESSES_MISSING)
AS_EVER = replace(
    counted(1, 41, *LOGINS), reading=replace(counted(1, 41).reading, expected_successes=40.0)
)
AWAY = bad(replace(FEW, reading=replace(FEW.reading, is_away=True)), Reason.SUCCESSES_MISSING)
JUST_DOWN = replace(DOWN, since=NOW - 10, tries=DOWN.tries[-2:])
PRODUCED: dict[str, dict[str, Any]] = {
    "users-fail": {"login": DOWN, "series": CHECKOUT_FAILS},
    "users-fail-alone": {"series": CHECKOUT_FAILS},
    "users-fail-elsewhere": {"series": CHECKOUT_FAILS, "elsewhere": CHECKOUT_FAILS},
    "users-ok": {"login": DOWN},
    "users-away": {"series": {"checkout": AWAY}},
    "users-pass": {"login": DOWN, "keys": DOWN},
    "users-ok-beside": {"keys": DOWN},
    "users-unknown": {"login": JUST_DOWN},
    "one-application": {"series": CHECKOUT_FAILS},
    "several-applications": {"series": CHECKOUT_FAILS | {"portal": bad(counted(80), Reason.SHARE)}},
    "traffic-surge": {"series": {"checkout": counted(1, 900)}},
    "log-app": {"series": log(Group(RowKind.APP, 30, "callback_mismatch"))},
    "log-upstream": {"series": log(Group(RowKind.UPSTREAM, 30, "provider_error", "saml-corp"))},
    "log-one-connection": {"series": log(Group(RowKind.FAILURE, 30, "", "saml-corp"))},
    "log-provider": {"series": log(Group(RowKind.PROVIDER, 30))},
    "log-push": {"series": log(Group(RowKind.PROVIDER, 30, "push"))},
    "log-tenant": {"series": log(Group(RowKind.TENANT, 30))},
    "log-platform": {"series": log(Group(RowKind.PLATFORM, 2))},
    "log-quota": {"series": log(Group(RowKind.QUOTA, 4))},
    "log-no-success": {"series": {LOGS: MISSING} | CHECKOUT_FAILS},
    "log-no-success-alone": {"series": {LOGS: MISSING}},
    "log-several-connections": {
        "series": log(*(Group(RowKind.UPSTREAM, 9, "unreachable", name) for name in "abc"))
    },
    "log-elsewhere": {
        "series": CHECKOUT_FAILS,
        "elsewhere": log(Group(RowKind.APP, 30, "unknown_client")),
    },
    "log-as-ever": {"series": {**CHECKOUT_FAILS, LOGS: AS_EVER}},
    "log-attack": {"series": log(Group(RowKind.USER, 300), Group(RowKind.PROTECTION, 20), well=40)},
    "log-database": {"series": log(Group(RowKind.FAILURE, 30, "", "users"), others="saml-corp")},
    "errors-app": {"series": errors("callback_mismatch")},
    "errors-upstream": {"series": errors("provider_error")},
    "errors-tenant": {"series": errors("access_denied")},
    "errors-unreachable": {"series": errors("timeout")},
    "errors-unreachable-alone": {"series": errors("unreachable") | CHECKOUT_FAILS},
    "monitor-says": {"monitors": {"alertmanager": ALERT}},
    "deploy-before": {"changes": made(SINCE - 180, "deploy 42", app="web")},
    "setting-before": {"changes": made(SINCE - 180, "action updated", tenant="prod")},
    "client-before": {"changes": made(SINCE - 180, "client updated", tenant="prod")},
}
OF_USERS = ("users-", "one-app", "several-", "traffic-", "log-", "errors-", "monitor-")
OF_CHANGES = ("deploy-", "setting-", "client-")


def rows(judged: TriageContext) -> set[str]:
    return {
        clue.rule_id
        for clue in collect_evidence(judged)
        if clue.rule_id.startswith(OF_USERS + OF_CHANGES)
    }


def said(row: str, judged: TriageContext) -> list[str]:
    found = [clue for clue in collect_evidence(judged) if clue.rule_id == row]
    return [evidence_text(Evidence(row, clue.values, 0.0)) for clue in found]


@pytest.mark.parametrize(
    "row", [row for row in EVIDENCE_TABLE if row.startswith(OF_USERS + OF_CHANGES)]
)
def test_every_rule_of_the_table_applies_once(row: str) -> None:
    """All evidence from users, logs, errors, monitors and changes, with its numbers."""
    assert said(row, case(**PRODUCED[row]))


def test_without_a_problem_there_is_no_evidence() -> None:
    """Users' mistakes and single failures are no evidence."""
    assert rows(case()) == set()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (
            "users-fail-alone",
            "logins of real users fail, and the test login works (seen in checkout)",
        ),
        ("users-ok", "logins of real users work (seen in checkout, portal, logs)"),
        ("one-application", "only some applications fail; portal works"),
        ("traffic-surge", "checkout calls Auth0 4.5 times as often as usual"),
        (
            "log-app",
            "the tenant's log blames our application in 30 of 30 failures (callback mismatch)",
        ),
        (
            "log-one-connection",
            "only logins through the connection saml-corp fail",
        ),
        (
            "log-tenant",
            "the tenant's log blames the tenant's code or settings in 30 of 30 failures",
        ),
        ("deploy-before", "we changed something 3 min before: deploy 42 (web)"),
        ("setting-before", "a setting of prod was changed 3 min before: action updated"),
    ],
)
def test_a_rule_names_what_was_observed(row: str, words: str) -> None:
    """With numbers and names that are nobody's secret."""
    assert said(row, case(**PRODUCED[row])) == [words]


@pytest.mark.parametrize(
    "stale",
    [
        replace(counted(), no_data_reason="HTTP 503"),
        replace(counted(), read_at=NOW - 200),
        replace(counted(), read_at=None),
        replace(counted(), read_at=SINCE + 60),
        replace(counted(), ended_at=NOW - 60),
        replace(counted(), recent=()),
        replace(counted(), state=SignalState.PENDING),
    ],
)
def test_only_fresh_data_after_the_failure_is_good_news(stale: MetricState) -> None:
    """Not missing, old, too little, earlier or just recovered: no data never counts as healthy."""
    series = {"checkout": stale, "portal": stale, LOGS: stale}

    assert "users-ok" not in rows(case(login=DOWN, series=series))


def test_missing_errors_are_no_good_news() -> None:
    """An error tracker does not report how many succeed."""
    few = replace(counted(), reading=MetricReading())
    series = {"checkout": few, "portal": few, LOGS: few}

    assert "users-ok" not in rows(case(login=DOWN, series=series))


def test_an_unauthenticated_alert_is_no_evidence() -> None:
    """Anybody may have sent it."""
    hint = replace(ALERT, alerts=(replace(ALERT.alerts[0], is_unauthenticated=True),))

    assert rows(case(monitors={"pingdom": hint})) == set()


@pytest.mark.parametrize(
    ("at", "is_suspect"),
    [(SINCE - 901, False), (SINCE - 900, True), (SINCE + 120, True), (SINCE + 121, False)],
)
def test_a_change_shortly_before_is_suspect(at: float, *, is_suspect: bool) -> None:
    """Up to a quarter of an hour before the first failure, or reported a little late."""
    for tenant, row in (("", "deploy-before"), ("prod", "setting-before")):
        assert (rows(case(changes=made(at, "action updated", tenant))) == {row}) is is_suspect


def test_a_change_at_another_tenant_is_not_suspect() -> None:
    """Its settings are not ours."""
    assert rows(case(changes=made(SINCE - 60, "action updated", "b"))) == set()


def test_a_mixed_log_blames_nobody() -> None:
    """If no kind of failure stands out, the log names none."""
    mixed = log(
        Group(RowKind.APP, 10, "code_reused", "a"),
        Group(RowKind.TENANT, 10, "", "b"),
        Group(RowKind.UPSTREAM, 10, "timeout", "c"),
    )

    assert not {row for row in rows(case(series=mixed)) if row.startswith("log-")}


def test_one_connection_is_blamed_only_if_others_succeed() -> None:
    """A tenant with only one connection proves nothing."""
    alone = log(Group(RowKind.FAILURE, 30, "", "saml-corp"), well=4)

    assert "log-one-connection" not in rows(case(series=alone))


def test_other_connections_have_to_succeed_themselves() -> None:
    """Successes of the failing connection, and failures of others, do not show that they work."""
    partly = log(Group(RowKind.FAILURE, 30, "", "saml-corp"), others="saml-corp")
    mixed = log(
        Group(RowKind.FAILURE, 30, "", "saml-corp"), Group(RowKind.FAILURE, 6, "", "users"), well=0
    )

    for series in (partly, mixed):
        assert "log-one-connection" not in rows(case(series=series))


def test_for_a_database_no_provider_is_blamed() -> None:
    """A password login uses a database only, whatever kind of row its failures are."""
    series = log(Group(RowKind.PROVIDER, 30, "", "users"), others="saml-corp")

    assert {row for row in rows(case(series=series)) if row.startswith("log-")} == {"log-database"}


FEW_ROWS = counted(3, 43, *LOGINS, Group(RowKind.UPSTREAM, 3, "unreachable", "saml"), usual=0.2)


def test_a_few_rows_explain_what_is_known_to_fail() -> None:
    """They are too few to show by themselves that something fails."""
    calm, failing = {LOGS: FEW_ROWS}, {LOGS: FEW_ROWS} | CHECKOUT_FAILS
    known = [one for one in collect_evidence(case(series=failing)) if one.rule_id == "log-upstream"]

    assert "log-upstream" not in rows(case(series=calm))
    assert [0 < one.strength < 1 for one in known] == [True]


def test_a_log_without_the_failures_that_an_application_counts_is_as_ever() -> None:
    """Of a fifth of the calls its rows would tell, though hardly a success is missing."""
    fifth = {"checkout": bad(counted(40), Reason.SHARE)}
    reading = replace(counted(0, 38).reading, expected_successes=40.0, expected_failures=0.3)
    silent = replace(counted(0, 38, *LOGINS), reading=reading)
    fails = replace(silent, reading=replace(reading, failed=9, total=47))

    assert "log-as-ever" in rows(case(series={LOGS: silent} | fifth))
    assert "log-as-ever" not in rows(case(series={LOGS: fails} | fifth))


def test_the_rows_that_a_log_lacks_tell_less_than_its_successes() -> None:
    """What fails before Auth0 knows of a login leaves no row, either."""
    fifth = {"checkout": bad(counted(40), Reason.SHARE)}

    def strength(factor: int) -> float:
        reading = replace(AS_EVER.reading, failed=0, total=40.0 * factor)
        log_ = replace(AS_EVER, reading=replace(reading, expected_successes=40.0 * factor))
        found = collect_evidence(case(series={LOGS: log_} | fifth))
        return next(clue.strength for clue in found if clue.rule_id == "log-as-ever")

    assert strength(1) < 0.5
    assert strength(10) == 1.0


def test_one_that_is_sent_to_the_wrong_tenant_is_no_outage_of_two() -> None:
    """What is missing at one tenant is refused at the other."""
    refused = log(Group(RowKind.APP, 30, "unknown_client"))

    assert "users-fail-elsewhere" not in rows(case(series=refused, elsewhere=CHECKOUT_FAILS))


def test_applications_that_lose_their_way_out_together_are_no_outage() -> None:
    """Two tenants' users fail at once, but the tracker says that no connection is made."""
    lost = CHECKOUT_FAILS | errors("unreachable")

    assert "users-fail-elsewhere" in rows(case(series=CHECKOUT_FAILS, elsewhere=CHECKOUT_FAILS))
    assert "users-fail-elsewhere" not in rows(case(series=CHECKOUT_FAILS, elsewhere=lost))
    assert "users-fail-elsewhere" in rows(case(login=DOWN, series=CHECKOUT_FAILS, elsewhere=lost))


def test_figures_of_logins_are_not_waited_for_where_only_keys_fail() -> None:
    """Whoever has the keys in a cache logs in: that refutes nothing."""
    assert "users-unknown" not in rows(case(keys=JUST_DOWN))


def test_users_who_get_through_show_that_our_connection_fails() -> None:
    """What gets no connection fails whatever it asks for, so a good answer of the keys is luck."""
    cut = Fault(Stage.CONNECT, "reset")
    tries = tuple(replace(each, fault=cut) for each in DOWN.tries)

    assert "users-pass" in rows(case(login=replace(DOWN, tries=tries)))


@pytest.mark.parametrize("is_both", [True, False])
def test_users_of_a_tenant_that_is_cut_off_as_well_are_heard(*, is_both: bool) -> None:
    """They tell whether the service or our way is lost; while it is reached, they tell nothing."""
    cut = tuple(replace(each, fault=Fault(Stage.CONNECT, "reset")) for each in DOWN.tries)
    lost = replace(DOWN, tries=cut)
    silent = dict.fromkeys(WELL_SERIES, MetricState())
    here = case(login=lost, keys=lost, series=silent)
    there = replace(
        here.all_tenants.states["b"],
        probes={"login": lost if is_both else WELL, WELLKNOWN: WELL},
    )
    states = {**here.all_tenants.states, "b": there}

    assert ("users-pass" in rows(replace(here, all_tenants=Tenants(states)))) is is_both


def test_an_old_log_says_nothing() -> None:
    """Rows from before its data stopped are not about now."""
    old = {LOGS: replace(log(Group(RowKind.QUOTA, 30))[LOGS], read_at=NOW - 200)}

    assert not {row for row in rows(case(series=old)) if row.startswith("log-")}


def test_errors_without_a_pattern_only_tell_that_users_fail() -> None:
    """An unknown text is not guessed at."""
    assert rows(case(series=errors(""))) == {"users-fail-alone"}


def test_after_a_restart_old_data_is_no_evidence() -> None:
    """Firing goes on, but its data is from before."""
    fresh = {
        name: replace(series, recent=(), read_at=None)
        for name, series in (errors("timeout") | log(Group(RowKind.QUOTA, 30))).items()
    }

    assert rows(case(series=fresh)) == {"users-fail-alone"}


def down(metric: MetricState, *, readings: int = 2) -> MetricState:
    """The same metric, firing; so many readings in a row show that users cannot log in."""
    return replace(bad(metric, Reason.SHARE), down_in_a_row=readings)


MISTAKES = log(Group(RowKind.USER, 160), Group(RowKind.PROTECTION, 20), Group(RowKind.FAILURE, 5))


@pytest.mark.parametrize(
    ("series", "is_down"),
    [
        ({"checkout": down(counted(80))}, True),
        ({"checkout": down(counted(80), readings=1)}, False),
        ({"checkout": down(counted(80, usual=60.0))}, False),
        ({"checkout": down(counted(19, 40.0))}, False),
        ({LOGS: down(counted(30, 60.0))}, True),
        ({"checkout": down(counted(150)), **MISTAKES}, False),
        ({"checkout": counted(80)}, False),
    ],
    ids=["fail", "one reading", "as usual", "too few", "the log's", "mistakes", "over"],
)
def test_real_users_are_down(series: dict[str, MetricState], *, is_down: bool) -> None:
    """A quarter more than usual, twice, of enough calls; users' own mistakes are left out."""
    found = case(series=series)

    assert are_users_down("prod", found.all_tenants, RULES) is is_down
    impact = measure_impact("prod", found.all_tenants, RULES)
    assert (impact is Impact.DOWN) is is_down


@pytest.mark.parametrize(("usual", "times"), [(1.0, 2), (40.0, 0)])
def test_readings_in_a_row_are_counted(usual: float, times: int) -> None:
    """Against what is usual of that metric, once that is known."""
    limits, state = SERIES["checkout"], counted(usual=usual)
    for second in (30, 60):
        reading = Measurement(Target("prod", "checkout"), NOW + second, 120, 80.0, 200.0)
        state, _ = observe_metric(state, reading, limits)

    assert state.down_in_a_row == times
    well = Measurement(Target("prod", "checkout"), NOW + 90, 120, 1.0, 200.0)
    assert observe_metric(state, well, limits)[0].down_in_a_row == 0
