"""Evidence from real users' metrics, outside monitors and changes."""

from __future__ import annotations

from math import log
from typing import TYPE_CHECKING

from bot.core.model.measurement import OWN_APP, MetricKind
from bot.core.model.observation import CUSTOM, FRESH_S, WELLKNOWN, SignalState, Stage
from bot.core.triage.context import (
    RECENTLY_ENDED_S,
    RuleMatch,
    find_fault,
    is_signal_healthy,
    is_stale,
    is_user_failure,
)
from bot.core.triage.from_sources import blames_application, have_applications_no_way_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.core.model.measurement import ChangeMade, Measurement
    from bot.core.model.observation import EvidenceValue
    from bot.core.signals.metric_threshold import MetricLimits, MetricState
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.triage.context import TriageContext

CHANGE_BEFORE_S = 900.0
"""A change is suspect if it was made so shortly before the first failure …"""
CHANGE_AFTER_S = 120.0
"""… or so shortly after it: clocks differ, and changes are reported late."""
COUNTED_LATE_S = 15.0
"""Counts reach so far at the time they are read: the usual interval between two scrapes."""
SPEAK_WITHIN_S = 150.0
"""Users' counts are waited for as long as this."""
SPOKEN, CERTAIN = 2.0, 6.0
"""From the first log-likelihood ratio on counts say something, from the second on all they can."""
TELLING_FAILURES = 4.0
"""So many failures within that time, at the probe's share, would tell."""
USUAL_SHARE, USUAL_FAILURES = 0.01, 0.5
"""So many fail at least while all is well: a share, and of few calls a number."""
FEW = 0.6
"""Below this part of the usual successes, users may not come as far as a call that fails."""
WELL_RULE_IDS = frozenset({"users-ok", "users-pass"})
BESIDE_S = 90.0
"""A login that has worked for so long while users failed does not fail with them."""
LEAST_PART = 0.5
"""Users fail at this part of the probe's share, or more: not all of them do what the probe does."""
AFTER_ONSET = 0.75
"""Metrics describe the time after the first failure once this part of their span lies after it."""
ANSWERED_STAGES = frozenset({Stage.OAUTH, Stage.TOKEN, Stage.PROOF})
"""What fails here has reached the tenant."""
CUT_OFF_STAGES = frozenset({Stage.DNS, Stage.CONNECT, Stage.TLS})
"""What fails here fails for whatever a host is asked, its keys included."""


def collect_user_evidence(context: TriageContext, names: Iterable[str]) -> Iterator[RuleMatch]:
    """Yield the evidence from some tenants' real users.

    Where counts contradict one another, the clearer one counts.
    """
    found = [match for name in names for match in _collect_evidence_of(context, name)]
    well = max((each.strength for each in found if each.rule_id in WELL_RULE_IDS), default=0.0)
    yield from (each for each in found if each.rule_id != "users-fail" or each.strength >= well)


