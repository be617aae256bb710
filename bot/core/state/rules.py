"""The configuration as `core` needs it: numbers and names, no secrets, no addresses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING

from bot.core.model.access import Access
from bot.core.model.observation import CUSTOM, FEED, M2M, WELLKNOWN, Severity, Target
from bot.core.model.wall_clock import RecurringTime
from bot.core.oncall import CallHours, CallsWhen, EscalationPolicy, OnCallSource
from bot.core.signals.metric_threshold import MetricLimits
from bot.core.signals.probe_threshold import ProbeLimits, next_on_grid
from bot.core.state.silence import MaintenanceWindow

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_FEED = Target(FEED, "default")
M2M_INTERVAL_FACTOR = 5.0
"""Machine tokens may count against a quota: while all is well we request one this many times less
often, by default every five minutes."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A recurring time in a time zone."""

    at: RecurringTime
    zone: str


@dataclass(frozen=True, slots=True)
class Channels:
    """Which Slack channel an incident goes to: ids or #names; an empty text is the default one."""

    by_severity: dict[Severity, str] = field(default_factory=dict)
    by_tenant: dict[str, str] = field(default_factory=dict)
    """These precede those by severity."""

    def home(self, tenant: str, severity: Severity) -> str:
        """Return the channel of a tenant's incidents."""
        return self.by_tenant.get(tenant, self.by_severity.get(severity, ""))

    def concerned(self, tenants: Iterable[str], severities: Iterable[Severity]) -> tuple[str, ...]:
        """Return every channel where an incident of these tenants may be, once."""
        if not self.by_severity and not self.by_tenant:
            return ("",)
        severities = tuple(severities)
        homes = (self.home(tenant, severity) for tenant in tenants for severity in severities)
        return tuple(dict.fromkeys(homes))


@cache
def _limits_beside(limits: ProbeLimits, factor: float) -> ProbeLimits:
    """Return the limits of what is no login, and is probed as often or less."""
    return replace(limits, is_login=False, every_s=limits.every_s * factor)


@dataclass(frozen=True, slots=True)
class TenantRules:
    """The configuration of one tenant."""

    name: str
    domain: str
    environment: str | None = None
    logins: tuple[str, ...] = ("login",)
    custom_domain: str | None = None
    has_m2m: bool = False
    limits: ProbeLimits = field(default_factory=ProbeLimits)
    light_every_s: float | None = None
    """How often the token endpoint is checked between two logins; None: not at all."""
    runbook: str | None = None
    users: dict[str, str] = field(default_factory=dict)
    """Login -> the first login of the same synthetic user, if that is another login."""
    fingerprints: tuple[str, ...] = ()
    """One for each login; it changes with the login's configuration."""
    feed: Target = DEFAULT_FEED
    """The status feed of this tenant's environment."""
    metrics: dict[str, MetricLimits] = field(default_factory=dict)
    """By the signal's name."""
    realms: tuple[str, ...] = ()
    """The connections of the synthetic logins."""
    monitors: tuple[str, ...] = ()
    """The external monitors that may send alerts."""
    calls: CallsWhen = CallsWhen.ALWAYS
    """When its incidents may call people; they are posted in any case."""

    def limits_of(self, signal: str) -> ProbeLimits:
        """Return a signal's limits."""
        if signal not in {WELLKNOWN, M2M}:
            return self.limits
        return _limits_beside(self.limits, M2M_INTERVAL_FACTOR if signal == M2M else 1.0)

    def next_light_check_at(self, now: float, phase: float) -> float | None:
        """Return when the token endpoint is checked next; the login's slot is left to the login."""
        pace_s, every_s = self.light_every_s, self.limits.every_s
        if pace_s is None:
            return None
        login_origin = phase * every_s
        due = next_on_grid(now, login_origin, pace_s)
        after_login_s = (due - login_origin) % every_s
        is_taken = min(after_login_s, every_s - after_login_s) < pace_s / 2
        return due + pace_s if is_taken else due

    @property
    def probes(self) -> tuple[str, ...]:
        """The names of all probes, the logins first."""
        custom = (CUSTOM,) if self.custom_domain else ()
        return (*self.logins, WELLKNOWN, *custom, *((M2M,) if self.has_m2m else ()))

    @property
    def all_signals(self) -> tuple[str, ...]:
        """The names of all probes and metrics."""
        return (*self.probes, *self.metrics)


@dataclass(frozen=True, slots=True)
class Rules:
    """The whole configuration."""

    tenants: dict[str, TenantRules]
    controls: tuple[Target, ...] = ()
    feeds: tuple[Target, ...] = ()
    channels: Channels = field(default_factory=Channels)
    mention: str = ""
    """Who is mentioned in a critical alert; empty: nobody."""
    mention_after_s: dict[str, float] = field(default_factory=dict)
    """By tenant."""
    policies: dict[Severity, EscalationPolicy] = field(default_factory=dict)
    contact_points: tuple[str, ...] = ()
    """The names of all contact points beyond Slack."""
    call_hours: CallHours = field(default_factory=CallHours)
    """For tenants that call people in these hours only."""
    on_call: OnCallSource | None = None
    """Who is on call. Of a calendar the desk's state has the shifts."""
    calendar_every_s: float | None = None
    """How often the calendar is polled; None: there is none."""
    access: Access = field(default_factory=Access)
    remind_after_s: float | None = None
    """After so long whoever acknowledged a critical incident is first asked whether they are still
    on it. None: never."""
    maintenance_windows: tuple[MaintenanceWindow, ...] = ()
    report: Recurrence | None = None
    """When the weekly report is posted."""
    alerts_page: str = ""
    """Where people find what each cause means; empty: nowhere."""
    link_hosts: tuple[str, ...] = ()
    """Where links in messages may lead that others sent; `.sentry.io` stands for all below it."""
    feed_every_s: float = 60.0
    control_every_s: float = 60.0

    @property
    def has_somebody_to_call(self) -> bool:
        """Whether the configuration names anybody, or any contact point, to call."""
        return bool(self.mention or self.on_call or self.calendar_every_s or self.contact_points)

    def may_call(self, tenant: str, now: float) -> bool:
        """Tell whether an incident of a tenant may call people now."""
        when = self.tenants[tenant].calls if tenant in self.tenants else CallsWhen.ALWAYS
        return when is CallsWhen.ALWAYS or (
            when is CallsWhen.HOURS and self.call_hours.are_now(now)
        )
