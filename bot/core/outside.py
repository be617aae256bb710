"""What the desk itself knows of the world outside the tenants: hosts, feeds and changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.core.detector import Limits, Signal, observe
from bot.core.measurement import ChangeMade
from bot.core.model import FeedState
from bot.core.notice import FeedView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.model import FeedReading, Observation

KEPT_S = 7200.0
MOST = 100
"""Changes kept; a pipeline that deploys all the time must not fill the state."""


@dataclass(frozen=True, slots=True)
class Outside:
    """Neutral hosts and status feeds, by name, and what was changed."""

    controls: dict[str, Signal] = field(default_factory=dict)
    feeds: dict[str, FeedView] = field(default_factory=dict)
    changes: tuple[ChangeMade, ...] = ()
    """Of the last two hours, oldest first."""


def with_control(outside: Outside, seen: Observation, every_s: float) -> Outside:
    """Take in a look at a neutral host."""
    name = seen.target.name
    signal, _ = observe(outside.controls[name], seen, Limits(every_s=every_s))
    return replace(outside, controls={**outside.controls, name: signal})


def with_reading(outside: Outside, reading: FeedReading) -> Outside:
    """Take in what a feed says; what it said before stands while it cannot be read."""
    name = reading.target.name
    before = outside.feeds.get(name, FeedView())
    since = before.since if before.state is reading.state else reading.at
    after = replace(before, state=reading.state, since=since)
    if reading.state is FeedState.OK:
        after = FeedView(reading.state, reading.notices, reading.at, since)
    return replace(outside, feeds={**outside.feeds, name: after})


def with_changes(outside: Outside, changes: Iterable[ChangeMade], now: float) -> Outside:
    """Take in changes; told twice they count once."""
    known = {change.id: change for change in (*outside.changes, *changes)}
    kept = [change for change in known.values() if now - change.at < KEPT_S]
    return replace(outside, changes=tuple(sorted(kept, key=lambda c: c.at)[-MOST:]))
