"""The state of each tenant, and of the signals that they share."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING

from bot.core.model.measurement import ChangeMade
from bot.core.model.observation import (
    HEALTHY,
    Fault,
    FeedState,
    Health,
    Outcome,
    Phase,
    SignalState,
    StatusIncident,
)
from bot.core.model.record import replace
from bot.core.signals.external_alerts import Monitor
from bot.core.signals.history import RecentLogins
from bot.core.signals.metric_threshold import MetricState
from bot.core.signals.probe_threshold import ProbeLimits, ProbeState, observe_probe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.core.model.observation import FeedReading, Observation
    from bot.core.state.rules import Rules


@dataclass(frozen=True, slots=True)
class HasData:
    """A tenant's probes have usable results."""

    last_at: float
    """When the newest one came; a start counts as one."""


@dataclass(frozen=True, slots=True)
class NoData:
    """A tenant's probes had no usable result for too long."""

    since: float
    last_at: float
    """When the newest one came, before or since then."""
    again_since: float | None = None
    """When usable results began again. It ends once they have lasted."""


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """The light checks of a tenant's token endpoint, between its logins."""

    last_at: float | None = None
    """When the newest one with a usable result began."""
    last_ok_at: float | None = None

    @property
    def is_ok(self) -> bool:
        """Whether the newest one was well; not, while there is none."""
        return self.last_at is not None and self.last_at == self.last_ok_at

    def add(self, observation: Observation) -> TokenEndpoint:
        """Return it with one more check."""
        match observation.outcome:
            case Outcome.OK:
                return TokenEndpoint(observation.at, observation.at)
            case Outcome.FAILED:
                return replace(self, last_at=observation.at)
            case Outcome.NO_DATA:
                return self


MINUTE_S = 60.0
LOGINS_PER_MINUTE = 12
"""Logins of one test user in any minute, on-demand checks included."""
TEN_MINUTES_S = 600.0
LOGINS_PER_TEN_MINUTES = 100
"""The same in any ten minutes."""
ROUTINE_WAIT_S = 10.0
"""Between two routine logins: however short the interval, half of the budget remains for confirming
a failure."""
REFUSED_WAIT_S = 30.0
FEW_REFUSALS, MOST_REFUSALS = 5, 12
"""Auth0 blocks address and user at the tenth failure. So that repeated on-demand checks do not
get there, the wait doubles with each refusal after the fifth, to an hour from the twelfth on."""


@dataclass(frozen=True, slots=True)
class LoginBudget:
    """The logins of one synthetic user in the last ten minutes, through any of its domains.

    Auth0 limits one user from one address to 20 logins a minute, successes included, and falls back
    to 10 a minute once that is exceeded (Rate Limit Policy, read 2026-11). We stay well below.
    """

    starts: tuple[float, ...] = ()
    refusals: int = 0
    """How often the credentials were refused since they were last accepted."""

    def allows(self, now: float, *, is_routine: bool) -> bool:
        """Tell whether one more login may start now."""
        if self.refusals and now - self._last_start() < self.refused_wait_s:
            return False
        if is_routine and now - self._last_start() < ROUTINE_WAIT_S:
            return False
        return (
            self._count_since(now - MINUTE_S) < LOGINS_PER_MINUTE
            and self._count_since(now - TEN_MINUTES_S) < LOGINS_PER_TEN_MINUTES
        )

    @property
    def refused_wait_s(self) -> float:
        """How long to wait after a refusal: longer with each refusal after the fifth."""
        return REFUSED_WAIT_S * 2.0 ** max(0, min(self.refusals, MOST_REFUSALS) - FEW_REFUSALS)

    def spend(self, now: float) -> LoginBudget:
        """Return the budget after a login that starts now."""
        recent = tuple(start for start in self.starts if start > now - TEN_MINUTES_S)
        return replace(self, starts=(*recent, now))

    def _last_start(self) -> float:
        return self.starts[-1] if self.starts else float("-inf")

    def _count_since(self, at: float) -> int:
        return sum(start > at for start in self.starts)


