"""Carries out commands: checks the right, does it, answers, and records it for the audit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from bot.core.alerting import acknowledgements, calls, notification_policy
from bot.core.commands import incidents
from bot.core.incidents import notifications
from bot.core.model.access import RIGHTS, CommandOutcome, Right, Verb, authorize
from bot.core.model.command import (
    ALL_SIGNALS,
    AddOverride,
    AddSilence,
    EndSilence,
    IncidentCommand,
    Question,
    RunCheck,
    ShowAudit,
    ShowDoctor,
    SilenceRefusal,
    UnclearCommand,
)
from bot.core.model.wall_clock import DAY_S
from bot.core.oncall import Override, Shift
from bot.core.state.desk import OnDemandCheck, start_check
from bot.core.state.outbox import Answer, AnswerResult, OverrideAnnouncement
from bot.core.state.silence import Silence, covers, preview_hidden, refuse_end
from bot.core.state.stimulus import CheckStarted, DeskEffect, RequestCheck, Send, StartProbe
from bot.core.state.timeline import SilencedEntry

if TYPE_CHECKING:
    from bot.core.commands.incidents import CommandResult
    from bot.core.model.access import AuditEntry
    from bot.core.model.command import Change, Request
    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import Observation
    from bot.core.state.desk import DeskState, StateAndEffects
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import Tenants


def answer_question(
    request: Request, state: DeskState, rules: Rules
) -> tuple[Answer, AuditEntry | None]:
    """Return the answer to a question, or its refusal, and what the audit log records of it.

    That is a refusal, who read the audit log, and who examined the set-up.
    """
    if result := _refuse(request, state, rules):
        return Answer(request, result=result), request.to_audit_entry(result.outcome)
    is_audited = isinstance(request.command, ShowAudit | ShowDoctor)
    entry = request.to_audit_entry(CommandOutcome.DONE) if is_audited else None
    return Answer(request), entry


def dispatch_command(
    state: DeskState, request: Request, now: float, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    """Carry out a command if the person has the right, and answer it in any case.

    A question comes here only if everybody is to see its answer, or from an older version's inbox.
    Whatever it is, it shows that the person is awake.
    """
    state, effects = _carry_out(state, request, now, tenants, rules)
    return acknowledgements.note_activity(state, request.user, now), effects


def _carry_out(
    state: DeskState, request: Request, now: float, tenants: Tenants, rules: Rules
) -> StateAndEffects:
    command = request.command
    if isinstance(command, Question):
        answer, entry = answer_question(request, state, rules)
        state = state.with_audit_entry(entry) if entry else state
        return state, [_send(answer), *([entry] if entry else [])]
    effects: list[DeskEffect] = []
    result = _refuse(request, state, rules)
    if result is None:
        if isinstance(command, RunCheck):
            return _start_check(state, request, command, now, rules)
        state, effects, result = _execute(state, request, command, now, tenants, rules)
    entry = request.to_audit_entry(result.outcome, result.incident)
    answer = Answer(request, result=result)
    return state.with_audit_entry(entry), [*effects, _send(answer), entry]


def required_right(request: Request, state: DeskState) -> Right:
    """Return the right that a request needs."""
    match request.command:
        case AddOverride():
            return Right.ADMINISTER
        case AddSilence(about=about) if about == ALL_SIGNALS:
            return Right.ADMINISTER
        case UnclearCommand(verb=Verb.ONCALL) | UnclearCommand(is_global=True):
            return Right.ADMINISTER
        case EndSilence(silence=number):
            silence = state.silences.get(number)
            if silence and silence.about == ALL_SIGNALS:
                return Right.ADMINISTER
    return RIGHTS[request.command.verb]


def _refuse(request: Request, state: DeskState, rules: Rules) -> AnswerResult | None:
    right = required_right(request, state)
    refused = authorize(rules.access, right, request.person, request.channel)
    return AnswerResult(CommandOutcome.REFUSED, refused=refused) if refused else None


def _execute(
    state: DeskState,
    request: Request,
    command: Change,
    now: float,
    tenants: Tenants,
    rules: Rules,
) -> CommandResult:
    if isinstance(command, IncidentCommand):
        return incidents.handle_incident_command(
            state, command, request.user, now, tenants=tenants, rules=rules
        )
    match command:
        case AddSilence():
            return _add_silence(state, command, request.user, now, tenants=tenants, rules=rules)
        case EndSilence():
            return _expire_silence(state, command, request.user, now, rules)
        case AddOverride():
            return _add_override(state, request, command, now, rules)
        case UnclearCommand():
            result = AnswerResult(
                command.outcome, command.incident, silence_refusal=command.silence_refusal
            )
            return state, [], result
        case _:
            assert_never(command)


def _send(answer: Answer) -> Send:
    key = f"answer:{answer.request.id}"
    return Send(f"{key}:1", key, answer)


def _start_check(
    state: DeskState, request: Request, command: RunCheck, now: float, rules: Rules
) -> StateAndEffects:
    """Start an on-demand check; it is answered a second time when its results are in."""
    answer, check = _send(Answer(request)), start_check(request, command, now, rules)
    if check is None:
        return state, [answer]
    state = replace(state, checks={**state.checks, request.id: check})
    probes = [StartProbe(target, request.id) for target in check.targets]
    tenants = [RequestCheck(name, request.id, check.signal) for name in check.tenants]
    return state, [answer, *tenants, *probes]


def continue_check(
    state: DeskState, request_id: str, news: CheckStarted | Observation | Measurement
) -> StateAndEffects:
    """Add what a tenant probes, or one result, to the on-demand check that it belongs to, if any.

    A check that has all its results is answered.
    """
    check = state.checks.get(request_id)
    if check is None:
        return state, []
    check = check.with_news(news)
    if check.is_complete:
        return finish_check(state, check)
    return replace(state, checks={**state.checks, request_id: check}), []


def finish_check(state: DeskState, check: OnDemandCheck) -> StateAndEffects:
    """Answer an on-demand check with the results so far."""
    key = check.request.id
    others = {other: value for other, value in state.checks.items() if other != key}
    answer = Send(f"answer:{key}:2", f"answer:{key}", check.to_answer())
    return replace(state, checks=others), [answer]


SILENCE_RETENTION_S = 7 * DAY_S


def _add_silence(
    state: DeskState, command: AddSilence, by: str, now: float, *, tenants: Tenants, rules: Rules
) -> CommandResult:
    """Set a silence; the threads of posted incidents that it covers say so."""
    about, until, reason = command.about, command.until, command.reason
    is_known = not isinstance(about, int) or about in state.incidents
    refusal = refuse_end(until, now) if is_known else SilenceRefusal.NO_SUCH
    if refusal:
        return state, [], AnswerResult(CommandOutcome.INVALID, silence_refusal=refusal)
    number = state.next_silence
    silence = Silence(number, about, now, until, by, reason)
    hidden = preview_hidden(about, state.incidents.values(), now - DAY_S)
    recent = {
        one.id: one
        for one in state.silences.values()
        if one.ended_at is None or now - one.ended_at < SILENCE_RETENTION_S
    }
    state = replace(state, silences={**recent, number: silence}, next_silence=number + 1)
    effects: list[DeskEffect] = []
    if not isinstance(about, int):  # else its thread says so
        effects += notification_policy.announce_silence(silence, "begin", state, rules)
    entry = SilencedEntry(now, by, reason, until)
    for incident in state.open_incidents:
        if covers(silence, incident) and not incident.notification.is_muted:
            known = calls.bind(incident, tenants, rules)
            after, edit = notifications.edit_message(known, now)
            after, reply = notifications.add_entry(after, entry)
            state, effects = state.with_incident(after), [*effects, edit, reply]
    return state, effects, AnswerResult(CommandOutcome.DONE, silence=silence, hidden=hidden)


def _expire_silence(
    state: DeskState, command: EndSilence, by: str, now: float, rules: Rules
) -> CommandResult:
    """End a silence before its time."""
    found = state.silences.get(command.silence)
    if found is None or found.ended_at is not None:
        outcome = CommandOutcome.ALREADY if found else CommandOutcome.NO_SUCH
        return state, [], AnswerResult(outcome, silence=found)
    state, effects = notification_policy.end_silence(state, found, now, rules, by)
    return state, effects, AnswerResult(CommandOutcome.DONE, silence=state.silences[found.id])


def _add_override(
    state: DeskState, request: Request, command: AddOverride, now: float, rules: Rules
) -> CommandResult:
    """Put somebody on call for a while."""
    if state.on_call_source(rules) is None:
        return state, [], AnswerResult(CommandOutcome.NOBODY)
    if refuse_end(command.until, now):
        return state, [], AnswerResult(CommandOutcome.INVALID)
    override = Override(command.person, now, command.until, request.user)
    active = (one for one in state.overrides if one.until > now)
    state = replace(state, overrides=(*active, override)).with_shift_over(now)
    shift, key = Shift(command.person, now, command.until), f"swap:{request.id}"
    announcement = Send(key, key, OverrideAnnouncement(shift, request.user))
    return state, [announcement], AnswerResult(CommandOutcome.DONE, shift=shift)
