"""What is judged: some tenants in the world as it is now, and how each signal there does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model.observation import SignalState

if TYPE_CHECKING:
    from bot.core.model.observation import Fault
    from bot.core.signals.probe_threshold import Signal
    from bot.core.state.rules import Rules
    from bot.core.state.shared import Outside
    from bot.core.state.stimulus import World
from bot.core.model.observation import FRESH_S

MOST_FAIL = 0.5
"""From this share of failing logins on, logins count as down, below as degraded."""
LATELY_S = 600.0
"""How long a trouble that ended still counts for its neighbours."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: some tenants, in the world as it is now."""

    tenants: tuple[str, ...]
    world: World
    outside: Outside
    rules: Rules
    now: float
    since: float

    def environment(self, tenant: str) -> str | None:
        """Return a tenant's environment, if it is known."""
        return self.world.environment(tenant, self.rules)


def fails(signal: Signal) -> bool:
    """Tell whether a signal is in trouble beyond one single failure."""
    return signal.state is SignalState.FIRING or len(signal.faults) > 1


def works(signal: Signal, now: float) -> bool:
    """Tell whether a signal is known to be well now, and was so for a while.

    Slow answers are no sign of health.
    """
    return (
        signal.state is SignalState.OK
        and signal.last_ok_at is not None
        and now - signal.last_ok_at < FRESH_S
        and not ended_just_now(signal, now)
        and not signal.tempo.is_slowing
    )


def usual_fault(signal: Signal) -> Fault | None:
    """Return the fault that a signal's window shows most often, the newest of its kind."""
    faults = signal.faults
    kinds = [(fault.stage, fault.reason) for fault in faults]
    most = max(dict.fromkeys(kinds), key=kinds.count, default=None)
    return next((f for f in reversed(faults) if (f.stage, f.reason) == most), None)


def ended_just_now(signal: Signal, now: float) -> bool:
    """In a partial outage a signal comes and goes; that must not turn the verdict each time."""
    return signal.ended_at is not None and now - signal.ended_at < LATELY_S


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Name at most five."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"  # noqa: PLR2004


def is_down(case: Case, tenant: str) -> bool:
    """Tell whether most of a tenant's logins fail, and not only a part."""
    signals = case.world.tenants[tenant].signals
    return any(
        fails(signals[login]) and signals[login].share >= MOST_FAIL
        for login in case.rules.tenants[tenant].logins
    )
