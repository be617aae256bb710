"""What triage judges: some tenants and the state of everything now, and how each signal does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model.observation import FRESH_S, SignalState
from bot.core.signals.probe_threshold import Reason
from bot.core.state.silence import is_window_active

if TYPE_CHECKING:
    from bot.core.signals.metric_threshold import MetricState
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import SharedSignals, Tenants

DOWN_SHARE = 0.5
"""From this share of failed logins on, logins count as down, below as degraded."""
RECENTLY_ENDED_S = 600.0
"""How long a problem that ended still counts as evidence at other tenants."""


@dataclass(frozen=True, slots=True)
class TriageContext:
    """What triage judges: the tenants in question, and the state of everything now."""

    tenants: tuple[str, ...]
    all_tenants: Tenants
    shared: SharedSignals
    rules: Rules
    now: float
    since: float
    """When the first failing request began."""
    silenced: frozenset[str] = frozenset()
    """Tenants that people have silenced."""

    def is_worked_on(self, tenant: str) -> bool:
        """Tell whether people work on a tenant, so that its failures may be theirs."""
        windows = self.rules.maintenance_windows
        is_in_window = any(is_window_active(window, tenant, self.now) for window in windows)
        return tenant in self.silenced or is_in_window

    def environment(self, tenant: str) -> str | None:
        """Return a tenant's environment, if it is known."""
        return self.all_tenants.environment(tenant, self.rules)

    def logins(self, tenant: str) -> list[ProbeState]:
        """Return the signals of a tenant's logins by its canonical domain."""
        probes = self.all_tenants.states[tenant].probes
        return [probes[login] for login in self.rules.tenants[tenant].logins]


def is_signal_healthy(signal: ProbeState, now: float) -> bool:
    """Tell whether a signal is known to be healthy now, and has been for a while.

    Slow answers are no sign of health.
    """
    return (
        signal.state is SignalState.OK
        and signal.last_ok_at is not None
        and now - signal.last_ok_at < FRESH_S
        and not has_just_recovered(signal, now)
        and not signal.latency.is_slowing
    )


def has_just_recovered(signal: ProbeState, now: float) -> bool:
    """In a partial outage a signal comes and goes; that must not turn the verdict each time."""
    return signal.ended_at is not None and now - signal.ended_at < RECENTLY_ENDED_S


def is_down(context: TriageContext, tenant: str) -> bool:
    """Tell whether most of a tenant's logins fail, and not only a part."""
    logins = context.logins(tenant)
    return any(login.is_failing and login.failed_share >= DOWN_SHARE for login in logins)


def is_user_failure(metric: MetricState) -> bool:
    """Tell whether a metric shows that users fail, not that they stay away."""
    return metric.is_firing and metric.reason in {Reason.SHARE, Reason.EVENTS}


def is_stale(metric: MetricState, context: TriageContext) -> bool:
    """Tell whether the newest counts of a metric are too old to tell of now."""
    return context.now - (metric.read_at or 0.0) > FRESH_S
