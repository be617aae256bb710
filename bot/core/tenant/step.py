"""Steps one tenant: when to probe what, and how its signals change."""

from __future__ import annotations

from math import ceil, floor
from typing import TYPE_CHECKING

from bot.core.model.fault import is_refusal
from bot.core.model.observation import (
    CUSTOM,
    M2M,
    TOKEN_ENDPOINT,
    WELLKNOWN,
    Outcome,
    SignalState,
    Target,
)
from bot.core.model.record import replace
from bot.core.signals.history import record_login
from bot.core.signals.probe_threshold import (
    FIRING_INTERVAL_FACTOR,
    ProbeState,
    Reason,
    next_on_grid,
    observe_probe,
    probe_interval_s,
)
from bot.core.state.stimulus import (
    CheckRequested,
    CheckStarted,
    Measured,
    Observed,
    Priority,
    Pushed,
    QueryMetrics,
    SignalChanged,
    Started,
    StartProbe,
    TenantEffect,
    TenantReport,
    TenantStimulus,
    Tick,
    TurnDropped,
    Unanswered,
)
from bot.core.state.tenant import HasData, NoData, TenantState
from bot.core.tenant import sources
from bot.core.tenant.sources import NO_DATA_S, StepResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.state.rules import TenantRules

OTHER_DOMAIN_EVERY = 4
"""In a burst every fourth login uses the other domain."""
COMPANION_EVERY = {WELLKNOWN: 2, M2M: 4, TOKEN_ENDPOINT: 2}
"""What a burst probes beside its signal until that fires: in every second slot, or every fourth."""
MONITORING_GAP_S = 150.0
"""A time without data that is longer, but ends before `NO_DATA_S`, is reported once it is over."""
DATA_AGAIN_S = 240.0
"""The time without data is over once data came for so long, or a probe failed."""
HANGING_S = 3.0
"""A routine probe without an answer for so long is repeated at the next instant by the clock, from
when it was sent: one that hangs ends with its time-out only."""
LATE_S = 0.5
"""A slot that passed so shortly ago is still used."""


def step(  # noqa: C901, PLR0911 - one case a stimulus
    state: TenantState, stimulus: TenantStimulus, rules: TenantRules
) -> StepResult:
    """Return the state after a stimulus, and the effects to carry out."""
    match stimulus:
        case Started():
            return sources.handle_start(state, stimulus, rules)
        case Tick():
            return _handle_tick(state, stimulus.at, rules)
        case Observed(observation=observation):
            is_light = observation.target.name == TOKEN_ENDPOINT
            handle = _handle_light_check if is_light else _handle_observation
            return handle(state, stimulus, rules)
        case Measured():
            return sources.handle_measurement(state, stimulus, rules)
        case Pushed():
            return sources.handle_push(state, stimulus, rules)
        case CheckRequested():
            return _handle_check_request(state, stimulus, rules)
        case Unanswered():
            return _repeat_unanswered(state, stimulus, rules)
        case TurnDropped():
            return _give_login_back(state, stimulus.target.name, rules), ()


def due_at(state: TenantState) -> float | None:
    """Return when this tenant needs its next Tick."""
    expiries = (at for monitor in state.monitors.values() for at in monitor.expires_at)
    return min((at for at in (*state.due.values(), *expiries) if at is not None), default=None)


