from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.alerting.audit import OVERDUE_S, AuditResult, audit
from bot.core.model.observation import Severity
from bot.core.oncall import CallReason, EscalationPolicy, EscalationStep
from bot.core.state.incident import Acknowledgement
from bot.core.state.outbox import (
    Call,
    Delivery,
    DeliveryStatus,
    Edit,
    PagerAction,
    Paging,
    Post,
    ReportDue,
)

NOW = 1_772_450_000.0
CALL = Call(1, CallReason.BEGUN, NOW - 300)
POLICY = {Severity.CRITICAL: EscalationPolicy((EscalationStep(60.0, "pager"),))}


def delivery(body: Any, **changes: Any) -> Delivery:
    made = Delivery("k", "l", 1, body, created_at=NOW - OVERDUE_S - 1)
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("one", "is_found"),
    [
        (delivery(Post(1)), True),
        (delivery(Paging(1, "pager", PagerAction.TRIGGER)), True),
        (delivery(ReportDue(1.0), call=CALL), True),
        (delivery(Post(1), status=DeliveryStatus.DOUBT), True),
        (delivery(Post(1), created_at=NOW - OVERDUE_S + 1), False),
        (delivery(Post(1), status=DeliveryStatus.SENT), False),
        (delivery(Edit(1)), False),
        (delivery(ReportDue(1.0)), False),
    ],
)
def test_an_alert_that_nobody_has_got(one: Delivery, *, is_found: bool) -> None:
    """Posts, pages and calls count, two minutes after they were decided on."""
    found = audit((), (one,), NOW, rules=None)  # type: ignore[arg-type]  # no incident needs them

    assert found.undelivered == (("k",) if is_found else ())


def test_a_step_that_was_not_taken(make: Any) -> None:
    """Two minutes after it was due, unless somebody acknowledged the incident."""
    steps = make(mention="U0CHIEF", policies=POLICY, contact_points=("pager",))
    steps.healthy()
    steps.fail("prod.login")
    (incident,) = steps.incidents
    due = incident.notification.escalation.started_at + 60.0
    life = replace(incident.life, acknowledged=Acknowledgement("U1", due))
    taken = replace(incident, life=life)

    for one, at, found in (
        (incident, due + OVERDUE_S, ()),
        (incident, due + OVERDUE_S + 1, (1,)),
        (taken, due + OVERDUE_S + 1, ()),
    ):
        assert audit((one,), (), at, steps.rules) == AuditResult(steps=found)
