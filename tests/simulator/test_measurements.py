from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.core.auth0_logs.events import RowKind
from bot.core.model.measurement import Measurement, MetricKind
from bot.core.model.observation import Outcome, Target
from bot.simulator.measurements import MeasuredSignal
from bot.simulator.prober import VirtualProber
from bot.simulator.scenario import Scenario
from bot.simulator.world import World

Make = Callable[..., Scenario]
CHECKOUT = Target("prod", "checkout")
WEB = Target("prod", "web")
LOGS = Target("prod", "logs")
GAUGES = {
    CHECKOUT: MeasuredSignal(MetricKind.METRICS, "checkout", 120),
    WEB: MeasuredSignal(MetricKind.ERRORS, "browser", 60),
    LOGS: MeasuredSignal(MetricKind.LOGS),
}
STORY = (
    "metrics:",
    "  - {signal: checkout, tenant: prod, to: 20m, requests: 300/min, errors: 1%}",
    "  - {signal: checkout, tenant: prod, from: 5m, to: 10m, errors: 100%}",
    "errors:",
    "  - {signal: browser, tenant: prod, from: 5m, to: 10m, events: 120/min, title: ECONNRESET}",
    "  - {signal: browser, tenant: prod, from: 9m, to: 10m, title: jane@acme.example left}",
    "logs:",
    "  - {tenant: prod, rows: {s: 120/min, fp: 12/min}}",
    "  - {tenant: prod, from: 5m, rows: {f: {rate: 60/min, description: saml, connection: corp}}}",
    "changes:",
    "  - {at: 60s, tenant: prod, what: client updated}",
    "  - {at: 60s, tenant: eu, what: client deleted}",
    "  - {at: 60s, app: checkout, what: deploy 4711}",
)


class SetClock:
    """A clock whose time passes when somebody sleeps or sets it."""

    speed = 1.0

    def __init__(self, now: float) -> None:
        self.instant = now

    def now(self) -> float:
        return self.instant

    async def sleep(self, span_s: float) -> None:
        self.instant += span_s


class Watch:
    """A virtual prober, queried at offsets from t=0."""

    def __init__(self, scenario: Scenario) -> None:
        self.start_at = scenario.start_at
        self.clock = SetClock(scenario.start_at)
        self.prober = VirtualProber(World(scenario), self.clock, measured_signals=GAUGES)

    async def measure(self, target: Target, offset_s: float) -> Measurement:
        self.clock.instant = self.start_at + offset_s
        return await self.prober.measure(target)


@pytest.fixture
def watch(make_scenario: Make) -> Watch:
    return Watch(make_scenario(*STORY))


async def test_metrics_are_those_of_the_window_that_ends_now(watch: Watch) -> None:
    """Failed calls and all calls, in two minutes of whole slices, before and during the fault."""
    before, during = await watch.measure(CHECKOUT, 290), await watch.measure(CHECKOUT, 425)
    assert (before.at, before.span_s) == (watch.start_at + 290, 120)
    assert before.total == pytest.approx(600, abs=120)
    assert before.failed < 20
    assert during.failed == during.total
    assert not during.no_data_reason


async def test_without_traffic_the_counts_are_zero(watch: Watch) -> None:
    """An application that makes no calls counts none; that is data."""
    none, events = await watch.measure(CHECKOUT, 1400), await watch.measure(WEB, 100)
    assert (none.failed, none.total, none.no_data_reason) == (0, 0, "")
    assert (events.failed, events.total, events.groups, events.no_data_reason) == (0, None, (), "")


async def test_events_are_grouped_by_their_pattern(watch: Watch) -> None:
    """Of a title only the name of the matching pattern is kept."""
    seen = await watch.measure(WEB, 570)
    assert seen.span_s == 60
    assert seen.failed == pytest.approx(120, abs=50)
    assert {group.pattern for group in seen.groups} == {"unreachable", ""}
    assert sum(group.count for group in seen.groups) == seen.failed
    assert "jane" not in repr(seen)


async def test_a_log_is_read_on_from_its_last_read(watch: Watch) -> None:
    """Each row once, in the product's own groups; the first read only finds the end."""
    first = await watch.measure(LOGS, 301)
    assert first.no_data_reason == "reading begins now"
    seen = [await watch.measure(LOGS, offset_s) for offset_s in (332, 361, 362, 420)]
    assert [each.span_s for each in seen] == [30, 30, 0, 60]
    assert seen[2].total == 0
    groups = {(group.kind, group.pattern, group.connection) for group in seen[3].groups}
    assert groups == {
        (RowKind.SUCCESS, "", ""),
        (RowKind.USER, "", ""),
        (RowKind.UPSTREAM, "provider_error", "corp"),
    }
    assert sum(each.total or 0 for each in seen) == pytest.approx(360, abs=80)
    assert sum(each.failed for each in seen) == pytest.approx(120, abs=45)
    assert seen[3].environment == "US-1"


