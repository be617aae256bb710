"""Carries out commands: checks the right, does it, answers, and records it for the audit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.commands import incidents, shifts, silences
from bot.core.model.access import RIGHTS, CommandOutcome, Right, authorize, make_audit_entry
from bot.core.model.request import Request, Verb
from bot.core.state.on_demand import OnDemandCheck, start_check
from bot.core.state.outbox import Answer, AnswerResult
from bot.core.state.stimulus import CheckStarted, DeskEffect, RequestCheck, Send, StartProbe

if TYPE_CHECKING:
    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import Observation
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants

AUDIT_SHOWN = 50
READ_ONLY_VERBS = frozenset(
    {
        *(Verb.STATUS, Verb.ALERTS, Verb.WHY, Verb.REPORT, Verb.SILENCES, Verb.ONCALL),
        *(Verb.HEALTH, Verb.HELP, Verb.UNKNOWN),
    }
)
"""Verbs without an audit entry: they change nothing, and show nothing private."""


def dispatch_command(
    state: DeskState, request: Request, now: float, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    """Carry out a command if the person has the right, and answer it in any case."""
    right = RIGHTS[request.verb]
    if shifts.is_override(request) or silences.is_global_silence(request, state):
        right = Right.ADMINISTER
    not_allowed = authorize(rules.access, right, request.person, request.channel)
    if not_allowed:
        result: AnswerResult | None = AnswerResult(CommandOutcome.REFUSED, refused=not_allowed)
        effects: list[DeskEffect] = []
    elif request.verb is Verb.RUN:
        return _start_check(state, request, now, rules)
    else:
        state, effects, result = _execute(state, request, now, tenants, rules)
    answer = _answer(request, result)
    if request.verb in READ_ONLY_VERBS and result is None:
        return state, [*effects, answer]
    outcome = result.outcome if result else CommandOutcome.DONE
    entry = make_audit_entry(request, outcome, result.incident if result else None)
    state = replace(state, audit=(*state.audit, entry)[-AUDIT_SHOWN:])
    return state, [*effects, answer, entry]


def _execute(
    state: DeskState, request: Request, now: float, tenants: Tenants, rules: Rules
) -> tuple[DeskState, list[DeskEffect], AnswerResult | None]:
    if request.verb in incidents.INCIDENT_VERBS:
        return incidents.handle_incident_command(state, request, now, tenants, rules)
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


def _start_check(state: DeskState, request: Request, now: float, rules: Rules) -> StateAndEffects:
    """Start an on-demand check; it is answered a second time when its results are in."""
    check = start_check(request, now, rules)
    if check is None:
        return state, [_answer(request, None)]
    state = replace(state, checks={**state.checks, request.id: check})
    probes = [StartProbe(target, request.id) for target in check.targets]
    tenants = [RequestCheck(name, request.id, check.signal) for name in check.tenants]
    return state, [_answer(request, None), *tenants, *probes]


def add_check_result(
    state: DeskState, request_id: str, result: Observation | Measurement
) -> StateAndEffects:
    """Add one result to an on-demand check, if it belongs to one."""
    check = state.checks.get(request_id)
    return _continue_check(state, check.with_result(result)) if check else (state, [])


def record_check_started(state: DeskState, stimulus: CheckStarted) -> StateAndEffects:
    """Record what a tenant probes for an on-demand check."""
    check = state.checks.get(stimulus.request_id)
    return _continue_check(state, check.with_started(stimulus)) if check else (state, [])


def answer_overdue_checks(state: DeskState, now: float) -> StateAndEffects:
    """Answer the on-demand checks that took too long, with the results so far."""
    effects: list[DeskEffect] = []
    for check in [check for check in state.checks.values() if check.until <= now]:
        state, answers = _finish_check(state, check)
        effects += answers
    return state, effects


def _continue_check(state: DeskState, check: OnDemandCheck) -> StateAndEffects:
    """Store an on-demand check, or answer it if all results are in."""
    if check.is_complete:
        return _finish_check(state, check)
    return replace(state, checks={**state.checks, check.request.id: check}), []


def _finish_check(state: DeskState, check: OnDemandCheck) -> StateAndEffects:
    key = check.request.id
    others = {other: value for other, value in state.checks.items() if other != key}
    answer = Send(f"answer:{key}:2", f"answer:{key}", check.to_answer())
    return replace(state, checks=others), [answer]
