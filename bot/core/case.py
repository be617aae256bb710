"""What is judged: some tenants in the world as it is now, and how each signal there does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model import SignalState

if TYPE_CHECKING:
    from bot.core.detector import Signal
    from bot.core.model import Fault
    from bot.core.outside import Outside
    from bot.core.rules import Rules
    from bot.core.stimulus import World

FRESH_S = 150.0
"""How long a look at something healthy counts: two and a half routine intervals."""
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
