from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.model.command import Request
from bot.core.model.measurement import (
    ChangeMade,
    ExternalAlert,
    Group,
    Measurement,
    MetricKind,
    Push,
)
from bot.core.model.observation import Target
from bot.core.signals.external_alerts import Monitor, record_alert
from bot.core.signals.metric_threshold import MetricLimits, MetricState, observe_metric
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident
from bot.core.state.outbox import Delivery
from bot.core.state.tenant import SharedSignals, TenantState
from bot.ports import StoreError
from bot.store import store

if TYPE_CHECKING:
    from pydantic import TypeAdapter

quick = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
KINDS: dict[type, TypeAdapter[Any]] = {
    TenantState: store.TENANT_JSON,
    DeskState: store.DESK_JSON,
    Incident: store.INCIDENT_JSON,
    Request: store.INBOX_ITEM_JSON,
    Push: store.INBOX_ITEM_JSON,
}


@pytest.mark.no_cover
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@quick
@given(data=st.data())
def test_round_trip_is_exact(kind: type, data: st.DataObject) -> None:
    """Any value comes back the same, not-a-numbers and infinities included."""
    value = data.draw(st.from_type(kind))

    back = store.decode(KINDS[kind], store.encode(value), "it")

    assert repr(back) == repr(value)


def test_round_trip_of_what_users_see() -> None:
    """Counts, hours of the day by number, alerts that go on and changes come back."""
    target = Target("prod", "logs")
    groups = (Group("app", 3, "callback_mismatch", "users"),)
    seen = Measurement(target, 7.0, 30.0, 3.0, 40.0, groups, own_rows=1, environment="US-1")
    series, _ = observe_metric(MetricState(begun_at=1.0), seen, MetricLimits(MetricKind.LOGS))
    claim = ExternalAlert(target, "a", 5.0, is_firing=True, title="x")
    monitor = record_alert(
        record_alert(Monitor(), claim, 8.0), replace(claim, id="b", is_firing=False), 9.0
    )
    tenant = TenantState(
        metrics={"logs": series}, monitors={"pingdom": monitor}, environment="EU-1"
    )
    change = ChangeMade("c1", 6.0, "client updated", "prod")
    desk = DeskState(shared=SharedSignals(changes=(change,)))
    push = Push("p1", 9.0, (claim, change))

    assert series.hourly_baselines
    for value in (tenant, desk, push):
        assert store.decode(KINDS[type(value)], store.encode(value), "it") == value


@quick
@given(delivery=st.from_type(Delivery))
def test_delivery_round_trip_is_exact(delivery: Delivery) -> None:
    """Any delivery comes back the same, its body of the same kind."""
    back = store.decode_delivery(store.encode_delivery(delivery), "it")

    assert repr(back) == repr(delivery)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        '{"at": 1.0, "verb": "run"}',
        '{"id": "x", "at": 1.0, "verb": "dance"}',
        '{"id": "x", "at": 1.0, "verb": "run", "response_url": 1234567}',
        '{"id": "x", "at": 1.0, "verb": "run", "tomorrow": "1234567"}',
    ],
)
def test_another_versions_value_is_refused(text: str) -> None:
    """The error names keys that are missing, unknown or do not fit, never their values."""
    with pytest.raises(StoreError, match=r"^inbox x in the database was written by") as caught:
        store.decode(store.INBOX_ITEM_JSON, text, "inbox x")

    assert "1234567" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        '{"body": null}',
        '{"body": {}}',
        '{"body": {"post": {"incident": 1}}}',
        '{"body": {"song": {"incident": 1}}}',
        '{"body": {"post": {"incident": 1}, "edit": {"incident": 1}}}',
    ],
)
def test_another_versions_delivery_is_refused(text: str) -> None:
    """A delivery that does not fit is refused as a whole."""
    with pytest.raises(StoreError, match=r"^outbox x in the database was written by"):
        store.decode_delivery(text, "outbox x")


def test_lone_surrogate_becomes_a_question_mark() -> None:
    """Half a character in a foreign text does not make a commit fail for ever."""
    request = Request("x", 1.0, words="\ud83d!")

    assert store.decode(store.INBOX_ITEM_JSON, store.encode(request), "it") == replace(
        request, words="?!"
    )
