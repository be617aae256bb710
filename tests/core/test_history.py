from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.observation import Fault, Observation, Outcome, Stage, Target
from bot.core.signals.history import MINUTES, Minute, RecentLogins, record_login
from bot.core.state.rules import TenantRules
from bot.core.state.stimulus import Observed, Started
from bot.core.state.tenant import TenantState
from bot.core.tenant import step as tenant_step
from bot.store import store

START = 1_772_445_600.0
FIRST = int(START // 60)
GONE = Fault(Stage.HTTP, "http_503", 503)
RULES = TenantRules("prod", "acme.us.auth0.com", custom_domain="login.acme.example", has_m2m=True)


def login(
    after_s: float, outcome: Outcome = Outcome.OK, latency_s: float | None = 0.2
) -> Observation:
    fault = GONE if outcome is Outcome.FAILED else None
    no_data_reason = "clock" if outcome is Outcome.NO_DATA else ""
    return Observation(
        Target("prod", "login"), START + after_s, outcome, latency_s, fault, no_data_reason
    )


def test_logins_of_a_minute_are_added_up() -> None:
    """Successes and failures separately, latencies in one sum."""
    recent: RecentLogins = ()
    for one in (login(0), login(59, Outcome.FAILED, 10.0), login(60), login(61, latency_s=None)):
        recent = record_login(recent, one)

    assert recent == (Minute(FIRST, 1, 1, 10.2), Minute(FIRST + 1, 2, 0, 0.2))


def test_no_data_is_no_login() -> None:
    """Neither good nor bad."""
    assert record_login((), login(0, Outcome.NO_DATA)) == ()


def test_a_late_result_counts_in_the_minute_it_began() -> None:
    """A login that hung returns after those that began later."""
    recent = record_login(
        record_login(record_login((), login(0)), login(61)), login(5, Outcome.FAILED, 61.0)
    )

    assert recent == (Minute(FIRST, 1, 1, 61.2), Minute(FIRST + 1, 1, 0, 0.2))


@given(st.lists(st.floats(0, 90 * 60), min_size=1, max_size=200))
def test_no_more_than_an_hour_is_kept(times: list[float]) -> None:
    """At most 60 minutes, in order, with the newest, for any order of the results."""
    recent: RecentLogins = ()
    for at in times:
        recent = record_login(recent, login(at))

    numbers = [minute.number for minute in recent]
    newest = int((START + max(times)) // 60)
    assert numbers == sorted(set(numbers))
    assert newest - MINUTES < numbers[0] <= numbers[-1] == newest


def test_only_logins_are_recorded_through_any_domain() -> None:
    """Keys and machine tokens are no logins."""
    state, _ = tenant_step.step(TenantState(), Started(START), RULES)
    for name in RULES.probes:
        result = Observation(Target("prod", name), START, Outcome.OK, 0.5)
        state, _ = tenant_step.step(state, Observed(START + 1, result), RULES)

    assert RULES.probes == ("login", "wellknown", "custom", "m2m")
    assert state.recent_logins == (Minute(FIRST, 2, 0, 1.0),)
    assert state.watched_since == START + 1


def test_the_store_returns_the_hour() -> None:
    """A full hour, exactly, in a few hundred bytes of a tenant's row."""
    recent = tuple(Minute(FIRST + n, 12, n % 3, 1.234) for n in range(MINUTES))
    state = TenantState(recent_logins=recent, watched_since=START)
    text = store.encode(state)

    assert store.decode(store.TENANT_JSON, text, "it") == state
    assert len(text) - len(store.encode(TenantState())) < 32 * MINUTES
