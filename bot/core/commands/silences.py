"""Commands that set and end silences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy
from bot.core.incidents import notifications
from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.model.wall_clock import DAY_S, parse_until
from bot.core.state.outbox import AnswerResult, SilenceAnnouncement
from bot.core.state.silence import (
    EVERYTHING,
    MAX_SILENCE_S,
    REASON_LENGTH,
    Silence,
    SilenceRefusal,
    SilenceRequest,
    SilenceScope,
    covers,
    preview_hidden,
)
from bot.core.state.stimulus import DeskEffect, Send
from bot.core.state.timeline import SilencedEntry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.commands.incidents import CommandResult
    from bot.core.model.request import Request
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules

SILENCE_RETENTION_S = 7 * DAY_S
SILENCE_VERBS = frozenset({Verb.SILENCE, Verb.UNSILENCE})


def add_silence(state: DeskState, request: Request, now: float, rules: Rules) -> CommandResult:
    """Set a silence; the threads of posted incidents that it covers say so."""
    parsed = parse_silence(request.argument, now, request.person.zone, rules, state.incidents)
    if isinstance(parsed, SilenceRefusal):
        return state, [], AnswerResult(CommandOutcome.INVALID, silence_refusal=parsed)
    number, by, reason = state.next_silence, request.user, parsed.reason
    silence = Silence(number, parsed.scope, parsed.name, now, parsed.until, by, reason)
    hidden = preview_hidden(parsed.scope, parsed.name, state.incidents.values(), now - DAY_S)
    recent = {
        one.id: one
        for one in state.silences.values()
        if one.ended_at is None or now - one.ended_at < SILENCE_RETENTION_S
    }
    state = replace(state, silences={**recent, number: silence}, next_silence=number + 1)
    effects: list[DeskEffect] = []
    if silence.scope is not SilenceScope.INCIDENT:  # else its thread says so
        key = f"silence:{number}:begin"
        effects.append(Send(key, key, SilenceAnnouncement(silence)))
    entry = SilencedEntry(now, by, reason, parsed.until)
    for incident in state.open_incidents:
        if covers(silence, incident) and not incident.is_muted:
            after, edit = notifications.edit_message(incident, now)
            after, reply = notifications.add_entry(after, entry)
            state, effects = state.with_incident(after), [*effects, edit, reply]
    return state, effects, AnswerResult(CommandOutcome.DONE, silence=silence, hidden=hidden)


def expire_silence(state: DeskState, request: Request, now: float) -> CommandResult:
    """End a silence before its time: by its number, or by what it covers."""
    found = _find_silence(request.argument, state)
    if found is None or found.ended_at is not None:
        outcome = CommandOutcome.ALREADY if found else CommandOutcome.NO_SUCH
        return state, [], AnswerResult(outcome, silence=found)
    state, effects = notification_policy.end_silence(state, found, now, request.user)
    return state, effects, AnswerResult(CommandOutcome.DONE, silence=state.silences[found.id])


def _find_silence(argument: str, state: DeskState) -> Silence | None:
    """Find a silence by its number (`S3`, `3`), else an active one by what it covers."""
    words = argument.lower().split()[:1]
    named = {
        f"#{s.name}" if s.scope is SilenceScope.INCIDENT else (s.name or EVERYTHING).lower(): s
        for s in state.active_silences
    }
    numbers = {f"{s}{number}": one for number, one in state.silences.items() for s in ("s", "")}
    return {**named, **numbers}.get(words[0]) if words else None


def is_global_silence(request: Request, state: DeskState) -> bool:
    """Tell whether a command silences everything, or ends a silence that does."""
    if request.verb is Verb.SILENCE:
        return request.argument.lower().split()[:1] == [EVERYTHING]
    silence = _find_silence(request.argument, state) if request.verb is Verb.UNSILENCE else None
    return silence is not None and silence.scope is SilenceScope.ALL


def parse_silence(
    argument: str, now: float, zone: str, rules: Rules, incidents: Iterable[int]
) -> SilenceRequest | SilenceRefusal:
    """Read `<#number|tenant|tenant.signal|signal|all> <for how long, or until when> <reason>`.

    Args:
        argument: what the person wrote after the verb.
        now: spans and clock times count from this instant.
        zone: the person's time zone, an IANA name.
        rules: the names of tenants and signals.
        incidents: the numbers of the known incidents.
    """
    what, *words = argument.split() or [""]
    scope = _parse_scope(what.lower(), rules, incidents)
    if scope is None:
        return SilenceRefusal.NO_SUCH
    until = parse_until(words, now, zone)
    if until is None:
        return SilenceRefusal.NO_TIME
    end, count = until
    if end <= now:
        return SilenceRefusal.PAST
    if end - now > MAX_SILENCE_S:
        return SilenceRefusal.TOO_LONG
    reason = " ".join(words[count:])[:REASON_LENGTH]
    return SilenceRequest(*scope, end, reason) if reason else SilenceRefusal.NO_REASON


def _parse_scope(
    what: str, rules: Rules, incidents: Iterable[int]
) -> tuple[SilenceScope, str] | None:
    """Find what is meant; a configured name takes precedence over an incident's bare number."""
    signals = {
        written.lower(): (SilenceScope.SIGNAL, written)
        for tenant in rules.tenants.values()
        for signal in (*tenant.all_signals, *tenant.monitors)
        for written in (signal, f"{tenant.name}.{signal}")
    }
    tenants = {name.lower(): (SilenceScope.TENANT, name) for name in rules.tenants}
    numbers = {
        written: (SilenceScope.INCIDENT, str(number))
        for number in incidents
        for written in (str(number), f"#{number}")
    }
    return {**numbers, **signals, **tenants, EVERYTHING: (SilenceScope.ALL, "")}.get(what)