async def test_our_own_logins_are_counted_apart(watch: Watch) -> None:
    """The successes since the log was read, of every login and domain of this tenant."""
    await watch.measure(LOGS, 0)
    for target in (Target("prod", "login"), Target("prod", "custom"), Target("prod", "wellknown")):
        assert (await watch.prober.probe(target)).outcome is Outcome.OK
    await watch.prober.probe(Target("eu", "login"))
    with_ours, without = await watch.measure(LOGS, 60), await watch.measure(LOGS, 120)
    assert (with_ours.own_rows, without.own_rows) == (2, 0)


async def test_a_login_that_failed_leaves_no_row_of_ours(make_scenario: Make) -> None:
    """It is missing in the log of the tenant."""
    watch = Watch(make_scenario("timeline: [{target: prod.login, is: {http: 503}}]"))
    await watch.measure(LOGS, 0)
    await watch.prober.probe(Target("prod", "login"))
    assert (await watch.measure(LOGS, 60)).own_rows == 0


async def test_the_log_has_its_tenants_changes(watch: Watch) -> None:
    """Once, after they have happened; without other tenants' changes and without deploys."""
    changes = [(await watch.measure(LOGS, at)).changes for at in (0, 60, 90, 120)]
    assert [len(told) for told in changes] == [0, 0, 1, 0]
    change = changes[2][0]
    assert (change.at, change.what, change.tenant) == (
        watch.start_at + 60,
        "client updated",
        "prod",
    )


@pytest.mark.parametrize(
    ("happening", "words"),
    [
        ("{http: 503}", "HTTP 503"),
        ("{http: 401}", "HTTP 401"),
        ("{http: 200, body: html}", "not JSON"),
        ("{http: 200}", "unexpected answer"),
        ("{hang: true}", "timeout read"),
        ("{dns: nxdomain}", "dns nxdomain"),
        ("{tls: wrong_host}", "tls wrong host"),
    ],
)
@pytest.mark.parametrize(
    ("target", "place"), [(CHECKOUT, "prometheus"), (WEB, "sentry"), (LOGS, "prod.logs")]
)
async def test_a_source_that_fails_has_no_data(
    make_scenario: Make, target: Target, place: str, happening: str, words: str
) -> None:
    """It says why, in plain words, and the request is recorded for the place that serves it."""
    watch = Watch(make_scenario(*STORY, f"timeline: [{{target: {place}, is: {happening}}}]"))
    assert await watch.measure(target, 60) == Measurement(
        target, watch.start_at + 60, no_data_reason=words
    )
    assert dict(watch.prober.requests) == {place: 1}


async def test_rows_of_a_gap_come_afterwards(make_scenario: Make) -> None:
    """The rows that the log API did not return while down are counted over the whole span."""
    down = "timeline: [{target: prod.logs, from: 50s, to: 110s, is: {http: 503}}]"
    watch = Watch(make_scenario(*STORY, down))
    seen = [await watch.measure(LOGS, offset_s) for offset_s in (0, 60, 90, 120)]
    assert [each.no_data_reason for each in seen] == [
        "reading begins now",
        "HTTP 503",
        "HTTP 503",
        "",
    ]
    assert seen[3].span_s == 120
    assert seen[3].total == pytest.approx(240, abs=60)


async def test_a_slow_source_takes_its_time(make_scenario: Make) -> None:
    """The counts are those of the moment of the query."""
    slow = "timeline: [{target: prometheus, is: {latency: 9s}}]"
    watch = Watch(make_scenario(*STORY, slow))
    seen = await watch.measure(CHECKOUT, 290)
    assert watch.clock.instant == watch.start_at + 299
    assert seen.failed < 20


def test_a_problem_of_a_metric_may_outlast_the_scenario(make_scenario: Make) -> None:
    """What is usual is no problem."""
    usual = "metrics: [{signal: web, tenant: prod, requests: 60/min}]"
    lasting = "errors: [{signal: web, tenant: prod, from: 5m, events: 60/min}]"
    assert not make_scenario(usual).is_ongoing("prod")
    assert make_scenario(usual, lasting).is_ongoing("prod")
    assert not make_scenario(usual, lasting).is_ongoing("eu")
