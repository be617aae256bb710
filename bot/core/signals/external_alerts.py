"""The alerts of an external monitor about a tenant."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.measurement import ALERTMANAGER, ExternalAlert
from bot.core.model.observation import HEALTH_BY_STATE, Health, SignalState

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ALERTS = 50
"""Of one monitor; only the newest are kept."""
LATE_S = 600.0
"""A "firing" that arrives out of order is at most this late, as after Sentry's retries."""
LATE_BY_SIGNAL = {ALERTMANAGER: 60.0}
"""Alertmanager sends a group's messages one after the other. If Prometheus evaluates a rule again
that it lost for some minutes, the alert that was resolved fires again with its old start, and is
not repeated for hours. So a later one means that the alert goes on."""


class EndedAlert(NamedTuple):
    """An alert that was resolved."""

    id: str
    at: float
    """When it was resolved, according to the monitor."""
    received_at: float


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitor's alerts."""

    alerts: tuple[ExternalAlert, ...] = ()
    """The alerts that go on, oldest first."""
    expires_at: tuple[float, ...] = ()
    """When each alert expires unless it is repeated."""
    ended: tuple[EndedAlert, ...] = ()
    """Recently resolved alerts: a late "firing" from before the end is ignored."""

    @property
    def firing(self) -> tuple[ExternalAlert, ...]:
        """The alerts of authenticated senders."""
        return tuple(alert for alert in self.alerts if not alert.is_unauthenticated)

    @property
    def state(self) -> SignalState:
        """Firing while an authenticated alert is; others alone never fire."""
        return SignalState.FIRING if self.firing else SignalState.OK

    @property
    def health(self) -> Health:
        """What is wrong with it."""
        return HEALTH_BY_STATE[self.state]

    @property
    def since(self) -> float | None:
        """When the oldest alert began."""
        return min((alert.at for alert in self.firing), default=None)


def record_alert(monitor: Monitor, alert: ExternalAlert, now: float) -> Monitor:
    """Add a monitor's message. The order and repetition of messages do not matter."""
    ended = [e for e in monitor.ended if now - e.received_at < LATE_S]
    late_s = LATE_BY_SIGNAL.get(alert.target.name, LATE_S)
    if any(e.id == alert.id and e.at >= alert.at and now - e.received_at < late_s for e in ended):
        return monitor
    if any(a.id == alert.id and a.at > alert.at for a in monitor.alerts):
        return monitor
    others = [
        (a, expires_at)
        for a, expires_at in zip(monitor.alerts, monitor.expires_at, strict=True)
        if a.id != alert.id
    ]
    if alert.is_firing:
        return _with_alerts(monitor, [*others, (alert, now + alert.lasts_s)])
    ended = [*(e for e in ended if e.id != alert.id), EndedAlert(alert.id, alert.at, now)]
    return replace(_with_alerts(monitor, others), ended=tuple(ended[-MAX_ALERTS:]))


def drop_expired(monitor: Monitor, now: float) -> Monitor:
    """Drop the alerts that expired."""
    pairs = [pair for pair in zip(monitor.alerts, monitor.expires_at, strict=True) if pair[1] > now]
    return monitor if len(pairs) == len(monitor.alerts) else _with_alerts(monitor, pairs)


def _with_alerts(monitor: Monitor, pairs: Iterable[tuple[ExternalAlert, float]]) -> Monitor:
    newest = list(pairs)[-MAX_ALERTS:]
    return replace(
        monitor,
        alerts=tuple(alert for alert, _ in newest),
        expires_at=tuple(expires_at for _, expires_at in newest),
    )