def _handle_tick(state: TenantState, now: float, rules: TenantRules) -> StepResult:
    effects: list[TenantEffect] = []
    due = due_at(state)
    if isinstance(state.data, HasData) and due is not None and now - due > NO_DATA_S:
        # The process stood still, with its machine: that is over, as after a restart.
        gap_s = now - state.data.last_at
        state = replace(state, data=HasData(now))
        effects.append(TenantReport(now, rules.name, unobserved_s=gap_s))
    for name in rules.probes:
        due = state.due[name]
        if due is not None and due <= now:
            state, started = _take_slot(state, name, now, rules)
            effects += started
            state = _schedule(state, name, now, rules, is_after_slot=True)
    light_due = state.due.get(TOKEN_ENDPOINT)
    if light_due is not None and light_due <= now:
        is_login_ok = state.probes[rules.logins[0]].state is SignalState.OK
        state, started = _start_probes(state, (TOKEN_ENDPOINT,), now, rules, is_routine=is_login_ok)
        effects += started
        state = replace(
            state, due={**state.due, TOKEN_ENDPOINT: rules.next_light_check_at(now, state.phase)}
        )
    limit_s = max(NO_DATA_S, 3 * rules.limits.every_s)
    if state.data is not None and now - state.data.last_at > limit_s:
        no_data = NoData(since=state.data.last_at, last_at=state.data.last_at)
        if isinstance(state.data, HasData) or state.data.again_since is not None:
            state = replace(state, data=no_data)
            effects.append(TenantReport(now, rules.name))
    if state.metrics or state.monitors:
        state, queries = sources.query_due_metrics(state, now, rules)
        effects += queries
    return state, tuple(effects)


def _take_slot(
    state: TenantState, name: str, now: float, rules: TenantRules
) -> tuple[TenantState, list[TenantEffect]]:
    signal, other = state.probes[name], _other_domain(name, rules)
    if signal.state is SignalState.OK:
        if other and state.probes[other].state is not SignalState.OK:
            return state, []  # the other domain's burst uses this one in every fourth slot
        is_routine = not sources.is_in_doubt(state, now)
        return _start_probes(state, (name,), now, rules, is_routine=is_routine)
    if name == CUSTOM and state.probes[rules.logins[0]].state is not SignalState.OK:
        return state, []  # the login's own burst uses this domain in every fourth slot
    names = _burst_probes(state, name, now, rules)
    return _start_probes(state, names, now, rules, is_routine=False)


def _burst_probes(state: TenantState, name: str, now: float, rules: TenantRules) -> tuple[str, ...]:
    """Return what one slot of a burst probes.

    It is the failing signal itself or the same login on the other domain, and until that fires
    the companions that help to find the cause.
    """
    signal = state.probes[name]
    pace_s = probe_interval_s(signal, now, rules.limits_of(name)) or rules.limits.confirm_every_s
    slot = round((now - (signal.since or now)) / pace_s)
    other = _other_domain(name, rules)
    is_refused = bool(signal.faults) and is_refusal(signal.faults[-1])
    is_others_turn = slot % OTHER_DOMAIN_EVERY == OTHER_DOMAIN_EVERY - 1 and not is_refused
    first = other if other and is_others_turn else name
    if signal.state is not SignalState.PENDING:
        return (first,)
    companions = (companion for companion, every in COMPANION_EVERY.items() if slot % every == 0)
    return (first, *_select_ok(state, companions))


def _other_domain(name: str, rules: TenantRules) -> str | None:
    """Return the same login on the other domain, if there is one."""
    if rules.custom_domain is None:
        return None
    return {rules.logins[0]: CUSTOM, CUSTOM: rules.logins[0]}.get(name)


def _select_ok(state: TenantState, names: Iterable[str]) -> list[str]:
    """Leave out what is not configured, and what fails: that has its own burst."""
    return [
        name
        for name in names
        if (name in state.probes and state.probes[name].state is SignalState.OK)
        or (name == TOKEN_ENDPOINT and state.due.get(name) is not None)
    ]


def _start_probes(
    state: TenantState, names: Iterable[str], now: float, rules: TenantRules, *, is_routine: bool
) -> tuple[TenantState, list[TenantEffect]]:
    """Start each probe unless its credentials were refused too often, or its budget is spent."""
    effects: list[TenantEffect] = []
    for name in names:
        domains = (name, _other_domain(name, rules))
        if any(state.probes[n].is_stopped for n in domains if n in state.probes):
            continue
        state, is_allowed = _spend_login(state, name, now, rules, is_routine=is_routine)
        if is_allowed:
            target, every_s = Target(rules.name, name), rules.limits.confirm_every_s
            probe = StartProbe(target, priority=Priority.REPEAT)
            if is_routine:
                repeat_after_s = every_s * ceil(HANGING_S / every_s)
                probe = replace(probe, priority=Priority.ROUTINE, repeat_after_s=repeat_after_s)
            effects.append(probe)
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


