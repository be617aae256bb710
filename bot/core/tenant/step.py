"""Steps one tenant: when to probe what, and how its signals change."""

from __future__ import annotations

from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

from bot.core.model.fault import is_refusal
from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, Outcome, SignalState, Target
from bot.core.signals.history import record_login
from bot.core.signals.login_budget import LoginBudget
from bot.core.signals.probe_threshold import (
    FIRING_INTERVAL_FACTOR,
    ProbeState,
    Reason,
    observe_probe,
    probe_interval_s,
)
from bot.core.state.stimulus import (
    CheckRequested,
    CheckStarted,
    Effect,
    Measured,
    Observed,
    Pushed,
    QueryMetrics,
    SignalChanged,
    Started,
    StartProbe,
    TenantReport,
    TenantStimulus,
    Tick,
)
from bot.core.state.tenant import TenantState
from bot.core.tenant import sources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.rules import TenantRules

OTHER_DOMAIN_EVERY = 4
"""In a burst each fourth login goes by the other domain."""
COMPANION_EVERY = {WELLKNOWN: 2, M2M: 4}
"""What a burst looks at beside its suspect until that fires: in every second slot, or fourth."""


def burst_probes(state: TenantState, name: str, now: float, rules: TenantRules) -> tuple[str, ...]:
    """Return what one slot of a burst looks at: the suspect, or its twin; and what tells more."""
    signal = state.probes[name]
    pace = probe_interval_s(signal, now, rules.limits_of(name)) or rules.limits.confirm_every_s
    slot = round((now - (signal.since or now)) / pace)
    other = twin(name, rules)
    is_twins_turn = (
        other and slot % OTHER_DOMAIN_EVERY == OTHER_DOMAIN_EVERY - 1 and not _is_refused(signal)
    )
    first = other if other and is_twins_turn else name
    if signal.state is not SignalState.PENDING:
        return (first,)
    return (
        first,
        *_select_ok(
            state, (aside for aside, every in COMPANION_EVERY.items() if slot % every == 0)
        ),
    )


def companion_probes(state: TenantState, name: str, rules: TenantRules) -> tuple[str, ...]:
    """Return what a signal's first failure is held against at once."""
    return tuple(
        _select_ok(state, rules.logins[:1] if name in COMPANION_EVERY else COMPANION_EVERY)
    )


def twin(name: str, rules: TenantRules) -> str | None:
    """Return the same login on the other domain."""
    if rules.custom_domain is None:
        return None
    return {rules.logins[0]: CUSTOM, CUSTOM: rules.logins[0]}.get(name)


def _select_ok(state: TenantState, names: Iterable[str]) -> list[str]:
    """Leave out what is not there, and what fails: that has its own burst."""
    well = [name for name, signal in state.probes.items() if signal.state is SignalState.OK]
    return [name for name in names if name in well]


def _is_refused(signal: ProbeState) -> bool:
    return bool(signal.faults) and is_refusal(signal.faults[-1])


NO_DATA_S = 300.0
"""Without a usable observation for so long we are blind, and say so."""
MONITORING_GAP_S = 150.0
"""A shorter time without one is told as a gap once it is over."""
DATA_AGAIN_S = 240.0
"""Blindness is over once we have seen for so long, or see a failure."""
LATE_S = 0.5
"""A slot that passed so shortly ago is still taken."""


