"""At the moment of a failure: the extra checks that help to find the cause, and what goes first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, Health, SignalState
from bot.core.state.stimulus import Priority, RequestCheck, StartProbe, TenantReport
from bot.core.state.tenant import Tenants
from bot.core.triage.from_others import fault_kind

if TYPE_CHECKING:
    from bot.core.state.desk import BotState, DeskState, StateAndEffects
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


def hasten_controls(state: DeskState, now: float) -> DeskState:
    """Check control endpoints soon where a tenant answers slowly: they may be slow as well."""
    latest = now + CONTROL_INTERVAL_WITH_PROBLEM_S
    due = {name: min(at, latest) for name, at in state.controls_due.items()}
    return replace(state, controls_due=due)


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


MOST_CONFIRMED = 5
"""Tenants of one environment with one kind of fault whose repeats go before everything routine. One
that fires opens the incident; five show how wide it is."""


def prioritize(state: BotState, probe: StartProbe, rules: Rules) -> tuple[BotState, StartProbe]:
    """Decide how urgent a tenant's probe is; remember which tenants were the first to fail."""
    name, signal = probe.target.owner, probe.target.name
    tenant = state.tenants.states[name]
    failures = len(tenant.probes[signal].faults)
    if probe.request_id:
        priority = Priority.PERSON
    elif probe.priority is Priority.ROUTINE:
        priority = Priority.LIGHT if signal in {WELLKNOWN, M2M} else Priority.ROUTINE
    elif any(each.state is SignalState.FIRING for each in tenant.probes.values()):
        priority = Priority.KNOWN
    else:
        pending = [n for n in rules.tenants[name].probes if tenant.probes[n].faults]
        priority = Priority.LIGHT  # a check that the desk asked for
        if pending:
            state, is_first = _note_failing(state, name, pending[0], rules)
            others = Priority.REPEAT if signal == pending[0] else Priority.COMPANION
            priority = Priority.CONFIRM if is_first else others
    return state, replace(probe, priority=priority, failures=failures)


def _note_failing(state: BotState, name: str, signal: str, rules: Rules) -> tuple[BotState, bool]:
    """Tell whether a tenant is one of the first that fail alike; it is until it works again."""
    states = state.tenants.states
    fault = states[name].probes[signal].faults[-1]
    kind = state.tenants.environment(name, rules), fault_kind(fault)
    is_bad = Health.SUSPECT | Health.FIRING
    first = tuple(n for n in state.confirming.get(kind, ()) if states[n].health & is_bad)
    if name not in first and len(first) < MOST_CONFIRMED:
        first = (*first, name)
    state = replace(state, confirming={**state.confirming, kind: first})
    return state, name in first
