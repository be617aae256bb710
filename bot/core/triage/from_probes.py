"""Evidence from a tenant's own probes: its logins, machine tokens, and slow answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.fault import describe, is_rate_limited, is_refusal
from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, Fault, SignalState, Stage
from bot.core.triage.context import (
    LATELY_S,
    ended_just_now,
    fails,
    is_down,
    listed,
    usual_fault,
    works,
)
from bot.core.triage.verdict import Clue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.signals.probe_threshold import Signal
    from bot.core.triage.context import Case

UNREACHABLE = frozenset({Stage.DNS, Stage.CONNECT, Stage.TIMEOUT})
SUDDEN_S = 180.0
QUOTA_LOW = 2
"""Requests left in the tenant's bucket: the next ones are refused."""
CERTIFICATE = frozenset({"expired", "wrong_host", "untrusted", "not_yet_valid"})


def tenant_clues(case: Case, name: str) -> Iterator[Clue]:
    """Yield what one tenant's own signals say."""
    state, rules = case.world.tenants[name], case.rules.tenants[name]
    if state.blind_since is not None:
        minutes = round((case.now - state.blind_since) / 60)
        yield Clue("blind", {"tenant": name, "minutes": minutes, "what": "we could not look"})
        return
    failing = [login for login in rules.logins if fails(state.signals[login])]
    first = state.signals[rules.logins[0]]
    is_login_well = works(first, case.now) and not failing and not is_slow(first, case.now)
    yield from _logins_clues(case, name, failing)
    wellknown = state.signals[WELLKNOWN]
    if is_login_well:
        yield Clue("login-ok", {"tenant": name})
    if wellknown.faults:
        yield Clue(_wellknown_row(wellknown), {"tenant": name, "what": _what(wellknown)})
    elif works(wellknown, case.now):
        yield Clue("wellknown-ok", {"tenant": name})
    custom = state.signals.get(CUSTOM)
    if custom and fails(custom) and is_login_well and not wellknown.faults:
        yield Clue("custom-only", {"tenant": name, "what": _what(custom)})
    elif custom and failing and works(custom, case.now):
        yield Clue("canonical-only", {"tenant": name})
    yield from m2m_clues(case, name)


def _logins_clues(case: Case, name: str, failing: list[str]) -> Iterator[Clue]:
    signals = case.world.tenants[name].signals
    for login in failing:
        yield from _login_clues(name, signals[login])
    logins = case.rules.tenants[name].logins
    well = [n for n in logins if n not in failing and works(signals[n], case.now)]
    if failing and well:
        yield Clue("other-login-ok", {"tenant": name, "names": listed(well)})


def _wellknown_row(signal: Signal) -> str:
    fault = usual_fault(signal)
    return "wellknown-unreachable" if fault and fault.stage in UNREACHABLE else "wellknown-fails"


def _login_clues(name: str, signal: Signal) -> Iterator[Clue]:
    fault = usual_fault(signal)
    if fault is None:
        return
    figures: dict[str, str | int] = {
        "tenant": name,
        "what": describe(fault),
        "failed": len(signal.faults),
        "tries": len(signal.tries),
    }
    yield Clue(login_row(fault), figures)
    if not signal.ever_ok:
        yield Clue("never-ok", {"tenant": name})
    elif is_sudden(signal, fault):
        yield Clue("sudden", {"tenant": name})
    if signal.quota_remaining is not None and signal.quota_remaining <= QUOTA_LOW:
        yield Clue("quota-low", {"tenant": name, "what": signal.quota_remaining})


def is_sudden(signal: Signal, fault: Fault) -> bool:
    """Tell a refusal, or a wrong token, that came within a few minutes of a success.

    Nobody may have changed a thing: on 2018-01-17 (EU) an outage gave 401 and 404.
    """
    # A 429 is about how much we ask: an address that is throttled is so at all tenants.
    is_mistake = fault.status is not None and fault.status < 500 and fault.status != 429  # noqa: PLR2004 - HTTP
    since = signal.since
    last = signal.good_before
    return is_mistake and last is not None and since is not None and since - last < SUDDEN_S


def login_row(fault: Fault) -> str:
    """Return the row of the table that a failed login belongs to."""
    by_stage = {
        Stage.TOKEN: "login-wrong-token",
        Stage.PROOF: "login-no-proof",
        Stage.TLS: "login-certificate" if fault.reason in CERTIFICATE else "login-unreachable",
    }
    if fault.stage in UNREACHABLE:
        return "login-unreachable"
    return by_stage.get(fault.stage) or _answer_row(fault)


def _answer_row(fault: Fault) -> str:
    if is_refusal(fault):
        return "login-refused"
    if is_rate_limited(fault):
        return "login-429"
    if fault.error == "server_error":
        return "login-server-error"
    if fault.error == "access_denied" and fault.status == 403:  # noqa: PLR2004 - HTTP
        return "login-denied"
    return "login-not-allowed" if fault.stage is Stage.OAUTH and not _is_5xx(fault) else "login-5xx"


def _is_5xx(fault: Fault) -> bool:
    return fault.status is not None and fault.status >= 500  # noqa: PLR2004 - HTTP


def _what(signal: Signal) -> str:
    return describe(fault) if (fault := usual_fault(signal)) else "unknown"


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
            yield Clue("login-slow", {"tenant": name, "what": _slow_text(login)})
            if WELLKNOWN in signals and is_slow(signals[WELLKNOWN], case.now):
                yield Clue(
                    "wellknown-slow", {"tenant": name, "what": _slow_text(signals[WELLKNOWN])}
                )
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


def _slow_text(signal: Signal) -> str:
    return f"{signal.tempo.now_s:.1f} s, usually {signal.tempo.usual_s:.1f} s"
