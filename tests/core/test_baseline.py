from __future__ import annotations

from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.signals.baseline import (
    HALF_LIFE_S,
    HOUR_HALF_LIFE_S,
    Baseline,
    Habit,
    expected_successes_at,
)

SPAN_S = 30.0
DAY_S = 86400.0
COUNTS = st.floats(0, 1e6)


def observe(
    each_s: float, failed: float, total: float, *, begin: Baseline | None = None
) -> Baseline:
    baseline = begin or Baseline()
    for _ in range(int(each_s / SPAN_S)):
        baseline = baseline.with_span(SPAN_S, failed, total)
    return baseline


def test_a_baseline_is_unknown_before_ten_minutes() -> None:
    """Until then there is no baseline share, and no failures are expected."""
    early, later = observe(570, 5, 10), observe(600, 5, 10)

    assert (early.failed_share, early.expected_failures(60)) == (0, 0)
    assert later.failed_share == pytest.approx(0.5)
    assert later.expected_failures(60) == pytest.approx(10)


def test_half_of_the_baseline_is_from_the_last_half_hour() -> None:
    """After that time a change counts for one half."""
    baseline = observe(HALF_LIFE_S, 10, 10, begin=observe(DAY_S, 0, 10))

    assert baseline.failed_share == pytest.approx(0.5, abs=0.01)
    assert baseline.expected_successes(SPAN_S) == pytest.approx(5, abs=0.1)


def test_an_hourly_baseline_covers_the_last_days() -> None:
    """Half of it is from the last four days."""
    hour = Baseline()
    for total in [0] * 40 + [10] * 4:
        for _ in range(120):
            hour = hour.with_span(SPAN_S, 0, total, HOUR_HALF_LIFE_S)

    assert hour.expected_successes(SPAN_S) == pytest.approx(5, abs=0.1)


def wave(hour: float) -> float:
    """Return the logins in a span at an hour of the day: a tenth at 3 of what it is at 15."""
    return 550 - 450 * cos((hour - 3) / 24 * 2 * pi)


@pytest.mark.no_cover
def test_the_expected_number_follows_the_daily_wave() -> None:
    """While logins decline it is at most an hour's decline off; it is never much too high."""
    baseline, hours = Baseline(), dict[int, Baseline]()
    for place in range(3 * 2880):
        at = place * SPAN_S
        hour = at % DAY_S / 3600
        expected = expected_successes_at(baseline, Habit(hours), at, SPAN_S)
        if expected is not None and at > 2 * DAY_S:
            assert expected <= 1.08 * wave(hour)
            assert hour < 15 or expected >= 0.9 * wave(hour + 1)
        baseline = baseline.with_span(SPAN_S, 0, wave(hour))
        of_hour = hours.get(int(hour), Baseline())
        hours = {**hours, int(hour): of_hour.with_span(SPAN_S, 0, wave(hour), HOUR_HALF_LIFE_S)}


def test_without_hourly_baselines_the_last_hour_is_expected_to_continue() -> None:
    """On the first day the evening's decline is unknown."""
    baseline = observe(3600, 0, 10)

    assert expected_successes_at(baseline, Habit(), 3600, 120) == pytest.approx(40)
    assert expected_successes_at(observe(300, 0, 10), Habit(), 300, 120) is None


def test_a_rush_is_never_expected() -> None:
    """On a Sunday there is no morning rush."""
    baseline = observe(3600, 0, 1)
    hours = {hour: Baseline(3600, 0, 120 * hour, 3600) for hour in range(24)}

    assert expected_successes_at(baseline, Habit(hours), 10 * 3600, 120) == pytest.approx(4)


@given(st.lists(st.tuples(st.floats(1, 600), COUNTS, COUNTS), max_size=50), st.floats(0, DAY_S))
def test_expectations_are_never_negative(
    spans: list[tuple[float, float, float]], at: float
) -> None:
    """For any counts, in any spans."""
    baseline = hour = Baseline()
    for span_s, failed, well in spans:
        baseline = baseline.with_span(span_s, failed, failed + well)
        hour = hour.with_span(span_s, failed, failed + well, HOUR_HALF_LIFE_S)
    expected = expected_successes_at(baseline, Habit(dict.fromkeys(range(24), hour)), at, 120)

    assert 0 <= baseline.failed_share <= 1 + 1e-9
    assert baseline.expected_failures(120) >= 0
    assert expected is None or 0 <= expected <= baseline.expected_successes(120) + 1e-6
