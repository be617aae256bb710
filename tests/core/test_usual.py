from __future__ import annotations

from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.signals.baseline import HALF_LIFE_S, Baseline, expected_successes_at

SPAN_S = 30.0
DAY_S = 86400.0
COUNTS = st.floats(0, 1e6)


def lived(each_s: float, failed: float, total: float, *, begin: Baseline | None = None) -> Baseline:
    usual = begin or Baseline()
    for _ in range(int(each_s / SPAN_S)):
        usual = usual.with_recent_span(SPAN_S, failed, total)
    return usual


def test_nothing_is_usual_before_ten_minutes() -> None:
    """Until then no share is called usual, and no number of failures expected."""
    early, later = lived(570, 5, 10), lived(600, 5, 10)

    assert (early.failed_share, early.expected_failures(60)) == (0, 0)
    assert later.failed_share == pytest.approx(0.5)
    assert later.expected_failures(60) == pytest.approx(10)


def test_half_of_what_is_remembered_is_of_the_last_half_hour() -> None:
    """A change counts for one half after so long."""
    usual = lived(HALF_LIFE_S, 10, 10, begin=lived(DAY_S, 0, 10))

    assert usual.failed_share == pytest.approx(0.5, abs=0.01)
    assert usual.expected_successes(SPAN_S) == pytest.approx(5, abs=0.1)


def test_of_an_hour_of_the_day_the_last_days_count() -> None:
    """Half of it is of the last four days."""
    hour = Baseline()
    for total in [0] * 40 + [10] * 4:
        for _ in range(120):
            hour = hour.with_daily_span(SPAN_S, 0, total)

    assert hour.expected_successes(SPAN_S) == pytest.approx(5, abs=0.1)


def wave(hour: float) -> float:
    """Return the logins in a span at an hour of the day: a tenth at 3 of what it is at 15."""
    return 550 - 450 * cos((hour - 3) / 24 * 2 * pi)


def test_over_a_day_the_expected_number_follows_the_true_one() -> None:
    """When logins become fewer it is right but for an hour's decline; never much too high."""
    usual, hours = Baseline(), dict[int, Baseline]()
    for place in range(3 * 2880):
        at = place * SPAN_S
        hour = at % DAY_S / 3600
        expected = expected_successes_at(usual, hours, at, SPAN_S)
        if expected is not None and at > 2 * DAY_S:
            assert expected <= 1.08 * wave(hour)
            assert hour < 15 or expected >= 0.9 * wave(hour + 1)
        usual = usual.with_recent_span(SPAN_S, 0, wave(hour))
        of_hour = hours.get(int(hour), Baseline())
        hours = {**hours, int(hour): of_hour.with_daily_span(SPAN_S, 0, wave(hour))}


def test_without_known_days_the_last_hour_is_expected_to_go_on() -> None:
    """On the first day nothing is known of an evening."""
    usual = lived(3600, 0, 10)

    assert expected_successes_at(usual, {}, 3600, 120) == pytest.approx(40)
    assert expected_successes_at(lived(300, 0, 10), {}, 300, 120) is None


def test_a_rush_is_never_expected() -> None:
    """On a Sunday the morning of the working days stays away."""
    usual = lived(3600, 0, 1)
    hours = {hour: Baseline(3600, 0, 120 * hour, 3600) for hour in range(24)}

    assert expected_successes_at(usual, hours, 10 * 3600, 120) == pytest.approx(4)


@given(st.lists(st.tuples(st.floats(1, 600), COUNTS, COUNTS), max_size=50), st.floats(0, DAY_S))
def test_what_is_usual_is_a_share_and_never_negative(
    spans: list[tuple[float, float, float]], at: float
) -> None:
    """Whatever was counted, in whatever spans."""
    usual = hour = Baseline()
    for span_s, failed, well in spans:
        usual = usual.with_recent_span(span_s, failed, failed + well)
        hour = hour.with_daily_span(span_s, failed, failed + well)
    expected = expected_successes_at(usual, dict.fromkeys(range(24), hour), at, 120)

    assert 0 <= usual.failed_share <= 1 + 1e-9
    assert usual.expected_failures(120) >= 0
    assert expected is None or 0 <= expected <= usual.expected_successes(120) + 1e-6
