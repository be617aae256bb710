"""Evidence -> verdict, by the table in `core/triage/evidence_table.py`.

The strengths of all rows that apply are added up, cause by cause, on top of how likely that cause
is beforehand; the confidence is the share of the best cause (soft maximum). Below `SURE_ENOUGH` the
verdict is `unclear`, and says what would settle it: a wrong verdict said with confidence is worse
than none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from typing import TYPE_CHECKING

from bot.core.model.observation import Cause, Evidence, Scope, Verdict
from bot.core.triage.evidence_table import EVIDENCE_TABLE, PRIORS, EvidenceRule

if TYPE_CHECKING:
    from collections.abc import Iterable

MIN_CONFIDENCE = 0.55


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A row that applies, with its figures. None of them is foreign text."""

    rule_id: str
    values: dict[str, str | int] = field(default_factory=dict)


def judge(clues: Iterable[RuleMatch], scope_of: dict[Cause, Scope], settle: str) -> Verdict:
    """Weigh clues.

    Args:
        clues: what applies, each row at most a few times.
        scope_of: how far each cause would reach; causes left out reach unknown far.
        settle: what would settle it, told if the verdict is `unclear`.
    """
    rows = [(EVIDENCE_TABLE[clue.rule_id], clue) for clue in clues]
    # The same row at ten tenants is one kind of evidence, not ten: it counts once.
    once = {row.id: row for row, _ in rows}.values()
    scores = {
        cause: start + sum(row.weights.get(cause, 0.0) for row in once)
        for cause, start in PRIORS.items()
    }
    best = max(scores, key=lambda cause: scores[cause])
    confidence = 1 / sum(exp(score - scores[best]) for score in scores.values())
    told = (
        Evidence(r.id, r.sentence.format(**clue.values), _relative_weight(r, best))
        for r, clue in rows
    )
    facts = sorted(told, key=lambda fact: -abs(fact.weight))
    is_clear = confidence >= MIN_CONFIDENCE
    return Verdict(
        cause=best if is_clear else Cause.UNCLEAR,
        scope=scope_of.get(best, Scope.UNKNOWN) if is_clear else Scope.UNKNOWN,
        confidence=round(confidence, 2),
        evidence_for=tuple(fact for fact in facts if fact.weight > 0),
        evidence_against=tuple(fact for fact in facts if fact.weight < 0),
        settled_by="" if is_clear else settle,
    )


def _relative_weight(row: EvidenceRule, best: Cause) -> float:
    """Return how much a row speaks for a cause rather than for the others."""
    others = [row.weights.get(cause, 0.0) for cause in PRIORS if cause is not best]
    return round(row.weights.get(best, 0.0) - sum(others) / len(others), 2)
