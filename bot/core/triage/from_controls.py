"""Evidence from control endpoints: do they fail or slow down as Auth0's hosts do?

One that fails tells nothing if it failed before. One that answers tells nothing if only a part of
the requests fails. So shares are compared, and slowness, each with its own past.
"""

from __future__ import annotations

from math import log
from statistics import median
from typing import TYPE_CHECKING

from bot.core.model.observation import FRESH_S
from bot.core.state.tenant import feed_samples_key
from bot.core.triage.from_probes import is_slow, login_rule_id
from bot.core.triage.verdict import RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.tenant import Sample
    from bot.core.triage.context import TriageContext

LONG_BEFORE_S = 120.0
"""A control endpoint that began to fail so long before has a problem of its own."""
USUAL_SHARE = 0.01
"""So many of a control endpoint's requests fail by themselves."""
SPOKEN, CERTAIN = 1.5, 3.0
"""From the first log-likelihood ratio on it says something, from the second on all it can."""
SLOWER = 1.9
"""At this many times its usual latency it is slow as well, however fast it still is."""
FEW_ANSWERS = 3
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
        samples = [s for s in context.shared.samples.get(name, ()) if s.at >= context.since]
        if samples and not _has_failed_before(context, signal):
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
    return bool(faults) and all(login_rule_id(fault) == "login-blocked" for fault in faults)


def feed_ratio(context: TriageContext) -> float:
    """Return the log-likelihood ratio of "the status page is lost as what fails" against "as ever".

    Below 0 it is reached.
    """
    names = {context.rules.tenants[name].feed.name for name in context.tenants}
    samples = [
        sample
        for name in names
        for sample in context.shared.samples.get(feed_samples_key(name), ())
        if sample.at >= context.since
    ]
    return compare_shares(samples, failing_share(context) or 1.0)


def _answer(
    context: TriageContext, samples: list[Sample], signal: ProbeState, share: float
) -> tuple[str, float]:
    """Return what one control endpoint says, and how clearly; an empty id: nothing."""
    ratio = compare_shares(samples, share or 1.0)
    if ratio >= SPOKEN:
        return "controls-fail", min(1.0, ratio / CERTAIN)
    if _is_slower(samples, signal):
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
    """Return the share that fails of any probe of the context's tenants; 0: none fails.

    Of few tries it is drawn towards a half (Laplace).
    """
    states = (context.all_tenants.states[name] for name in context.tenants)
    failing = [p for s in states for p in s.probes.values() if p.is_failing]
    tries = ((len(p.faults), len(p.tries) - p.successes_in_a_row) for p in failing)
    return max(((failed + 1) / (made + 2) for failed, made in tries), default=0.0)


def _has_failed_before(context: TriageContext, signal: ProbeState) -> bool:
    """Tell whether a control endpoint failed already when the problem began, or never worked."""
    since, good_before = signal.since, signal.good_before
    if since is None:
        return False
    return good_before is None or since < context.since - LONG_BEFORE_S


def compare_shares(samples: list[Sample], share: float) -> float:
    """Return the log-likelihood ratio of "fails at this share" against "fails as ever"."""
    failed = sum(sample.latency_s is None for sample in samples)
    share = min(max(share, 2 * USUAL_SHARE), 1 - USUAL_SHARE)
    good = len(samples) - failed
    return failed * log(share / USUAL_SHARE) + good * log((1 - share) / (1 - USUAL_SHARE))


def _is_slower(samples: list[Sample], signal: ProbeState) -> bool:
    """Tell whether its answers take far longer than usual."""
    latencies = [sample.latency_s for sample in samples if sample.latency_s is not None]
    usual_s = signal.latency.median_s
    return len(latencies) >= FEW_ANSWERS and median(latencies) >= SLOWER * usual_s > 0
