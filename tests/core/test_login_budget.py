from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.state.tenant import LOGINS_PER_MINUTE, LOGINS_PER_TEN_MINUTES, LoginBudget


@given(st.lists(st.tuples(st.floats(0.0, 30.0), st.booleans()), max_size=400))
def test_no_minute_and_no_ten_minutes_ever_hold_too_many_logins(
    requests: list[tuple[float, bool]],
) -> None:
    """However often a login is requested, we stay far below Auth0's limit for one user."""
    budget, now, starts = LoginBudget(), 0.0, []
    for wait, is_routine in requests:
        now += wait
        if budget.allows(now, is_routine=is_routine):
            budget = budget.spend(now)
            starts.append(now)

    for start in starts:
        assert sum(start - 60 < other <= start for other in starts) <= LOGINS_PER_MINUTE
        assert sum(start - 600 < other <= start for other in starts) <= LOGINS_PER_TEN_MINUTES


def test_routine_leaves_half_of_the_budget_for_a_burst() -> None:
    """Even with an interval of one second a failure can be confirmed at once."""
    budget = LoginBudget()
    for now in range(600):
        if budget.allows(now, is_routine=True):
            budget = budget.spend(now)

    assert sum(start >= 540 for start in budget.starts) == 6
    assert budget.allows(600, is_routine=False)


def test_after_a_refusal_the_next_try_is_30_seconds_away() -> None:
    """Also for a person's on-demand check."""
    budget = LoginBudget((100.0,), refusals=1)

    assert not budget.allows(129.9, is_routine=False)
    assert budget.allows(130.0, is_routine=False)


def test_a_long_burst_stays_within_a_hundred_logins_in_ten_minutes() -> None:
    """Twelve a minute would be 120; then it waits until the oldest is ten minutes old."""
    budget, starts = LoginBudget(), []
    for now in range(1200):
        if budget.allows(now, is_routine=False):
            budget = budget.spend(now)
            starts.append(now)

    assert sum(start < 600 for start in starts) == LOGINS_PER_TEN_MINUTES
    assert sum(300 <= start < 900 for start in starts) <= LOGINS_PER_TEN_MINUTES


@pytest.mark.parametrize(
    ("refusals", "wait_s"),
    [(1, 30), (5, 30), (6, 60), (7, 120), (11, 1920), (12, 3840), (13, 3840), (1000, 3840)],
)
def test_from_the_sixth_refusal_on_the_wait_doubles(refusals: int, wait_s: float) -> None:
    """Up to an hour: a person who tries again and again blocks no user, nor waits for days."""
    budget = LoginBudget((100.0,), refusals)

    assert not budget.allows(100 + wait_s - 0.1, is_routine=False)
    assert budget.allows(100 + wait_s, is_routine=False)
