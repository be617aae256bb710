from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.simulator.draws import binomial, poisson
from bot.simulator.scenario import Row, Scenario
from bot.simulator.signals import Signals

Make = Callable[..., Scenario]


@pytest.fixture
def signals(make_scenario: Make) -> Signals:
    scenario = make_scenario(
        "metrics:",
        "  - {signal: web, tenant: prod, requests: 600/min, errors: 1%}",
        "  - {signal: web, tenant: prod, from: 0m, to: 9m, errors: 50%}",
        "  - {signal: web, tenant: prod, from: 20.5m, to: 21m, requests: 0/min}",
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
    """Both are the mean, for small and large ones."""
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
    minutes = [signals.metric("prod", "web", minute) for minute in range(-10, 19)]
    before, during, after = minutes[:10], minutes[10:19], minutes[19:]
    assert all(500 < requests < 700 for requests, _ in minutes)
    assert all(failed < 30 for _, failed in before + after)
    assert all(230 < failed < 370 for _, failed in during)


def test_a_minute_is_cut_where_an_entry_begins(signals: Signals) -> None:
    """Half a minute without requests leaves half of them."""
    assert 240 < signals.metric("prod", "web", 20)[0] < 360


def test_a_signal_that_nobody_named_counts_nothing(signals: Signals) -> None:
    """Neither of another tenant nor of another name."""
    assert signals.metric("eu", "web", 0) == (0, 0)
    assert not signals.events("prod", "other", 1)
    assert not signals.log_rows("eu", 0)


def test_events_have_their_title(signals: Signals) -> None:
    """They begin in the midst of a minute and end at the end of one."""
    counts = [signals.events("prod", "web", minute)["broken"] for minute in range(-1, 6)]
    assert counts[0] == counts[6] == 0
    assert 15 < counts[1] < 45
    assert all(35 < count < 90 for count in counts[2:6])


def test_log_rows_change_by_type(signals: Signals) -> None:
    """What a later entry does not name goes on."""
    before, after = signals.log_rows("prod", -1), signals.log_rows("prod", 6)
    assert before[Row("s", 1.0)] > 35
    assert after[Row("f", 1.0, "bad", "x")] > 35
    assert "s" not in {row.type for row in after}
    assert sum(signals.log_rows("prod", m)[Row("fp", 0.05)] for m in range(60)) > 120


def test_the_order_of_asking_does_not_matter(signals: Signals) -> None:
    """Every minute draws for itself."""
    forward = [signals.metric("prod", "web", minute) for minute in range(5)]
    assert [signals.metric("prod", "web", minute) for minute in (4, 3, 2, 1, 0)] == forward[::-1]
    assert len(set(forward)) > 1
