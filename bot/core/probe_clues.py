"""What the synthetic logins say in a case: one tenant by itself, and tenants side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.case import ended_just_now, fails, listed, usual_fault, works
from bot.core.fault import describe, is_rate_limited, is_refusal
from bot.core.model import CUSTOM, WELLKNOWN, Fault, Stage
from bot.core.triage import Clue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.case import Case
    from bot.core.detector import Signal

UNREACHABLE = frozenset({Stage.DNS, Stage.CONNECT, Stage.TIMEOUT})
CERTIFICATE = frozenset({"expired", "wrong_host", "untrusted", "not_yet_valid"})
OUTAGE = frozenset({"login-5xx", "login-server-error", "login-unreachable", "login-certificate"})
"""Rows that one and the same outage can give, at one tenant this and at the next that."""
OUTAGE_KIND = "outage"


def tenant_clues(case: Case, name: str) -> Iterator[Clue]:
    """Yield what one tenant's own signals say."""
    state, rules = case.world.tenants[name], case.rules.tenants[name]
    if state.blind_since is not None:
        minutes = round((case.now - state.blind_since) / 60)
        yield Clue("blind", {"tenant": name, "minutes": minutes, "what": "we could not look"})
        return
    failing = [login for login in rules.logins if fails(state.signals[login])]
    is_login_well = works(state.signals[rules.logins[0]], case.now) and not failing
    for login in failing:
        yield from _login_clues(name, state.signals[login])
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


def peer_clues(case: Case) -> Iterator[Clue]:
    """Compare the tenants with one another and with all others.

    What fails alike speaks for a common cause only where it looks like an outage: the same
    mistake made at two tenants is still ours.
    """
    failing = [name for name in case.rules.tenants if OUTAGE_KIND in kinds(case, name)]
    bad = [name for name in case.tenants if name in failing]
    here = {case.environment(name) for name in bad or case.tenants}
    others = [name for name in case.rules.tenants if name not in case.tenants]
    near = [name for name in others if case.environment(name) in here - {None}]
    far = [name for name in others if name not in near]
    if bad:
        yield from _failing_together(bad, here, near=_in(near, failing), far=_in(far, failing))
    if len(failing) > 1 and _is_nothing_reached(case):
        yield Clue("nothing-reached")
    working = [name for name in others if _tenant_works(case, name)]
    if near_ok := _in(near, working):
        yield Clue("same-environment-ok", {"names": listed(near_ok)})
    if (far_ok := _in(far, working)) and not _in(far, failing):
        yield Clue("elsewhere-ok", {"names": listed(far_ok)})


def _failing_together(
    bad: list[str], here: set[str | None], *, near: list[str], far: list[str]
) -> Iterator[Clue]:
    if len(here) > 1 or far:
        yield Clue("elsewhere-fails", {"names": listed([*(bad if len(here) > 1 else ()), *far])})
    if same := [*bad[1:], *near] if len(here) == 1 else near:
        yield Clue("same-environment-fails", {"names": listed(same)})


def _is_nothing_reached(case: Case) -> bool:
    """Tell whether no tenant and no neutral host can be reached at all."""
    states = case.world.tenants.values()
    signals = [s for state in states for s in state.signals.values() if s.last_at is not None]
    faults = [usual_fault(signal) for signal in signals]
    is_all = all(fault and fault.stage in UNREACHABLE for fault in faults)
    return is_all and not any(works(s, case.now) for s in case.outside.controls.values())


def _in(names: list[str], group: list[str]) -> list[str]:
    return [name for name in names if name in group]


def kinds(case: Case, name: str) -> set[str]:
    """Return in which ways a tenant fails: what fails in another way fails for another reason."""
    signals = case.world.tenants[name].signals.values()
    bad = [s for s in signals if fails(s) or ended_just_now(s, case.now)]
    rows = {login_row(fault) for s in bad if (fault := usual_fault(s) or s.last_fault)}
    return {OUTAGE_KIND if row in OUTAGE else row for row in rows}


def _tenant_works(case: Case, name: str) -> bool:
    """Tell whether a tenant's logins worked since the trouble began: before it proves nothing."""
    signals = [case.world.tenants[name].signals[login] for login in case.rules.tenants[name].logins]
    return all(works(s, case.now) and (s.last_ok_at or 0) >= case.since for s in signals)