def step(
    state: TenantState, stimulus: TenantStimulus, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    """Return the state after a stimulus, and what is to be done."""
    match stimulus:
        case Started():
            return _handle_start(state, stimulus.at, rules)
        case Tick():
            return _handle_tick(state, stimulus.at, rules)
        case Observed():
            return _handle_observation(state, stimulus, rules)
        case Measured():
            return sources.handle_measurement(state, stimulus, rules)
        case Pushed():
            return sources.handle_push(state, stimulus, rules)
        case CheckRequested():
            return _handle_check_request(state, stimulus, rules)


def due_at(state: TenantState) -> float | None:
    """Return when this tenant wants its next Tick."""
    dues = (*state.due.values(), sources.next_expiry_at(state))
    return min((due for due in dues if due is not None), default=None)


def _handle_start(
    state: TenantState, now: float, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    changed = state.fingerprints != rules.fingerprints
    old = {name: state.probes.get(name, ProbeState()) for name in rules.probes}
    signals = {n: replace(s, is_stopped=s.is_stopped and not changed) for n, s in old.items()}
    gap = 0.0 if state.last_data_at is None else now - state.last_data_at
    state = replace(
        state,
        probes=signals,
        due={name: None if signals[name].is_stopped else now for name in rules.probes},
        budgets={name: state.budgets.get(name, LoginBudget()) for name in rules.logins},
        last_data_at=now,
        fingerprints=rules.fingerprints,
    )
    state = sources.start_metrics(state, now, rules)
    return state, (TenantReport(now, rules.name, unobserved_s=gap if gap > NO_DATA_S else 0.0),)


def _handle_tick(
    state: TenantState, now: float, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    effects: list[Effect] = []
    for name in rules.probes:
        due = state.due[name]
        if due is not None and due <= now:
            state, looks = _take_slot(state, name, now, rules)
            effects += looks
            state = _schedule(state, name, now, rules, is_after_slot=True)
    limit = max(NO_DATA_S, 3 * rules.limits.every_s)
    is_blind = bool(state.last_data_at) and now - (state.last_data_at or now) > limit
    if is_blind and (state.no_data_since is None or state.data_again_since is not None):
        state = replace(state, no_data_since=state.last_data_at, data_again_since=None)
        effects.append(TenantReport(now, rules.name))
    state, told = sources.query_due_metrics(state, now, rules)
    return state, (*effects, *told)


def _take_slot(
    state: TenantState, name: str, now: float, rules: TenantRules
) -> tuple[TenantState, list[Effect]]:
    signal, other = state.probes[name], twin(name, rules)
    if signal.state is SignalState.OK:
        if other and state.probes[other].state is not SignalState.OK:
            return state, []  # the twin's burst takes every fourth slot this way
        return _start_probes(state, (name,), now, rules, is_routine=True)
    if name == CUSTOM and state.probes[rules.logins[0]].state is not SignalState.OK:
        return state, []  # the login's own burst takes every fourth slot this way
    return _start_probes(state, burst_probes(state, name, now, rules), now, rules, is_routine=False)


def _start_probes(
    state: TenantState, names: tuple[str, ...], now: float, rules: TenantRules, *, is_routine: bool
) -> tuple[TenantState, list[Effect]]:
    """Look at each name, unless its login was stopped or logged in too often."""
    effects: list[Effect] = []
    for name in names:
        if _is_stopped(state, name, rules):
            continue
        state, allowed = _spend_login(state, name, now, rules, is_routine=is_routine)
        if allowed:
            effects.append(StartProbe(Target(rules.name, name)))
    return state, effects


def _spend_login(
    state: TenantState, name: str, now: float, rules: TenantRules, *, is_routine: bool
) -> tuple[TenantState, bool]:
    """Take one login from the budget of the signal's user, if that allows one."""
    user = _synthetic_user(name, rules)
    budget = state.budgets.get(user)
    if budget is None:
        return state, True
    if not budget.allows(now, is_routine=is_routine):
        return state, False
    return replace(state, budgets={**state.budgets, user: budget.spend(now)}), True


def _synthetic_user(name: str, rules: TenantRules) -> str:
    """Return the login whose synthetic user a signal uses."""
    login = rules.logins[0] if name == CUSTOM else name
    return rules.users.get(login, login)


def _is_stopped(state: TenantState, name: str, rules: TenantRules) -> bool:
    """Tell whether a signal's credentials were refused too often, on whichever domain."""
    other = twin(name, rules)
    return state.probes[name].is_stopped or (other is not None and state.probes[other].is_stopped)


def _schedule(
    state: TenantState, name: str, now: float, rules: TenantRules, *, is_after_slot: bool = False
) -> TenantState:
    """Set the next look at a signal, on its grid."""
    signal = state.probes[name]
    pace = probe_interval_s(signal, now, rules.limits_of(name))
    quick = (rules.limits.confirm_every_s, FIRING_INTERVAL_FACTOR * rules.limits.confirm_every_s)
    if pace is None:
        due = None
    elif signal.state is SignalState.OK:
        place = state.phase + rules.probes.index(name) / len(rules.probes)
        due = _next_on_grid(now, place * pace, pace)
    elif pace in quick and signal.since is not None:
        late = now if is_after_slot else max(now - LATE_S, signal.last_at or signal.since)
        due = _next_on_grid(late, signal.since, pace)
    else:
        due = now + pace
    return replace(state, due={**state.due, name: due})


def _next_on_grid(now: float, origin: float, pace: float) -> float:
    """Return the first instant after `now` on the grid of `pace` through `origin`."""
    return origin + pace * (floor((now - origin) / pace + 1e-6) + 1)


def _handle_observation(
    state: TenantState, stimulus: Observed, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    seen, now = stimulus.observation, stimulus.at
    name = seen.target.name
    before = state.probes[name]
    limits = rules.limits_of(name)
    signal, reason = observe_probe(before, seen, limits)
    recent = record_login(state.recent_logins, seen) if limits.is_login else state.recent_logins
    state = replace(state, probes={**state.probes, name: signal}, recent_logins=recent)
    state = _count_refusal(state, stimulus, rules)
    if before.state is not signal.state or probe_interval_s(
        before, now, limits
    ) != probe_interval_s(signal, now, limits):
        state = _schedule(state, name, now, rules)
    changes = _signal_changes(rules.name, name, before, signal, reason)
    state, gap = _note_data(state, stimulus, rules)
    effects: list[Effect] = [*changes]
    if reason in {Reason.FIRST_FAILURE, Reason.FAILED_AGAIN}:
        whom = companion_probes(state, name, rules)
        state, looks = _start_probes(state, whom, now, rules, is_routine=False)
        effects += looks
    return state, (*effects, TenantReport(now, rules.name, changes, gap))


def _signal_changes(
    tenant: str, name: str, before: ProbeState, after: ProbeState, reason: Reason | None
) -> tuple[SignalChanged, ...]:
    """Tell a new state; and slowness, as far as it is all that is wrong."""
    if reason:
        return (SignalChanged(tenant, name, after.state, reason),)
    if before.latency.is_slow is after.latency.is_slow or after.state is not SignalState.OK:
        return ()
    if after.latency.is_slow:
        return (SignalChanged(tenant, name, SignalState.FIRING, Reason.SLOW),)
    return (SignalChanged(tenant, name, SignalState.OK, Reason.RECOVERED),)


def _count_refusal(state: TenantState, stimulus: Observed, rules: TenantRules) -> TenantState:
    """Note in the user's budget whether the credentials were taken."""
    name, fault = stimulus.observation.target.name, stimulus.observation.fault
    user = _synthetic_user(name, rules)
    budget = state.budgets.get(user)
    if budget is None or stimulus.observation.outcome is Outcome.NO_DATA:
        return state
    refusals = budget.refusals + 1 if fault and is_refusal(fault) else 0
    return replace(state, budgets={**state.budgets, user: replace(budget, refusals=refusals)})


def _note_data(
    state: TenantState, stimulus: Observed, rules: TenantRules
) -> tuple[TenantState, float]:
    """Note that we saw something; return how long we had not, where that is worth telling."""
    if stimulus.observation.outcome is Outcome.NO_DATA:
        return state, 0.0
    gap = stimulus.at - (state.last_data_at or stimulus.at)
    told = (
        gap
        if gap > max(MONITORING_GAP_S, 2.5 * rules.limits.every_s) and not state.no_data_since
        else 0.0
    )
    watched_since = state.watched_since or stimulus.at
    state = replace(state, last_data_at=stimulus.at, watched_since=watched_since)
    if state.no_data_since is None:
        return state, told
    since = (
        stimulus.at
        if state.data_again_since is None or gap > MONITORING_GAP_S
        else state.data_again_since
    )
    if stimulus.at - since < DATA_AGAIN_S and stimulus.observation.fault is None:
        return replace(state, data_again_since=since), told
    return replace(state, no_data_since=None, data_again_since=None), told


def _handle_check_request(
    state: TenantState, stimulus: CheckRequested, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    """Look at everything once for a person, as far as the budget of the synthetic user goes.

    A stopped login gets its one try here; its twin on the other domain then gets none. Where the
    desk asks (without a request) only logins are looked at, and none that was stopped.
    """
    if not stimulus.request_id:
        state, asked = _start_probes(state, rules.logins, stimulus.at, rules, is_routine=False)
        return state, tuple(asked)
    wanted = [n for n in (*rules.probes, *rules.metrics) if stimulus.signal in {"", n}]
    effects: list[Effect] = []
    left_out: list[Target] = []
    for name in wanted:
        target = Target(rules.name, name)
        state, allowed = _spend_login(state, name, stimulus.at, rules, is_routine=False)
        if name in rules.metrics:
            effects.append(QueryMetrics(target, stimulus.request_id))
        elif allowed:
            effects.append(StartProbe(target, stimulus.request_id))
        else:
            left_out.append(target)
    targets = tuple(e.target for e in effects if isinstance(e, StartProbe | QueryMetrics))
    running = CheckStarted(
        stimulus.at, stimulus.request_id, rules.name, targets, skipped=tuple(left_out)
    )
    return state, (*effects, running)
