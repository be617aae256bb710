"""Evidence from other tenants: who else fails, and who does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.triage.context import (
    has_just_recovered,
    is_signal_failing,
    is_signal_healthy,
    join_names,
    most_frequent_fault,
)
from bot.core.triage.from_probes import UNREACHABLE_STAGES, is_sudden, login_rule_id
from bot.core.triage.from_users import suspect_changes
from bot.core.triage.verdict import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.triage.context import TriageContext
from bot.core.triage.from_probes import is_slow

TOGETHER_S = 180.0
OUTAGE_RULE_IDS = frozenset(
    {"login-5xx", "login-server-error", "login-unreachable", "login-certificate"}
)
"""Rows that one and the same outage can give, at one tenant this and at the next that."""
OUTAGE_KIND = "outage"


def collect_peer_evidence(case: TriageContext) -> Iterator[RuleMatch]:
    """Compare the tenants with one another and with all others.

    What fails alike speaks for a common cause only where it looks like an outage: the same
    mistake made at two tenants is still ours.
    """
    failing = [name for name in case.rules.tenants if OUTAGE_KIND in failure_kinds(case, name)]
    bad = [name for name in case.tenants if name in failing]
    here = {case.environment(name) for name in bad or case.tenants}
    others = [name for name in case.rules.tenants if name not in case.tenants]
    near = [name for name in others if case.environment(name) in here - {None}]
    far = [name for name in others if name not in near]
    if bad:
        yield from _collect_shared_failures(
            bad, here, near=_intersect(near, failing), far=_intersect(far, failing)
        )
    if len(failing) > 1 and _is_all_unreachable(case):
        yield RuleMatch("nothing-reached")
    yield from _collect_shared_refusals(case, here, others)
    working = [name for name in others if _is_tenant_healthy(case, name)]
    if near_ok := _intersect(near, working):
        yield RuleMatch("same-environment-ok", {"names": join_names(near_ok)})
    if (far_ok := _intersect(far, working)) and not _intersect(far, failing):
        yield RuleMatch("elsewhere-ok", {"names": join_names(far_ok)})


def _collect_shared_failures(
    bad: list[str], here: set[str | None], *, near: list[str], far: list[str]
) -> Iterator[RuleMatch]:
    if len(here) > 1 or far:
        yield RuleMatch(
            "elsewhere-fails", {"names": join_names([*(bad if len(here) > 1 else ()), *far])}
        )
    if same := [*bad[1:], *near] if len(here) == 1 else near:
        yield RuleMatch("same-environment-fails", {"names": join_names(same)})


def _is_all_unreachable(case: TriageContext) -> bool:
    """Tell whether no tenant and no neutral host can be reached at all."""
    states = case.all_tenants.states.values()
    signals = [s for state in states for s in state.probes.values() if s.last_at is not None]
    faults = [most_frequent_fault(signal) for signal in signals]
    is_all = all(fault and fault.stage in UNREACHABLE_STAGES for fault in faults)
    return is_all and not any(is_signal_healthy(s, case.now) for s in case.shared.controls.values())


def _intersect(names: list[str], group: list[str]) -> list[str]:
    return [name for name in names if name in group]


def failure_kinds(case: TriageContext, name: str) -> set[str]:
    """Return in which ways a tenant fails: what fails in another way fails for another reason."""
    signals = case.all_tenants.states[name].probes.values()
    bad = [s for s in signals if is_signal_failing(s) or has_just_recovered(s, case.now)]
    rows = {login_rule_id(fault) for s in bad if (fault := most_frequent_fault(s) or s.last_fault)}
    return {OUTAGE_KIND if row in OUTAGE_RULE_IDS else row for row in rows}


def _is_tenant_healthy(case: TriageContext, name: str) -> bool:
    """Tell whether a tenant's logins worked since the trouble began: before it proves nothing."""
    signals = [
        case.all_tenants.states[name].probes[login] for login in case.rules.tenants[name].logins
    ]
    return all(
        is_signal_healthy(s, case.now)
        and not is_slow(s, case.now)
        and (s.last_ok_at or 0) >= case.since
        for s in signals
    )


def _collect_shared_refusals(
    case: TriageContext, here: set[str | None], others: list[str]
) -> Iterator[RuleMatch]:
    """Say who else was refused suddenly and at once, where nobody is known to have changed a thing.

    Two people do not err in the same minutes.
    """
    if any(suspect_changes(case, name) for name in case.rules.tenants):
        return
    mine = [at for name in case.tenants for at in _refusal_times(case, name)]
    if len(case.tenants) > 1:
        names = [name for name in case.tenants[1:] if list(_refusal_times(case, name))]
    else:
        names = [
            name
            for name in others
            if any(abs(at - own) < TOGETHER_S for at in _refusal_times(case, name) for own in mine)
        ]
    if mine and (near := [n for n in names if case.environment(n) in here - {None}]):
        yield RuleMatch("same-environment-refused", {"names": join_names(near)})


def _refusal_times(case: TriageContext, name: str) -> Iterator[float]:
    state = case.all_tenants.states[name]
    for login in case.rules.tenants[name].logins:
        signal = state.probes[login]
        fault = most_frequent_fault(signal)
        if (
            fault
            and signal.since is not None
            and is_signal_failing(signal)
            and is_sudden(signal, fault)
        ):
            yield signal.since
