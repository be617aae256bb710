"""What is judged: some tenants in the world as it is now, and how each signal there does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model.observation import SignalState

if TYPE_CHECKING:
    from bot.core.model.observation import Fault
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.rules import Rules
    from bot.core.state.shared import SharedSignals
    from bot.core.state.stimulus import Tenants
from bot.core.model.observation import FRESH_S

DOWN_SHARE = 0.5
"""From this share of failing logins on, logins count as down, below as degraded."""
RECENTLY_ENDED_S = 600.0
"""How long a trouble that ended still counts for its neighbours."""


@dataclass(frozen=True, slots=True)
class TriageContext:
    """What is judged: some tenants, in the world as it is now."""

    tenants: tuple[str, ...]
    all_tenants: Tenants
    shared: SharedSignals
    rules: Rules
    now: float
    since: float

    def environment(self, tenant: str) -> str | None:
        """Return a tenant's environment, if it is known."""
        return self.all_tenants.environment(tenant, self.rules)


def is_signal_failing(signal: ProbeState) -> bool:
    """Tell whether a signal is in trouble beyond one single failure."""
    return signal.state is SignalState.FIRING or len(signal.faults) > 1


def is_signal_healthy(signal: ProbeState, now: float) -> bool:
    """Tell whether a signal is known to be well now, and was so for a while.

    Slow answers are no sign of health.
    """
    return (
        signal.state is SignalState.OK
        and signal.last_ok_at is not None
        and now - signal.last_ok_at < FRESH_S
        and not has_just_recovered(signal, now)
        and not signal.latency.is_slowing
    )


def most_frequent_fault(signal: ProbeState) -> Fault | None:
    """Return the fault that a signal's window shows most often, the newest of its kind."""
    faults = signal.faults
    kinds = [(fault.stage, fault.reason) for fault in faults]
    most = max(dict.fromkeys(kinds), key=kinds.count, default=None)
    return next((f for f in reversed(faults) if (f.stage, f.reason) == most), None)


def has_just_recovered(signal: ProbeState, now: float) -> bool:
    """In a partial outage a signal comes and goes; that must not turn the verdict each time."""
    return signal.ended_at is not None and now - signal.ended_at < RECENTLY_ENDED_S


def join_names(names: list[str] | tuple[str, ...]) -> str:
    """Name at most five."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"  # noqa: PLR2004


def is_down(case: TriageContext, tenant: str) -> bool:
    """Tell whether most of a tenant's logins fail, and not only a part."""
    signals = case.all_tenants.states[tenant].probes
    return any(
        is_signal_failing(signals[login]) and signals[login].failed_share >= DOWN_SHARE
        for login in case.rules.tenants[tenant].logins
    )
