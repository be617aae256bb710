"""Signals shared by all tenants: control endpoints, status feeds and recent changes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bot.core.model.measurement import ChangeMade
from bot.core.model.observation import FeedState, Outcome, Phase, StatusIncident
from bot.core.signals.probe_threshold import ProbeLimits, ProbeState, observe_probe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.model.observation import FeedReading, Observation

MAX_STATUS_INCIDENT_AGE_S = 7200.0
"""A status incident this much older than the first failure is about something else."""
OTHER_COMPONENTS = (
    ("machine to machine|machine-to-machine|m2m", "Machine to Machine Authentication"),
    ("multi-factor|multifactor|mfa|guardian|second factor", "Multi-factor Authentication"),
    ("dashboard|manage.auth0.com", "Management Dashboard"),
    ("tenant log|logs|log stream|log event|log search", "Tenant Logs"),
    ("management api|user search|user import|user export", "Management API"),
    ("email|e-mail", "Email Delivery"),
    ("cdn", "CDN"),
    ("support center|support ticket", "Support Center"),
    ("fga", "FGA"),
    ("marketplace", "Marketplace"),
    ("documentation|docs|quickstart", "Documentation"),
    ("deploying actions|actions deploy|action editor", "Actions Deployment"),
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
    """Return the status incidents about logins that match a problem, newest first.

    `since` is when the problem began. One that is resolved by now counts if it covered that.
    """
    matches = {
        each.id: each
        for feed in feeds
        for each in feed.status_incidents
        if (each.is_open or (each.phase is Phase.RESOLVED and each.updated_at >= since))
        and each.phase is not Phase.UNKNOWN
        and each.posted_at >= since - MAX_STATUS_INCIDENT_AGE_S
        and other_component(each) is None
    }
    return tuple(sorted(matches.values(), key=lambda each: -each.updated_at))


def other_component(status_incident: StatusIncident) -> str | None:
    """Return the component that a status incident is about, unless it is about logins.

    The feed has no field for it, so the title's words decide: "Dashboard login errors" are about
    the dashboard, "Errors with logins and the dashboard" about both. The text often mentions logins
    only to say that they are not affected.
    """
    clauses = re.split(r",|;|&| and ", status_incident.title.lower())
    found = [_component_of(clause) for clause in clauses]
    is_about_logins = any(
        component is None and any(word in clause for word in LOGIN_WORDS)
        for clause, component in zip(clauses, found, strict=True)
    )
    return None if is_about_logins else next(filter(None, found), None)


def _component_of(clause: str) -> str | None:
    return next(
        (name for words, name in OTHER_COMPONENTS if re.search(rf"\b(?:{words})", clause)), None
    )


CHANGES_KEPT_S = 7200.0
MAX_CHANGES = 100
"""A pipeline that deploys all the time must not fill the state."""


MAX_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One probe of a control endpoint."""

    at: float
    latency_s: float | None
    """None: it failed."""


@dataclass(frozen=True, slots=True)
class SharedSignals:
    """Control endpoints and status feeds, by name, and recent changes."""

    controls: dict[str, ProbeState] = field(default_factory=dict)
    feeds: dict[str, FeedView] = field(default_factory=dict)
    changes: tuple[ChangeMade, ...] = ()
    """Of the last two hours, oldest first."""
    started_at: float | None = None
    """When this process began to watch."""
    samples: dict[str, tuple[Sample, ...]] = field(default_factory=dict)
    """The last probes of each control endpoint, and polls of each feed, oldest first: their share
    and slowness are compared with those of Auth0's hosts."""


def with_control(shared: SharedSignals, result: Observation, every_s: float) -> SharedSignals:
    """Add one observation of a control endpoint."""
    name = result.target.name
    signal, _ = observe_probe(shared.controls[name], result, ProbeLimits(every_s=every_s))
    shared = replace(shared, controls={**shared.controls, name: signal})
    if result.outcome is Outcome.NO_DATA:
        return shared
    latency_s = None if result.fault else result.latency_s
    return _with_sample(shared, name, Sample(result.at, latency_s))


def _with_sample(shared: SharedSignals, key: str, sample: Sample) -> SharedSignals:
    samples = (*shared.samples.get(key, ()), sample)[-MAX_SAMPLES:]
    return replace(shared, samples={**shared.samples, key: samples})


def feed_samples_key(name: str) -> str:
    """Return under which name the polls of a feed are kept beside the probes of controls."""
    return f"feed {name}"


def with_reading(shared: SharedSignals, reading: FeedReading) -> SharedSignals:
    """Add one poll of a feed; its earlier status incidents stay while it cannot be read."""
    name = reading.target.name
    before = shared.feeds.get(name, FeedView())
    since = before.since if before.state is reading.state else reading.at
    after = replace(before, state=reading.state, since=since)
    if reading.state is FeedState.OK:
        after = FeedView(reading.state, reading.status_incidents, reading.at, since)
    shared = replace(shared, feeds={**shared.feeds, name: after})
    is_lost = reading.state is FeedState.UNREACHABLE
    return _with_sample(
        shared, feed_samples_key(name), Sample(reading.at, None if is_lost else 0.0)
    )


def with_changes(shared: SharedSignals, changes: Iterable[ChangeMade], now: float) -> SharedSignals:
    """Add changes; a change that is reported twice counts once."""
    by_id = {change.id: change for change in (*shared.changes, *changes)}
    recent = [change for change in by_id.values() if now - change.at < CHANGES_KEPT_S]
    return replace(shared, changes=tuple(sorted(recent, key=lambda c: c.at)[-MAX_CHANGES:]))
