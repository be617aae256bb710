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
"""A status incident this much older than the first failure is about something else."""
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
"""Words of a title, and the component of the status page that they mean."""
LOGIN_WORDS = ("login", "log in", "logging in", "authenticat", "sign-in", "sign in", "token")


@dataclass(frozen=True, slots=True)
class FeedView:
    """The state of a status feed."""

    state: FeedState | None = None
    """None: not polled yet."""
    status_incidents: tuple[StatusIncident, ...] = ()
    """As last read; they stay while the feed cannot be read."""
    read_at: float | None = None
    """When it was last readable."""
    since: float | None = None
    """When it entered this state."""


def match_status_incidents(feeds: Iterable[FeedView], since: float) -> tuple[StatusIncident, ...]:
    """Return the open status incidents about logins that match a problem, newest first.

    `since` is when the problem began.
    """
    matches = {
        each.id: each
        for feed in feeds
        for each in feed.status_incidents
        if each.is_open
        and each.posted_at >= since - MAX_STATUS_INCIDENT_AGE_S
        and other_component(each) is None
    }
    return tuple(sorted(matches.values(), key=lambda each: -each.updated_at))


def other_component(status_incident: StatusIncident) -> str | None:
    """Return the component that a status incident is about, unless it is about logins.

    The feed has no field for it, so the title's words decide. The text often mentions logins only
    to say that they are not affected.
    """
    title = status_incident.title.lower()
    if any(word in title for word in LOGIN_WORDS):
        return None
    return next((name for word, name in OTHER_COMPONENTS if word in title), None)


CHANGES_KEPT_S = 7200.0
MAX_CHANGES = 100
"""A pipeline that deploys all the time must not fill the state."""


@dataclass(frozen=True, slots=True)
class SharedSignals:
    """Control endpoints and status feeds, by name, and recent changes."""

    controls: dict[str, ProbeState] = field(default_factory=dict)
    feeds: dict[str, FeedView] = field(default_factory=dict)
    changes: tuple[ChangeMade, ...] = ()
    """Of the last two hours, oldest first."""


def with_control(shared: SharedSignals, result: Observation, every_s: float) -> SharedSignals:
    """Add one observation of a control endpoint."""
    name = result.target.name
    signal, _ = observe_probe(shared.controls[name], result, ProbeLimits(every_s=every_s))
    return replace(shared, controls={**shared.controls, name: signal})


def with_reading(shared: SharedSignals, reading: FeedReading) -> SharedSignals:
    """Add one poll of a feed; its earlier status incidents stay while it cannot be read."""
    name = reading.target.name
    before = shared.feeds.get(name, FeedView())
    since = before.since if before.state is reading.state else reading.at
    after = replace(before, state=reading.state, since=since)
    if reading.state is FeedState.OK:
        after = FeedView(reading.state, reading.status_incidents, reading.at, since)
    return replace(shared, feeds={**shared.feeds, name: after})


def with_changes(shared: SharedSignals, changes: Iterable[ChangeMade], now: float) -> SharedSignals:
    """Add changes; a change that is reported twice counts once."""
    by_id = {change.id: change for change in (*shared.changes, *changes)}
    recent = [change for change in by_id.values() if now - change.at < CHANGES_KEPT_S]
    return replace(shared, changes=tuple(sorted(recent, key=lambda c: c.at)[-MAX_CHANGES:]))
