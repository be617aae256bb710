"""What is looked at when a signal fails, to tell the causes apart: itself, its twin, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.detector import pace_s
from bot.core.fault import is_refusal
from bot.core.model import CUSTOM, M2M, WELLKNOWN, SignalState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.detector import Signal
    from bot.core.rules import TenantRules
    from bot.core.tenant_state import TenantState

SWAP_EVERY = 4
"""In a burst each fourth login goes by the other domain."""
ASIDES = {WELLKNOWN: 2, M2M: 4}
"""What a burst looks at beside its suspect until that fires: in every second slot, or fourth."""


def burst(state: TenantState, name: str, now: float, rules: TenantRules) -> tuple[str, ...]:
    """Return what one slot of a burst looks at: the suspect, or its twin; and what tells more."""
    signal = state.signals[name]
    pace = pace_s(signal, now, rules.limits_of(name)) or rules.limits.confirm_every_s
    slot = round((now - (signal.since or now)) / pace)
    other = twin(name, rules)
    is_twins_turn = other and slot % SWAP_EVERY == SWAP_EVERY - 1 and not _is_refused(signal)
    first = other if other and is_twins_turn else name
    if signal.state is not SignalState.PENDING:
        return (first,)
    return (first, *_quiet(state, (aside for aside, every in ASIDES.items() if slot % every == 0)))


def companions(state: TenantState, name: str, rules: TenantRules) -> tuple[str, ...]:
    """Return what a signal's first failure is held against at once."""
    return tuple(_quiet(state, rules.logins[:1] if name in ASIDES else ASIDES))


def twin(name: str, rules: TenantRules) -> str | None:
    """Return the same login on the other domain."""
    if rules.custom_domain is None:
        return None
    return {rules.logins[0]: CUSTOM, CUSTOM: rules.logins[0]}.get(name)


def _quiet(state: TenantState, names: Iterable[str]) -> list[str]:
    """Leave out what is not there, and what fails: that has its own burst."""
    well = [name for name, signal in state.signals.items() if signal.state is SignalState.OK]
    return [name for name in names if name in well]


def _is_refused(signal: Signal) -> bool:
    return bool(signal.faults) and is_refusal(signal.faults[-1])
