"""Collects the evidence and weighs it, by `evidence_table.py` and `weights.py`.

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

from dataclasses import replace
from math import exp
from typing import TYPE_CHECKING

from bot.core.model.observation import (
    PROBABLE,
    Cause,
    Evidence,
    FeedState,
    MissingEvidence,
    Scope,
    StatusIncident,
    Target,
    Verdict,
)
from bot.core.state.tenant import (
    FeedView,
    match_status_incidents,
    other_component,
)
from bot.core.triage import weights as numbers
from bot.core.triage.context import SPOKEN, RuleMatch, TriageContext
from bot.core.triage.evidence_table import RULES
from bot.core.triage.from_others import (
    CERTAIN,
    collect_control_evidence,
    collect_peer_evidence,
    failing_share,
    failure_kinds,
    feed_ratio,
    find_cut_off,
    find_refutable_by_neighbours,
)
from bot.core.triage.from_probes import collect_latency_evidence, collect_probe_evidence
from bot.core.triage.from_sources import collect_source_evidence
from bot.core.triage.from_users import collect_change_evidence, collect_user_evidence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants, TenantState

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


UNPROBED_COMPONENTS = frozenset({"CDN", "Multi-factor Authentication"})
"""Components that users' logins pass through and the synthetic login does not."""


SHARED_RULE_IDS = frozenset(
    {
        "same-environment-fails",
        "same-environment-refused",
        "same-environment-slow",
        "users-fail-elsewhere",
        "elsewhere-fails",
        "elsewhere-slow",
        "notice-fits",
        "nothing-reached",
    }
)
"""More than one tenant is seen to fail, or a post says so: only then is a reach known."""
UNANSWERED_RULE_IDS = frozenset({"login-unreachable", "wellknown-unreachable"})
"""Nothing of the tenant answers us: that, too, may be our own way, which users do not take."""
COMPANION_RULE_IDS = frozenset(
    {"same-environment-fails", "same-environment-refused", "users-fail-elsewhere"}
)
"""A neighbour is known to fail as well."""
REFUTABLE = frozenset({Cause.AUTH0, Cause.TENANT, Cause.QUOTA, Cause.PROBE})
"""Causes that users' counts can refute."""


class Triage:
    """The triage of one evaluation: judges each context at most once."""

    def __init__(self, now: float, tenants: Tenants, desk: DeskState, rules: Rules) -> None:
        shared = desk.shared
        silenced = frozenset(
            s.about.owner
            for s in desk.active_silences
            if isinstance(s.about, Target)
            and s.about.owner
            and not s.about.name
            and s.since <= now < s.until
        )
        self._everything = TriageContext((), tenants, shared, rules, now, now, silenced)
        self.rules = rules
        self._verdicts: dict[tuple[tuple[str, ...], float], Verdict] = {}

    def context(self, names: tuple[str, ...], since: float | None = None) -> TriageContext:
        """Return the context of some tenants, by default since the first of them failed."""
        everything = self._everything
        if since is None:
            states = (everything.all_tenants.states[name] for name in names)
            starts = (start for state in states for start in _starts(state))
            since = min(starts, default=everything.now)
        return replace(everything, tenants=names, since=since)

    def judge(self, context: TriageContext) -> Verdict:
        """Return the verdict on a context of this evaluation."""
        key = context.tenants, context.since
        if key not in self._verdicts:
            self._verdicts[key] = reach_verdict(context)
        return self._verdicts[key]


def _starts(tenant: TenantState) -> Iterator[float]:
    starts = (
        tenant.no_data_since,
        *(s.since for s in tenant.probes.values()),
        *(s.latency.since for s in tenant.probes.values() if s.latency.is_slow),
        *(s.since for s in tenant.metrics.values()),
        *(m.since for m in tenant.monitors.values()),
    )
    return (start for start in starts if start is not None)


def reach_verdict(context: TriageContext) -> Verdict:
    """Return the verdict on a context."""
    matches = list(collect_evidence(context))
    found = {match.rule_id for match in matches}
    environments = {
        context.environment(name)
        for name in context.rules.tenants
        if name in context.members or failure_kinds(context, name)
    }
    is_wide = len(environments) > 1
    is_seen_wide = len(context.tenants) > 1 or not found.isdisjoint(SHARED_RULE_IDS)
    reach = Scope.SEVERAL if is_wide else Scope.ENVIRONMENT
    scopes = {
        **dict.fromkeys(CAUSES, Scope.TENANT),
        Cause.AUTH0: reach if is_seen_wide else Scope.UNKNOWN,
        Cause.NETWORK: Scope.SEVERAL if len(context.tenants) > 1 or is_wide else Scope.UNKNOWN,
    }
    is_told_at_once = is_seen_wide and found.isdisjoint(UNANSWERED_RULE_IDS)
    refutable = REFUTABLE if "users-unknown" in found and not is_told_at_once else frozenset()
    if found.isdisjoint(COMPANION_RULE_IDS):
        refutable |= find_refutable_by_neighbours(context)
    if "login-user-limit" in found:
        refutable -= {Cause.PROBE}  # it says itself that it is about one user
    return judge(matches, scopes, _what_would_settle(context), refutable=refutable)


def collect_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    """Yield every rule of the evidence table that matches."""
    for name in context.tenants:
        yield from collect_probe_evidence(context, name)
        if context.rules.tenants[name].metrics:
            yield from collect_source_evidence(context, name)
    yield from collect_user_evidence(context, (*context.tenants, *find_cut_off(context)))
    yield from collect_peer_evidence(context)
    yield from collect_control_evidence(context)
    yield from collect_latency_evidence(context)
    yield from _collect_status_page_evidence(context)
    yield from collect_change_evidence(context)


def _collect_status_page_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    views = feed_views(context)
    states = {view.state for view in views}
    unprobed = [
        component
        for view in views
        for status_incident in view.status_incidents
        if status_incident.is_open
        and (component := other_component(status_incident)) in UNPROBED_COMPONENTS
    ]
    if matching_status_incidents(context):
        yield RuleMatch("notice-fits")
    elif unprobed and not failing_share(context):
        yield RuleMatch("notice-nearby", {"names": tuple(filter(None, unprobed))})
    elif FeedState.OK in states:
        yield RuleMatch("notice-silent")
    ratio = feed_ratio(context)  # the page may be lost as often as what fails, or be reached
    if abs(ratio) >= SPOKEN:
        rule_id = "feed-unreachable" if ratio > 0 else "feed-reached"
        yield RuleMatch(rule_id, strength=round(min(1.0, abs(ratio) / CERTAIN), 2))


def matching_status_incidents(context: TriageContext) -> tuple[StatusIncident, ...]:
    """Return the open status incidents about logins in this environment at this time."""
    return match_status_incidents(feed_views(context), context.since)


def feed_views(context: TriageContext) -> list[FeedView]:
    """Return the views of the status feeds that cover the context's tenants."""
    names = {context.rules.tenants[name].feed.name for name in context.tenants}
    return [context.shared.feeds[name] for name in sorted(names) if name in context.shared.feeds]


def _what_would_settle(context: TriageContext) -> MissingEvidence:
    """Name the evidence that is missing most."""
    if not context.shared.controls:
        return MissingEvidence.CONTROL
    environments = {context.environment(name) for name in context.tenants}
    peers = (name for name in context.rules.tenants if name not in context.members)
    if not any(context.environment(peer) in environments for peer in peers):
        return MissingEvidence.PEER
    return MissingEvidence.USERS
