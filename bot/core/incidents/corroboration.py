"""At the moment of a failure: the extra checks that help to find the cause."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, SignalState
from bot.core.state.stimulus import (
    DeskEffect,
    PollFeed,
    PollShifts,
    RequestCheck,
    StartProbe,
    TenantReport,
)
from bot.core.state.tenant import Tenants

if TYPE_CHECKING:
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules

CORROBORATION_INTERVAL_S = 5.0
"""Failures start these checks no more often than this."""
CONTROL_INTERVAL_WITH_PROBLEM_S = 15.0
FEED_POLL_DELAY_S = 15.0
MAX_PEERS = 2
"""So many tenants are checked of the same environment, and as many of others."""


def corroborate(
    state: DeskState, stimulus: TenantReport, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    """Check what tells the causes apart: what else fails now?

    Control endpoints, status feeds, and at a few other tenants the logins and what has just failed
    here; all that this tenant has if its users fail.
    """
    now = stimulus.at
    if now - state.corroborated_at < CORROBORATION_INTERVAL_S:
        return state, []
    feeds_at, controls_at = now + FEED_POLL_DELAY_S, now + CONTROL_INTERVAL_WITH_PROBLEM_S
    state = replace(
        state,
        feeds_due={name: min(due, feeds_at) for name, due in state.feeds_due.items()},
        controls_due={name: min(due, controls_at) for name, due in state.controls_due.items()},
        corroborated_at=now,
    )
    here, probes = stimulus.tenant, rules.tenants[stimulus.tenant].probes
    is_users = any(change.signal not in probes for change in stimulus.changes)
    beside = {change.signal for change in stimulus.changes} & {CUSTOM, M2M, WELLKNOWN}
    peers = _choose_peers(here, tenants, rules)
    return state, [
        *(StartProbe(target) for target in rules.controls),
        *(RequestCheck(here, "", signal) for signal in probes if is_users),
        *(RequestCheck(name, "") for name in peers),
        *(
            RequestCheck(name, "", signal)
            for name in peers
            for signal in rules.tenants[name].probes
            if signal in beside
        ),
    ]


def control_interval_s(tenants: Tenants, rules: Rules) -> float:
    """Return how often control endpoints are checked: more often while a probe is bad or slow."""
    states = tenants.states.values()
    is_bad = any(s.is_slowing or any(p.health for p in s.probes.values()) for s in states)
    every_s = rules.control_every_s
    return min(CONTROL_INTERVAL_WITH_PROBLEM_S, every_s) if is_bad else every_s


def start_due_checks(
    state: DeskState, now: float, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    """Start what is due beside the tenants: control endpoints, status feeds, the calendar."""
    effects: list[DeskEffect] = []
    controls_due, feeds_due = dict(state.controls_due), dict(state.feeds_due)
    control_every_s = rules.control_every_s
    if any(due <= now for due in controls_due.values()):
        control_every_s = control_interval_s(tenants, rules)
    for target in rules.controls:
        if controls_due[target.name] <= now:
            effects.append(StartProbe(target))
            controls_due[target.name] = now + control_every_s
    for target in rules.feeds:
        if feeds_due[target.name] <= now:
            effects.append(PollFeed(target))
            feeds_due[target.name] = now + rules.feed_every_s
    calendar_due = state.calendar_due
    if rules.calendar_every_s and calendar_due is not None and calendar_due <= now:
        effects.append(PollShifts())
        calendar_due = now + rules.calendar_every_s
    if effects:
        state = replace(
            state, controls_due=controls_due, feeds_due=feeds_due, calendar_due=calendar_due
        )
    return state, effects


def hasten_controls(state: DeskState, now: float) -> DeskState:
    """Check control endpoints at once where a tenant answers slowly: they may be slow as well."""
    soon = now + CONTROL_INTERVAL_WITH_PROBLEM_S
    due = {name: at if at <= soon else now for name, at in state.controls_due.items()}
    return state if due == state.controls_due else replace(state, controls_due=due)


def _choose_peers(tenant: str, tenants: Tenants, rules: Rules) -> list[str]:
    """Choose tenants without a problem so far: some of the same environment, some of others."""
    here = tenants.environment(tenant, rules)
    healthy = [
        name
        for name, state in tenants.states.items()
        if name != tenant and all(s.state is SignalState.OK for s in state.probes.values())
    ]
    near = [name for name in healthy if tenants.environment(name, rules) == here]
    far = [name for name in healthy if name not in near]
    return near[:MAX_PEERS] + far[:MAX_PEERS]
