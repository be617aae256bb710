"""What an outside monitor says of a tenant: its alerts that go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.measurement import ExternalAlert
from bot.core.model.observation import SignalState

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ALERTS = 50
"""Of one monitor: it is the newest that matter."""


LATE_S = 600.0
"""What is told out of order is not later than this. Longer on, the same alert that is said again
goes on: Alertmanager repeats its old begin after Prometheus had lost it for some minutes."""


class EndedAlert(NamedTuple):
    """An alert that was told to be over."""

    id: str
    at: float
    """When it ended, by the monitor."""
    received_at: float


@dataclass(frozen=True, slots=True)
class Monitor:
    """One monitor's alerts."""

    alerts: tuple[ExternalAlert, ...] = ()
    """Those that go on, oldest first."""
    expires_at: tuple[float, ...] = ()
    """How long each holds unless it is said again."""
    ended: tuple[EndedAlert, ...] = ()
    """Alerts that were well again a moment ago: a "firing" of before that comes late is no news."""

    @property
    def firing(self) -> tuple[ExternalAlert, ...]:
        """The alerts that somebody vouches for."""
        return tuple(claim for claim in self.alerts if not claim.is_unauthenticated)

    @property
    def state(self) -> SignalState:
        """Firing while one of them is; hints alone fire nothing."""
        return SignalState.FIRING if self.firing else SignalState.OK

    @property
    def since(self) -> float | None:
        """When the oldest alert began."""
        return min((claim.at for claim in self.firing), default=None)


def record_alert(monitor: Monitor, claim: ExternalAlert, now: float) -> Monitor:
    """Take in what a monitor says. Order and repetition of what it says do not matter."""
    ended = [e for e in monitor.ended if now - e.received_at < LATE_S]
    if any(e.id == claim.id and e.at >= claim.at for e in ended):
        return monitor
    if any(c.id == claim.id and c.at > claim.at for c in monitor.alerts):
        return monitor
    kept = [
        (c, until)
        for c, until in zip(monitor.alerts, monitor.expires_at, strict=True)
        if c.id != claim.id
    ]
    if claim.is_firing:
        return _with_alerts(monitor, [*kept, (claim, now + claim.lasts_s)])
    others = [e for e in ended if e.id != claim.id]
    ended = [*others, EndedAlert(claim.id, claim.at, now)][-MAX_ALERTS:]
    return replace(_with_alerts(monitor, kept), ended=tuple(ended))


def drop_expired(monitor: Monitor, now: float) -> Monitor:
    """Drop what was not said again for too long."""
    kept = [pair for pair in zip(monitor.alerts, monitor.expires_at, strict=True) if pair[1] > now]
    return monitor if len(kept) == len(monitor.alerts) else _with_alerts(monitor, kept)


def next_expiry_at(monitor: Monitor) -> float | None:
    """Return when the next alert expires."""
    return min(monitor.expires_at, default=None)


def _with_alerts(monitor: Monitor, pairs: Iterable[tuple[ExternalAlert, float]]) -> Monitor:
    newest = list(pairs)[-MAX_ALERTS:]
    return replace(
        monitor,
        alerts=tuple(claim for claim, _ in newest),
        expires_at=tuple(until for _, until in newest),
    )
