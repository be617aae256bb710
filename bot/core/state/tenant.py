"""The state of one tenant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.signals.external_alerts import Monitor
from bot.core.signals.history import RecentLogins
from bot.core.signals.login_budget import LoginBudget
from bot.core.signals.metric_threshold import MetricState
from bot.core.signals.probe_threshold import ProbeState

if TYPE_CHECKING:
    from bot.core.state.rules import Rules


@dataclass(frozen=True, slots=True)
class TenantState:
    """The state of one tenant."""

    probes: dict[str, ProbeState] = field(default_factory=dict)
    due: dict[str, float | None] = field(default_factory=dict)
    """When each signal is checked next; None: not by itself."""
    budgets: dict[str, LoginBudget] = field(default_factory=dict)
    """By login."""
    last_data_at: float | None = None
    """When a probe last had a usable result, good or bad."""
    no_data_since: float | None = None
    data_again_since: float | None = None
    """While there is no data: when usable results began again. It ends once they have lasted."""
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


@dataclass(frozen=True, slots=True)
class Tenants:
    """The states of all tenants, by name, for a step of the desk."""

    states: dict[str, TenantState]

    def environment(self, name: str, rules: Rules) -> str | None:
        """Return a tenant's environment: from the configuration, else from its own log."""
        return rules.tenants[name].environment or self.states[name].environment or None
