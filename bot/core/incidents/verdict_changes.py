"""When the verdict of an open incident changes: not because a number moved or a fact went away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.observation import PROBABLE, Cause
from bot.core.state.incident import MONITOR, PROBE, STATUS_INCIDENT, Incident, VerdictRecord
from bot.core.state.problem import (
    AlertProblem,
    MetricProblem,
    NoDataProblem,
    ProbeProblem,
    SlowProblem,
)

if TYPE_CHECKING:
    from bot.core.model.observation import Evidence, Verdict

OUR_CAUSES = frozenset({Cause.PROBE, Cause.NETWORK})
"""Causes on our side: if one is probable, users elsewhere may be fine: that is a warning."""
MAX_VERDICT_RECORDS = 20
LOUDER = 0.25
"""So much more of the same evidence is new evidence."""
TELLING = 0.5
"""Evidence of less weight turns no verdict."""
SETTLE_S, CLEAR = 120.0, 0.75
"""For so long a verdict may turn freely; later only this clear, and so long after the last turn."""
MOST_DOUBLINGS = 2
DISPROVED_S, DISPROVED_OURS_S = 300.0, 60.0
"""Without anything new, a verdict turns once the facts have named another cause for so long."""


def turn_verdict(incident: Incident, judged: Verdict, now: float) -> Incident:
    """Return an incident with the verdict that it has after another look."""
    doubt = None if judged.cause is incident.verdict.cause else judged.cause
    if doubt is not incident.history.doubted_as:
        since = None if doubt is None else now
        history = replace(incident.history, doubted_as=doubt, doubted_since=since)
        incident = replace(incident, history=history)
    verdict = (
        judged if _is_disproved(incident, judged, now) else _next_verdict(incident, judged, now)
    )
    if verdict is incident.verdict:
        return incident
    history = replace(incident.history, doubted_as=None, doubted_since=None)
    return replace(incident, verdict=verdict, history=history)


def is_new_cause(before: Verdict, after: Verdict) -> bool:
    """Tell whether another cause is blamed, or its scope changed."""
    return (before.cause, before.scope) != (after.cause, after.scope)


def new_evidence(before: Verdict, after: Verdict) -> tuple[Evidence, ...]:
    """Return the evidence that a verdict did not have before, or much less of it."""
    known = {one.rule_id: one.strength for one in (*before.evidence_for, *before.evidence_against)}
    found = (*after.evidence_for, *after.evidence_against)
    return tuple(o for o in found if o.strength > known.get(o.rule_id, -1.0) + LOUDER)


def record_evidence(incident: Incident, now: float) -> Incident:
    """Record since when each rule matches, how the verdict changed, and who knew first."""
    verdict = incident.verdict
    since = {one.rule_id: now for one in (*verdict.evidence_for, *verdict.evidence_against)}
    past = incident.history
    verdicts = past.verdicts
    if not verdicts or is_new_cause(verdicts[-1].verdict, verdict):
        new_ids = tuple(rule_id for rule_id in since if rule_id not in past.evidence_since)
        bare = replace(verdict, evidence_for=(), evidence_against=())
        verdicts = (*verdicts[-MAX_VERDICT_RECORDS + 1 :], VerdictRecord(now, bare, new_ids))
    history = replace(
        past,
        evidence_since={**since, **past.evidence_since},
        verdicts=verdicts,
        detected_at=_detection_times(incident),
    )
    return replace(incident, history=history)


def _next_verdict(incident: Incident, judged: Verdict, now: float) -> Verdict:
    """Return the verdict after another look: for evidence that comes for the first time, at once.

    Evidence that comes and goes turns it after the first minutes only where it is clear, and ever
    more slowly. A cause that people were told is not taken back because a number moved.
    """
    before, history = incident.verdict, incident.history
    found = [o for o in new_evidence(before, judged) if abs(o.weight) >= TELLING]
    is_first = any(o.rule_id not in history.evidence_since for o in found)
    if before.stated_cause is judged.cause is not judged.stated_cause and not is_first:
        return replace(judged, confidence=PROBABLE, scope=before.scope)
    if not is_new_cause(before, judged) or is_first:
        return judged
    return judged if found and _may_turn_again(incident, judged, now) else before


def _may_turn_again(incident: Incident, judged: Verdict, now: float) -> bool:
    """Tell whether evidence that was seen before may turn the verdict now."""
    opened_at, turns = incident.life.opened_at, incident.history.verdicts
    is_named = incident.verdict.stated_cause is Cause.UNCLEAR and judged.confidence >= CLEAR
    if now - opened_at < SETTLE_S or is_named:
        return True
    last_at = turns[-1].at if turns else opened_at
    is_clear = judged.confidence >= CLEAR or judged.confidence <= 1 - CLEAR
    patience_s = SETTLE_S * 2 ** min(len(turns) - 1, MOST_DOUBLINGS)
    return now - last_at >= patience_s and is_clear


def _is_disproved(incident: Incident, judged: Verdict, now: float) -> bool:
    """Tell whether what spoke for a cause has been gone for so long that it is another one.

    A cause for which nobody is called needs facts that are still there.
    """
    since = incident.history.doubted_since
    if since is None:
        return False
    if incident.verdict.cause in OUR_CAUSES:
        return now - since >= DISPROVED_OURS_S
    is_clear = judged.cause is not Cause.UNCLEAR and judged.confidence >= CLEAR
    return is_clear and now - since >= DISPROVED_S


def _detection_times(incident: Incident) -> dict[str, float]:
    """Return when each kind of source first detected the incident.

    A status incident counts from when it was posted, not from when we read it.
    """
    times = dict(incident.history.detected_at)
    for problem in incident.problems:
        match problem:
            case ProbeProblem() | SlowProblem():
                source = PROBE
            case MetricProblem() | NoDataProblem():
                source = problem.source.value if problem.source else STATUS_INCIDENT
            case AlertProblem():
                source = MONITOR
        times[source] = min(problem.since, times.get(source, problem.since))
    past = incident.life.past
    for each in incident.status_incidents:
        if not past or each.posted_at >= past[-1].until:
            times[STATUS_INCIDENT] = min(each.posted_at, times.get(STATUS_INCIDENT, each.posted_at))
    return times
