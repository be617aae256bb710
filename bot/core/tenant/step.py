"""Steps one tenant: when to probe what, and how its signals change."""

from __future__ import annotations

from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

from bot.core.model.fault import is_refusal
from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, Outcome, SignalState, Target
from bot.core.signals.history import recorded
from bot.core.signals.login_budget import Budget
from bot.core.signals.probe_threshold import FIRING_PACE, Reason, Signal, observe, pace_s
from bot.core.state.stimulus import (
    Effect,
    Finding,
    Look,
    Measure,
    Measured,
    Observed,
    Pushed,
    Running,
    RunNow,
    SignalChanged,
    Started,
    TenantStimulus,
    Tick,
)
from bot.core.state.tenant import TenantState
from bot.core.tenant import sources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.rules import TenantRules

SWAP_EVERY = 4
"""In a burst each fourth login goes by the other domain."""
ASIDES = {WELLKNOWN: 2, M2M: 4}
"""What a burst looks at beside its suspect until that fires: in every second slot, or fourth."""


def burst(state: TenantState, name: str, now: float, rules: TenantRules) -> tuple[str, ...]:
    """Return what one slot of a burst looks at: the suspect, or its twin; and what tells more."""
    signal = state.signals[name]
    pace = pace_s(signal, now, rules.limits_of(name)) or rules.limits.confirm_every_s
    slot = round((now - (signal.since or now)) / pace)
    other = twin(name, rules)
    is_twins_turn = other and slot % SWAP_EVERY == SWAP_EVERY - 1 and not _is_refused(signal)
    first = other if other and is_twins_turn else name
    if signal.state is not SignalState.PENDING:
        return (first,)
    return (first, *_quiet(state, (aside for aside, every in ASIDES.items() if slot % every == 0)))


def companions(state: TenantState, name: str, rules: TenantRules) -> tuple[str, ...]:
    """Return what a signal's first failure is held against at once."""
    return tuple(_quiet(state, rules.logins[:1] if name in ASIDES else ASIDES))


def twin(name: str, rules: TenantRules) -> str | None:
    """Return the same login on the other domain."""
    if rules.custom_domain is None:
        return None
    return {rules.logins[0]: CUSTOM, CUSTOM: rules.logins[0]}.get(name)


def _quiet(state: TenantState, names: Iterable[str]) -> list[str]:
    """Leave out what is not there, and what fails: that has its own burst."""
    well = [name for name, signal in state.signals.items() if signal.state is SignalState.OK]
    return [name for name in names if name in well]


def _is_refused(signal: Signal) -> bool:
    return bool(signal.faults) and is_refusal(signal.faults[-1])


BLIND_S = 300.0
"""Without a usable observation for so long we are blind, and say so."""
GAP_S = 150.0
"""A shorter time without one is told as a gap once it is over."""
SIGHTED_S = 240.0
"""Blindness is over once we have seen for so long, or see a failure."""
LATE_S = 0.5
"""A slot that passed so shortly ago is still taken."""