def _collect_evidence_of(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    state, rules = context.all_tenants.states[name], context.rules.tenants[name]
    bad = [n for n, metric in state.metrics.items() if is_user_failure(metric)]
    alerting = [n for n, monitor in state.monitors.items() if monitor.firing]
    if bad or alerting:
        logins = [state.probes[n] for n in {*rules.logins, CUSTOM} & state.probes.keys()]
        is_alone = all(_is_well_beside(login, context) for login in logins)
        names = (*bad, *alerting)
        rule_id = "users-fail-alone" if is_alone else "users-fail"
        yield RuleMatch(rule_id, {"names": names})
    elif any(probe.is_failing for probe in state.probes.values()):
        yield from _collect_count_evidence(context, name)
    if away := [n for n, metric in state.metrics.items() if metric.reading.is_away]:
        yield RuleMatch("users-away", {"names": tuple(away)})
    if bad or alerting or any(metric.is_firing for metric in state.metrics.values()):
        yield from _collect_peer_user_evidence(context, name)
    if alerting:
        yield RuleMatch("monitor-says", {"names": tuple(alerting)})
    metrics = [n for n, limits in rules.metrics.items() if limits.kind is MetricKind.METRICS]
    ok = tuple(n for n in metrics if is_metric_healthy(state.metrics[n], context))
    failing = tuple(n for n in metrics if n in bad)
    if ok and failing:
        yield RuleMatch("one-application", {"names": ok})
    elif len(failing) > 1:
        yield RuleMatch("several-applications", {"names": failing})


def _is_well_beside(login: ProbeState, context: TriageContext) -> bool:
    """Tell whether a login has worked while users failed, but for a single failure at the most."""
    is_late = (login.since or 0.0) - context.since > BESIDE_S
    if login.state is SignalState.PENDING and not login.is_failing and is_late:
        return True
    return is_signal_healthy(login, context.now) and not login.faults


def _share_during(probes: list[ProbeState], begin: float, end: float) -> float:
    """Return which share of probes' tries failed in the time that counts are about.

    An outage may have paused then. Unless all failed, one failure less is taken: at the edge of a
    pause it may have been in the other part. A login that is stopped has no newer tries.
    """
    tries = [t for probe in probes for t in probe.tries if begin <= t.at <= end]
    if not tries:
        is_lost = all(not probe.successes_in_a_row for probe in probes)
        return max(probe.failed_share for probe in probes) if is_lost else 0.0
    failed = sum(t.fault is not None for t in tries)
    return (failed - (failed < len(tries))) / len(tries) if failed else 0.0


def _collect_count_evidence(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield whether users fail as the probe does, or do as well as ever, by their counts."""
    state, rules = context.all_tenants.states[name], context.rules.tenants[name]
    logins = [login for login in context.logins(name) if login.is_failing]
    probes = logins or [probe for probe in state.probes.values() if probe.is_failing]
    counted = {  # those with a total
        n: limits
        for n, limits in rules.metrics.items()
        if limits.kind is not MetricKind.ERRORS and not limits.is_pushed
    }
    said = dict.fromkeys(counted, 0.0)
    for n, limits in counted.items():
        metric = state.metrics[n]
        if _is_readable(metric, context):
            end = (metric.read_at or 0.0) - COUNTED_LATE_S
            begin = max(context.since, end - metric.reading.span_s)
            share = _share_during(probes, begin, end)
            ratio = log_likelihood_ratio(metric, limits, share, context.since) if share else 0.0
            is_usable = ratio < 0 or metric.state is SignalState.OK
            said[n] = min(max(ratio, -CERTAIN), CERTAIN) if is_usable else 0.0
    ratio, well_rule_id = sum(said.values()), _well_rule_id(context, name)
    if abs(ratio) >= SPOKEN:
        names = tuple(n for n, value in said.items() if value * ratio > 0)
        strength = round(min(1.0, abs(ratio) / CERTAIN), 2)
        yield RuleMatch(well_rule_id if ratio > 0 else "users-fail", {"names": names}, strength)
        return
    share = max(probe.failed_share for probe in probes)
    awaited = [n for n in counted if _will_speak(state.metrics[n], share)]
    can_refute = well_rule_id != "users-ok-beside" and context.now - context.since < SPEAK_WITHIN_S
    if awaited and can_refute:
        yield RuleMatch("users-unknown", {"names": tuple(awaited)})


def are_users_awaited(context: TriageContext, neighbour: str) -> bool:
    """Tell whether a neighbour's counts will soon tell, but do not yet, whether its users fail too.

    They would fail at the share at which the context's users do.
    """
    states = context.all_tenants.states
    own = [metric for name in context.tenants for metric in states[name].metrics.values()]
    failing = [metric for metric in own if is_user_failure(metric)]
    is_told = any(map(blames_application, own)) or context.now - context.since >= SPEAK_WITHIN_S
    if not failing or is_told:
        return False
    worst = max(failing, key=lambda metric: metric.reading.failed_share)
    after = _after_onset(worst, worst.recent[-1:], context.since)
    share = min(worst.reading.failed_share / after, 1.0) if after else 0.0
    awaited = False
    for n, limits in context.rules.tenants[neighbour].metrics.items():
        metric = states[neighbour].metrics[n]
        is_counted = limits.kind is not MetricKind.ERRORS and not limits.is_pushed
        if not share or not is_counted or not _will_speak(metric, share):
            continue
        if log_likelihood_ratio(metric, limits, share, context.since) >= SPOKEN:
            return False
        awaited = True
    return awaited


def _well_rule_id(context: TriageContext, name: str) -> str:
    """Return what it says that users do well: it depends on whether they need what fails."""
    probes = context.all_tenants.states[name].probes
    ways = [probes[n] for n in (*context.rules.tenants[name].logins, CUSTOM) if n in probes]
    failing = [way for way in ways if way.state is not SignalState.OK]
    if not failing:
        return "users-ok-beside"
    faults = [way.most_frequent_fault for way in failing]
    if any(fault and fault.stage in ANSWERED_STAGES for fault in faults):
        return "users-ok"
    is_cut_off = all(fault and fault.stage in CUT_OFF_STAGES for fault in faults)
    have_keys_failed = find_fault(probes[WELLKNOWN], context) is not None
    return "users-pass" if is_cut_off or have_keys_failed else "users-ok"


def _will_speak(metric: MetricState, share: float) -> bool:
    """Tell whether there are calls enough to tell soon how users do."""
    if metric.no_data_reason or not metric.baseline.is_known:
        return False
    per_s = metric.baseline.total / metric.baseline.seconds
    return share * per_s * (SPEAK_WITHIN_S - COUNTED_LATE_S) >= TELLING_FAILURES


def _is_readable(metric: MetricState, context: TriageContext) -> bool:
    """Tell whether a metric has counts of now, from after the first failure, and of well before."""
    ended_at = metric.ended_at
    return (
        not metric.no_data_reason
        and bool(metric.recent)
        and not is_stale(metric, context)
        and (metric.read_at or 0.0) - COUNTED_LATE_S > context.since
        and (ended_at is None or context.now - ended_at >= RECENTLY_ENDED_S)
    )


def log_likelihood_ratio(
    metric: MetricState, limits: MetricLimits, share: float, since: float
) -> float:
    """Weigh "users do as ever" against "users fail since then, as the probe does".

    Above 0 they do as ever. Users may fail more often than the probe, or half as often: of those
    shares the one counts that explains best what is seen. Poisson counts; the part of the window
    from before the onset holds what is usual. A log that hides failures is told by the successes
    that it lacks.
    """
    reading, total = metric.reading, metric.reading.total or 0.0
    pooled = metric.recent if limits.kind is MetricKind.LOGS else metric.recent[-1:]
    after = _after_onset(metric, pooled, since)
    usual = max(reading.expected_failures, USUAL_SHARE * total, USUAL_FAILURES)

    def most_likely(lost: float) -> float:
        return min(max(lost, LEAST_PART * share * after), after)

    lost = most_likely((reading.failed - usual) / total if total else 0.0)
    by_failures = _compare_poisson(reading.failed, usual, usual + lost * total)
    is_log = limits.kind is MetricKind.LOGS
    by_rate = metric.baseline.expected_successes(reading.span_s)
    expected = (reading.expected_successes or 0.0) if is_log else by_rate
    if not metric.baseline.is_known or expected <= 0:
        return by_failures
    succeeded = total - reading.failed
    lost = most_likely(1 - succeeded / expected)
    missing = _compare_poisson(succeeded, expected, expected * max(1 - lost, USUAL_SHARE))
    if is_log:
        return min(by_failures, 0.0) + max(-CERTAIN, min(missing, CERTAIN))
    return min(by_failures, 0.0) if succeeded < FEW * expected else by_failures


def _after_onset(metric: MetricState, pooled: tuple[Measurement, ...], since: float) -> float:
    """Return which part of a reading's span lies after the onset."""
    after_s = sum(min(max(m.at - COUNTED_LATE_S - since, 0.0), m.span_s) for m in pooled)
    return after_s / metric.reading.span_s if metric.reading.span_s else 0.0


def _compare_poisson(count: float, first: float, second: float) -> float:
    """Return the logarithm of how much likelier a count is with the first mean than the second."""
    return count * log(first / second) - (first - second)


def _collect_peer_user_evidence(context: TriageContext, name: str) -> Iterator[RuleMatch]:
    """Yield at which tenants users fail too: two applications do not break in the same minutes.

    One that is sent to the wrong tenant is missing at one, and refused at the other; those of one
    cluster lose their way out together.
    """
    here = context.environment(name)
    if any(blames_application(m) for m in context.all_tenants.states[name].metrics.values()):
        return
    if have_applications_no_way_out(context):
        return
    others = [
        other
        for other, state in context.all_tenants.states.items()
        if other != name
        and here is not None
        and context.environment(other) == here
        and any(
            metric.state is not SignalState.OK and not blames_application(metric)
            for metric in state.metrics.values()
        )
    ]
    if others:
        yield RuleMatch("users-fail-elsewhere", {"names": tuple(others)})


def is_metric_healthy(metric: MetricState, context: TriageContext) -> bool:
    """Tell whether a metric is good, and describes the time after the first failure."""
    read_at, ended_at = metric.read_at or 0.0, metric.ended_at
    return (
        metric.state is SignalState.OK
        and metric.reading.is_good
        and not metric.no_data_reason
        and read_at - context.since >= AFTER_ONSET * metric.reading.span_s
        and context.now - read_at < FRESH_S
        and (ended_at is None or context.now - ended_at >= RECENTLY_ENDED_S)
    )


def collect_change_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    """Yield what was changed shortly before the first failure, the newest of each kind."""
    ours = suspect_changes(context, "")
    theirs = [change for name in context.tenants for change in suspect_changes(context, name)]
    if ours:
        yield RuleMatch("deploy-before", _change_values(ours[-1], context))
    if theirs:
        newest = theirs[-1]
        rule_id = "client-before" if newest.what.startswith("client") else "setting-before"
        yield RuleMatch(rule_id, {**_change_values(newest, context), "tenant": newest.tenant})


def suspect_changes(context: TriageContext, tenant: str) -> list[ChangeMade]:
    """Return the changes at a tenant, or (without one) of ours, shortly before the problem.

    Those of the bot itself are no release of an application: see `own-restart`.
    """
    begin, end = context.since - CHANGE_BEFORE_S, context.since + CHANGE_AFTER_S
    changes = (c for c in context.shared.changes if c.app != OWN_APP)
    return [c for c in changes if c.tenant == tenant and begin <= c.at <= end]


def _change_values(change: ChangeMade, context: TriageContext) -> dict[str, EvidenceValue]:
    minutes = max(0, round((context.since - change.at) / 60))
    return {"minutes": minutes, "change": change.what, "app": change.app}
