"""Signals shared by all tenants: control endpoints, status feeds and recent changes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.core.model.measurement import ChangeMade
from bot.core.model.observation import FeedState, StatusIncident
from bot.core.signals.probe_threshold import ProbeLimits, ProbeState, observe_probe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.model.observation import FeedReading, Observation

MAX_STATUS_INCIDENT_AGE_S = 7200.0
"""A post that is older than the first failure by more than this is about something else."""
OTHER_COMPONENTS = (
    ("log", "Tenant Logs"),
    ("management api", "Management API"),
    ("dashboard", "Management Dashboard"),
    ("email", "Email Delivery"),
    ("multi-factor", "Multi-factor Authentication"),
    ("mfa", "Multi-factor Authentication"),
    ("guardian", "Multi-factor Authentication"),
    ("cdn", "CDN"),
    ("support center", "Support Center"),
    ("user search", "Management API"),
    ("fga", "FGA"),
)
"""Words of a post's title, and the component of the status page that they mean."""
LOGIN_WORDS = ("login", "log in", "logging in", "authenticat", "sign-in", "sign in", "token")


@dataclass(frozen=True, slots=True)
class FeedView:
    """What a status feed says now."""

    state: FeedState | None = None
    """None: not read yet."""
    status_incidents: tuple[StatusIncident, ...] = ()
    """As last read; kept while the feed cannot be read."""
    read_at: float | None = None
    """When it was last readable."""
    since: float | None = None
    """When it came into this state."""


def match_status_incidents(feeds: Iterable[FeedView], since: float) -> tuple[StatusIncident, ...]:
    """Return the open posts about logins that fit a trouble since `since`, newest first."""
    notices = {
        notice.id: notice
        for feed in feeds
        for notice in feed.status_incidents
        if notice.is_open
        and notice.posted_at >= since - MAX_STATUS_INCIDENT_AGE_S
        and other_component(notice) is None
    }
    return tuple(sorted(notices.values(), key=lambda notice: -notice.updated_at))


def other_component(notice: StatusIncident) -> str | None:
    """Name the component that a post is about, if that is another than logins.

    The feed has no field for it, so the title's words decide; the text often mentions logins only
    to say that they are not affected.
    """
    title = notice.title.lower()
    if any(word in title for word in LOGIN_WORDS):
        return None
    return next((name for word, name in OTHER_COMPONENTS if word in title), None)


CHANGES_KEPT_S = 7200.0
MAX_CHANGES = 100
"""Changes kept; a pipeline that deploys all the time must not fill the state."""


@dataclass(frozen=True, slots=True)
class SharedSignals:
    """Neutral hosts and status feeds, by name, and what was changed."""

    controls: dict[str, ProbeState] = field(default_factory=dict)
    feeds: dict[str, FeedView] = field(default_factory=dict)
    changes: tuple[ChangeMade, ...] = ()
    """Of the last two hours, oldest first."""


def with_control(outside: SharedSignals, seen: Observation, every_s: float) -> SharedSignals:
    """Take in a look at a neutral host."""
    name = seen.target.name
    signal, _ = observe_probe(outside.controls[name], seen, ProbeLimits(every_s=every_s))
    return replace(outside, controls={**outside.controls, name: signal})


def with_reading(outside: SharedSignals, reading: FeedReading) -> SharedSignals:
    """Take in what a feed says; what it said before stands while it cannot be read."""
    name = reading.target.name
    before = outside.feeds.get(name, FeedView())
    since = before.since if before.state is reading.state else reading.at
    after = replace(before, state=reading.state, since=since)
    if reading.state is FeedState.OK:
        after = FeedView(reading.state, reading.status_incidents, reading.at, since)
    return replace(outside, feeds={**outside.feeds, name: after})


def with_changes(
    outside: SharedSignals, changes: Iterable[ChangeMade], now: float
) -> SharedSignals:
    """Take in changes; told twice they count once."""
    known = {change.id: change for change in (*outside.changes, *changes)}
    kept = [change for change in known.values() if now - change.at < CHANGES_KEPT_S]
    return replace(outside, changes=tuple(sorted(kept, key=lambda c: c.at)[-MAX_CHANGES:]))
