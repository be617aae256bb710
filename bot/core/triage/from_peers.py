"""Evidence from other tenants: who else fails, and who does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.triage.context import ended_just_now, fails, listed, usual_fault, works
from bot.core.triage.from_probes import UNREACHABLE, is_sudden, login_row
from bot.core.triage.from_users import suspect_changes
from bot.core.triage.verdict import Clue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.triage.context import Case
from bot.core.triage.from_probes import is_slow

TOGETHER_S = 180.0
OUTAGE = frozenset({"login-5xx", "login-server-error", "login-unreachable", "login-certificate"})
"""Rows that one and the same outage can give, at one tenant this and at the next that."""
OUTAGE_KIND = "outage"


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
    yield from _refused_together(case, here, others)
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
    return all(
        works(s, case.now) and not is_slow(s, case.now) and (s.last_ok_at or 0) >= case.since
        for s in signals
    )


def _refused_together(case: Case, here: set[str | None], others: list[str]) -> Iterator[Clue]:
    """Say who else was refused suddenly and at once, where nobody is known to have changed a thing.

    Two people do not err in the same minutes.
    """
    if any(suspect_changes(case, name) for name in case.rules.tenants):
        return
    mine = [at for name in case.tenants for at in _refused_at(case, name)]
    if len(case.tenants) > 1:
        names = [name for name in case.tenants[1:] if list(_refused_at(case, name))]
    else:
        names = [
            name
            for name in others
            if any(abs(at - own) < TOGETHER_S for at in _refused_at(case, name) for own in mine)
        ]
    if mine and (near := [n for n in names if case.environment(n) in here - {None}]):
        yield Clue("same-environment-refused", {"names": listed(near)})


def _refused_at(case: Case, name: str) -> Iterator[float]:
    state = case.world.tenants[name]
    for login in case.rules.tenants[name].logins:
        signal = state.signals[login]
        fault = usual_fault(signal)
        if fault and signal.since is not None and fails(signal) and is_sudden(signal, fault):
            yield signal.since
