"""Collects the evidence in a triage context, and reaches the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.observation import (
    Cause,
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
from bot.core.triage.context import TriageContext
from bot.core.triage.from_controls import (
    CERTAIN,
    SPOKEN,
    collect_control_evidence,
    failing_share,
    feed_ratio,
)
from bot.core.triage.from_peers import collect_peer_evidence, failure_kinds
from bot.core.triage.from_probes import collect_latency_evidence, collect_probe_evidence
from bot.core.triage.from_sources import collect_source_evidence
from bot.core.triage.from_users import collect_change_evidence, collect_user_evidence
from bot.core.triage.verdict import CAUSES, RuleMatch, judge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants, TenantState

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
        if name in context.tenants or failure_kinds(context, name)
    }
    is_wide = len(environments) > 1
    is_seen_wide = len(context.tenants) > 1 or not found.isdisjoint(SHARED_RULE_IDS)
    reach = Scope.SEVERAL if is_wide else Scope.ENVIRONMENT
    scopes = {
        **dict.fromkeys(CAUSES, Scope.TENANT),
        Cause.AUTH0: reach if is_seen_wide else Scope.UNKNOWN,
        Cause.NETWORK: Scope.SEVERAL if len(context.tenants) > 1 or is_wide else Scope.UNKNOWN,
    }
    is_told_at_once = is_seen_wide and "login-unreachable" not in found
    refutable = REFUTABLE if "users-unknown" in found and not is_told_at_once else frozenset()
    if "login-user-limit" in found:
        refutable -= {Cause.PROBE}  # it says itself that it is about one user
    return judge(matches, scopes, _what_would_settle(context), refutable=refutable)


def collect_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    """Yield every rule of the evidence table that matches."""
    for name in context.tenants:
        yield from collect_probe_evidence(context, name)
        yield from collect_user_evidence(context, name)
        if context.rules.tenants[name].metrics:
            yield from collect_source_evidence(context, name)
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
    yield from _collect_feed_way_evidence(context)


def _collect_feed_way_evidence(context: TriageContext) -> Iterator[RuleMatch]:
    """Yield whether the status page is reached, as often as what fails would be."""
    ratio = feed_ratio(context)
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
    peers = (name for name in context.rules.tenants if name not in context.tenants)
    if not any(context.environment(peer) in environments for peer in peers):
        return MissingEvidence.PEER
    return MissingEvidence.USERS