@dataclass(frozen=True)
class TenantState:
    """The state of one tenant. What follows from it is worked out once, as of a probe's state."""

    probes: dict[str, ProbeState] = field(default_factory=dict)
    due: dict[str, float | None] = field(default_factory=dict)
    """When each signal is checked next; None: not by itself."""
    budgets: dict[str, LoginBudget] = field(default_factory=dict)
    """By login."""
    data: HasData | NoData | None = None
    """Whether its probes have usable results, good or bad; None: it never started."""
    no_data_reason: str = ""
    """Why its newest probe had no usable result; empty: it had one."""
    phase: float = 0.0
    """This tenant's offset in the minute, 0 to 1, so that not all are probed in the same second."""
    fingerprints: tuple[str, ...] = ()
    metrics: dict[str, MetricState] = field(default_factory=dict)
    """By the signal's name."""
    monitors: dict[str, Monitor] = field(default_factory=dict)
    """By the external monitor's name."""
    environment: str = ""
    """From the tenant's own log; empty until it names one."""
    watched_since: float | None = None
    """When it had its first usable result; nothing is known from before."""
    recent_logins: RecentLogins = ()
    """Its logins, through any of its domains."""
    token_endpoint: TokenEndpoint = TokenEndpoint()

    @cached_property
    def measured(self) -> dict[str, tuple[object, object]]:
        """What was worked out of this state by rules: the rules, and the result, by its name."""
        return {}

    @cached_property
    def alerting_signals(self) -> set[str]:
        """The names of the probes, metrics and external monitors that belong into an incident."""
        return {name for name, health in self._signals() if health & Health.ALERTING}

    @cached_property
    def has_lost_sight(self) -> bool:
        """Whether all that fails are metrics without data: nobody knows whether it goes on."""
        silent = {n for n, metric in self.metrics.items() if metric.no_data_since is not None}
        return bool(self.alerting_signals) and self.alerting_signals <= silent

    @property
    def is_well(self) -> bool:
        """Whether nothing fails, is slow or lacks data."""
        if isinstance(self.data, NoData):
            return False
        for probe in self.probes.values():
            if probe.state is not SignalState.OK or probe.latency.since is not None:
                return False
        for metric in self.metrics.values():
            if metric.state is not SignalState.OK or metric.no_data_since is not None:
                return False
        return not any(monitor.firing for monitor in self.monitors.values())

    @cached_property
    def health(self) -> Health:
        """What is wrong with any of its signals, and whether it has data."""
        health = Health.NO_DATA if isinstance(self.data, NoData) else HEALTHY
        found = (each for _, each in self._signals() if each is not HEALTHY)
        return reduce(or_, found, health)

    def _signals(self) -> Iterator[tuple[str, Health]]:
        for signals in (self.probes, self.metrics, self.monitors):
            for name, signal in signals.items():
                yield name, signal.health

    @property
    def is_slowing(self) -> bool:
        """Whether a probe has begun to answer slowly."""
        return any(probe.latency.since is not None for probe in self.probes.values())

    @property
    def last_data_at(self) -> float | None:
        """When a probe last had a usable result, or was started."""
        return self.data.last_at if self.data else None

    @property
    def no_data_since(self) -> float | None:
        """Since when there is no data; None: there is, or it never started."""
        return self.data.since if isinstance(self.data, NoData) else None


@dataclass(frozen=True, slots=True)
class Tenants:
    """The states of all tenants, by name, for a step of the desk."""

    states: dict[str, TenantState]

    def environment(self, name: str, rules: Rules) -> str | None:
        """Return a tenant's environment: from the configuration, else from its own log."""
        return rules.tenants[name].environment or self.states[name].environment or None


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
SILENT_STATES = frozenset({FeedState.UNREADABLE, FeedState.UNREACHABLE})
SILENT_S, GONE_S = 3600.0, 600.0
"""A feed that cannot be read for so long is reported; sooner if it is gone, moved or refused."""
PASSING_STATUSES = frozenset({408, 429})
"""Of 3xx and 4xx, those that another try may change."""
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
    """When it entered this state, or the first of several in which it cannot be read."""
    fault: Fault | None = None
    """Why it cannot be read."""

    def is_silent(self, now: float) -> bool:
        """Tell whether it has not been readable for so long that people should know."""
        if self.state not in SILENT_STATES or self.since is None:
            return False
        status = self.fault.status or 0 if self.fault else 0
        is_gone = 300 <= status < 500 and status not in PASSING_STATUSES  # noqa: PLR2004 - HTTP
        return now - self.since >= (GONE_S if is_gone else SILENT_S)


def match_status_incidents(feeds: Iterable[FeedView], since: float) -> tuple[StatusIncident, ...]:
    """Return the status incidents about logins that match a problem, newest first.

    `since` is when the problem began. One that is resolved by now counts if it covered that.
    """
    matches = {
        each.id: each
        for feed in feeds
        for each in feed.status_incidents
        if (each.is_open or (each.phase is Phase.RESOLVED and each.updated_at >= since))
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
    found = [
        next(
            (name for words, name in OTHER_COMPONENTS if re.search(rf"\b(?:{words})", clause)), None
        )
        for clause in clauses
    ]
    is_about_logins = any(
        component is None and any(word in clause for word in LOGIN_WORDS)
        for clause, component in zip(clauses, found, strict=True)
    )
    return None if is_about_logins else next(filter(None, found), None)


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


@dataclass(frozen=True)
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

    def tells_as_much_as(self, other: SharedSignals) -> bool:
        """Tell whether two differ by healthy probes and polls only."""
        signals = (*self.controls.values(), *other.controls.values())
        posts = [
            {name: (feed.state, feed.status_incidents) for name, feed in shared.feeds.items()}
            for shared in (self, other)
        ]
        is_well = all(each.state is SignalState.OK for each in signals)
        return is_well and posts[0] == posts[1] and self.changes == other.changes


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
    goes_on = before.state is reading.state or {before.state, reading.state} <= SILENT_STATES
    since = before.since if goes_on else reading.at
    after = replace(before, state=reading.state, since=since, fault=reading.fault)
    if reading.state is FeedState.OK:
        after = FeedView(reading.state, reading.status_incidents, reading.at, since)
    shared = replace(shared, feeds={**shared.feeds, name: after})
    sample = Sample(reading.at, None if reading.state is FeedState.UNREACHABLE else 0.0)
    return _with_sample(shared, feed_samples_key(name), sample)


def with_changes(shared: SharedSignals, changes: Iterable[ChangeMade], now: float) -> SharedSignals:
    """Add changes; a change that is reported twice counts once."""
    by_id = {change.id: change for change in (*shared.changes, *changes)}
    recent = [change for change in by_id.values() if now - change.at < CHANGES_KEPT_S]
    return replace(shared, changes=tuple(sorted(recent, key=lambda c: c.at)[-MAX_CHANGES:]))
