"""Commands that set and end silences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import notification_policy
from bot.core.incidents import notifications
from bot.core.model.access import CommandOutcome
from bot.core.model.request import Verb
from bot.core.model.wall_clock import DAY_S, until
from bot.core.state.incident import Entry, EntryKind
from bot.core.state.outbox import Result, SilenceTold
from bot.core.state.silence import (
    EVERYTHING,
    LONGEST_S,
    REASON_LENGTH,
    Over,
    Refusal,
    Silence,
    SilenceWanted,
    covers,
    preview,
)
from bot.core.state.stimulus import Effect, Send

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.commands.incidents import Handled
    from bot.core.model.request import Request
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules

REMEMBERED_S = 7 * DAY_S
VERBS = frozenset({Verb.SILENCE, Verb.UNSILENCE})


def silenced(state: DeskState, request: Request, now: float, rules: Rules) -> Handled:
    """Set a silence; incidents that it covers and that people know of say so in their threads."""
    read = wanted(request.argument, now, request.person.zone, rules, state.incidents)
    if isinstance(read, Refusal):
        return state, [], Result(CommandOutcome.INVALID, unreadable=read)
    silence = Silence(
        state.next_silence, read.over, read.name, now, read.until, request.user, read.reason
    )
    hidden = preview(read.over, read.name, state.incidents.values(), now - DAY_S)
    kept = {
        number: one
        for number, one in state.silences.items()
        if one.ended_at is None or now - one.ended_at < REMEMBERED_S
    }
    state = replace(
        state, silences={**kept, silence.id: silence}, next_silence=state.next_silence + 1
    )
    key = f"silence:{silence.id}:begin"
    effects: list[Effect] = [Send(key, key, SilenceTold(silence))]
    if silence.over is Over.INCIDENT:
        effects.clear()  # its thread is told
    for incident in state.open_incidents:
        if covers(silence, incident) and not incident.is_muted:
            entry = Entry(
                now, EntryKind.SILENCED, by=request.user, text=read.reason, until=read.until
            )
            after, shown = notifications.edit(incident, now)
            after, told = notifications.reply(after, entry)
            state, effects = state.with_incident(after), [*effects, shown, told]
    return state, effects, Result(CommandOutcome.DONE, silence=silence, hidden=hidden)


def unsilenced(state: DeskState, request: Request, now: float) -> Handled:
    """End a silence before its time: by its number, or by what it is over."""
    found = _meant(request.argument, state)
    if found is None or found.ended_at is not None:
        return (
            state,
            [],
            Result(CommandOutcome.ALREADY if found else CommandOutcome.NO_SUCH, silence=found),
        )
    state, effects = notification_policy.ended(state, found, now, request.user)
    return state, effects, Result(CommandOutcome.DONE, silence=state.silences[found.id])


def _meant(argument: str, state: DeskState) -> Silence | None:
    """Find a silence by its number (`S3`, `3`), else a running one by what it is over."""
    words = argument.lower().split()[:1]
    named = {_written(one): one for one in state.running_silences}
    numbers = {f"{s}{number}": one for number, one in state.silences.items() for s in ("s", "")}
    return {**named, **numbers}.get(words[0]) if words else None


def _written(silence: Silence) -> str:
    if silence.over is Over.INCIDENT:
        return f"#{silence.name}"
    return (silence.name or EVERYTHING).lower()


def is_over_all(request: Request, state: DeskState) -> bool:
    """Tell whether a request mutes everything, or ends what does."""
    if request.verb is Verb.SILENCE:
        return request.argument.lower().split()[:1] == [EVERYTHING]
    silence = _meant(request.argument, state) if request.verb is Verb.UNSILENCE else None
    return silence is not None and silence.over is Over.ALL


def wanted(
    argument: str, now: float, zone: str, rules: Rules, incidents: Iterable[int]
) -> SilenceWanted | Refusal:
    """Read `<#number|tenant|tenant.signal|signal|all> <for how long, or until when> <reason>`.

    Args:
        argument: what the person wrote after the verb.
        now: the time spans and clock times are counted from.
        zone: the person's time zone, an IANA name.
        rules: what names mean.
        incidents: the numbers of those that are known.
    """
    what, *words = argument.split() or [""]
    named = _named(what.lower(), rules, incidents)
    if named is None:
        return Refusal.NO_SUCH
    read = until(words, now, zone)
    if read is None:
        return Refusal.NO_TIME
    end, count = read
    if end <= now:
        return Refusal.PAST
    if end - now > LONGEST_S:
        return Refusal.TOO_LONG
    reason = " ".join(words[count:])[:REASON_LENGTH]
    return SilenceWanted(*named, end, reason) if reason else Refusal.NO_REASON


def _named(what: str, rules: Rules, incidents: Iterable[int]) -> tuple[Over, str] | None:
    """Find what is meant; a name of the configuration goes before an incident's bare number."""
    signals = {
        written.lower(): (Over.SIGNAL, written)
        for tenant in rules.tenants.values()
        for signal in (*tenant.all_signals, *tenant.monitors)
        for written in (signal, f"{tenant.name}.{signal}")
    }
    tenants = {name.lower(): (Over.TENANT, name) for name in rules.tenants}
    numbers = {
        written: (Over.INCIDENT, str(number))
        for number in incidents
        for written in (str(number), f"#{number}")
    }
    return {**numbers, **signals, **tenants, EVERYTHING: (Over.ALL, "")}.get(what)
