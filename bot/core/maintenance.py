"""Maintenance windows of our own: when they are on, by the wall clock of their zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from bot.core.calendar import Recurring, instant

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which we work on tenants ourselves."""

    begins: Recurring | datetime
    """A naive time for one that comes once."""
    span_s: float
    """By the wall clock: 02:00 to 04:00 is an hour longer or shorter when the clocks are changed.
    Not longer than it takes to recur."""
    zone: str
    tenants: tuple[str, ...] = ()
    """Empty: all."""
    reason: str = ""

    def bounds(self, now: float) -> list[tuple[float, float]]:
        """Return when it begins and ends: the last time up to now, and the next."""
        if isinstance(self.begins, datetime):
            begins = [self.begins]
        else:
            near = (self.begins.last(now, self.zone), self.begins.next(now, self.zone))
            begins = [datetime.combine(each.day, self.begins.at) for each in near]
        span = timedelta(seconds=self.span_s)
        return [(instant(at, self.zone), instant(at + span, self.zone)) for at in begins]


def is_on(window: Window, tenant: str, now: float) -> bool:
    """Tell whether a tenant is being worked on."""
    is_meant = not window.tenants or tenant in window.tenants
    return is_meant and any(begin <= now < end for begin, end in window.bounds(now))


def next_change(windows: Iterable[Window], now: float) -> float | None:
    """Return when the next window begins or ends."""
    changes = (at for window in windows for bounds in window.bounds(now) for at in bounds)
    return min((at for at in changes if at > now), default=None)