def step(
    state: TenantState, stimulus: TenantStimulus, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    """Return the state after a stimulus, and what is to be done."""
    match stimulus:
        case Started():
            return _started(state, stimulus.at, rules)
        case Tick():
            return _ticked(state, stimulus.at, rules)
        case Observed():
            return _observed(state, stimulus, rules)
        case Measured():
            return sources.measured(state, stimulus, rules)
        case Pushed():
            return sources.pushed(state, stimulus, rules)
        case RunNow():
            return _run(state, stimulus, rules)


def due_at(state: TenantState) -> float | None:
    """Return when this tenant wants its next Tick."""
    dues = (*state.due.values(), sources.due_at(state))
    return min((due for due in dues if due is not None), default=None)


def _started(
    state: TenantState, now: float, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    changed = state.fingerprints != rules.fingerprints
    old = {name: state.signals.get(name, Signal()) for name in rules.signals}
    signals = {n: replace(s, is_stopped=s.is_stopped and not changed) for n, s in old.items()}
    gap = 0.0 if state.usable_at is None else now - state.usable_at
    state = replace(
        state,
        signals=signals,
        due={name: None if signals[name].is_stopped else now for name in rules.signals},
        budgets={name: state.budgets.get(name, Budget()) for name in rules.logins},
        usable_at=now,
        fingerprints=rules.fingerprints,
    )
    state = sources.started(state, now, rules)
    return state, (Finding(now, rules.name, gap_s=gap if gap > BLIND_S else 0.0),)


def _ticked(
    state: TenantState, now: float, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    effects: list[Effect] = []
    for name in rules.signals:
        due = state.due[name]
        if due is not None and due <= now:
            state, looks = _slot(state, name, now, rules)
            effects += looks
            state = _scheduled(state, name, now, rules, is_after_slot=True)
    limit = max(BLIND_S, 3 * rules.limits.every_s)
    is_blind = bool(state.usable_at) and now - (state.usable_at or now) > limit
    if is_blind and (state.blind_since is None or state.sighted_since is not None):
        state = replace(state, blind_since=state.usable_at, sighted_since=None)
        effects.append(Finding(now, rules.name))
    state, told = sources.ticked(state, now, rules)
    return state, (*effects, *told)


def _slot(
    state: TenantState, name: str, now: float, rules: TenantRules
) -> tuple[TenantState, list[Effect]]:
    signal, other = state.signals[name], twin(name, rules)
    if signal.state is SignalState.OK:
        if other and state.signals[other].state is not SignalState.OK:
            return state, []  # the twin's burst takes every fourth slot this way
        return _look(state, (name,), now, rules, is_routine=True)
    if name == CUSTOM and state.signals[rules.logins[0]].state is not SignalState.OK:
        return state, []  # the login's own burst takes every fourth slot this way
    return _look(state, burst(state, name, now, rules), now, rules, is_routine=False)


def _look(
    state: TenantState, names: tuple[str, ...], now: float, rules: TenantRules, *, is_routine: bool
) -> tuple[TenantState, list[Effect]]:
    """Look at each name, unless its login was stopped or logged in too often."""
    effects: list[Effect] = []
    for name in names:
        if _is_stopped(state, name, rules):
            continue
        state, allowed = _spend(state, name, now, rules, is_routine=is_routine)
        if allowed:
            effects.append(Look(Target(rules.name, name)))
    return state, effects


def _spend(
    state: TenantState, name: str, now: float, rules: TenantRules, *, is_routine: bool
) -> tuple[TenantState, bool]:
    """Take one login from the budget of the signal's user, if that allows one."""
    user = _user(name, rules)
    budget = state.budgets.get(user)
    if budget is None:
        return state, True
    if not budget.allows(now, is_routine=is_routine):
        return state, False
    return replace(state, budgets={**state.budgets, user: budget.spent(now)}), True


def _user(name: str, rules: TenantRules) -> str:
    """Return the login whose synthetic user a signal uses."""
    login = rules.logins[0] if name == CUSTOM else name
    return rules.users.get(login, login)


def _is_stopped(state: TenantState, name: str, rules: TenantRules) -> bool:
    """Tell whether a signal's credentials were refused too often, on whichever domain."""
    other = twin(name, rules)
    return state.signals[name].is_stopped or (other is not None and state.signals[other].is_stopped)


def _scheduled(
    state: TenantState, name: str, now: float, rules: TenantRules, *, is_after_slot: bool = False
) -> TenantState:
    """Set the next look at a signal, on its grid."""
    signal = state.signals[name]
    pace = pace_s(signal, now, rules.limits_of(name))
    quick = (rules.limits.confirm_every_s, FIRING_PACE * rules.limits.confirm_every_s)
    if pace is None:
        due = None
    elif signal.state is SignalState.OK:
        place = state.phase + rules.signals.index(name) / len(rules.signals)
        due = _next(now, place * pace, pace)
    elif pace in quick and signal.since is not None:
        late = now if is_after_slot else max(now - LATE_S, signal.last_at or signal.since)
        due = _next(late, signal.since, pace)
    else:
        due = now + pace
    return replace(state, due={**state.due, name: due})


def _next(now: float, origin: float, pace: float) -> float:
    """Return the first instant after `now` on the grid of `pace` through `origin`."""
    return origin + pace * (floor((now - origin) / pace + 1e-6) + 1)


def _observed(
    state: TenantState, stimulus: Observed, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    seen, now = stimulus.seen, stimulus.at
    name = seen.target.name
    before = state.signals[name]
    limits = rules.limits_of(name)
    signal, reason = observe(before, seen, limits)
    recent = recorded(state.recent, seen) if limits.is_login else state.recent
    state = replace(state, signals={**state.signals, name: signal}, recent=recent)
    state = _budgeted(state, stimulus, rules)
    if before.state is not signal.state or pace_s(before, now, limits) != pace_s(
        signal, now, limits
    ):
        state = _scheduled(state, name, now, rules)
    changes = _changes(rules.name, name, before, signal, reason)
    state, gap = _sighted(state, stimulus, rules)
    effects: list[Effect] = [*changes]
    if reason in {Reason.FIRST_FAILURE, Reason.AGAIN}:
        whom = companions(state, name, rules)
        state, looks = _look(state, whom, now, rules, is_routine=False)
        effects += looks
    return state, (*effects, Finding(now, rules.name, changes, gap))


def _changes(
    tenant: str, name: str, before: Signal, after: Signal, reason: Reason | None
) -> tuple[SignalChanged, ...]:
    """Tell a new state; and slowness, as far as it is all that is wrong."""
    if reason:
        return (SignalChanged(tenant, name, after.state, reason),)
    if before.tempo.is_slow is after.tempo.is_slow or after.state is not SignalState.OK:
        return ()
    if after.tempo.is_slow:
        return (SignalChanged(tenant, name, SignalState.FIRING, Reason.SLOW),)
    return (SignalChanged(tenant, name, SignalState.OK, Reason.RECOVERED),)


def _budgeted(state: TenantState, stimulus: Observed, rules: TenantRules) -> TenantState:
    """Note in the user's budget whether the credentials were taken."""
    name, fault = stimulus.seen.target.name, stimulus.seen.fault
    user = _user(name, rules)
    budget = state.budgets.get(user)
    if budget is None or stimulus.seen.outcome is Outcome.NO_DATA:
        return state
    refusals = budget.refusals + 1 if fault and is_refusal(fault) else 0
    return replace(state, budgets={**state.budgets, user: replace(budget, refusals=refusals)})


def _sighted(
    state: TenantState, stimulus: Observed, rules: TenantRules
) -> tuple[TenantState, float]:
    """Note that we saw something; return how long we had not, where that is worth telling."""
    if stimulus.seen.outcome is Outcome.NO_DATA:
        return state, 0.0
    gap = stimulus.at - (state.usable_at or stimulus.at)
    told = gap if gap > max(GAP_S, 2.5 * rules.limits.every_s) and not state.blind_since else 0.0
    watched_since = state.watched_since or stimulus.at
    state = replace(state, usable_at=stimulus.at, watched_since=watched_since)
    if state.blind_since is None:
        return state, told
    since = stimulus.at if state.sighted_since is None or gap > GAP_S else state.sighted_since
    if stimulus.at - since < SIGHTED_S and stimulus.seen.fault is None:
        return replace(state, sighted_since=since), told
    return replace(state, blind_since=None, sighted_since=None), told


def _run(
    state: TenantState, stimulus: RunNow, rules: TenantRules
) -> tuple[TenantState, tuple[Effect, ...]]:
    """Look at everything once for a person, as far as the budget of the synthetic user goes.

    A stopped login gets its one try here; its twin on the other domain then gets none. Where the
    desk asks (without a request) only logins are looked at, and none that was stopped.
    """
    if not stimulus.request_id:
        state, asked = _look(state, rules.logins, stimulus.at, rules, is_routine=False)
        return state, tuple(asked)
    wanted = [n for n in (*rules.signals, *rules.series) if stimulus.signal in {"", n}]
    effects: list[Effect] = []
    left_out: list[Target] = []
    for name in wanted:
        target = Target(rules.name, name)
        state, allowed = _spend(state, name, stimulus.at, rules, is_routine=False)
        if name in rules.series:
            effects.append(Measure(target, stimulus.request_id))
        elif allowed:
            effects.append(Look(target, stimulus.request_id))
        else:
            left_out.append(target)
    targets = tuple(e.target for e in effects if isinstance(e, Look | Measure))
    running = Running(
        stimulus.at, stimulus.request_id, rules.name, targets, left_out=tuple(left_out)
    )
    return state, (*effects, running)
