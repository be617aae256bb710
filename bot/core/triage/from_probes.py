"""Evidence from a tenant's own probes: its logins, machine tokens, and slow answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.auth0_logs.text_patterns import match_pattern
from bot.core.model.fault import NOT_IMPLEMENTED, is_rate_limited, is_refusal, keep_codes
from bot.core.model.measurement import OWN_APP
from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, Fault, OwnSide, SignalState, Stage
from bot.core.triage.context import (
    RECENTLY_ENDED_S,
    SPOKEN,
    RuleMatch,
    find_fault,
    has_failed,
    has_just_recovered,
    is_down,
    is_signal_healthy,
    weigh_successes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.observation import EvidenceValue
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.triage.context import TriageContext

UNREACHABLE_STAGES = frozenset({Stage.DNS, Stage.CONNECT, Stage.TIMEOUT})
SUDDEN_S = 180.0
QUOTA_LOW = 2
"""With so few requests left in the tenant's bucket the next ones are refused."""
ANSWER_REASONS = frozenset({"read", "total"})
"""Of a timeout: the connection stands, the answer does not come."""
GONE = frozenset({404, 410})
FIRST_4XX, FIRST_5XX = 400, 500
OWN_CHANGE_S, CLOCKS_DIFFER_S = 180.0, 30.0
"""A failure so shortly after a start of the bot came with it; before it by a clock at most."""
USER_LIMIT = "too_many_logins"
"""The error of a 429 that is about one user at one address (Auth0, read 2026-11)."""
OWN_SIDE_RULE_IDS = {
    OwnSide.BETWEEN: "login-intercepted",
    OwnSide.NAMES_LOST: "login-no-names",
    OwnSide.NAMES_FOUND: "login-name-lost",
}
WELLKNOWN_RULE_IDS = {
    "login-intercepted": "wellknown-blocked",
    "login-no-names": "wellknown-unreachable",
    "login-name-lost": "wellknown-name-lost",
    "login-unreachable": "wellknown-unreachable",
    "login-hangs": "wellknown-unreachable",
    "login-gone": "wellknown-gone",
    "login-blocked": "wellknown-blocked",
}
"""What discovery and keys say, by what a login would say with the same fault."""
CERTIFICATE_REASONS = frozenset({"expired", "wrong_host", "untrusted", "not_yet_valid"})
FEW_SLOW = 2
FORBIDDEN = 403
"""Up to this HTTP status an OAuth error for a machine token is about the application that asks."""


