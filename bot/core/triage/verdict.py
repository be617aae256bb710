"""Evidence -> verdict, by the table in `core/triage/evidence_table.py`.

The weights of all rules that match are added up, cause by cause, on top of how likely that cause
is beforehand. The confidence is the share of the best cause (soft maximum). Below `MIN_CONFIDENCE`
the verdict is `unclear`, and says what would settle it: a wrong verdict said with confidence is
worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from typing import TYPE_CHECKING

from bot.core.model.observation import (
    Cause,
    Evidence,
    EvidenceValue,
    MissingEvidence,
    Scope,
    Verdict,
)
from bot.core.triage.evidence_table import EVIDENCE_TABLE, PRIORS

if TYPE_CHECKING:
    from collections.abc import Iterable

MIN_CONFIDENCE = 0.55


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that matches, with its values. None of them is text from outside."""

    rule_id: str
    values: dict[str, EvidenceValue] = field(default_factory=dict)


def judge(
    matches: Iterable[RuleMatch], scope_of: dict[Cause, Scope], missing: MissingEvidence
) -> Verdict:
    """Weigh the evidence.

    Args:
        matches: what matches, each rule at most a few times.
        scope_of: how far each cause would reach; the others reach unknown far.
        missing: what would settle it if the verdict is `unclear`.
    """
    found = [(EVIDENCE_TABLE[match.rule_id], match) for match in matches]
    # The same rule at ten tenants is one kind of evidence, not ten: it counts once.
    once = {rule.id: rule for rule, _ in found}.values()
    scores = {
        cause: prior + sum(rule.weights.get(cause, 0.0) for rule in once)
        for cause, prior in PRIORS.items()
    }
    best = max(scores, key=lambda cause: scores[cause])
    confidence = 1 / sum(exp(score - scores[best]) for score in scores.values())
    weights = {}  # how much more each rule speaks for the best cause than for the others
    for rule in once:
        others = [rule.weights.get(cause, 0.0) for cause in PRIORS if cause is not best]
        weights[rule.id] = round(rule.weights.get(best, 0.0) - sum(others) / len(others), 2)
    evidence = [Evidence(rule.id, match.values, weights[rule.id]) for rule, match in found]
    evidence.sort(key=lambda one: -abs(one.weight))
    is_clear = confidence >= MIN_CONFIDENCE
    return Verdict(
        cause=best if is_clear else Cause.UNCLEAR,
        scope=scope_of.get(best, Scope.UNKNOWN) if is_clear else Scope.UNKNOWN,
        confidence=round(confidence, 2),
        evidence_for=tuple(one for one in evidence if one.weight > 0),
        evidence_against=tuple(one for one in evidence if one.weight < 0),
        settled_by=None if is_clear else missing,
    )
