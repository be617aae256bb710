"""At the moment of a failure: what is asked out of turn, because it tells the causes apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.observation import SignalState
from bot.core.state.stimulus import Effect, Finding, Look, Run, World

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, Stepped
    from bot.core.state.rules import Rules

ASK_AGAIN_S = 5.0
"""Neutral hosts are asked at the moment of a failure, but not more often than this."""
ASK_WHILE_TROUBLED_S = 15.0
FEED_AGAIN_S = 15.0
PEERS = 2
"""Asked at the moment of a failure, of the same environment and of others."""


def asked_around(state: DeskState, stimulus: Finding, world: World, rules: Rules) -> Stepped:
    """At the moment of a failure ask what tells the causes apart: who else fails now?

    Neutral hosts, status feeds, logins at a few other tenants; at this one, if its users fail.
    """
    now = stimulus.at
    if now - state.asked_at < ASK_AGAIN_S:
        return state, []
    due = dict(state.due)
    for target in rules.feeds:
        due[str(target)] = min(due[str(target)], now + FEED_AGAIN_S)
    for target in rules.controls:
        due[str(target)] = min(due[str(target)], now + ASK_WHILE_TROUBLED_S)
    looks: list[Effect] = [Look(target) for target in rules.controls]
    is_users = any(c.signal not in world.tenants[c.tenant].signals for c in stimulus.changes)
    whom = [stimulus.tenant] * is_users + _peers(stimulus.tenant, world, rules)
    peers = [Run(name, "") for name in whom]
    return replace(state, due=due, asked_at=now), [*looks, *peers]


def _peers(tenant: str, world: World, rules: Rules) -> list[str]:
    """Choose tenants that were well so far: some of the same environment, some of others."""
    here = world.environment(tenant, rules)
    well = [
        name
        for name, state in world.tenants.items()
        if name != tenant and all(s.state is SignalState.OK for s in state.signals.values())
    ]
    near = [name for name in well if world.environment(name, rules) == here]
    far = [name for name in well if name not in near]
    return near[:PEERS] + far[:PEERS]
