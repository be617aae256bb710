"""All that speaks in a case, and the verdict that comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import Cause, FeedState, Notice, Scope, Verdict
from bot.core.state.shared import FeedView, fitting, other_component
from bot.core.triage.context import Case, listed, works
from bot.core.triage.from_peers import kinds, peer_clues
from bot.core.triage.from_probes import is_slow, slow_clues, tenant_clues
from bot.core.triage.from_users import change_clues, user_clues
from bot.core.triage.verdict import Clue, judge

if TYPE_CHECKING:
    from collections.abc import Iterator


NEARBY = frozenset({"CDN", "Multi-factor Authentication"})
"""Components that users' logins pass and ours does not."""


def verdict(case: Case) -> Verdict:
    """Judge a case."""
    return judge(tuple(clues(case)), _scopes(case), _settle(case))


def clues(case: Case) -> Iterator[Clue]:
    """Yield all that speaks in a case."""
    for name in case.tenants:
        yield from tenant_clues(case, name)
        yield from user_clues(case, name)
    yield from peer_clues(case)
    yield from _control_clues(case)
    yield from slow_clues(case)
    yield from _feed_clues(case)
    yield from change_clues(case)


def _control_clues(case: Case) -> Iterator[Clue]:
    bad = [name for name, signal in case.outside.controls.items() if signal.faults]
    good = [
        name
        for name, s in case.outside.controls.items()
        if works(s, case.now) and not is_slow(s, case.now)
    ]
    if bad and not good:
        yield Clue("controls-fail", {"names": listed(bad)})
    elif good:
        yield Clue("controls-ok", {"names": listed(good)})


def _feed_clues(case: Case) -> Iterator[Clue]:
    views = feed_views(case)
    states = {view.state for view in views}
    nearby = [
        component
        for view in views
        for notice in view.notices
        if notice.is_open and (component := other_component(notice)) in NEARBY
    ]
    if fitting_notices(case):
        yield Clue("notice-fits")
    elif nearby:
        yield Clue("notice-nearby", {"names": listed([name for name in nearby if name])})
    elif FeedState.OK in states:
        yield Clue("notice-silent")
    if any(view.state is FeedState.OK and (view.read_at or 0.0) > case.since for view in views):
        yield Clue("feed-reached")
    if FeedState.UNREACHABLE in states:
        yield Clue("feed-unreachable")


def fitting_notices(case: Case) -> tuple[Notice, ...]:
    """Return the open posts that speak of this environment's logins at this time."""
    return fitting(feed_views(case), case.since)


def feed_views(case: Case) -> list[FeedView]:
    """Return what the feeds say that speak of a case's tenants."""
    names = {case.rules.tenants[name].feed.name for name in case.tenants}
    return [case.outside.feeds[name] for name in sorted(names) if name in case.outside.feeds]


def _scopes(case: Case) -> dict[Cause, Scope]:
    environments = {
        case.environment(n) for n in case.rules.tenants if n in case.tenants or kinds(case, n)
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


def _settle(case: Case) -> str:
    """Name the evidence that is missing most."""
    if not case.outside.controls:
        return "a neutral host (`controls`): it tells our network from Auth0"
    environments = {case.environment(name) for name in case.tenants}
    peers = [name for name in case.rules.tenants if name not in case.tenants]
    if not any(case.environment(peer) in environments for peer in peers):
        return "a login at another tenant of the same environment: does it fail too?"
    return "whether logins of real users fail, in the tenant's logs"
