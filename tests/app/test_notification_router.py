"""Pager messages through delivery and router, to notifiers whose services fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.app.notification_router import NotificationRouter
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.oncall import CallReason
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident, IncidentKind, IncidentLife
from bot.core.state.outbox import Call, Delivery, PagerAction, Paging, mark_dead, mark_sent
from bot.core.state.rules import Rules
from bot.core.state.stimulus import CallRefused, CallTaken, Stimulus
from bot.core.state.tenant import Tenants
from bot.http import HttpRequest, HttpResult
from bot.notify.pagerduty import PagerDutyNotifier
from bot.ports import View
from bot.runtime.delivery import OutboxDelivery
from bot.simulator.memory import MemoryStore
from bot.simulator.virtual import VirtualClock, VirtualLoop, run_virtually
from bot.slack.outbound.messenger import SlackMessenger

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from bot.ports import Notifier

INCIDENT = Incident(
    id=1,
    kind=IncidentKind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod",),
    since=0.0,
    life=IncidentLife(0.0),
    verdict=Verdict(Cause.UNCLEAR, Scope.UNKNOWN, 0.0),
)
CALL = Call(1, CallReason.BEGUN, 0.0)
PAGE = Delivery(
    "1:page:1", "page:1", 1, Paging(1, "night-shift", PagerAction.TRIGGER), 0.0, call=CALL
)


class NoSlack:
    """Nobody calls Slack."""

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        raise NotImplementedError

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        raise NotImplementedError


@dataclass
class PagerDuty:
    """Answers with `statuses`, one after the other."""

    statuses: list[int]
    sent: list[HttpRequest] = field(default_factory=list)

    async def fetch(self, request: HttpRequest) -> HttpResult:
        self.sent.append(request)
        return HttpResult(at=0.0, latency_s=0.0, timings=(), status=self.statuses.pop(0))


def deliver(pagerduty: PagerDuty | None, submitted: list[Stimulus]) -> OutboxDelivery:
    """Let the delivery have ten minutes for a page."""
    deliveries: list[OutboxDelivery] = []

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, 0.0)

        def submit(stimulus: Stimulus) -> None:
            """Do what the engine does."""
            submitted.append(stimulus)
            if isinstance(stimulus, CallTaken):
                delivery.offer([mark_sent(stimulus.delivery)])
            if isinstance(stimulus, CallRefused):
                delivery.offer([mark_dead(stimulus.delivery)])

        slack = SlackMessenger(NoSlack(), channel="C1", status_link="https://status.auth0.com")
        notifiers: dict[str, Notifier] = {}
        if pagerduty:
            notifiers["night-shift"] = PagerDutyNotifier(
                pagerduty.fetch,
                routing_key="k" * 32,
                url="https://events.pagerduty.com",
                source="auth0-check-prod",
                status_link="https://status.auth0.com",
            )
        delivery = OutboxDelivery(
            clock=clock,
            store=MemoryStore(),
            messenger=NotificationRouter(slack, notifiers),
            view=lambda: View(clock.now(), Rules({}), Tenants({}), DeskState({1: INCIDENT})),
            submit=submit,
        )
        deliveries.append(delivery)
        delivery.offer([PAGE])
        task = loop.create_task(delivery.run())
        await clock.sleep(600.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)
    return deliveries[0]


def test_a_pagers_final_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """The log names PagerDuty and the contact point, the thread, too; nothing is sent again."""
    pagerduty, submitted = PagerDuty([400, 202]), list[Stimulus]()

    delivery = deliver(pagerduty, submitted)

    assert caplog.messages == [
        "PagerDuty refused 1:page:1 (contact point night-shift): HTTP 400: check the routing key"
    ]
    assert (len(pagerduty.sent), delivery.depth) == (1, 0)
    error = "HTTP 400: check the routing key"
    (refused,) = submitted
    assert isinstance(refused, CallRefused)
    assert (refused.delivery.key, refused.error) == (PAGE.key, error)


def test_a_pagers_other_failures(caplog: pytest.LogCaptureFixture) -> None:
    """After a refusal that may pass, and after a lost answer, the message is sent again."""
    pagerduty = PagerDuty([403, 500, 202])

    delivery = deliver(pagerduty, [])

    assert caplog.messages == [
        "PagerDuty refused 1:page:1 (contact point night-shift): HTTP 403",
        (
            "the answer of PagerDuty to 1:page:1 (contact point night-shift) was lost; "
            "it may have been delivered"
        ),
    ]
    assert (len(pagerduty.sent), delivery.depth) == (3, 0)


def test_a_contact_point_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """It was configured before a restart: its message is given up."""
    delivery = deliver(None, [])

    assert caplog.messages == [
        "the configuration refused 1:page:1 (contact point night-shift): no such contact point"
    ]
    assert delivery.depth == 0
