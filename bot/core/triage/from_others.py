"""Evidence from what else is reached: other tenants, and control endpoints.

Which tenants fail, and which do not? Do control endpoints fail or slow down as Auth0's hosts do?
One that fails tells nothing if it failed before. One that answers tells nothing if only a part of
the requests fails. So shares are compared, and slowness, each with its own past.
"""

from __future__ import annotations

from bisect import bisect, bisect_left
from math import log
from statistics import median_low
from typing import TYPE_CHECKING

from bot.core.model.fault import is_refusal
from bot.core.model.observation import CUSTOM, FRESH_S, M2M, WELLKNOWN, Cause, SignalState
from bot.core.state.tenant import feed_samples_key
from bot.core.triage.context import (
    SPOKEN,
    RuleMatch,
    has_just_recovered,
    is_signal_healthy,
    weigh_successes,
)
from bot.core.triage.from_probes import UNREACHABLE_STAGES, is_slow, is_sudden, login_rule_id
from bot.core.triage.from_users import are_users_awaited, is_metric_healthy, suspect_changes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.observation import Fault
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.tenant import Sample
    from bot.core.triage.context import TriageContext

LONG_BEFORE_S = 300.0
"""A control endpoint that began to fail so long before has a problem of its own."""
USUAL_SHARE = 0.01
"""So many of a control endpoint's requests fail by themselves."""
CERTAIN = 3.0
"""From this log-likelihood ratio on it says all it can."""
SLOWER = 1.9
"""At this many times its usual latency it is slow as well, however fast it still is."""
FEW_ANSWERS = 2
BESIDE_S = 20.0
"""What is answered so shortly before or after a failure was asked while something failed."""
SHARED_EDGE = 0.5
"""What control endpoints that fail still count if the status page is reached: they may be behind
the same edge as Auth0."""


def collect_control_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    """Yield whether control endpoints fail, are slow, or are well, since the problem began.

    One that is well shows that our line is: a bad one spares nobody.
    """
    share = failing_share(context)
    found: dict[str, dict[str, float]] = {}
    for name, signal in context.shared.controls.items():
        samples = _samples_while_failing(context, name)
        # One that failed already when the problem began, or never worked, tells nothing.
        has_failed_before = signal.since is not None and (
            signal.good_before is None or signal.since < context.since - LONG_BEFORE_S
        )
        if samples and not has_failed_before:
            rule_id, strength = _answer(context, samples, signal, share)
            found.setdefault(rule_id, {})[name] = strength
    if _is_blocked(context):
        found.pop("controls-ok", None)
    for rule_id in ("controls-ok", "controls-fail", "controls-slow"):
        if names := found.get(rule_id):
            part = (
                SHARED_EDGE if rule_id == "controls-fail" and feed_ratio(context) <= -SPOKEN else 1
            )
            yield RuleMatch(rule_id, {"names": tuple(names)}, round(part * max(names.values()), 2))
            return


def _is_blocked(context: TriageContext) -> bool:
    """Tell whether a page refuses us: our line is well then, and what others answer is no proof."""
    probes = (p for n in context.tenants for p in context.all_tenants.states[n].probes.values())
    faults = [fault for p in probes if p.is_failing and (fault := p.most_frequent_fault)]
    return bool(faults) and all(login_rule_id(fault) in REFUSED_RULE_IDS for fault in faults)


def _samples_while_failing(context: TriageContext, key: str) -> list[Sample]:
    """Return the answers of a control endpoint or a feed that came while tenants' probes failed.

    In an outage that pauses all is well in between, and an answer from then proves nothing. Where
    only slowness or users' failures are known, all answers since then count.
    """
    samples = [s for s in context.shared.samples.get(key, ()) if s.at >= context.since]
    failed = [probe.failed_times for probe in _failing_probes(context)]
    if not failed:
        return samples
    return [
        s
        for s in samples
        if any(bisect(at, s.at + BESIDE_S) > bisect_left(at, s.at - BESIDE_S) for at in failed)
    ]


def _failing_probes(context: TriageContext) -> list[ProbeState]:
    """Return the failing probes of the context's tenants."""
    states = (context.all_tenants.states[name] for name in context.tenants)
    return [p for state in states for p in state.probes.values() if p.is_failing]


