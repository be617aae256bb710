"""The state of one tenant."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from typing import TYPE_CHECKING

from bot.core.model.observation import Health
from bot.core.signals.external_alerts import Monitor
from bot.core.signals.history import RecentLogins
from bot.core.signals.login_budget import LoginBudget
from bot.core.signals.metric_threshold import MetricState
from bot.core.signals.probe_threshold import ProbeState

if TYPE_CHECKING:
    from collections.abc import Iterator

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

    @cached_property
    def health(self) -> Health:
        """What is wrong with any of its signals, and whether it has data."""
        health = Health.NO_DATA if isinstance(self.data, NoData) else Health(0)
        return reduce(or_, (each for _, each in self._signals()), health)

    def _signals(self) -> Iterator[tuple[str, Health]]:
        for signals in (self.probes, self.metrics, self.monitors):
            for name, signal in signals.items():
                yield name, signal.health

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
