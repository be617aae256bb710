"""Evidence from a tenant's own probes: its logins, machine tokens, and slow answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.fault import describe_fault, is_rate_limited, is_refusal
from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, Fault, SignalState, Stage
from bot.core.triage.context import (
    RECENTLY_ENDED_S,
    has_just_recovered,
    is_down,
    is_signal_failing,
    is_signal_healthy,
    join_names,
    most_frequent_fault,
)
from bot.core.triage.verdict import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.triage.context import TriageContext

UNREACHABLE_STAGES = frozenset({Stage.DNS, Stage.CONNECT, Stage.TIMEOUT})
SUDDEN_S = 180.0
QUOTA_LOW = 2
"""Requests left in the tenant's bucket: the next ones are refused."""
CERTIFICATE_REASONS = frozenset({"expired", "wrong_host", "untrusted", "not_yet_valid"})


def collect_probe_evidence(case: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield what one tenant's own signals say."""
    state, rules = case.all_tenants.states[name], case.rules.tenants[name]
    if state.no_data_since is not None:
        minutes = round((case.now - state.no_data_since) / 60)
        yield RuleMatch("blind", {"tenant": name, "minutes": minutes, "what": "we could not look"})
        return
    failing = [login for login in rules.logins if is_signal_failing(state.probes[login])]
    first = state.probes[rules.logins[0]]
    is_login_well = (
        is_signal_healthy(first, case.now) and not failing and not is_slow(first, case.now)
    )
    yield from _collect_login_evidence(case, name, failing)
    wellknown = state.probes[WELLKNOWN]
    if is_login_well:
        yield RuleMatch("login-ok", {"tenant": name})
    if wellknown.faults:
        yield RuleMatch(
            _wellknown_rule_id(wellknown), {"tenant": name, "what": _describe_signal(wellknown)}
        )
    elif is_signal_healthy(wellknown, case.now):
        yield RuleMatch("wellknown-ok", {"tenant": name})
    custom = state.probes.get(CUSTOM)
    if custom and is_signal_failing(custom) and is_login_well and not wellknown.faults:
        yield RuleMatch("custom-only", {"tenant": name, "what": _describe_signal(custom)})
    elif custom and failing and is_signal_healthy(custom, case.now):
        yield RuleMatch("canonical-only", {"tenant": name})
    yield from collect_m2m_evidence(case, name)


def _collect_login_evidence(
    case: TriageContext, name: str, failing: list[str]
) -> Iterator[RuleMatch]:
    signals = case.all_tenants.states[name].probes
    for login in failing:
        yield from _collect_failing_login_evidence(name, signals[login])
    logins = case.rules.tenants[name].logins
    well = [n for n in logins if n not in failing and is_signal_healthy(signals[n], case.now)]
    if failing and well:
        yield RuleMatch("other-login-ok", {"tenant": name, "names": join_names(well)})


def _wellknown_rule_id(signal: ProbeState) -> str:
    fault = most_frequent_fault(signal)
    return (
        "wellknown-unreachable"
        if fault and fault.stage in UNREACHABLE_STAGES
        else "wellknown-fails"
    )


def _collect_failing_login_evidence(name: str, signal: ProbeState) -> Iterator[RuleMatch]:
    fault = most_frequent_fault(signal)
    if fault is None:
        return
    figures: dict[str, str | int] = {
        "tenant": name,
        "what": describe_fault(fault),
        "failed": len(signal.faults),
        "tries": len(signal.tries),
    }
    yield RuleMatch(login_rule_id(fault), figures)
    if not signal.ever_ok:
        yield RuleMatch("never-ok", {"tenant": name})
    elif is_sudden(signal, fault):
        yield RuleMatch("sudden", {"tenant": name})
    if signal.quota_remaining is not None and signal.quota_remaining <= QUOTA_LOW:
        yield RuleMatch("quota-low", {"tenant": name, "what": signal.quota_remaining})


def is_sudden(signal: ProbeState, fault: Fault) -> bool:
    """Tell a refusal, or a wrong token, that came within a few minutes of a success.

    Nobody may have changed a thing: on 2018-01-17 (EU) an outage gave 401 and 404.
    """
    # A 429 is about how much we ask: an address that is throttled is so at all tenants.
    is_mistake = fault.status is not None and fault.status < 500 and fault.status != 429  # noqa: PLR2004 - HTTP
    since = signal.since
    last = signal.good_before
    return is_mistake and last is not None and since is not None and since - last < SUDDEN_S


def login_rule_id(fault: Fault) -> str:
    """Return the row of the table that a failed login belongs to."""
    by_stage = {
        Stage.TOKEN: "login-wrong-token",
        Stage.PROOF: "login-no-proof",
        Stage.TLS: "login-certificate"
        if fault.reason in CERTIFICATE_REASONS
        else "login-unreachable",
    }
    if fault.stage in UNREACHABLE_STAGES:
        return "login-unreachable"
    return by_stage.get(fault.stage) or _answer_rule_id(fault)


def _answer_rule_id(fault: Fault) -> str:
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


def _describe_signal(signal: ProbeState) -> str:
    return describe_fault(fault) if (fault := most_frequent_fault(signal)) else "unknown"


FORBIDDEN = 403
"""Up to here an OAuth error is about the application that asks."""


def collect_m2m_evidence(case: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield how a machine does beside a tenant's logins, or that it alone fails."""
    state = case.all_tenants.states[name]
    machine = state.probes.get(M2M)
    if machine is None:
        return
    logins = [state.probes[login] for login in case.rules.tenants[name].logins]
    failing = [signal for signal in logins if is_signal_failing(signal)]
    fault = most_frequent_fault(machine)
    if (
        fault
        and failing
        and machine.ever_ok
        and (is_signal_failing(machine) or not machine.successes_in_a_row)
    ):
        yield RuleMatch("m2m-fails", {"tenant": name, "what": describe_fault(fault)})
    elif (
        fault
        and is_signal_failing(machine)
        and all(is_signal_healthy(signal, case.now) for signal in logins)
    ):
        yield RuleMatch(_m2m_only_rule_id(fault), {"tenant": name, "what": describe_fault(fault)})
    elif is_down(case, name) and _has_worked(machine, failing, case.now):
        yield RuleMatch("m2m-ok", {"tenant": name})


def _has_worked(machine: ProbeState, failing: list[ProbeState], now: float) -> bool:
    """Tell whether a token came since the logins began to fail, however long ago that is.

    Where only a part of the logins fails, one token that comes proves nothing.
    """
    since = min(signal.since or now for signal in failing)
    is_well = machine.state is SignalState.OK and not has_just_recovered(machine, now)
    return is_well and (machine.last_ok_at or 0.0) >= since


def _m2m_only_rule_id(fault: Fault) -> str:
    if is_rate_limited(fault):
        return "m2m-429"
    is_about_us = fault.stage is Stage.OAUTH and (fault.status or 0) <= FORBIDDEN
    return "m2m-refused" if is_about_us else "m2m-only"


def is_slow(signal: ProbeState, now: float) -> bool:
    """Tell whether a signal is slow, or was a moment ago."""
    ended_at = signal.latency.ended_at
    return signal.latency.is_slow or (ended_at is not None and now - ended_at < RECENTLY_ENDED_S)


def collect_latency_evidence(case: TriageContext) -> Iterator[RuleMatch]:
    """Yield who is slow: the tenants of the case, others, and neutral hosts."""
    slow = [name for name in case.rules.tenants if _is_login_slow(case, name)]
    for name in case.tenants:
        signals = case.all_tenants.states[name].probes
        if name in slow:
            login = next(s for s in _login_signals(case, name) if is_slow(s, case.now))
            yield RuleMatch("login-slow", {"tenant": name, "what": _describe_latency(login)})
            if WELLKNOWN in signals and is_slow(signals[WELLKNOWN], case.now):
                yield RuleMatch(
                    "wellknown-slow",
                    {"tenant": name, "what": _describe_latency(signals[WELLKNOWN])},
                )
    here = {case.environment(name) for name in case.tenants if name in slow}
    others = [name for name in slow if name not in case.tenants]
    near = [name for name in others if case.environment(name) in here - {None}]
    if here and near:
        yield RuleMatch("same-environment-slow", {"names": join_names(near)})
    if here and (far := [name for name in others if name not in near]):
        yield RuleMatch("elsewhere-slow", {"names": join_names(far)})
    controls = [n for n, s in case.shared.controls.items() if is_slow(s, case.now)]
    if controls:
        yield RuleMatch("controls-slow", {"names": join_names(controls)})


def _login_signals(case: TriageContext, name: str) -> list[ProbeState]:
    return [
        case.all_tenants.states[name].probes[login] for login in case.rules.tenants[name].logins
    ]


def _is_login_slow(case: TriageContext, name: str) -> bool:
    return any(is_slow(signal, case.now) for signal in _login_signals(case, name))


def _describe_latency(signal: ProbeState) -> str:
    return f"{signal.latency.recent_median_s:.1f} s, usually {signal.latency.median_s:.1f} s"