def feed_ratio(context: TriageContext) -> float:
    """Return the log-likelihood ratio of "the status page is lost as what fails" against "as ever".

    Below 0 it is reached. That says nothing where Auth0 is slow: a slow line reaches it as well.
    """
    share = failing_share(context)
    states = (context.all_tenants.states[name] for name in context.tenants)
    if not share and any(p.latency.is_slow for state in states for p in state.probes.values()):
        return 0.0
    names = {context.rules.tenants[name].feed.name for name in context.tenants}
    keys = [feed_samples_key(name) for name in names]
    samples = [sample for key in keys for sample in _samples_while_failing(context, key)]
    return compare_shares(samples, share or 1.0)


def _answer(
    context: TriageContext, samples: list[Sample], signal: ProbeState, share: float
) -> tuple[str, float]:
    """Return what one control endpoint says, and how clearly; an empty id: nothing."""
    ratio = compare_shares(samples, share or 1.0)
    if ratio >= SPOKEN:
        return "controls-fail", min(1.0, ratio / CERTAIN)
    latencies = [sample.latency_s for sample in samples if sample.latency_s is not None]
    slow_s = SLOWER * signal.latency.median_s
    if len(latencies) >= FEW_ANSWERS and median_low(latencies) >= slow_s > 0:
        return "controls-slow", 1.0
    if ratio <= -SPOKEN and _can_tell(context, samples, share):
        return "controls-ok", min(1.0, -ratio / CERTAIN)
    return "", 0.0


def _can_tell(context: TriageContext, samples: list[Sample], share: float) -> bool:
    """Tell whether good answers are fresh, and where Auth0 is slow, enough to know their speed."""
    states = context.all_tenants.states
    probes = [p for n in context.tenants if not share for p in states[n].probes.values()]
    is_slowness = any(is_slow(probe, context.now) for probe in probes)
    is_fresh = context.now - samples[-1].at < FRESH_S
    return is_fresh and (len(samples) >= FEW_ANSWERS or not is_slowness)


def failing_share(context: TriageContext) -> float:
    """Return the share that fails of all failing probes of the context's tenants; 0: none fails.

    Of few tries it is drawn towards a half (Laplace).
    """
    failing = _failing_probes(context)
    failed = sum(len(p.faults) for p in failing)
    made = sum(len(p.tries) - p.successes_in_a_row for p in failing)
    return (failed + 1) / (made + 2) if failing else 0.0


def compare_shares(samples: list[Sample], share: float) -> float:
    """Return the log-likelihood ratio of "fails at this share" against "fails as ever"."""
    failed = sum(sample.latency_s is None for sample in samples)
    share = min(max(share, 2 * USUAL_SHARE), 1 - USUAL_SHARE)
    good = len(samples) - failed
    return failed * log(share / USUAL_SHARE) + good * log((1 - share) / (1 - USUAL_SHARE))


COMPANION_S = 900.0
"""What began so long before or after is a problem of its own."""
TOGETHER_S = 180.0
"""Refusals at two tenants that began so close to each other have one cause."""
BESIDE_LOGINS = frozenset({CUSTOM, M2M, WELLKNOWN})
"""Ways into a tenant that a login by its canonical domain says nothing of."""
OUTAGE_RULE_IDS = frozenset(
    {
        "login-5xx",
        "login-server-error",
        "login-code",
        "login-hangs",
        "login-unreachable",
        "login-certificate",
        "login-untrusted",
        "login-no-names",
        "login-name-lost",
    }
)
"""Rules that one outage can match: one of them at this tenant, another one at the next."""
OUTAGE_KIND = "outage"
REFUSED_RULE_IDS = frozenset({"login-blocked", "login-intercepted"})
"""Our address is refused, or somebody on our way answers, whichever tenant is asked."""
CUT_OFF_RULE_IDS = frozenset({"login-unreachable", "login-no-names"})


