"""What fails in part, pauses, or ends: which facts still count then, and which prove nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.measurement import Measurement, MetricKind
from bot.core.model.observation import (
    CUSTOM,
    LOGS,
    M2M,
    WELLKNOWN,
    Cause,
    Fault,
    FeedReading,
    FeedState,
    OwnSide,
    SignalState,
    Stage,
    Target,
)
from bot.core.signals.baseline import Baseline
from bot.core.signals.metric_threshold import MetricLimits, MetricReading, MetricState
from bot.core.signals.probe_threshold import ProbeState, Reason, SpanCounts, Try
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import FeedPolled
from bot.core.state.tenant import Sample, SharedSignals, Tenants, TenantState
from bot.core.triage.context import TriageContext, is_calm
from bot.core.triage.from_users import log_likelihood_ratio
from bot.core.triage.verdict import collect_evidence, reach_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

NOW = 1_772_445_600.0
SINCE = NOW - 120
GONE = Fault(Stage.HTTP, "http_503", 503)
HANGS = Fault(Stage.TIMEOUT, "read")
LOST = Fault(Stage.CONNECT, "refused")
PROXY = Fault(Stage.HTTP, "http_407", 407, own_side=OwnSide.BETWEEN)
SERIES = {
    "checkout": MetricLimits(MetricKind.METRICS),
    "portal": MetricLimits(MetricKind.METRICS),
    LOGS: MetricLimits(MetricKind.LOGS),
}
RULES = Rules(
    {
        name: TenantRules(name, f"{name}.auth0.com", "US-1", metrics=SERIES)
        for name in ("prod", "staging")
    }
)


def failing(pattern: str, fault: Fault = GONE, begun: float = SINCE) -> ProbeState:
    """Return a probe that was tried every ten seconds; `x` failed."""
    made = tuple(
        Try(begun + 10 * place, fault if mark == "x" else None)
        for place, mark in enumerate(pattern)
    )
    return ProbeState(
        state=SignalState.FIRING,
        tries=made,
        since=begun,
        ever_ok=True,
        last_ok_at=begun - 30,
        good_before=begun - 30,
        last_at=made[-1].at,
        last_fault=fault,
        span=SpanCounts(len(made), pattern.count("x"), pattern.rindex("x") + 1),
    )


def well(count: int = 10) -> ProbeState:
    """Return a probe with so many successes since the problem began."""
    times = tuple(NOW - 5 - 10 * place for place in reversed(range(count)))
    return ProbeState(ever_ok=True, last_ok_at=times[-1], last_at=times[-1], ok_times=times)


def recovered(fault: Fault = GONE) -> ProbeState:
    """Return a probe that failed in this problem, and has just recovered."""
    return replace(well(3), ended_at=NOW - 20, last_fault=fault, span=SpanCounts(8, 5, 5))


def counted(failed: float, total: float, since: float | None = None) -> MetricState:
    """Return the counts of the last two minutes; usually 1 of 200 calls fails."""
    return MetricState(
        state=SignalState.OK if since is None else SignalState.FIRING,
        since=since,
        recent=(Measurement(Target("prod", "any"), NOW, 120, failed, total),),
        reading=MetricReading(
            is_good=since is None,
            failed=failed,
            total=total,
            span_s=120.0,
            expected_failures=1.0,
            expected_successes=200.0,
        ),
        baseline=Baseline(3600.0, 30.0, 6000.0, 3600.0),
        read_at=NOW,
    )


def case(
    prod: dict[str, ProbeState],
    staging: dict[str, ProbeState] | None = None,
    samples: Iterable[Sample] = (),
    metrics: dict[str, MetricState] | None = None,
    beside: dict[str, MetricState] | None = None,
) -> TriageContext:
    silent = {name: MetricState(no_data_reason="none") for name in SERIES}
    usual = {"login": well(), WELLKNOWN: well()}
    tenants = Tenants(
        {
            "prod": TenantState({**usual, **prod}, metrics={**silent, **(metrics or {})}),
            "staging": TenantState(
                {**usual, **(staging or {})}, metrics={**silent, **(beside or {})}
            ),
        }
    )
    shared = SharedSignals({"neutral": well()}, samples={"neutral": tuple(samples)})
    return TriageContext(("prod",), tenants, shared, RULES, NOW, SINCE)


def strengths(context: TriageContext) -> dict[str, float]:
    return {match.rule_id: match.strength for match in collect_evidence(context)}


@pytest.mark.parametrize("signal", [WELLKNOWN, CUSTOM, M2M])
@pytest.mark.parametrize(
    ("pattern", "login", "is_alone"),
    [
        ("xxxxx", well(1), True),
        ("x...x..x.x..", well(2), False),
        ("x...x..x.x..", well(9), True),
        ("xxxxx", replace(well(), ended_at=NOW - 5), False),
    ],
)
def test_a_login_works_beside_only_if_that_is_no_chance(
    signal: str, pattern: str, login: ProbeState, *, is_alone: bool
) -> None:
    """One success proves nothing where a third fails, nor do those since the end."""
    found = strengths(case({"login": login, signal: failing(pattern)}))

    assert (not found.keys().isdisjoint({"keys-only", "custom-only", "m2m-only"})) is is_alone


def test_what_recovers_first_failed_all_the_same() -> None:
    """The keys come again before the logins do: the answer is still that they failed."""
    down = failing("xxxxxxxxxxxx", LOST)

    assert "wellknown-unreachable" in strengths(case({"login": down, WELLKNOWN: recovered(LOST)}))
    found = strengths(case({"login": recovered(LOST), WELLKNOWN: down}))
    assert "login-unreachable" in found
    assert "keys-only" not in found


@pytest.mark.parametrize(
    ("login", "is_over"),
    [
        (failing("xxxxxx.x"), False),
        (failing("xxxxxxx."), False),
        (failing("xxxxxx.."), True),
        (well(), True),
    ],
)
def test_all_is_calm_once_each_failing_probe_has_worked_twice(
    login: ProbeState, *, is_over: bool
) -> None:
    """Users' counts lag behind: while they are bad, it is not over."""
    assert is_calm(case({"login": login})) is is_over
    bad = counted(90, 200, since=SINCE)
    bad = replace(bad, reading=replace(bad.reading, reason=Reason.SHARE))
    assert not is_calm(case({"login": login}, metrics={"checkout": bad}))


