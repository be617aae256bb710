"""What speaks in a case: the clues that the tenants' signals, controls and feeds give."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.detector import Signal
from bot.core.fault import describe, is_rate_limited, is_refusal
from bot.core.model import (
    CUSTOM,
    WELLKNOWN,
    Cause,
    Fault,
    FeedState,
    Notice,
    Scope,
    SignalState,
    Stage,
    Verdict,
)
from bot.core.notice import FeedView, fitting
from bot.core.triage import Clue, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.rules import Rules
    from bot.core.stimulus import World

FRESH_S = 150.0
"""How long a look at something healthy counts: two and a half routine intervals."""
LATELY_S = 600.0
"""How long a trouble that ended still counts for its neighbours."""
UNREACHABLE = frozenset({Stage.DNS, Stage.CONNECT, Stage.TIMEOUT})
CERTIFICATE = frozenset({"expired", "wrong_host", "untrusted", "not_yet_valid"})
OUTAGE = frozenset({"login-5xx", "login-server-error", "login-unreachable", "login-certificate"})
"""Rows that one and the same outage can give, at one tenant this and at the next that."""
OUTAGE_KIND = "outage"


@dataclass(frozen=True, slots=True)
class Outside:
    """What the desk itself looks at: neutral hosts and status feeds, by name."""

    controls: dict[str, Signal] = field(default_factory=dict)
    feeds: dict[str, FeedView] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: some tenants, in the world as it is now."""

    tenants: tuple[str, ...]
    world: World
    outside: Outside
    rules: Rules
    now: float
    since: float


def verdict(case: Case) -> Verdict:
    """Judge a case."""
    return judge(tuple(clues(case)), _scopes(case), _settle(case))


def clues(case: Case) -> Iterator[Clue]:
    """Yield all that speaks in a case."""
    for name in case.tenants:
        yield from _tenant_clues(case, name)
    yield from _peer_clues(case)
    yield from _control_clues(case)
    yield from _feed_clues(case)


def fails(signal: Signal) -> bool:
    """Tell whether a signal is in trouble beyond one single failure."""
    return signal.state is SignalState.FIRING or len(signal.faults) > 1


def works(signal: Signal, now: float) -> bool:
    """Tell whether a signal is known to be well now, and was so for a while."""
    return (
        signal.state is SignalState.OK
        and signal.last_ok_at is not None
        and now - signal.last_ok_at < FRESH_S
        and not _ended_just_now(signal, now)
    )


def usual_fault(signal: Signal) -> Fault | None:
    """Return the fault that a signal's window shows most often, the newest of its kind."""
    kinds = Counter((fault.stage, fault.reason) for fault in signal.faults)
    if not kinds:
        return None
    kind = kinds.most_common(1)[0][0]
    return next(f for f in reversed(signal.faults) if (f.stage, f.reason) == kind)


def _tenant_clues(case: Case, name: str) -> Iterator[Clue]:
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


def _peer_clues(case: Case) -> Iterator[Clue]:
    """Compare the tenants with one another and with all others.

    What fails alike speaks for a common cause only where it looks like an outage: the same
    mistake made at two tenants is still ours.
    """
    failing = [name for name in case.rules.tenants if OUTAGE_KIND in _kinds(case, name)]
    bad = [name for name in case.tenants if name in failing]
    here = {case.rules.tenants[name].environment for name in bad or case.tenants}
    others = [name for name in case.rules.tenants if name not in case.tenants]
    near = [name for name in others if case.rules.tenants[name].environment in here - {None}]
    far = [name for name in others if name not in near]
    if bad:
        yield from _failing_together(bad, here, near=_in(near, failing), far=_in(far, failing))
    if len(failing) > 1 and _is_nothing_reached(case):
        yield Clue("nothing-reached")
    working = [name for name in others if _tenant_works(case, name)]
    if near_ok := _in(near, working):
        yield Clue("same-environment-ok", {"names": _names(near_ok)})
    if (far_ok := _in(far, working)) and not _in(far, failing):
        yield Clue("elsewhere-ok", {"names": _names(far_ok)})