def collect_peer_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    """Compare the context's tenants with one another and with all others.

    Failures that are alike speak for a common cause only where they look like an outage: the
    same mistake made at two tenants is still ours.
    """
    tenants = context.rules.tenants
    failing = {name: True for name in tenants if OUTAGE_KIND in failure_kinds(context, name)}
    bad = {name: True for name in context.tenants if name in failing}
    here = {context.environment(name) for name in bad or context.tenants} - {None}
    others = [name for name in tenants if name not in context.members]
    near = [name for name in others if context.environment(name) in here]
    far = [name for name in others if context.environment(name) not in here]
    wide: list[str] = []
    if bad:
        first, *rest = [*bad, *(name for name in failing if name not in bad)]
        if same := [
            name for name in rest if context.environment(name) == context.environment(first)
        ]:
            yield RuleMatch("same-environment-fails", {"names": tuple(same)})
        wide = [name for name in rest if context.environment(name) != context.environment(first)]
        if wide:
            yield RuleMatch("elsewhere-fails", {"names": tuple(wide)})
    if len(failing) > 1 and _is_all_unreachable(context):
        yield RuleMatch("nothing-reached")
    yield from _collect_shared_refusals(context, others)
    ways = {way for own in context.tenants for way in _failing_ways(context, own)}
    if near_ok := [name for name in near if _is_tenant_healthy(context, name, ways)]:
        strength = _weigh_health(context, near_ok)
        yield RuleMatch("same-environment-ok", {"names": tuple(near_ok)}, strength)
    far_ok = [name for name in far if _is_tenant_healthy(context, name, ways)]
    if far_ok and not wide:
        yield RuleMatch("elsewhere-ok", {"names": tuple(far_ok)}, _weigh_health(context, far_ok))


def find_refutable_by_neighbours(context: TriageContext) -> frozenset[Cause]:
    """Return the causes that neighbours may refute in a moment: what fails there as well is shared.

    A login there has failed once and is being repeated, or users' counts are not known yet.
    """
    here = {context.environment(name) for name in context.tenants} - {None}
    near = [
        name
        for name in context.rules.tenants
        if name not in context.members
        and context.environment(name) in here
        and not context.is_worked_on(name)
    ]
    logins = [login for name in near for login in context.logins(name)]
    found: frozenset[Cause] = frozenset()
    if any(p.state is SignalState.PENDING and not p.is_failing for p in logins):
        found |= {Cause.TENANT, Cause.PROBE}
    if any(are_users_awaited(context, name) for name in near):
        found |= {Cause.APP}
    return found


def _is_all_unreachable(context: TriageContext) -> bool:
    """Tell whether no tenant and no control endpoint can be reached at all.

    An answer, though it is an error, shows that something is reached. So does a token endpoint that
    refused as it must.
    """
    states = context.all_tenants.states.values()
    endpoints = [state.token_endpoint for state in states]
    if any(each.is_ok and (each.last_ok_at or 0.0) >= context.since for each in endpoints):
        return False
    signals = [s for state in states for s in state.probes.values() if s.last_at is not None]
    faults = [fault for signal in signals for fault in signal.faults]
    is_lost = all(signal.faults for signal in signals)
    if not is_lost or any(fault.stage not in UNREACHABLE_STAGES for fault in faults):
        return False
    return not any(is_signal_healthy(s, context.now) for s in context.shared.controls.values())


def find_cut_off(context: TriageContext) -> list[str]:
    """Return the other tenants that are not reached either, if no answer comes from any of these.

    Their users tell whether the service or our own way is lost.
    """

    def is_cut_off(name: str) -> bool:
        faults = [login.most_frequent_fault for login in context.logins(name) if login.is_failing]
        return any(fault and login_rule_id(fault) in CUT_OFF_RULE_IDS for fault in faults)

    others = [name for name in context.rules.tenants if name not in context.members]
    if not any(map(is_cut_off, context.tenants)):
        return []
    return [name for name in others if is_cut_off(name) and not context.is_worked_on(name)]


def failure_kinds(context: TriageContext, name: str) -> set[str]:
    """Return in which ways a tenant fails: other ways of failing have other causes.

    What ended before, or began long before or after, is no companion. Where people work on either
    tenant, only what began together is.
    """
    if name not in context.found_kinds:
        context.found_kinds[name] = _find_failure_kinds(context, name)
    return context.found_kinds[name]


