"""Contact points beyond Slack, and what they make of a page.

PagerDuty keeps states: an event with the key of an alert that is open only adds to its log, and one
that is acknowledged "won't generate any additional notifications, even if it receives new trigger
events" (developer.pagerduty.com/docs/events-api-v2-overview, read 2026-11).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bot.core.model.observation import Target
from bot.core.state.outbox import PagerAction
from bot.http import HttpRequest, HttpResult
from bot.notify.apprise import TIMEOUT_S as APPRISE_TIMEOUT_S
from bot.notify.pagerduty import ACCEPTED, PagerDutyNotifier
from bot.ports import Doubt
from bot.simulator.happening import NOTIFY
from bot.simulator.prober import fault_and_latency

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.config import Settings
    from bot.core.state.outbox import PagerMessage
    from bot.ports import Clock, Notifier
    from bot.simulator.world import World


@dataclass(frozen=True, slots=True)
class AcceptedPage:
    """A page as a contact point accepted it. What it does not say is None or empty."""

    contact_point: str
    action: PagerAction
    is_loud: bool = False
    """Whether it wakes people."""
    incident: int | None = None
    step: int | None = None
    reason: str = ""
    tenants: tuple[str, ...] = ()


def read_page(contact_point: str, action: PagerAction, details: Mapping[str, Any]) -> AcceptedPage:
    """Read what a page says of itself in its details."""
    incident, step = (str(details.get(key, "")) for key in ("incident", "escalation step"))
    return AcceptedPage(
        contact_point,
        action,
        is_loud=action is PagerAction.TRIGGER,
        incident=int(incident) if incident.isdecimal() else None,
        step=int(step) if step.isdecimal() else None,
        reason=str(details.get("reason", "")),
        tenants=tuple(details.get("tenants", ())),
    )


@dataclass(slots=True)
class PagerDutyService:
    """One service of PagerDuty, with its open alerts."""

    contact_point: str
    _open: dict[str, AcceptedPage] = field(default_factory=dict)
    """The page that triggered each, by its key."""

    def accept(self, event: Mapping[str, Any]) -> AcceptedPage:
        """Take an event of the Events API v2."""
        key, action = event["dedup_key"], PagerAction(event["event_action"])
        opened = self._open.get(key)
        if action is PagerAction.TRIGGER:
            page = read_page(self.contact_point, action, event["payload"]["custom_details"])
            self._open.setdefault(key, page)
            return replace(page, is_loud=opened is None)
        if action is PagerAction.RESOLVE:
            self._open.pop(key, None)
        opened = opened or AcceptedPage(self.contact_point, action)
        return replace(opened, action=action, is_loud=False, step=None)


def build_contact_points(
    settings: Settings, world: World, clock: Clock, accept: Callable[[AcceptedPage], None]
) -> dict[str, Notifier]:
    """Build the configured contact points of a virtual world; `accept` gets each page."""
    points: dict[str, Notifier] = {}
    for point in settings.notify:
        way = _Way(point.name, world, clock)
        if point.pagerduty is None:
            points[point.name] = _VirtualApprise(way, accept)
        else:
            points[point.name] = PagerDutyNotifier(
                _VirtualPagerDuty(way, PagerDutyService(point.name), accept).fetch,
                routing_key=point.pagerduty.routing_key.get_secret_value(),
                url=point.pagerduty.url,
                source="auth0-check",
                status_link=settings.status_link,
            )
    return points


@dataclass(frozen=True, slots=True)
class _Way:
    """The way to a contact point, with the scenario's faults."""

    contact_point: str
    world: World
    clock: Clock

    async def send(self, timeout_s: float) -> HttpResult:
        """Take the time that a request takes. Whatever fails, the contact point accepted nothing.

        Status 202 means that it gets there.
        """
        at, target = self.clock.now(), Target(NOTIFY, self.contact_point)
        drawn = self.world.draw_request(target, at)
        fault, latency_s = fault_and_latency(target, drawn, at, timeout_s)
        await self.clock.sleep(latency_s)
        answer = drawn.fault.http
        if answer is None or latency_s >= timeout_s:
            status = 0 if fault else ACCEPTED
            return HttpResult(at=at, latency_s=latency_s, timings=(), status=status, fault=fault)
        headers = dict(answer.headers)
        return HttpResult(
            at=at, latency_s=latency_s, timings=(), status=answer.status, headers=headers
        )


@dataclass(frozen=True, slots=True)
class _VirtualPagerDuty:
    way: _Way
    service: PagerDutyService
    accept: Callable[[AcceptedPage], None]

    async def fetch(self, request: HttpRequest) -> HttpResult:
        reply = await self.way.send(request.timeout_s)
        if reply.status == ACCEPTED:
            self.accept(self.service.accept(request.json or {}))
        return reply


@dataclass(frozen=True, slots=True)
class _VirtualApprise:
    """A `Notifier` that fails as Apprise does: without a reason."""

    way: _Way
    accept: Callable[[AcceptedPage], None]

    async def notify(self, message: PagerMessage) -> None:
        reply = await self.way.send(APPRISE_TIMEOUT_S)
        if reply.status != ACCEPTED:
            raise Doubt(self.way.contact_point, "Apprise could not send it")
        self.accept(read_page(self.way.contact_point, message.action, message.details))