def test_a_verdict_does_not_turn_while_all_works_just_now(steps: Any) -> None:
    """An outage ends at one probe before the next: what is left of it is no other cause."""
    cut = Fault(Stage.TIMEOUT, "connect")
    everything = ("prod.login", "prod.wellknown", "staging.login", "eu.login", "control.neutral")
    for _ in range(8):
        steps.wait(10)
        for where in everything:
            steps.see(where, cut)
    assert steps.incidents[0].verdict.cause is Cause.NETWORK
    for _ in range(2):
        steps.wait(10)
        for where in everything:
            steps.see(where)
    for _ in range(8):  # two tenants alone are not over yet
        steps.wait(10)
        steps.see("control.neutral")

    assert steps.incidents[0].verdict.cause is Cause.NETWORK


def sampled(*marks: str) -> list[Sample]:
    """Return a control endpoint's answers every ten seconds; `x`: none, `s`: slow."""
    latencies = {"x": None, "s": 2.0, ".": 0.1}
    return [Sample(SINCE + 10 * place, latencies[m]) for place, m in enumerate("".join(marks))]


@pytest.mark.parametrize(
    ("pattern", "answers", "rule_id"),
    [
        ("xxxxxxxxxxxx", "............", "controls-ok"),
        ("xxxx......xx", "xxxx......xx", "controls-fail"),
        ("xxxx......xx", "xx........xx", "controls-fail"),
    ],
)
def test_an_answer_in_a_pause_proves_nothing(pattern: str, answers: str, rule_id: str) -> None:
    """Of an outage that comes and goes, what was asked while it was away does not count."""
    found = strengths(case({"login": failing(pattern)}, samples=sampled(answers)))

    assert found.keys() & {"controls-ok", "controls-fail"} == {rule_id}