def _failing_together(
    bad: list[str], here: set[str | None], *, near: list[str], far: list[str]
) -> Iterator[Clue]:
    if len(here) > 1 or far:
        yield Clue("elsewhere-fails", {"names": _names([*(bad if len(here) > 1 else ()), *far])})
    if same := [*bad[1:], *near] if len(here) == 1 else near:
        yield Clue("same-environment-fails", {"names": _names(same)})


def _is_nothing_reached(case: Case) -> bool:
    """Tell whether no tenant and no neutral host can be reached at all."""
    states = case.world.tenants.values()
    signals = [s for state in states for s in state.signals.values() if s.last_at is not None]
    faults = [usual_fault(signal) for signal in signals]
    is_all = all(fault and fault.stage in UNREACHABLE for fault in faults)
    return is_all and not any(works(s, case.now) for s in case.outside.controls.values())


def _in(names: list[str], group: list[str]) -> list[str]:
    return [name for name in names if name in group]


def _kinds(case: Case, name: str) -> set[str]:
    """Return in which ways a tenant fails: what fails in another way fails for another reason."""
    signals = case.world.tenants[name].signals.values()
    bad = [s for s in signals if fails(s) or _ended_just_now(s, case.now)]
    rows = {login_row(fault) for s in bad if (fault := usual_fault(s) or s.last_fault)}
    return {OUTAGE_KIND if row in OUTAGE else row for row in rows}


def _tenant_works(case: Case, name: str) -> bool:
    """Tell whether a tenant's logins worked since the trouble began: before it proves nothing."""
    signals = [case.world.tenants[name].signals[login] for login in case.rules.tenants[name].logins]
    return all(works(s, case.now) and (s.last_ok_at or 0) >= case.since for s in signals)


def _ended_just_now(signal: Signal, now: float) -> bool:
    """In a partial outage a signal comes and goes; that must not turn the verdict each time."""
    return signal.ended_at is not None and now - signal.ended_at < LATELY_S


def _control_clues(case: Case) -> Iterator[Clue]:
    bad = [name for name, signal in case.outside.controls.items() if signal.faults]
    good = [name for name, s in case.outside.controls.items() if works(s, case.now)]
    if bad and not good:
        yield Clue("controls-fail", {"names": _names(bad)})
    elif good:
        yield Clue("controls-ok", {"names": _names(good)})


def _feed_clues(case: Case) -> Iterator[Clue]:
    states = {view.state for view in feed_views(case)}
    if fitting_notices(case):
        yield Clue("notice-fits")
    elif FeedState.OK in states:
        yield Clue("notice-silent")
    if FeedState.UNREACHABLE in states:
        yield Clue("feed-unreachable")


def fitting_notices(case: Case) -> tuple[Notice, ...]:
    """Return the open posts that speak of this environment's logins at this time."""
    return fitting(feed_views(case), case.since)


def feed_views(case: Case) -> list[FeedView]:
    """Return what the feeds say that speak of a case's tenants."""
    names = {case.rules.tenants[name].feed.name for name in case.tenants}
    return [case.outside.feeds[name] for name in sorted(names) if name in case.outside.feeds]


def _scopes(case: Case) -> dict[Cause, Scope]:
    environments = {
        case.rules.tenants[n].environment
        for n in case.rules.tenants
        if n in case.tenants or _kinds(case, n)
    }
    is_wide = len(environments) > 1
    return {
        Cause.AUTH0: Scope.SEVERAL if is_wide else Scope.ENVIRONMENT,
        Cause.NETWORK: Scope.SEVERAL if len(case.tenants) > 1 or is_wide else Scope.UNKNOWN,
        Cause.TENANT: Scope.TENANT,
        Cause.PROBE: Scope.TENANT,
        Cause.QUOTA: Scope.TENANT,
    }


def _settle(case: Case) -> str:
    """Name the evidence that is missing most."""
    if not case.outside.controls:
        return "a neutral host (`controls`): it tells our network from Auth0"
    environments = {case.rules.tenants[name].environment for name in case.tenants}
    peers = [r for n, r in case.rules.tenants.items() if n not in case.tenants]
    if not any(peer.environment in environments for peer in peers):
        return "a login at another tenant of the same environment: does it fail too?"
    return "whether logins of real users fail, in the tenant's logs"


def _names(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"  # noqa: PLR2004
