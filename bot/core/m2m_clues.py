"""What a machine's token says in a case: it passes neither the user store nor login Actions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.case import ended_just_now, fails, usual_fault, works
from bot.core.fault import describe, is_rate_limited
from bot.core.model import M2M, SignalState, Stage
from bot.core.triage import Clue
from bot.core.trouble import is_down

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.case import Case
    from bot.core.detector import Signal
    from bot.core.model import Fault

FORBIDDEN = 403
"""Up to here an OAuth error is about the application that asks."""


def m2m_clues(case: Case, name: str) -> Iterator[Clue]:
    """Yield how a machine does beside a tenant's logins, or that it alone fails."""
    state = case.world.tenants[name]
    machine = state.signals.get(M2M)
    if machine is None:
        return
    logins = [state.signals[login] for login in case.rules.tenants[name].logins]
    failing = [signal for signal in logins if fails(signal)]
    fault = usual_fault(machine)
    if fault and failing and machine.ever_ok and (fails(machine) or not machine.run):
        yield Clue("m2m-fails", {"tenant": name, "what": describe(fault)})
    elif fault and fails(machine) and all(works(signal, case.now) for signal in logins):
        yield Clue(_alone_row(fault), {"tenant": name, "what": describe(fault)})
    elif is_down(case, name) and _has_worked(machine, failing, case.now):
        yield Clue("m2m-ok", {"tenant": name})


def _has_worked(machine: Signal, failing: list[Signal], now: float) -> bool:
    """Tell whether a token came since the logins began to fail, however long ago that is.

    Where only a part of the logins fails, one token that comes proves nothing.
    """
    since = min(signal.since or now for signal in failing)
    is_well = machine.state is SignalState.OK and not ended_just_now(machine, now)
    return is_well and (machine.last_ok_at or 0.0) >= since


def _alone_row(fault: Fault) -> str:
    if is_rate_limited(fault):
        return "m2m-429"
    is_about_us = fault.stage is Stage.OAUTH and (fault.status or 0) <= FORBIDDEN
    return "m2m-refused" if is_about_us else "m2m-only"
