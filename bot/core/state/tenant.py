"""All that is remembered of a tenant."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.core.signals.external_alerts import Monitor
from bot.core.signals.history import RecentLogins
from bot.core.signals.login_budget import LoginBudget
from bot.core.signals.metric_threshold import MetricState
from bot.core.signals.probe_threshold import ProbeState


@dataclass(frozen=True, slots=True)
class TenantState:
    """All that is remembered of a tenant."""

    probes: dict[str, ProbeState] = field(default_factory=dict)
    due: dict[str, float | None] = field(default_factory=dict)
    """When each signal is looked at next; None: not by itself."""
    budgets: dict[str, LoginBudget] = field(default_factory=dict)
    """By login."""
    last_data_at: float | None = None
    """When we last saw anything, good or bad."""
    no_data_since: float | None = None
    data_again_since: float | None = None
    """While blind: when we began to see again; it is over once that has lasted."""
    phase: float = 0.0
    """This tenant's place in the minute, 0 to 1, so that not all are probed in the same second."""
    fingerprints: tuple[str, ...] = ()
    metrics: dict[str, MetricState] = field(default_factory=dict)
    """What others count, by the signal's name."""
    monitors: dict[str, Monitor] = field(default_factory=dict)
    """What outside monitors say, by the monitor's name."""
    environment: str = ""
    """As the tenant's own log names it; empty until it does."""
    watched_since: float | None = None
    """When we first saw anything of it: what was before is not known."""
    recent_logins: RecentLogins = ()
    """Its logins, by whichever domain."""
