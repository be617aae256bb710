from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.observation import Fault, Observation, Outcome, Stage, Target
from bot.core.signals.history import MINUTES, Minute, RecentLogins, record_login
from bot.core.state.rules import TenantRules
from bot.core.state.stimulus import Observed, Started
from bot.core.state.tenant import TenantState
from bot.core.tenant import step as tenant_step
from bot.store import codec

START = 1_772_445_600.0
FIRST = int(START // 60)
GONE = Fault(Stage.HTTP, "http_503", 503)
RULES = TenantRules("prod", "acme.us.auth0.com", custom_domain="login.acme.example", has_m2m=True)


def seen(
    after_s: float, outcome: Outcome = Outcome.OK, latency_s: float | None = 0.2
) -> Observation:
    fault = GONE if outcome is Outcome.FAILED else None
    blind = "clock" if outcome is Outcome.NO_DATA else ""
    return Observation(Target("prod", "login"), START + after_s, outcome, latency_s, fault, blind)


def test_logins_of_a_minute_are_added_up() -> None:
    """Good and bad apart, how long they took together."""
    recent: RecentLogins = ()
    for one in (seen(0), seen(59, Outcome.FAILED, 10.0), seen(60), seen(61, latency_s=None)):
        recent = record_login(recent, one)

    assert recent == (Minute(FIRST, 1, 1, 10.2), Minute(FIRST + 1, 2, 0, 0.2))


def test_what_could_not_be_seen_is_no_login() -> None:
    """Neither good nor bad."""
    assert record_login((), seen(0, Outcome.NO_DATA)) == ()


def test_a_late_answer_counts_where_it_began() -> None:
    """A login that hung comes back after those that began later."""
    recent = record_login(
        record_login(record_login((), seen(0)), seen(61)), seen(5, Outcome.FAILED, 61.0)
    )

    assert recent == (Minute(FIRST, 1, 1, 61.2), Minute(FIRST + 1, 1, 0, 0.2))


@given(st.lists(st.floats(0, 90 * 60), min_size=1, max_size=200))
def test_no_more_than_an_hour_is_kept(times: list[float]) -> None:
    """At most 60 minutes, in order, the newest among them, whatever the order of the answers."""
    recent: RecentLogins = ()
    for at in times:
        recent = record_login(recent, seen(at))

    numbers = [minute.number for minute in recent]
    newest = int((START + max(times)) // 60)
    assert numbers == sorted(set(numbers))
    assert newest - MINUTES < numbers[0] <= numbers[-1] == newest


def test_only_logins_are_recorded_by_whichever_domain() -> None:
    """Keys and machine tokens are no logins."""
    state, _ = tenant_step.step(TenantState(), Started(START), RULES)
    for name in RULES.probes:
        look = Observation(Target("prod", name), START, Outcome.OK, 0.5)
        state, _ = tenant_step.step(state, Observed(START + 1, look), RULES)

    assert RULES.probes == ("login", "wellknown", "custom", "m2m")
    assert state.recent_logins == (Minute(FIRST, 2, 0, 1.0),)
    assert state.watched_since == START + 1


def test_the_hour_comes_back_from_the_store() -> None:
    """A full one, exactly, in a few hundred bytes of a tenant's row."""
    recent = tuple(Minute(FIRST + n, 12, n % 3, 1.234) for n in range(MINUTES))
    state = TenantState(recent_logins=recent, watched_since=START)
    text = codec.encode(state)

    assert codec.decode(codec.TENANT, text, "it") == state
    assert len(text) - len(codec.encode(TenantState())) < 32 * MINUTES
