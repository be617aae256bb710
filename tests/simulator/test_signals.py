from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simulator.draws import binomial, poisson
from bot.simulator.scenario import Row, Scenario
from bot.simulator.signals import Signals, window

Make = Callable[..., Scenario]


@pytest.fixture
def signals(make_scenario: Make) -> Signals:
    scenario = make_scenario(
        "metrics:",
        "  - {signal: web, tenant: prod, requests: 600/min, errors: 1%}",
        "  - {signal: web, tenant: prod, from: 0m, to: 9m, errors: 50%}",
        "  - {signal: web, tenant: prod, from: 1230s, to: 1240s, requests: 0/min}",
        "errors:",
        "  - {signal: web, tenant: prod, from: 0.5m, to: 5m, events: 60/min, title: broken}",
        "logs:",
        "  - {tenant: prod, rows: {s: 60/min, fp: 3/min}}",
        "  - {tenant: prod, from: 0m, rows: {s: 0/min}}",
        "  - {tenant: prod, from: 5m, rows: {f: {rate: 60/min, description: bad, connection: x}}}",
    )
    return Signals(scenario, seed=3)


@pytest.mark.parametrize("mean", [0.0, 0.3, 5, 31, 33, 200, 40_000])
def test_poisson_has_its_mean_and_variance(mean: float) -> None:
    """Both equal the mean, for small and large means."""
    random = Random(1)  # noqa: S311 - a simulation
    drawn = [poisson(random, mean) for _ in range(4_000)]
    average = sum(drawn) / 4_000
    assert average == pytest.approx(mean, rel=0.05, abs=0.02)
    assert sum((count - average) ** 2 for count in drawn) / 4_000 == pytest.approx(
        mean, rel=0.1, abs=0.03
    )


@pytest.mark.parametrize(("count", "share"), [(10, 0.5), (200, 0.03), (5000, 0.97), (10**9, 0.5)])
def test_binomial_has_its_mean_and_variance(count: int, share: float) -> None:
    """For small and large counts."""
    random = Random(1)  # noqa: S311 - a simulation
    mean, variance = count * share, count * share * (1 - share)
    drawn = [binomial(random, count, share) for _ in range(4_000)]
    average = sum(drawn) / 4_000
    assert average == pytest.approx(mean, abs=5 * (variance / 4_000) ** 0.5)
    assert sum((hits - average) ** 2 for hits in drawn) / 4_000 == pytest.approx(variance, rel=0.1)


@given(seed=st.integers(), count=st.integers(0, 10_000), share=st.floats(0, 1))
def test_binomial_stays_within_its_count(seed: int, count: int, share: float) -> None:
    """None at 0, all at 1, and never more than there are."""
    random = Random(seed)  # noqa: S311 - a simulation
    assert 0 <= binomial(random, count, share) <= count
    assert binomial(random, count, 0.0) == 0
    assert binomial(random, count, 1.0) == count


def test_a_later_entry_changes_only_what_it_names(signals: Signals) -> None:
    """The error rate goes up and down again; the requests stay."""
    before, during, after = (
        signals.metric("prod", "web", since, since + 540) for since in (-600, 0, 540)
    )
    assert all(5000 < requests < 5800 for requests, _ in (before, during, after))
    assert all(failed < 110 for _, failed in (before, after))
    assert 2400 < during[1] < 3000


def test_a_slice_is_cut_where_an_entry_begins(signals: Signals) -> None:
    """Ten of fifteen seconds without requests leave a third of them."""
    assert 20 < signals.metric("prod", "web", 1230, 1245)[0] < 90
    assert 110 < signals.metric("prod", "web", 1245, 1260)[0] < 200


def test_only_whole_slices_count(signals: Signals) -> None:
    """A slice that began before the window, or ends after it, belongs to another window."""
    whole = signals.metric("prod", "web", 15, 45)
    assert signals.metric("prod", "web", 14, 46) == signals.metric("prod", "web", 1, 59) == whole
    assert signals.metric("prod", "web", 16, 29) == (0, 0)
    parts = [signals.metric("prod", "web", since, since + 15) for since in (15, 30)]
    assert (sum(part[0] for part in parts), sum(part[1] for part in parts)) == whole


@pytest.mark.parametrize(
    ("until", "span_s", "expected"),
    [(0, 120, (-120, 0)), (14.9, 30, (-30, 0)), (-0.1, 15, (-30, -15)), (15, 1, (0, 15))],
)
def test_a_window_is_made_of_whole_slices(
    until: float, span_s: float, expected: tuple[float, float]
) -> None:
    """The newest slices that have ended, and at least one."""
    assert window(until, span_s) == expected


def test_a_signal_that_nobody_named_counts_nothing(signals: Signals) -> None:
    """Neither for another tenant nor for another name."""
    assert signals.metric("eu", "web", 0, 60) == (0, 0)
    assert not signals.events("prod", "other", 0, 120)
    assert not signals.log_rows("eu", 0, 60)


def test_events_have_their_title(signals: Signals) -> None:
    """They begin and end with their entry."""
    counts = [signals.events("prod", "web", at, at + 30) for at in (0, 30, 270, 300)]
    assert [bool(count) for count in counts] == [False, True, True, False]
    assert 200 < signals.events("prod", "web", 0, 600)["broken"] < 340


def test_log_rows_change_by_type(signals: Signals) -> None:
    """What a later entry does not name stays."""
    before, after = signals.log_rows("prod", -60, 0), signals.log_rows("prod", 360, 420)
    assert before[Row("s", 1.0)] > 35
    assert after[Row("f", 1.0, "bad", "x")] > 35
    assert "s" not in {row.type for row in after}
    assert signals.log_rows("prod", 0, 3600)[Row("fp", 0.05)] > 120


def test_the_order_of_queries_does_not_matter(signals: Signals) -> None:
    """Every slice has its own generator."""
    offsets = [0, 15, 30, 45]
    forward = [signals.metric("prod", "web", at, at + 15) for at in offsets]
    backward = [signals.metric("prod", "web", at, at + 15) for at in reversed(offsets)]
    assert backward == forward[::-1]
    assert len(set(forward)) > 1


def test_what_is_added_elsewhere_changes_nothing(make_scenario: Make) -> None:
    """Neither another signal nor another type of row nor a later entry."""
    lines = [
        "metrics: [{signal: web, tenant: prod, requests: 600/min, errors: 9%}]",
        "logs: [{tenant: prod, rows: {s: 60/min}}]",
    ]
    more = [
        "metrics:",
        "  - {signal: web, tenant: prod, requests: 600/min, errors: 9%}",
        "  - {signal: api, tenant: prod, requests: 600/min}",
        "  - {signal: web, tenant: prod, from: 10m, errors: 90%}",
        "errors: [{signal: web, tenant: prod, events: 60/min}]",
        "logs: [{tenant: prod, rows: {s: 60/min, f: 9/min}}, {tenant: eu, rows: {s: 60/min}}]",
    ]
    less, added = (Signals(make_scenario(*each), seed=3) for each in (lines, more))
    assert less.metric("prod", "web", -600, 600) == added.metric("prod", "web", -600, 600)
    rows = added.log_rows("prod", 0, 600)
    assert less.log_rows("prod", 0, 600) == Counter({Row("s", 1.0): rows[Row("s", 1.0)]})
    assert Signals(make_scenario(*lines), seed=4).metric("prod", "web", 0, 600) != less.metric(
        "prod", "web", 0, 600
    )