def _give_login_back(state: TenantState, name: str, rules: TenantRules) -> TenantState:
    """Give the user back the login of a probe that was left out."""
    user = _synthetic_user(name, rules)
    budget = state.budgets.get(user)
    if budget is None:
        return state
    budget = replace(budget, starts=budget.starts[:-1])  # the newest one was never made
    return replace(state, budgets={**state.budgets, user: budget})


def _synthetic_user(name: str, rules: TenantRules) -> str:
    """Return the login whose synthetic user a signal uses."""
    login = rules.logins[0] if name == CUSTOM else name
    return rules.users.get(login, login)


def _schedule(
    state: TenantState, name: str, now: float, rules: TenantRules, *, is_after_slot: bool = False
) -> TenantState:
    """Set when a signal is probed next, on its grid."""
    signal = state.probes[name]
    pace_s = probe_interval_s(signal, now, rules.limits_of(name))
    quick = (rules.limits.confirm_every_s, FIRING_INTERVAL_FACTOR * rules.limits.confirm_every_s)
    if pace_s is None:
        due = None
    elif signal.state is SignalState.OK:
        offset_s = rules.probes.index(name) / len(rules.probes) * pace_s
        light_s = rules.light_every_s
        if name == WELLKNOWN and light_s:  # in the middle between two checks of the token endpoint
            offset_s = (floor(offset_s / light_s) + 0.5) * light_s
        due = next_on_grid(now, state.phase * pace_s + offset_s, pace_s)
        if rules.limits_of(name).is_login and sources.is_in_doubt(state, now):
            due = min(due, now + sources.doubt_interval_s(state, rules))
    elif pace_s in quick and signal.since is not None:
        after = now if is_after_slot else max(now - LATE_S, signal.last_at or signal.since)
        due = next_on_grid(after, signal.since, pace_s)
    else:
        due = now + pace_s
    return replace(state, due={**state.due, name: due})


def _handle_light_check(state: TenantState, stimulus: Observed, rules: TenantRules) -> StepResult:
    """Note how the token endpoint does; the first failure is the first one of the login as well.

    It begins the login's burst: what fails before it knows a user would not let a login pass. It
    counts once, after a check that was well, so that an answer which we misread starts no bursts
    for ever, and fires nothing: all further failures that count are those of logins.
    """
    observation, before = stimulus.observation, state.token_endpoint
    state = replace(state, token_endpoint=before.add(observation))
    login = rules.logins[0]
    if observation.fault and before.is_ok and state.probes[login].state is SignalState.OK:
        failed = replace(observation, target=Target(rules.name, login))
        return _handle_observation(state, replace(stimulus, observation=failed), rules)
    state, gap_s = _note_data(state, stimulus, rules)
    return state, (TenantReport(stimulus.at, rules.name, unobserved_s=gap_s),) if gap_s else ()


def _handle_observation(state: TenantState, stimulus: Observed, rules: TenantRules) -> StepResult:
    observation, now = stimulus.observation, stimulus.at
    name = observation.target.name
    before, limits = state.probes[name], rules.limits_of(name)
    after, reason = observe_probe(before, observation, limits)
    state = replace(state, probes={**state.probes, name: after})
    if limits.is_login:
        state = replace(state, recent_logins=record_login(state.recent_logins, observation))
    state = _count_refusal(state, stimulus, rules)
    if before.state is not after.state or probe_interval_s(before, now, limits) != probe_interval_s(
        after, now, limits
    ):
        state = _schedule(state, name, now, rules)
    changes = _signal_changes(rules.name, name, before, after, reason)
    state, gap_s = _note_data(state, stimulus, rules)
    started: list[TenantEffect] = []
    is_failure = reason in {Reason.FIRST_FAILURE, Reason.FAILED_AGAIN}
    if is_failure:
        state = sources.ask_users_at_once(state, now, rules)
    if is_failure or (after.latency.since is not None and before.latency.since is None):
        companions = _select_ok(
            state, rules.logins[:1] if name in COMPANION_EVERY else COMPANION_EVERY
        )
        state, started = _start_probes(state, companions, now, rules, is_routine=False)
    return state, (*changes, *started, TenantReport(now, rules.name, changes, gap_s))


