"""What a tenant's own probes say in a case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.case import fails, listed, usual_fault, works
from bot.core.fault import describe, is_rate_limited, is_refusal
from bot.core.m2m_clues import m2m_clues
from bot.core.model import CUSTOM, WELLKNOWN, Fault, Stage
from bot.core.slow_clues import is_slow
from bot.core.triage import Clue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.case import Case
    from bot.core.detector import Signal

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