def test_two_slow_answers_of_a_control_endpoint_show_that_our_line_is_slow() -> None:
    """One may be chance."""
    slow = replace(well().latency, median_s=0.1, count=20, since=SINCE, is_slow=True)
    slow = replace(slow, recent=(2.0,) * 5)
    login = replace(well(), latency=slow)
    shared = replace(well(), latency=replace(slow, is_slow=False, since=None, recent=()))

    for answers, is_ours in (("ss", True), ("s.", False)):
        context = case({"login": login}, samples=sampled(answers))
        context = replace(context, shared=replace(context.shared, controls={"neutral": shared}))
        assert ("controls-slow" in strengths(context)) is is_ours


@pytest.mark.parametrize(("latencies", "is_slow"), [((2.0,), False), ((2.0, 2.0), True)])
def test_beside_a_slow_login_a_few_slow_answers_of_a_neighbour_count(
    latencies: tuple[float, ...], *, is_slow: bool
) -> None:
    """By themselves they would be no problem."""
    slow = replace(well().latency, median_s=0.1, count=20, since=SINCE, is_slow=True)
    mine = replace(well(), latency=replace(slow, recent=(2.0,) * 5))
    theirs = replace(well(), latency=replace(slow, is_slow=False, recent=latencies))
    found = strengths(case({"login": mine}, {"login": theirs}))

    assert ("same-environment-slow" in found) is is_slow


def test_controls_are_checked_at_once_where_a_login_is_slow(steps: Any) -> None:
    """And not again with each slow answer: every 15 seconds."""
    for _ in range(12):
        steps.wait(60)
        steps.healthy()
    steps.wait(20)
    steps.desk = replace(steps.desk, controls_due={"neutral": steps.now + 40})
    steps.see_slowly("prod.login", 4.0)
    assert steps.desk.controls_due["neutral"] == steps.now
    steps.desk = replace(steps.desk, controls_due={"neutral": steps.now + 15})
    steps.wait(5)
    steps.see_slowly("prod.login", 4.0)

    assert steps.desk.controls_due["neutral"] == steps.now + 10


def test_a_slow_line_reaches_the_status_page_as_well(steps: Any) -> None:
    """That it was read speaks for nobody where nothing fails."""
    for _ in range(12):
        steps.wait(60)
        steps.healthy()
    for _ in range(6):
        steps.wait(15)
        steps.see_slowly("prod.login", 4.0)
        steps.on_desk(
            FeedPolled(steps.now, FeedReading(Target("feed", "US-1"), steps.now, FeedState.OK))
        )
    verdict = steps.incidents[0].verdict
    found = {one.rule_id for one in (*verdict.evidence_for, *verdict.evidence_against)}

    assert "login-slow" in found
    assert "feed-reached" not in found


def test_a_proxy_at_two_tenants_is_no_outage_of_theirs() -> None:
    """It answers whoever is asked; that control endpoints are let through proves nothing."""
    stopped = {"login": failing("xxxxxxxxxxxx", PROXY)}
    found = strengths(case(stopped, stopped, sampled("............")))

    assert "login-intercepted" in found
    assert not found.keys() & {
        "same-environment-fails", "same-environment-refused", "controls-ok",
    }  # fmt: skip


def test_a_resolver_that_loses_a_part_of_all_names_is_ours() -> None:
    """By chance it finds some of those outside Auth0, but an authority's failure loses none."""
    found, lost = (
        Fault(Stage.DNS, "servfail", own_side=side)
        for side in (OwnSide.NAMES_FOUND, OwnSide.NAMES_LOST)
    )

    def rule_of(sides: str) -> set[str]:
        tries = tuple(
            Try(SINCE + 10 * n, lost if side == "l" else found) for n, side in enumerate(sides)
        )
        login = replace(failing("x" * len(sides)), tries=tries)
        return strengths(case({"login": login})).keys() & {"login-no-names", "login-name-lost"}

    assert rule_of("lfflf") == {"login-no-names"}
    assert rule_of("fflfffff") == {"login-name-lost"}


@pytest.mark.parametrize(
    ("name", "metric", "share", "is_well"),
    [
        (LOGS, counted(0, 48), 1.0, False),
        ("checkout", counted(60, 200), 1.0, False),
        ("checkout", counted(1, 200), 0.3, True),
        (LOGS, counted(0, 200), 0.8, True),
    ],
)
def test_users_may_fail_at_another_share_than_the_probe(
    name: str, metric: MetricState, share: float, *, is_well: bool
) -> None:
    """A log that lacks three quarters of its logins is not well because it does not lack all."""
    ratio = log_likelihood_ratio(metric, SERIES[name], share, NOW - 300)

    assert ratio >= 6 if is_well else ratio <= -6