def _repeat_unanswered(state: TenantState, stimulus: Unanswered, rules: TenantRules) -> StepResult:
    """Try again what has no answer; of a light check the login, unless its burst has begun."""
    name = stimulus.target.name
    if name in {TOKEN_ENDPOINT, WELLKNOWN}:
        name = rules.logins[0]
        if state.probes[name].state is not SignalState.OK:
            return state, ()
    state, started = _start_probes(state, (name,), stimulus.at, rules, is_routine=False)
    return state, tuple(started)


def _signal_changes(
    tenant: str, name: str, before: ProbeState, after: ProbeState, reason: Reason | None
) -> tuple[SignalChanged, ...]:
    """Report a new state; slowness only while nothing else is wrong."""
    if reason:
        return (SignalChanged(tenant, name, after.state, reason),)
    if before.latency.is_slow is after.latency.is_slow or after.state is not SignalState.OK:
        return ()
    if after.latency.is_slow:
        return (SignalChanged(tenant, name, SignalState.FIRING, Reason.SLOW),)
    return (SignalChanged(tenant, name, SignalState.OK, Reason.RECOVERED),)


def _count_refusal(state: TenantState, stimulus: Observed, rules: TenantRules) -> TenantState:
    """Note in the user's budget whether the credentials were accepted."""
    observation = stimulus.observation
    user = _synthetic_user(observation.target.name, rules)
    budget = state.budgets.get(user)
    if budget is None or observation.outcome is Outcome.NO_DATA:
        return state
    is_refused = observation.fault is not None and is_refusal(observation.fault)
    budget = replace(budget, refusals=budget.refusals + 1 if is_refused else 0)
    return replace(state, budgets={**state.budgets, user: budget})


def _note_data(
    state: TenantState, stimulus: Observed, rules: TenantRules
) -> tuple[TenantState, float]:
    """Note that there is data; return for how many seconds there was none, if that is reported."""
    observation, now = stimulus.observation, stimulus.at
    if observation.outcome is Outcome.NO_DATA:
        return replace(state, no_data_reason=observation.no_data_reason), 0.0
    gap_s = now - (state.last_data_at or now)
    is_gap = gap_s > max(MONITORING_GAP_S, 2.5 * rules.limits.every_s) and not state.no_data_since
    reported_s = gap_s if is_gap else 0.0
    data: HasData | NoData = HasData(now)
    if isinstance(state.data, NoData):
        since = state.data.again_since
        if since is None or gap_s > MONITORING_GAP_S:
            since = now
        if now - since < DATA_AGAIN_S and observation.fault is None:
            data = NoData(state.data.since, now, since)
    watched_since = state.watched_since or now
    state = replace(state, data=data, no_data_reason="", watched_since=watched_since)
    return state, reported_s


def _handle_check_request(
    state: TenantState, stimulus: CheckRequested, rules: TenantRules
) -> StepResult:
    """Probe everything once for a person, as far as the budget of the synthetic user allows.

    A stopped login gets its one try here; the same login on the other domain then gets none.
    Without a request it is the desk that asks: then one signal or the logins are probed, and none
    that was stopped.
    """
    now, request_id = stimulus.at, stimulus.request_id
    if not request_id:
        asked = (stimulus.signal,) if stimulus.signal else rules.logins
        state, started = _start_probes(state, asked, now, rules, is_routine=False)
        return state, tuple(started)
    effects: list[StartProbe | QueryMetrics] = []
    skipped: list[Target] = []
    for name in (*rules.probes, *rules.metrics):
        if stimulus.signal not in {"", name}:
            continue
        target = Target(rules.name, name)
        state, is_allowed = _spend_login(state, name, now, rules, is_routine=False)
        if name in rules.metrics:
            effects.append(QueryMetrics(target, request_id))
        elif is_allowed:
            effects.append(StartProbe(target, request_id))
        else:
            skipped.append(target)
    targets = tuple(effect.target for effect in effects)
    return state, (
        *effects,
        CheckStarted(now, request_id, rules.name, targets, skipped=tuple(skipped)),
    )
