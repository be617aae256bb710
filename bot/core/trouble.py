"""The signals of an incident that are in trouble, in figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.case import fails, usual_fault
from bot.core.incident import Trouble

if TYPE_CHECKING:
    from bot.core.case import Case
    from bot.core.detector import Signal

MOST_FAIL = 0.5
"""From this share of failing logins on, logins count as down, below as degraded."""


def is_down(case: Case, tenant: str) -> bool:
    """Tell whether most of a tenant's logins fail, and not only a part."""
    signals = case.world.tenants[tenant].signals
    return any(
        fails(signals[login]) and signals[login].share >= MOST_FAIL
        for login in case.rules.tenants[tenant].logins
    )


def signals_agreeing(case: Case) -> int:
    """Count the signals in trouble, over all tenants: two are more than one probe's whim."""
    states = case.world.tenants.values()
    return sum(fails(signal) for state in states for signal in state.signals.values())


def troubles_of(before: tuple[Trouble, ...], case: Case) -> tuple[Trouble, ...]:
    """Return the signals in trouble, in figures; those that were and are over stay listed."""
    now_firing = {
        (name, signal_name): _trouble(name, signal_name, signal)
        for name in case.tenants
        for signal_name, signal in case.world.tenants[name].signals.items()
        if fails(signal)
    }
    over = {
        (t.tenant, t.signal): replace(t, is_over=True, is_stopped=False)
        for t in before
        if (t.tenant, t.signal) not in now_firing
    }
    known = [(t.tenant, t.signal) for t in before]
    order = dict.fromkeys((*known, *now_firing))
    return tuple({**over, **now_firing}[key] for key in order)


def _trouble(tenant: str, name: str, signal: Signal) -> Trouble:
    return Trouble(
        tenant=tenant,
        signal=name,
        since=signal.since or 0.0,
        failed=len(signal.faults),
        tries=len(signal.tries),
        fault=usual_fault(signal),
        is_stopped=signal.is_stopped,
    )
