"""Commands that set and end silences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy
from bot.core.incidents import notifications
from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.model.wall_clock import DAY_S, parse_until
from bot.core.state.incident import TimelineEntry, TimelineKind
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
from bot.core.state.stimulus import Effect, Send

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.commands.incidents import CommandResult
    from bot.core.model.request import Request
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules

SILENCE_RETENTION_S = 7 * DAY_S
SILENCE_VERBS = frozenset({Verb.SILENCE, Verb.UNSILENCE})


def add_silence(state: DeskState, request: Request, now: float, rules: Rules) -> CommandResult:
    """Set a silence; incidents that it covers and that people know of say so in their threads."""
    read = parse_silence(request.argument, now, request.person.zone, rules, state.incidents)
    if isinstance(read, SilenceRefusal):
        return state, [], AnswerResult(CommandOutcome.INVALID, silence_refusal=read)
    silence = Silence(
        state.next_silence, read.scope, read.name, now, read.until, request.user, read.reason
    )
    hidden = preview_hidden(read.scope, read.name, state.incidents.values(), now - DAY_S)
    kept = {
        number: one
        for number, one in state.silences.items()
        if one.ended_at is None or now - one.ended_at < SILENCE_RETENTION_S
    }
    state = replace(
        state, silences={**kept, silence.id: silence}, next_silence=state.next_silence + 1
    )
    key = f"silence:{silence.id}:begin"
    effects: list[Effect] = [Send(key, key, SilenceAnnouncement(silence))]
    if silence.scope is SilenceScope.INCIDENT:
        effects.clear()  # its thread is told
    for incident in state.open_incidents:
        if covers(silence, incident) and not incident.is_muted:
            entry = TimelineEntry(
                now, TimelineKind.SILENCED, by=request.user, text=read.reason, until=read.until
            )
            after, shown = notifications.edit_message(incident, now)
            after, told = notifications.add_entry(after, entry)
            state, effects = state.with_incident(after), [*effects, shown, told]
    return state, effects, AnswerResult(CommandOutcome.DONE, silence=silence, hidden=hidden)


def expire_silence(state: DeskState, request: Request, now: float) -> CommandResult:
    """End a silence before its time: by its number, or by what it is over."""
    found = _find_silence(request.argument, state)
    if found is None or found.ended_at is not None:
        return (
            state,
            [],
            AnswerResult(
                CommandOutcome.ALREADY if found else CommandOutcome.NO_SUCH, silence=found
            ),
        )
    state, effects = notification_policy.end_silence(state, found, now, request.user)
    return state, effects, AnswerResult(CommandOutcome.DONE, silence=state.silences[found.id])


def _find_silence(argument: str, state: DeskState) -> Silence | None:
    """Find a silence by its number (`S3`, `3`), else a running one by what it is over."""
    words = argument.lower().split()[:1]
    named = {_silence_name(one): one for one in state.active_silences}
    numbers = {f"{s}{number}": one for number, one in state.silences.items() for s in ("s", "")}
    return {**named, **numbers}.get(words[0]) if words else None


def _silence_name(silence: Silence) -> str:
    if silence.scope is SilenceScope.INCIDENT:
        return f"#{silence.name}"
    return (silence.name or EVERYTHING).lower()


def is_global_silence(request: Request, state: DeskState) -> bool:
    """Tell whether a request mutes everything, or ends what does."""
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
        now: the time spans and clock times are counted from.
        zone: the person's time zone, an IANA name.
        rules: what names mean.
        incidents: the numbers of those that are known.
    """
    what, *words = argument.split() or [""]
    named = _parse_scope(what.lower(), rules, incidents)
    if named is None:
        return SilenceRefusal.NO_SUCH
    read = parse_until(words, now, zone)
    if read is None:
        return SilenceRefusal.NO_TIME
    end, count = read
    if end <= now:
        return SilenceRefusal.PAST
    if end - now > MAX_SILENCE_S:
        return SilenceRefusal.TOO_LONG
    reason = " ".join(words[count:])[:REASON_LENGTH]
    return SilenceRequest(*named, end, reason) if reason else SilenceRefusal.NO_REASON


def _parse_scope(
    what: str, rules: Rules, incidents: Iterable[int]
) -> tuple[SilenceScope, str] | None:
    """Find what is meant; a name of the configuration goes before an incident's bare number."""
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
