"""What people ask for: whether they may, what is done, and the answer that they always get."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.commands import incidents, shifts, silences
from bot.core.model.access import RIGHTS, Audited, CommandOutcome, Right, audited, refusal
from bot.core.model.request import Request, Verb
from bot.core.state.on_demand import RunInProgress, begun
from bot.core.state.outbox import Answer, Result
from bot.core.state.stimulus import Effect, Look, Run, Running, Send

if TYPE_CHECKING:
    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import Observation
    from bot.core.state.desk import DeskState, Stepped
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import World

AUDIT_SHOWN = 50
READING = frozenset(
    {
        *(Verb.STATUS, Verb.ALERTS, Verb.WHY, Verb.REPORT, Verb.SILENCES, Verb.ONCALL),
        *(Verb.HEALTH, Verb.HELP, Verb.UNKNOWN),
    }
)
"""Verbs that leave no line in the audit trail: they change nothing, and tell nothing private."""


def asked(state: DeskState, request: Request, now: float, world: World, rules: Rules) -> Stepped:
    """Do what a person asks for, if they may, and answer; what was done is kept for the audit."""
    not_allowed = refusal(rules.access, _right(request, state), request.person, request.channel)
    if not_allowed:
        result: Result | None = Result(CommandOutcome.REFUSED, refused=not_allowed)
        effects: list[Effect] = []
    elif request.verb is Verb.RUN:
        return _run(state, request, now, rules)
    else:
        state, effects, result = _done(state, request, now, world, rules)
    state, noted = _noted(state, request, result)
    return state, [*effects, _answer(request, result), *noted]


def _right(request: Request, state: DeskState) -> Right:
    if shifts.is_swap(request) or silences.is_over_all(request, state):
        return Right.ADMINISTER
    return RIGHTS[request.verb]


def _done(
    state: DeskState, request: Request, now: float, world: World, rules: Rules
) -> tuple[DeskState, list[Effect], Result | None]:
    if request.verb in incidents.VERBS:
        return incidents.handled(state, request, now, world, rules)
    if request.verb is Verb.SILENCE:
        return silences.silenced(state, request, now, rules)
    if request.verb is Verb.UNSILENCE:
        return silences.unsilenced(state, request, now)
    if shifts.is_swap(request):
        return shifts.swapped(state, request, now, rules)
    return state, [], None


def _answer(request: Request, result: Result | None) -> Send:
    key = f"answer:{request.id}"
    return Send(f"{key}:1", key, Answer(request, result=result))


def _noted(
    state: DeskState, request: Request, result: Result | None
) -> tuple[DeskState, list[Audited]]:
    if request.verb in READING and result is None:
        return state, []
    line = audited(
        request,
        result.outcome if result else CommandOutcome.DONE,
        result.incident if result else None,
    )
    return replace(state, audit=(*state.audit, line)[-AUDIT_SHOWN:]), [line]


def _run(state: DeskState, request: Request, now: float, rules: Rules) -> Stepped:
    """Begin fresh probes; they are answered again when they are back."""
    run = begun(request, now, rules)
    if run is None:
        return state, [_answer(request, None)]
    state = replace(state, runs={**state.runs, request.id: run})
    looks = [Look(target, request.id) for target in run.targets]
    tenants = [Run(name, request.id, run.signal) for name in run.asked]
    return state, [_answer(request, None), *tenants, *looks]


def seen(state: DeskState, asked_by: str, one: Observation | Measurement) -> Stepped:
    """Take in one look of a person's run."""
    run = state.runs.get(asked_by)
    return _run_on(state, run.with_seen(one)) if run else (state, [])


def running(state: DeskState, stimulus: Running) -> Stepped:
    """Take in what a tenant looks at for a person's run."""
    run = state.runs.get(stimulus.request_id)
    return (state, []) if run is None else _run_on(state, run.with_started(stimulus))


def overdue(state: DeskState, now: float) -> Stepped:
    """Answer the runs that took too long, with what has come."""
    effects: list[Effect] = []
    for run in [run for run in state.runs.values() if run.until <= now]:
        state, told = _run_ended(state, run)
        effects += told
    return state, effects


def _run_on(state: DeskState, run: RunInProgress) -> Stepped:
    """Keep a run going, or answer it if all is back."""
    if not run.is_complete:
        return replace(state, runs={**state.runs, run.request.id: run}), []
    return _run_ended(state, run)


def _run_ended(state: DeskState, run: RunInProgress) -> Stepped:
    key = run.request.id
    runs = {other: value for other, value in state.runs.items() if other != key}
    return replace(state, runs=runs), [Send(f"answer:{key}:2", f"answer:{key}", run.answer())]
