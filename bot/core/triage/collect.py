"""All that speaks in a case, and the verdict that comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import Cause, FeedState, Scope, StatusIncident, Verdict
from bot.core.state.shared import FeedView, match_status_incidents, other_component
from bot.core.triage.context import TriageContext, is_signal_healthy, join_names
from bot.core.triage.from_peers import collect_peer_evidence, failure_kinds
from bot.core.triage.from_probes import collect_latency_evidence, collect_probe_evidence, is_slow
from bot.core.triage.from_users import collect_change_evidence, collect_user_evidence
from bot.core.triage.verdict import RuleMatch, judge

if TYPE_CHECKING:
    from collections.abc import Iterator


UNPROBED_COMPONENTS = frozenset({"CDN", "Multi-factor Authentication"})
"""Components that users' logins pass and ours does not."""


def reach_verdict(case: TriageContext) -> Verdict:
    """Judge a case."""
    return judge(tuple(collect_evidence(case)), _scopes_by_cause(case), _what_would_settle(case))


def collect_evidence(case: TriageContext) -> Iterator[RuleMatch]:
    """Yield all that speaks in a case."""
    for name in case.tenants:
        yield from collect_probe_evidence(case, name)
        yield from collect_user_evidence(case, name)
    yield from collect_peer_evidence(case)
    yield from _collect_control_evidence(case)
    yield from collect_latency_evidence(case)
    yield from _collect_status_page_evidence(case)
    yield from collect_change_evidence(case)


def _collect_control_evidence(case: TriageContext) -> Iterator[RuleMatch]:
    bad = [name for name, signal in case.shared.controls.items() if signal.faults]
    good = [
        name
        for name, s in case.shared.controls.items()
        if is_signal_healthy(s, case.now) and not is_slow(s, case.now)
    ]
    if bad and not good:
        yield RuleMatch("controls-fail", {"names": join_names(bad)})
    elif good:
        yield RuleMatch("controls-ok", {"names": join_names(good)})


def _collect_status_page_evidence(case: TriageContext) -> Iterator[RuleMatch]:
    views = feed_views(case)
    states = {view.state for view in views}
    nearby = [
        component
        for view in views
        for notice in view.status_incidents
        if notice.is_open and (component := other_component(notice)) in UNPROBED_COMPONENTS
    ]
    if matching_status_incidents(case):
        yield RuleMatch("notice-fits")
    elif nearby:
        yield RuleMatch("notice-nearby", {"names": join_names([name for name in nearby if name])})
    elif FeedState.OK in states:
        yield RuleMatch("notice-silent")
    if any(view.state is FeedState.OK and (view.read_at or 0.0) > case.since for view in views):
        yield RuleMatch("feed-reached")
    if FeedState.UNREACHABLE in states:
        yield RuleMatch("feed-unreachable")


def matching_status_incidents(case: TriageContext) -> tuple[StatusIncident, ...]:
    """Return the open posts that speak of this environment's logins at this time."""
    return match_status_incidents(feed_views(case), case.since)


def feed_views(case: TriageContext) -> list[FeedView]:
    """Return what the feeds say that speak of a case's tenants."""
    names = {case.rules.tenants[name].feed.name for name in case.tenants}
    return [case.shared.feeds[name] for name in sorted(names) if name in case.shared.feeds]


def _scopes_by_cause(case: TriageContext) -> dict[Cause, Scope]:
    environments = {
        case.environment(n)
        for n in case.rules.tenants
        if n in case.tenants or failure_kinds(case, n)
    }
    is_wide = len(environments) > 1
    return {
        Cause.AUTH0: Scope.SEVERAL if is_wide else Scope.ENVIRONMENT,
        Cause.NETWORK: Scope.SEVERAL if len(case.tenants) > 1 or is_wide else Scope.UNKNOWN,
        Cause.TENANT: Scope.TENANT,
        Cause.PROBE: Scope.TENANT,
        Cause.QUOTA: Scope.TENANT,
        Cause.APP: Scope.TENANT,
        Cause.UPSTREAM: Scope.TENANT,
    }


def _what_would_settle(case: TriageContext) -> str:
    """Name the evidence that is missing most."""
    if not case.shared.controls:
        return "a neutral host (`controls`): it tells our network from Auth0"
    environments = {case.environment(name) for name in case.tenants}
    peers = [name for name in case.rules.tenants if name not in case.tenants]
    if not any(case.environment(peer) in environments for peer in peers):
        return "a login at another tenant of the same environment: does it fail too?"
    return "whether logins of real users fail, in the tenant's logs"
