"""Finds what should have been done long ago, from what is stored alone.

It shares nothing with what does the work: whatever keeps a step from being taken, or a call from
being delivered, shows here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.alerting import paging
from bot.core.state.outbox import Paging, Post

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Delivery
    from bot.core.state.rules import Rules

OVERDUE_S = 120.0
"""A step or a call that is late by so much is a defect: a call goes beyond Slack after 60 s."""


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What is overdue."""

    steps: tuple[int, ...] = ()
    """The incidents of which a step of the escalation is overdue."""
    undelivered: tuple[str, ...] = ()
    """The keys of alerts and calls that nobody has got."""


def audit(
    incidents: Iterable[Incident], deliveries: Iterable[Delivery], now: float, rules: Rules
) -> AuditResult:
    """Return what is overdue among the incidents and deliveries that are not done."""
    limit = now - OVERDUE_S
    dues = ((each.id, paging.due_at(each, rules)) for each in incidents)
    return AuditResult(
        steps=tuple(number for number, due in dues if due is not None and due < limit),
        undelivered=tuple(
            each.key
            for each in deliveries
            if not each.is_done
            and each.created_at < limit
            and (each.call is not None or isinstance(each.body, Post | Paging))
        ),
    )