def collect_probe_evidence(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield the evidence from one tenant's own probes."""
    state, now = context.all_tenants.states[name], context.now
    if state.no_data_since is not None:
        minutes = round((now - state.no_data_since) / 60)
        yield RuleMatch(
            "blind", {"tenant": name, "minutes": minutes, "reason": state.no_data_reason}
        )
        return
    logins = context.logins(name)
    failing = [login for login in logins if has_failed(login, context)]
    is_login_ok = is_signal_healthy(logins[0], now) and not failing and not is_slow(logins[0], now)
    yield from _collect_login_evidence(context, name, failing)
    wellknown = state.probes[WELLKNOWN]
    if is_login_ok and not wellknown.is_failing:
        yield RuleMatch("login-ok", {"tenant": name})
    if fault := find_fault(wellknown, context):
        rule_id = WELLKNOWN_RULE_IDS.get(login_rule_id(fault), "wellknown-fails")
        works_beside = is_login_ok and _works_beside(logins[0], wellknown, context)
        if works_beside and has_failed(wellknown, context) and rule_id != "wellknown-blocked":
            yield RuleMatch("keys-only", {"tenant": name})
        yield RuleMatch(rule_id, {"tenant": name, "fault": keep_codes(fault)})
    elif is_signal_healthy(wellknown, now):
        yield RuleMatch("wellknown-ok", {"tenant": name})
    custom = state.probes.get(CUSTOM)
    has_custom_failed = custom is not None and has_failed(custom, context)
    if custom and has_custom_failed and not failing and not find_fault(wellknown, context):
        yield from _collect_custom_evidence(context, name, custom, is_login_ok=is_login_ok)
    elif custom and failing and is_signal_healthy(custom, now):
        yield RuleMatch("canonical-only", {"tenant": name})
    yield from _collect_m2m_evidence(context, name)
    yield from _collect_token_endpoint_evidence(context, name, failing)


def _collect_token_endpoint_evidence(
    context: TriageContext, name: str, failing: list[ProbeState]
) -> Iterator[RuleMatch]:
    """Yield that the token endpoint has refused as it must since the logins began to fail.

    If it fails, that says no more than the login does. Of a part of the requests one proves
    nothing.
    """
    endpoint = context.all_tenants.states[name].token_endpoint
    begun = min((login.since or context.now for login in failing), default=context.now)
    if endpoint.is_ok and (endpoint.last_ok_at or 0.0) >= begun and is_down(context, name):
        yield RuleMatch("token-endpoint-ok", {"tenant": name})


def _collect_custom_evidence(
    context: TriageContext, name: str, custom: ProbeState, *, is_login_ok: bool
) -> Iterator[RuleMatch]:
    """Yield what it says that a login fails by the custom domain.

    Until it has worked by the canonical one since then, it is not known to be about the domain: a
    refusal is about the login itself. A rate limit is the tenant's, whatever its name.
    """
    fault = find_fault(custom, context)
    if fault is None:
        return
    values: dict[str, EvidenceValue] = {"tenant": name, "fault": keep_codes(fault)}
    works_beside = is_login_ok and _works_beside(context.logins(name)[0], custom, context)
    if is_rate_limited(fault) or (fault.stage is Stage.OAUTH and not works_beside):
        yield RuleMatch(login_rule_id(fault), {**values, **_counts(custom)})
    elif works_beside:
        if is_never_found(custom):
            yield RuleMatch("name-never-found", {"tenant": name})
        yield RuleMatch("custom-only", values)


def _collect_login_evidence(
    context: TriageContext, name: str, failing: list[ProbeState]
) -> Iterator[RuleMatch]:
    for login in failing:
        yield from _collect_failing_login_evidence(context, name, login)
    signals = context.all_tenants.states[name].probes
    ok = [
        login
        for login in context.rules.tenants[name].logins
        if not signals[login].is_failing and is_signal_healthy(signals[login], context.now)
    ]
    if failing and ok:
        yield RuleMatch("other-login-ok", {"tenant": name, "names": tuple(ok)})


def _collect_failing_login_evidence(
    context: TriageContext, name: str, signal: ProbeState
) -> Iterator[RuleMatch]:
    fault = find_fault(signal, context)
    if fault is None:
        return
    values: dict[str, EvidenceValue] = {
        "tenant": name,
        "fault": keep_codes(fault),
        **_counts(signal),
    }
    rule_id = login_rule_id(fault)
    if fault.stage is Stage.DNS and _is_no_name_ever_found(context):
        rule_id = "login-no-names"
    elif is_never_found(signal):
        yield RuleMatch("name-never-found", {"tenant": name})
    yield RuleMatch(rule_id, values)
    if not signal.ever_ok:
        yield RuleMatch("never-ok", {"tenant": name})
    elif _is_since_own_start(context, signal):
        yield RuleMatch("own-restart", {"tenant": name})
    elif is_sudden(signal, fault):
        yield RuleMatch("sudden", {"tenant": name})
    if signal.quota_remaining is not None and signal.quota_remaining <= QUOTA_LOW:
        yield RuleMatch("quota-low", {"tenant": name, "remaining": signal.quota_remaining})


def _counts(signal: ProbeState) -> dict[str, int]:
    """Return the failures and tries of the window, or of the problem that has just ended."""
    if signal.tries:
        return {"failed": len(signal.faults), "tries": len(signal.tries)}
    return {"failed": signal.span.failed, "tries": signal.span.tries}


def _is_since_own_start(context: TriageContext, signal: ProbeState) -> bool:
    """Tell whether a login worked before the bot was started or changed, and never since."""
    changes = (change.at for change in context.shared.changes if change.app == OWN_APP)
    starts = [context.shared.started_at or 0.0, *changes]
    last_ok_at, since = signal.last_ok_at or 0.0, signal.since or context.now
    near = (at for at in starts if at - CLOCKS_DIFFER_S <= since < at + OWN_CHANGE_S)
    return any(last_ok_at < at for at in near)


def is_never_found(signal: ProbeState) -> bool:
    """Tell whether a name has not been found since the first try: it is typed wrong."""
    fault = signal.most_frequent_fault
    return not signal.ever_ok and fault is not None and fault.reason == "nxdomain"


def _is_no_name_ever_found(context: TriageContext) -> bool:
    """Tell whether no control endpoint's name was found either, since the bot was started."""
    controls = context.shared.controls.values()
    faults = [None if each.ever_ok else each.most_frequent_fault for each in controls]
    return bool(faults) and all(each is not None and each.stage is Stage.DNS for each in faults)


def is_sudden(signal: ProbeState, fault: Fault) -> bool:
    """Tell whether a refusal, or a wrong token, came within `SUDDEN_S` of a success.

    That can happen without any change: on 2018-01-17 (EU) an outage gave 401 and 404.
    """
    # A 429 depends on how much we ask: an address that is throttled is so at all tenants.
    is_mistake = fault.status is not None and fault.status < 500 and fault.status != 429  # noqa: PLR2004 - HTTP
    since, last = signal.since, signal.good_before
    return is_mistake and last is not None and since is not None and since - last < SUDDEN_S


def login_rule_id(fault: Fault) -> str:
    """Return the rule of the evidence table that a failed login matches."""
    if rule_id := OWN_SIDE_RULE_IDS.get(fault.own_side):
        return rule_id
    if fault.reason == "nxdomain":
        return "login-name-lost"
    if fault.stage is Stage.TLS and fault.reason in CERTIFICATE_REASONS:
        return "login-untrusted" if fault.reason == "untrusted" else "login-certificate"
    if fault.stage is Stage.TIMEOUT and fault.reason in ANSWER_REASONS:
        return "login-hangs"
    if fault.stage is Stage.TLS or fault.stage in UNREACHABLE_STAGES:
        return "login-unreachable"
    by_stage = {Stage.TOKEN: "login-wrong-token", Stage.PROOF: "login-no-proof"}
    return by_stage.get(fault.stage) or _answer_rule_id(fault)


def _answer_rule_id(fault: Fault) -> str:
    status = fault.status or 0
    if is_refusal(fault):
        # A custom database's script refuses in its own words. Auth0's own 401 `unauthorized` says
        # that the user is blocked (custom database errors, 2026-11).
        is_script = fault.error == "unauthorized" and bool(fault.description)
        is_code = is_script and match_pattern(fault.description) != "user_blocked"
        return "login-code" if is_code else "login-refused"
    if is_rate_limited(fault):
        return "login-user-limit" if fault.error == USER_LIMIT else "login-429"
    if status in GONE or (fault.stage is Stage.HTTP and FIRST_4XX <= status < FIRST_5XX):
        return "login-gone" if status in GONE else "login-blocked"
    if fault.stage is not Stage.OAUTH or FIRST_5XX < status < NOT_IMPLEMENTED:
        return "login-5xx"
    if status == FIRST_5XX:
        return "login-server-error" if fault.error == "server_error" else "login-code"
    is_denied = status == FORBIDDEN and fault.error == "access_denied"
    is_bad_request = fault.error == "invalid_request"
    rule_id = "login-bad-request" if is_bad_request else "login-not-allowed"
    return "login-denied" if is_denied else rule_id


def _collect_m2m_evidence(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield how machine tokens do beside a tenant's logins, or that they alone fail."""
    m2m = context.all_tenants.states[name].probes.get(M2M)
    if m2m is None:
        return
    now, logins = context.now, context.logins(name)
    failing = [login for login in logins if has_failed(login, context)]
    fault, is_failing = find_fault(m2m, context), has_failed(m2m, context)
    works_beside = not failing and all(_works_beside(login, m2m, context) for login in logins)
    if fault and failing and m2m.ever_ok and (is_failing or not m2m.successes_in_a_row):
        yield RuleMatch("m2m-fails", {"tenant": name, "fault": keep_codes(fault)})
    elif fault and is_failing and works_beside:
        yield RuleMatch(_m2m_rule_id(fault), {"tenant": name, "fault": keep_codes(fault)})
    elif is_down(context, name):
        # A token that came since the logins began to fail counts, however long ago that is. Where
        # only a part of the logins fails, one token proves nothing.
        since = min(login.since or now for login in failing)
        is_ok = m2m.state is SignalState.OK and not has_just_recovered(m2m, now)
        if is_ok and (m2m.last_ok_at or 0.0) >= since:
            yield RuleMatch("m2m-ok", {"tenant": name})


def _works_beside(login: ProbeState, failing: ProbeState, context: TriageContext) -> bool:
    """Tell whether a login has worked so often, while another probe failed, that it is no chance.

    Where it has just recovered, the other one may do so at its next try. A rate limit names itself:
    once is enough, because a limit of the logins as well would be no other cause.
    """
    made = failing.span.tries_to_last_failure
    share = (failing.span.failed + 1) / (made + 2)  # of few tries drawn towards a half (Laplace)
    count = login.count_ok_since(failing.since or context.since)
    has_recovered_first = (login.ended_at or 0.0) > max(failing.failed_times, default=0.0)
    fault = failing.most_frequent_fault
    is_named = fault is not None and is_rate_limited(fault) and count > 0
    is_sure = is_named or weigh_successes(count, share) >= SPOKEN
    return is_sure and not has_recovered_first


def _m2m_rule_id(fault: Fault) -> str:
    """Return the rule that machine tokens match if they alone fail."""
    if is_rate_limited(fault):
        return "m2m-429"
    if fault.stage is not Stage.OAUTH or (fault.status or 0) > FORBIDDEN:
        return "m2m-only"
    is_denied = login_rule_id(fault) == "login-denied"
    return "m2m-denied" if is_denied else "m2m-refused"


def is_slow(signal: ProbeState, now: float) -> bool:
    """Tell whether a signal is slow, or was a moment ago."""
    ended_at = signal.latency.ended_at
    return signal.latency.is_slow or (ended_at is not None and now - ended_at < RECENTLY_ENDED_S)


def collect_latency_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    """Yield what is slow: the context's tenants, other tenants, and control endpoints."""
    now = context.now
    slow_logins = {
        name: logins
        for name in context.rules.tenants
        if (logins := [p for p in context.logins(name) if is_slow(p, now) or _is_slow_beside(p)])
    }
    for name in context.tenants:
        probes = context.all_tenants.states[name].probes
        if any(probe.latency.is_slow for probe in probes.values()):
            if slow := [login for login in context.logins(name) if _is_slow_beside(login)]:
                yield RuleMatch("login-slow", _latency_values(name, slow[0]))
            if _is_slow_beside(probes[WELLKNOWN]):
                yield RuleMatch("wellknown-slow", _latency_values(name, probes[WELLKNOWN]))
    mine = [name for name in context.tenants if name in slow_logins]
    others = [name for name in slow_logins if name not in mine]
    if mine:
        first, *rest = [*mine, *others]
        here = context.environment(first)
        near = [name for name in rest if here and context.environment(name) == here]
        if near:
            yield RuleMatch("same-environment-slow", {"names": tuple(near)})
        if far := [name for name in rest if name not in near]:
            yield RuleMatch("elsewhere-slow", {"names": tuple(far)})


def _is_slow_beside(signal: ProbeState) -> bool:
    """Tell whether a signal is slow, too: beside one that certainly is, a few slow answers do."""
    latency = signal.latency
    return latency.is_slow or (latency.is_slowing and len(latency.recent) >= FEW_SLOW)


def _latency_values(name: str, signal: ProbeState) -> dict[str, EvidenceValue]:
    latency = signal.latency
    recent_s, usual_s = round(latency.recent_median_s, 1), round(latency.median_s, 1)
    return {"tenant": name, "recent_s": recent_s, "usual_s": usual_s}
