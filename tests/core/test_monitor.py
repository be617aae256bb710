from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.measurement import ExternalAlert
from bot.core.model.observation import SignalState, Target
from bot.core.signals.external_alerts import (
    LATE_S,
    MAX_ALERTS,
    Monitor,
    drop_expired,
    next_expiry_at,
    record_alert,
)

NOW = 10_000.0
TARGET = Target("prod", "alertmanager")


def claim(id_: str = "a", at: float = 100.0, *, is_firing: bool = True) -> ExternalAlert:
    return ExternalAlert(TARGET, id_, at, is_firing, f"alert {id_}")


def heard(*claims: ExternalAlert) -> Monitor:
    monitor = Monitor()
    for each in claims:
        monitor = record_alert(monitor, each, NOW)
    return monitor


def going_on(monitor: Monitor) -> set[tuple[str, float]]:
    return {(each.id, each.at) for each in monitor.alerts}


def test_an_alert_fires_until_it_is_well_again() -> None:
    """It began with the oldest that goes on."""
    both = heard(claim("a", 200), claim("b", 100))
    one = record_alert(both, claim("b", 300, is_firing=False), NOW)

    assert (both.state, both.since) == (SignalState.FIRING, 100)
    assert (one.state, one.since) == (SignalState.FIRING, 200)
    assert record_alert(one, claim("a", 300, is_firing=False), NOW).state is SignalState.OK


def test_a_hint_fires_nothing() -> None:
    """Nobody vouches for it; it is kept, to be shown."""
    hinted = heard(replace(claim(), is_unauthenticated=True))

    assert (hinted.state, hinted.since, len(hinted.alerts)) == (SignalState.OK, None, 1)


def test_well_again_ends_only_its_own_alert() -> None:
    """Of an alert that we never heard of nothing ends."""
    assert heard(claim("a"), claim("b", 300, is_firing=False)).state is SignalState.FIRING


def test_what_is_said_twice_counts_once() -> None:
    """And holds for longer."""
    once = heard(claim())
    twice = record_alert(once, claim(), NOW + 60)

    assert twice.alerts == once.alerts
    assert twice.expires_at == (NOW + 60 + claim().lasts_s,)


def test_a_late_firing_is_no_news() -> None:
    """What was well again already does not fire by what was said of before."""
    monitor = heard(claim(at=300, is_firing=False), claim(at=100))

    assert monitor.state is SignalState.OK
    assert record_alert(monitor, claim(at=400), NOW).state is SignalState.FIRING


def test_the_same_alert_may_come_back() -> None:
    """Said again long after its end it goes on, though it names its old begin."""
    monitor = heard(claim(at=100), claim(at=300, is_firing=False))

    assert record_alert(monitor, claim(at=100), NOW + LATE_S - 1).state is SignalState.OK
    assert record_alert(monitor, claim(at=100), NOW + LATE_S).state is SignalState.FIRING


def test_an_alert_that_is_not_said_again_expires() -> None:
    """A lost "resolved" does not stay for ever."""
    monitor = heard(replace(claim("a"), lasts_s=60), replace(claim("b"), lasts_s=600))

    assert next_expiry_at(monitor) == NOW + 60
    assert going_on(drop_expired(monitor, NOW + 60)) == {("b", 100)}
    assert drop_expired(monitor, NOW + 59) is monitor
    assert next_expiry_at(drop_expired(monitor, NOW + 600)) is None


claims = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=6).flatmap(
    lambda said: st.permutations(
        [claim(id_, 100.0 + at, is_firing=firing) for at, (id_, firing) in enumerate(said)]
    )
)


@given(claims)
def test_the_newest_word_on_each_alert_counts(mixed: list[ExternalAlert]) -> None:
    """In whatever order they come, however often: what was said last of each alert holds."""
    newest = {each.id: each for each in sorted(mixed, key=lambda c: c.at)}
    going = {(each.id, each.at) for each in newest.values() if each.is_firing}

    assert going_on(heard(*mixed)) == going
    assert going_on(heard(*mixed, *mixed)) == going


def test_a_firing_and_its_end_may_come_in_any_order() -> None:
    """Two alerts of one begin and one end each: well again, whoever was faster."""
    said = [claim(i, at, is_firing=at < 200) for i in "ab" for at in (100, 200)]

    assert {heard(*order).state for order in permutations(said)} == {SignalState.OK}


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=300))
def test_what_is_kept_is_bounded(said: list[tuple[int, bool]]) -> None:
    """However many alerts somebody sends."""
    monitor = Monitor()
    for at, (number, firing) in enumerate(said):
        monitor = record_alert(monitor, claim(str(number), at, is_firing=firing), NOW)

    assert len(monitor.alerts) == len(monitor.expires_at) <= MAX_ALERTS
    assert len(monitor.ended) <= MAX_ALERTS
