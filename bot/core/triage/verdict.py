"""Evidence -> verdict, by `evidence_table.py` and `weights.py`.

    score(cause) = TEMPERATURE * (prior(cause) + sum of strength(rule) * weight(rule, cause))

over the answers: of the rules that match, the first one of each question. The confidence is the
share of the best cause (soft maximum). Below `MIN_CONFIDENCE`, or where no fact speaks for the
best cause, the verdict is `unclear`, and says what would settle it: a wrong verdict said with
confidence is worse than none.

For `make fit`: `answers(collect_evidence(context))` gives the features of a world's instant, the
strength of each answer (0 to 1) by its rule; `share_causes` gives the share of each cause, a
softmax over `CAUSES` that is linear in the answers, `unclear` (none of them) included. The numbers
are those of `weights.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from typing import TYPE_CHECKING

from bot.core.model.observation import (
    PROBABLE,
    Cause,
    Evidence,
    EvidenceValue,
    MissingEvidence,
    Scope,
    Verdict,
)
from bot.core.triage import weights as numbers
from bot.core.triage.evidence_table import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MIN_CONFIDENCE = 0.55
"""Below this confidence not even `why` and `/status.json` name a cause. Messages need more:
`PROBABLE`."""
MAX_BEFORE_USERS_SPOKE = 0.69
"""While figures that could refute a cause have not spoken yet, it is stated with at most this."""
_USED = numbers.parse_weights(numbers.WRITTEN) | numbers.parse_weights(numbers.FITTED)
PRIORS = _USED.pop(numbers.PRIOR)
CAUSES = tuple(PRIORS)
"""What is weighed; `unclear`: none of the others fits."""
WEIGHTS = _USED
TEMPERATURE = numbers.FITTED_TEMPERATURE or numbers.WRITTEN_TEMPERATURE
_RANK = {
    rule.id: (at, place)
    for at, rules in enumerate(RULES.values())
    for place, rule in enumerate(rules)
}
"""The number of a rule's question, and its place there."""


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A rule that matches, with its values. None of them is text from outside."""

    rule_id: str
    values: dict[str, EvidenceValue] = field(default_factory=dict)
    strength: float = 1.0
    """How much there is of it, above 0 to 1: counts may say it clearly or hardly."""


def answers(matches: Iterable[RuleMatch]) -> dict[str, float]:
    """Return the answer to each question, by its rule, and how strong it is.

    The same rule at ten tenants is one answer, not ten.
    """
    strengths: dict[str, float] = {}
    for match in matches:
        strengths[match.rule_id] = max(match.strength, strengths.get(match.rule_id, 0.0))
    first: dict[int, str] = {}
    for rule_id in sorted(strengths, key=_RANK.__getitem__):
        first.setdefault(_RANK[rule_id][0], rule_id)
    return {rule_id: strengths[rule_id] for rule_id in first.values()}


def share_causes(
    answered: Mapping[str, float],
    weights: Mapping[str, Mapping[Cause, float]] = WEIGHTS,
    priors: Mapping[Cause, float] = PRIORS,
    temperature: float = TEMPERATURE,
) -> dict[Cause, float]:
    """Return how likely each cause is, `unclear` (none of them) included."""
    scores = {
        cause: temperature
        * (priors[cause] + sum(s * weights[id_].get(cause, 0.0) for id_, s in answered.items()))
        for cause in CAUSES
    }
    best = max(scores.values())
    powers = {cause: exp(score - best) for cause, score in scores.items()}
    total = sum(powers.values())
    return {cause: power / total for cause, power in powers.items()}


def judge(
    matches: Iterable[RuleMatch],
    scope_of: dict[Cause, Scope],
    missing: MissingEvidence,
    *,
    refutable: frozenset[Cause] = frozenset(),
) -> Verdict:
    """Weigh the evidence.

    Args:
        matches: what matches, each rule at most a few times.
        scope_of: how far each cause would reach; the others reach unknown far.
        missing: what would settle it if the verdict is `unclear`, or its cause is not stated.
        refutable: causes that figures, which have not spoken yet, could refute.
    """
    found = list(matches)
    answered = answers(found)
    shares = share_causes(answered)
    best = max((cause for cause in CAUSES if cause is not Cause.UNCLEAR), key=shares.__getitem__)
    confidence = shares[best]
    if best in refutable:
        confidence = min(confidence, MAX_BEFORE_USERS_SPOKE)
    weights = {}  # how much more each rule speaks for the best cause than for the others
    for rule_id, strength in answered.items():
        row = WEIGHTS[rule_id]
        others = [row.get(cause, 0.0) for cause in CAUSES if cause is not best]
        weights[rule_id] = round(strength * (row.get(best, 0.0) - sum(others) / len(others)), 2)
    evidence = [
        Evidence(match.rule_id, match.values, weights[match.rule_id], match.strength)
        for match in found
        if match.rule_id in weights
    ]
    evidence.sort(key=lambda one: -abs(one.weight))
    has_fact = any(WEIGHTS[rule_id].get(best, 0.0) > 0 for rule_id in answered)
    is_clear = has_fact and confidence >= MIN_CONFIDENCE
    if not has_fact:
        confidence = min(confidence, MIN_CONFIDENCE)
    confidence = round(confidence, 2)
    return Verdict(
        cause=best if is_clear else Cause.UNCLEAR,
        scope=scope_of.get(best, Scope.UNKNOWN) if is_clear else Scope.UNKNOWN,
        confidence=confidence,
        evidence_for=tuple(one for one in evidence if one.weight > 0),
        evidence_against=tuple(one for one in evidence if one.weight < 0),
        settled_by=None if is_clear and confidence >= PROBABLE else missing,
    )
