from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.measurement import ExternalAlert
from bot.core.model.observation import SignalState, Target
from bot.core.signals.external_alerts import (
    LATE_S,
    MAX_ALERTS,
    Monitor,
    drop_expired,
    record_alert,
)

NOW = 10_000.0
TARGET = Target("prod", "alertmanager")


def alert(
    id_: str = "a", at: float = 100.0, *, is_firing: bool = True, target: Target = TARGET
) -> ExternalAlert:
    return ExternalAlert(target, id_, at, is_firing, f"alert {id_}")


def received(*alerts: ExternalAlert) -> Monitor:
    monitor = Monitor()
    for each in alerts:
        monitor = record_alert(monitor, each, NOW)
    return monitor


def going_on(monitor: Monitor) -> set[tuple[str, float]]:
    return {(each.id, each.at) for each in monitor.alerts}


def test_an_alert_fires_until_it_is_resolved() -> None:
    """`since` is the start of the oldest alert that goes on."""
    both = received(alert("a", 200), alert("b", 100))
    one = record_alert(both, alert("b", 300, is_firing=False), NOW)

    assert (both.state, both.since) == (SignalState.FIRING, 100)
    assert (one.state, one.since) == (SignalState.FIRING, 200)
    assert record_alert(one, alert("a", 300, is_firing=False), NOW).state is SignalState.OK


def test_an_unauthenticated_alert_fires_nothing() -> None:
    """It is kept to be shown."""
    monitor = received(replace(alert(), is_unauthenticated=True))

    assert (monitor.state, monitor.since, len(monitor.alerts)) == (SignalState.OK, None, 1)


def test_resolved_ends_only_its_own_alert() -> None:
    """A "resolved" for an unknown alert ends nothing."""
    assert received(alert("a"), alert("b", 300, is_firing=False)).state is SignalState.FIRING


def test_a_repeated_alert_counts_once() -> None:
    """And expires later."""
    once = received(alert())
    twice = record_alert(once, alert(), NOW + 60)

    assert twice.alerts == once.alerts
    assert twice.expires_at == (NOW + 60 + alert().lasts_s,)


def test_a_late_firing_is_ignored() -> None:
    """A resolved alert does not fire again because of an older message."""
    monitor = received(alert(at=300, is_firing=False), alert(at=100))

    assert monitor.state is SignalState.OK
    assert record_alert(monitor, alert(at=400), NOW).state is SignalState.FIRING


@pytest.mark.parametrize(("name", "late_s"), [("sentry", LATE_S), ("alertmanager", 60.0)])
def test_the_same_alert_may_come_back(name: str, late_s: float) -> None:
    """Repeated some time after its end it fires, even with its old start time."""
    target = Target("prod", name)
    began, over = alert(target=target), alert(at=300, is_firing=False, target=target)
    monitor = received(began, over)

    assert record_alert(monitor, began, NOW + late_s - 1).state is SignalState.OK
    assert record_alert(monitor, began, NOW + late_s).state is SignalState.FIRING


def test_an_alert_that_is_not_repeated_expires() -> None:
    """A "resolved" may get lost."""
    monitor = received(replace(alert("a"), lasts_s=60), replace(alert("b"), lasts_s=600))

    assert min(monitor.expires_at) == NOW + 60
    assert going_on(drop_expired(monitor, NOW + 60)) == {("b", 100)}
    assert drop_expired(monitor, NOW + 59) is monitor
    assert drop_expired(monitor, NOW + 600).expires_at == ()


alerts_in_any_order = st.lists(
    st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=6
).flatmap(
    lambda messages: st.permutations(
        [alert(id_, 100.0 + at, is_firing=firing) for at, (id_, firing) in enumerate(messages)]
    )
)


@given(alerts_in_any_order)
def test_the_newest_message_on_each_alert_counts(mixed: list[ExternalAlert]) -> None:
    """In any order and with any repetition, the last message about each alert counts."""
    newest = {each.id: each for each in sorted(mixed, key=lambda c: c.at)}
    going = {(each.id, each.at) for each in newest.values() if each.is_firing}

    assert going_on(received(*mixed)) == going
    assert going_on(received(*mixed, *mixed)) == going


def test_a_firing_and_its_end_may_come_in_any_order() -> None:
    """Two alerts with one start and one end each: resolved in every order."""
    messages = [alert(i, at, is_firing=at < 200) for i in "ab" for at in (100, 200)]

    assert {received(*order).state for order in permutations(messages)} == {SignalState.OK}


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=300))
def test_the_state_is_bounded(messages: list[tuple[int, bool]]) -> None:
    """However many alerts somebody sends."""
    monitor = Monitor()
    for at, (number, firing) in enumerate(messages):
        monitor = record_alert(monitor, alert(str(number), at, is_firing=firing), NOW)

    assert len(monitor.alerts) == len(monitor.expires_at) <= MAX_ALERTS
    assert len(monitor.ended) <= MAX_ALERTS