def test_users_who_do_well_in_a_pause_refute_nothing() -> None:
    """The login worked in that time, too."""
    lately = failing("xxxxxxxxxx" + 14 * ".", begun=NOW - 240)
    lately = replace(lately, tries=(*lately.tries, Try(NOW - 1, GONE)))
    context = replace(
        case({"login": lately}, metrics={"checkout": counted(1, 200)}), since=NOW - 240
    )
    assert not strengths(context).keys() & {"users-ok", "users-pass", "users-fail"}

    steady = failing("x" * 24, begun=NOW - 240)
    context = replace(
        case({"login": steady}, metrics={"checkout": counted(1, 200)}), since=NOW - 240
    )
    assert "users-ok" in strengths(context)


def test_of_counts_that_contradict_one_another_the_clearer_ones_count() -> None:
    """A log that is a little late does not outweigh thousands of calls."""
    late = counted(0, 160)
    context = case({"login": failing("x" * 12)}, metrics={"checkout": counted(1, 200), LOGS: late})

    assert "users-fail" not in strengths(context)
    both = case(
        {"login": failing("x" * 12, LOST)},
        {"login": failing("x" * 12, LOST)},
        metrics={"checkout": counted(1, 200)},
        beside={"checkout": counted(8, 200)},
    )
    assert "users-pass" in strengths(both)
    assert "users-fail" not in strengths(both)


@pytest.mark.parametrize(("successes", "strength"), [(1, 0.46), (9, 1.0)])
def test_a_neighbour_that_works_says_as_much_as_its_successes(
    successes: int, strength: float
) -> None:
    """Where half of the logins fail here, one success there is hardly a fact."""
    found = strengths(case({"login": failing("x.x.x.x.x.x.x")}, {"login": well(successes)}))

    assert found["same-environment-ok"] == pytest.approx(strength, abs=0.1)


def test_a_neighbour_that_has_just_failed_once_may_refute_that_it_is_our_tenant() -> None:
    """Its login is being repeated: until then the cause is not stated."""
    broken = Fault(Stage.OAUTH, "access_denied", 500, "access_denied")
    own = {"login": failing("x" * 12, broken)}
    once = replace(failing("x", broken, NOW - 5), state=SignalState.PENDING)

    assert reach_verdict(case(own)).stated_cause is Cause.TENANT
    assert reach_verdict(case(own, {"login": once})).stated_cause is Cause.UNCLEAR


@pytest.mark.parametrize(
    ("beside", "stated"),
    [
        ({}, Cause.APP),
        ({"checkout": counted(1, 200)}, Cause.APP),
        ({"checkout": replace(counted(1, 200), read_at=SINCE + 20, recent=())}, Cause.UNCLEAR),
    ],
)
def test_users_of_a_neighbour_may_refute_that_it_is_our_application(
    beside: dict[str, MetricState], stated: Cause
) -> None:
    """Until its counts reach beyond the onset, as those of the failing one do."""
    bad = counted(80, 200, since=SINCE)
    bad = replace(bad, reason=Reason.SHARE)
    metrics = {"checkout": bad, "portal": counted(1, 200)}

    context = case({}, samples=sampled("." * 12), metrics=metrics, beside=beside)

    assert reach_verdict(context).stated_cause is stated


@pytest.mark.parametrize(("fault", "is_told"), [(GONE, True), (HANGS, False)])
def test_while_nothing_answers_us_users_are_waited_for(fault: Fault, *, is_told: bool) -> None:
    """Two tenants that hang with their keys may be behind a firewall of ours, too."""
    silent = {
        "login": failing("xxxxx", fault, NOW - 20),
        WELLKNOWN: failing("xxx", fault, NOW - 20),
    }
    unread = replace(counted(1, 200), read_at=NOW - 60)
    context = case(silent, silent, metrics={"checkout": unread})
    verdict = reach_verdict(replace(context, since=NOW - 20))

    assert (verdict.stated_cause is Cause.AUTH0) is is_told