def _find_failure_kinds(context: TriageContext, name: str) -> set[str]:
    signals = context.all_tenants.states[name].probes.values()
    apart_s, latest = COMPANION_S, context.now
    if name not in context.members:
        if any(map(context.is_worked_on, (name, *context.tenants[:1]))):
            apart_s = TOGETHER_S
        latest = min(context.now, context.since + apart_s)
    earliest = context.since - apart_s
    bad = [
        s
        for s in signals
        if (s.is_failing and earliest <= (s.since or context.now) <= latest)
        or (has_just_recovered(s, context.now) and (s.ended_at or 0.0) > context.since)
    ]
    return {fault_kind(fault) for s in bad if (fault := s.most_frequent_fault or s.last_fault)}


def fault_kind(fault: Fault) -> str:
    """Return in which way a request failed; all that one outage can bring is one way."""
    rule_id = login_rule_id(fault)
    return OUTAGE_KIND if rule_id in OUTAGE_RULE_IDS else rule_id


def _is_tenant_healthy(context: TriageContext, name: str, failing: set[str]) -> bool:
    """Tell whether what fails here works at another tenant since the problem began.

    What worked before, or another way into it, proves nothing: its login says nothing of its
    machine tokens, and where only users fail, only its users tell.
    """
    state = context.all_tenants.states[name]
    if not failing:
        metrics = [m for m in state.metrics.values() if m.reading.total is not None]
        return bool(metrics) and all(is_metric_healthy(metric, context) for metric in metrics)
    beside = failing & BESIDE_LOGINS
    ways = list(context.logins(name)) if failing - beside else []
    ways += [state.probes[way] for way in beside if way in state.probes and not ways]
    return bool(ways) and all(
        is_signal_healthy(way, context.now)
        and not is_slow(way, context.now)
        and (way.last_ok_at or 0) >= context.since
        for way in ways
    )


def _weigh_health(context: TriageContext, names: list[str]) -> float:
    """Return how clearly other tenants' successes show that what fails here works there, 0 to 1."""
    share = failing_share(context)
    if not share:
        return 1.0
    signals = {n for own in context.tenants for n in _failing_ways(context, own)}
    states = [context.all_tenants.states[name] for name in names]
    ways = [[probe for n, probe in state.probes.items() if n in signals] for state in states]
    count = sum(max((p.count_ok_since(context.since) for p in found), default=1) for found in ways)
    return round(min(1.0, weigh_successes(count, share) / SPOKEN), 2)


def _failing_ways(context: TriageContext, name: str) -> set[str]:
    """Return which probes of a tenant fail or are slow."""
    probes = context.all_tenants.states[name].probes
    return {n for n, probe in probes.items() if probe.is_failing or is_slow(probe, context.now)}


def _collect_shared_refusals(context: TriageContext, others: list[str]) -> Iterator[RuleMatch]:
    """Yield which other tenants were suddenly refused at the same time, if no change is known.

    Two people do not make a mistake in the same minutes. But one vault may hold the passwords of
    all test logins, so refused credentials say nothing about Auth0.
    """
    if any(suspect_changes(context, name) for name in context.rules.tenants):
        return
    times = {name: list(_refusal_times(context, name)) for name in context.tenants}
    first, *more = [name for name, found in times.items() if found] or [""]
    mine = [at for found in times.values() for at in found]
    if len(context.tenants) == 1:
        more = [
            name
            for name in others
            if any(
                abs(at - own) < TOGETHER_S for at in _refusal_times(context, name) for own in mine
            )
        ]
    here = context.environment(first) if first else None
    if here and (near := [name for name in more if context.environment(name) == here]):
        yield RuleMatch("same-environment-refused", {"names": tuple(near)})


def _refusal_times(context: TriageContext, name: str) -> Iterator[float]:
    for login in context.logins(name):
        fault = login.most_frequent_fault
        # Our address is refused everywhere, and so is a password that was changed in one place.
        is_ours = fault and (login_rule_id(fault) in REFUSED_RULE_IDS or is_refusal(fault))
        is_bad = fault and login.is_failing and is_sudden(login, fault)
        if login.since is not None and is_bad and not is_ours:
            yield login.since
