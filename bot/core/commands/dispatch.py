"""What people ask for: whether they may, what is done, and the answer that they always get."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.commands import incidents, shifts, silences
from bot.core.model.access import (
    RIGHTS,
    AuditEntry,
    CommandOutcome,
    Right,
    authorize,
    make_audit_entry,
)
from bot.core.model.request import Request, Verb
from bot.core.state.on_demand import OnDemandCheck, start_check
from bot.core.state.outbox import Answer, AnswerResult
from bot.core.state.stimulus import CheckStarted, Effect, RequestCheck, Send, StartProbe

if TYPE_CHECKING:
    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import Observation
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import Tenants

AUDIT_SHOWN = 50
READ_ONLY_VERBS = frozenset(
    {
        *(Verb.STATUS, Verb.ALERTS, Verb.WHY, Verb.REPORT, Verb.SILENCES, Verb.ONCALL),
        *(Verb.HEALTH, Verb.HELP, Verb.UNKNOWN),
    }
)
"""Verbs that leave no line in the audit trail: they change nothing, and tell nothing private."""


def dispatch_command(
    state: DeskState, request: Request, now: float, world: Tenants, rules: Rules
) -> StateAndEffects:
    """Do what a person asks for, if they may, and answer; what was done is kept for the audit."""
    not_allowed = authorize(
        rules.access, _required_right(request, state), request.person, request.channel
    )
    if not_allowed:
        result: AnswerResult | None = AnswerResult(CommandOutcome.REFUSED, refused=not_allowed)
        effects: list[Effect] = []
    elif request.verb is Verb.RUN:
        return _start_check(state, request, now, rules)
    else:
        state, effects, result = _execute(state, request, now, world, rules)
    state, noted = _record_audit(state, request, result)
    return state, [*effects, _answer(request, result), *noted]


def _required_right(request: Request, state: DeskState) -> Right:
    if shifts.is_override(request) or silences.is_global_silence(request, state):
        return Right.ADMINISTER
    return RIGHTS[request.verb]


def _execute(
    state: DeskState, request: Request, now: float, world: Tenants, rules: Rules
) -> tuple[DeskState, list[Effect], AnswerResult | None]:
    if request.verb in incidents.INCIDENT_VERBS:
        return incidents.handle_incident_command(state, request, now, world, rules)
    if request.verb is Verb.SILENCE:
        return silences.add_silence(state, request, now, rules)
    if request.verb is Verb.UNSILENCE:
        return silences.expire_silence(state, request, now)
    if shifts.is_override(request):
        return shifts.add_override(state, request, now, rules)
    return state, [], None


def _answer(request: Request, result: AnswerResult | None) -> Send:
    key = f"answer:{request.id}"
    return Send(f"{key}:1", key, Answer(request, result=result))


def _record_audit(
    state: DeskState, request: Request, result: AnswerResult | None
) -> tuple[DeskState, list[AuditEntry]]:
    if request.verb in READ_ONLY_VERBS and result is None:
        return state, []
    line = make_audit_entry(
        request,
        result.outcome if result else CommandOutcome.DONE,
        result.incident if result else None,
    )
    return replace(state, audit=(*state.audit, line)[-AUDIT_SHOWN:]), [line]


def _start_check(state: DeskState, request: Request, now: float, rules: Rules) -> StateAndEffects:
    """Begin fresh probes; they are answered again when they are back."""
    run = start_check(request, now, rules)
    if run is None:
        return state, [_answer(request, None)]
    state = replace(state, checks={**state.checks, request.id: run})
    looks = [StartProbe(target, request.id) for target in run.targets]
    tenants = [RequestCheck(name, request.id, run.signal) for name in run.tenants]
    return state, [_answer(request, None), *tenants, *looks]


def add_check_result(
    state: DeskState, asked_by: str, one: Observation | Measurement
) -> StateAndEffects:
    """Take in one look of a person's run."""
    run = state.checks.get(asked_by)
    return _continue_check(state, run.with_result(one)) if run else (state, [])


def record_check_started(state: DeskState, stimulus: CheckStarted) -> StateAndEffects:
    """Take in what a tenant looks at for a person's run."""
    run = state.checks.get(stimulus.request_id)
    return (state, []) if run is None else _continue_check(state, run.with_started(stimulus))


def answer_overdue_checks(state: DeskState, now: float) -> StateAndEffects:
    """Answer the runs that took too long, with what has come."""
    effects: list[Effect] = []
    for run in [run for run in state.checks.values() if run.until <= now]:
        state, told = _finish_check(state, run)
        effects += told
    return state, effects


def _continue_check(state: DeskState, run: OnDemandCheck) -> StateAndEffects:
    """Keep a run going, or answer it if all is back."""
    if not run.is_complete:
        return replace(state, checks={**state.checks, run.request.id: run}), []
    return _finish_check(state, run)


def _finish_check(state: DeskState, run: OnDemandCheck) -> StateAndEffects:
    key = run.request.id
    runs = {other: value for other, value in state.checks.items() if other != key}
    return replace(state, checks=runs), [Send(f"answer:{key}:2", f"answer:{key}", run.to_answer())]
