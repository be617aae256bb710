"""Who answers slowly, against its own past."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.case import LATELY_S, listed
from bot.core.model import WELLKNOWN
from bot.core.triage import Clue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.case import Case
    from bot.core.detector import Signal


def is_slow(signal: Signal, now: float) -> bool:
    """Tell whether a signal is slow, or was a moment ago."""
    ended_at = signal.tempo.ended_at
    return signal.tempo.is_slow or (ended_at is not None and now - ended_at < LATELY_S)


def slow_clues(case: Case) -> Iterator[Clue]:
    """Yield who is slow: the tenants of the case, others, and neutral hosts."""
    slow = [name for name in case.rules.tenants if _is_login_slow(case, name)]
    for name in case.tenants:
        signals = case.world.tenants[name].signals
        if name in slow:
            login = next(s for s in _logins(case, name) if is_slow(s, case.now))
            yield Clue("login-slow", {"tenant": name, "what": _what(login)})
            if WELLKNOWN in signals and is_slow(signals[WELLKNOWN], case.now):
                yield Clue("wellknown-slow", {"tenant": name, "what": _what(signals[WELLKNOWN])})
    here = {case.environment(name) for name in case.tenants if name in slow}
    others = [name for name in slow if name not in case.tenants]
    near = [name for name in others if case.environment(name) in here - {None}]
    if here and near:
        yield Clue("same-environment-slow", {"names": listed(near)})
    if here and (far := [name for name in others if name not in near]):
        yield Clue("elsewhere-slow", {"names": listed(far)})
    controls = [n for n, s in case.outside.controls.items() if is_slow(s, case.now)]
    if controls:
        yield Clue("controls-slow", {"names": listed(controls)})


def _logins(case: Case, name: str) -> list[Signal]:
    return [case.world.tenants[name].signals[login] for login in case.rules.tenants[name].logins]


def _is_login_slow(case: Case, name: str) -> bool:
    return any(is_slow(signal, case.now) for signal in _logins(case, name))


def _what(signal: Signal) -> str:
    return f"{signal.tempo.now_s:.1f} s, usually {signal.tempo.usual_s:.1f} s"
