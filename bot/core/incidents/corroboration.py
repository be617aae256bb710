"""At the moment of a failure: what is asked out of turn, because it tells the causes apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.observation import SignalState
from bot.core.state.stimulus import Effect, RequestCheck, StartProbe, TenantReport, Tenants

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules

CORROBORATION_INTERVAL_S = 5.0
"""Neutral hosts are asked at the moment of a failure, but not more often than this."""
CONTROL_INTERVAL_WITH_PROBLEM_S = 15.0
FEED_POLL_DELAY_S = 15.0
MAX_PEERS = 2
"""Asked at the moment of a failure, of the same environment and of others."""


def corroborate(
    state: DeskState, stimulus: TenantReport, world: Tenants, rules: Rules
) -> StateAndEffects:
    """At the moment of a failure ask what tells the causes apart: who else fails now?

    Neutral hosts, status feeds, logins at a few other tenants; at this one, if its users fail.
    """
    now = stimulus.at
    if now - state.corroborated_at < CORROBORATION_INTERVAL_S:
        return state, []
    due = dict(state.due)
    for target in rules.feeds:
        due[str(target)] = min(due[str(target)], now + FEED_POLL_DELAY_S)
    for target in rules.controls:
        due[str(target)] = min(due[str(target)], now + CONTROL_INTERVAL_WITH_PROBLEM_S)
    looks: list[Effect] = [StartProbe(target) for target in rules.controls]
    is_users = any(c.signal not in world.states[c.tenant].probes for c in stimulus.changes)
    whom = [stimulus.tenant] * is_users + _choose_peers(stimulus.tenant, world, rules)
    peers = [RequestCheck(name, "") for name in whom]
    return replace(state, due=due, corroborated_at=now), [*looks, *peers]


def _choose_peers(tenant: str, world: Tenants, rules: Rules) -> list[str]:
    """Choose tenants that were well so far: some of the same environment, some of others."""
    here = world.environment(tenant, rules)
    well = [
        name
        for name, state in world.states.items()
        if name != tenant and all(s.state is SignalState.OK for s in state.probes.values())
    ]
    near = [name for name in well if world.environment(name, rules) == here]
    far = [name for name in well if name not in near]
    return near[:MAX_PEERS] + far[:MAX_PEERS]
