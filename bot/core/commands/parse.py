"""Reads what people type: the one parser of commands, names, spans and times."""

from __future__ import annotations

import re
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome, Verb
from bot.core.model.command import (
    ALL_SIGNALS,
    PLAIN_QUESTIONS,
    Acknowledge,
    AddNote,
    AddOverride,
    AddSilence,
    AlertFilter,
    Command,
    EndSilence,
    Escalate,
    ExplainVerdict,
    HandOver,
    MarkFalseAlarm,
    Resolve,
    RunCheck,
    ShowAlerts,
    ShowHelp,
    ShowReport,
    SilenceRefusal,
    UnclearCommand,
    UnclearQuestion,
    Unknown,
)
from bot.core.model.observation import Target
from bot.core.model.wall_clock import parse_span, parse_until
from bot.core.state.silence import EVERYTHING, REASON_LENGTH, refuse_end

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.model.command import IncidentCommand, Request
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules

VERBS = tuple(verb for verb in Verb if verb is not Verb.UNKNOWN)
SHARE = "share"
OVERRIDE_WORD = "swap"
DETAILS_WORD = "--details"
NOTE_LENGTH = 500
PHRASES = {
    Verb.STATUS: (
        "is auth0 up",
        "is auth0 down",
        "is auth0 ok",
        "is login up",
        "is login down",
        "are logins working",
        "is login working",
        "what is wrong",
        "what is up",
        "what is broken",
        "what is down",
        "is it down",
        "is auth0 broken",
        "is anything broken",
    ),
    Verb.RUN: ("check", "check again", "check auth0", "check now", "test", "try again"),
    Verb.ONCALL: ("who is on call", "who is oncall", "on call"),
    Verb.ACK: ("i am on it", "on it", "mine", "acknowledge", "i have it"),
    Verb.HELP: ("hi", "hello", "what can you do"),
}
"""Plain questions that people ask without knowing the verbs."""
_INCIDENT_NUMBER = re.compile(r"#?0*(\d+)\b\s*", re.ASCII)
_TAKE_OVER = re.compile(r"take[ -]?over\b[:,.]?\s*", re.IGNORECASE)
_ANYWAY = re.compile(r"anyway\b[:,.]?\s*", re.IGNORECASE)
_USER_MENTION = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>")


def split_verb(text: str) -> tuple[Verb, str, bool]:
    """Split what follows `/auth0-check` into its verb, the other words, and whether to share.

    The words of an unknown verb are the first word itself.
    """
    words = text.split()
    share = bool(words) and words[-1].lower() == SHARE
    if share:
        words.pop()
    if not words:
        return Verb.STATUS, "", share
    if words[0].lower() in VERBS:
        return Verb(words[0].lower()), " ".join(words[1:]), share
    said = " ".join(words).lower().replace("\u2019", "'").strip("?!. ")
    said = said.replace("who's", "who is").replace("what's", "what is").replace("i'm", "i am")
    for verb, phrases in PHRASES.items():
        if said in phrases:
            return verb, "", share
    return Verb.UNKNOWN, words[0], share


def parse_request(text: str, request: Request, state: DeskState, rules: Rules) -> Request:
    """Return a request with the command that its person typed.

    Args:
        text: what follows `/auth0-check`.
        request: who asks, when and where.
        state: has the incidents and silences that can be meant.
        rules: have the names of tenants and signals.
    """
    verb, words, share = split_verb(text)
    command = parse_words(verb, words, request, state, rules)
    return replace(request, command=command, words=words, share=share)


def parse_words(  # noqa: C901, PLR0911, PLR0912 - one case a verb
    verb: Verb, words: str, request: Request, state: DeskState, rules: Rules
) -> Command:
    """Return what a verb and the words after it mean; see `parse_request`."""
    match verb:
        case Verb.UNKNOWN:
            near = get_close_matches(words.lower(), VERBS, n=1, cutoff=0.5)
            return Unknown(words, near[0] if near else "")
        case Verb.ACK:
            return _parse_acknowledgement(*find_incident(words, state, request), state)
        case Verb.RESOLVE | Verb.HAND_OVER | Verb.ESCALATE | Verb.NOTE | Verb.FALSE_ALARM:
            return make_incident_command(verb, *find_incident(words, state, request))
        case Verb.SILENCE:
            wanted = parse_silence(words, request.at, request.person.zone, rules, state.incidents)
            if isinstance(wanted, AddSilence):
                return wanted
            is_global = words.lower().split()[:1] == [EVERYTHING]
            return UnclearCommand(
                verb, CommandOutcome.INVALID, silence_refusal=wanted, is_global=is_global
            )
        case Verb.UNSILENCE:
            # By its number (`S3`, `3`), else an active one by what it covers.
            by_words = {s.words.lower(): s.id for s in state.active_silences}
            by_words |= {f"{s}{number}": number for number in state.silences for s in ("s", "")}
            found = by_words.get((words.lower().split() or [""])[0])
            none = UnclearCommand(verb, CommandOutcome.NO_SUCH)
            return EndSilence(found) if found else none
        case Verb.ONCALL if words.split()[:1] == [OVERRIDE_WORD]:
            # `[@person] 8h`; without a name whoever sends it.
            _, *rest = words.split()
            named = _USER_MENTION.fullmatch(rest[0]) if rest else None
            until = parse_until(rest[1:] if named else rest, request.at, request.person.zone)
            if until is None:
                return UnclearCommand(verb, CommandOutcome.INVALID)
            return AddOverride(named[1] if named else request.user, until[0])
        case Verb.RUN:
            return _find_check(words.lower(), rules) or UnclearQuestion(verb, words)
        case Verb.ALERTS:
            return _parse_alerts(words)
        case Verb.WHY if words:
            return _parse_why(words, state)
        case Verb.REPORT if words:
            span_s = parse_span(words)
            return ShowReport(span_s) if span_s else UnclearQuestion(verb, words)
        case Verb.HELP:
            return ShowHelp(words)
        case _:
            return PLAIN_QUESTIONS[verb]


def _parse_why(words: str, state: DeskState) -> Command:
    named = [word for word in words.split() if word != DETAILS_WORD]
    has_details = DETAILS_WORD in words.split()
    if not named:
        return ExplainVerdict(has_details=has_details)
    numbers = {str(number): number for number in state.incidents}
    number = numbers.get(named[0].removeprefix("#"))
    if number is None or len(named) > 1:
        return UnclearQuestion(Verb.WHY, " ".join(named).removeprefix("#"))
    return ExplainVerdict(number, has_details)


def find_incident(
    words: str, state: DeskState, request: Request | None = None
) -> tuple[int | None, str]:
    """Return which incident is meant, and the rest of the words.

    It is the incident whose number is given, else that of the thread, else the only open one, else
    the only open one of the channel.
    """
    match = _INCIDENT_NUMBER.match(words)
    if match:
        numbers = {str(number): number for number in state.incidents}
        return numbers.get(match[1]), words[match.end() :]
    thread_ts, channel = (request.thread_ts, request.channel) if request else ("", "")
    for incident in state.incidents.values():
        if thread_ts and incident.message.ref and incident.message.ref.ts == thread_ts:
            return incident.id, words
    still_open = state.open_incidents
    here = [i for i in still_open if not i.message.ref or i.message.ref.channel == channel]
    for choice in (still_open, here):
        if len(choice) == 1:
            return choice[0].id, words
    return None, words


def make_incident_command(  # noqa: C901, PLR0911 - one case a verb
    verb: Verb, incident: int | None, text: str = ""
) -> IncidentCommand | UnclearCommand:
    """Return a command about an incident. Raises ValueError if the verb is not about one."""
    if incident is None:
        return UnclearCommand(verb, CommandOutcome.NO_SUCH)
    text = text.strip()[:NOTE_LENGTH]
    match verb:
        case Verb.ACK:
            return Acknowledge(incident, text)
        case Verb.RESOLVE:
            anyway = _ANYWAY.match(text)
            return Resolve(incident, text[anyway.end() :] if anyway else text, anyway is not None)
        case Verb.HAND_OVER:
            return HandOver(incident)
        case Verb.ESCALATE:
            return Escalate(incident)
        case Verb.NOTE | Verb.FALSE_ALARM if not text:
            return UnclearCommand(verb, CommandOutcome.INVALID, incident)
        case Verb.NOTE:
            return AddNote(incident, text)
        case Verb.FALSE_ALARM:
            return MarkFalseAlarm(incident, text)
    raise ValueError(verb)


def _parse_acknowledgement(
    number: int | None, words: str, state: DeskState
) -> IncidentCommand | UnclearCommand:
    """Read `[take over] [note]`: it is taken from whoever has it now."""
    taking_over = _TAKE_OVER.match(words)
    owner = state.incidents[number].life.acknowledged_by if number else ""
    if number is None or not taking_over or not owner:
        return make_incident_command(Verb.ACK, number, words)
    return Acknowledge(number, words[taking_over.end() :].strip()[:NOTE_LENGTH], owner)


def parse_silence(
    words: str, now: float, zone: str, rules: Rules, incidents: Iterable[int]
) -> AddSilence | SilenceRefusal:
    """Read `<#number|tenant|tenant.signal|signal|all> <for how long, or until when> <reason>`.

    Args:
        words: what the person wrote after the verb.
        now: spans and clock times count from this instant.
        zone: the person's time zone, an IANA name.
        rules: the names of tenants and signals.
        incidents: the numbers of the known incidents.
    """
    what, *rest = words.split() or [""]
    until, count = parse_until(rest, now, zone) or (None, 0)
    about = find_silence_target(what, rules, incidents)
    return make_silence(about, until, " ".join(rest[count:]), now)


def make_silence(
    about: Target | int | None, until: float | None, reason: str, now: float
) -> AddSilence | SilenceRefusal:
    """Return a silence, or why it cannot be set: the first of what is wrong."""
    if about is None:
        return SilenceRefusal.NO_SUCH
    if until is None:
        return SilenceRefusal.NO_TIME
    if refusal := refuse_end(until, now):
        return refusal
    reason = " ".join(reason.split())[:REASON_LENGTH]
    return AddSilence(about, until, reason) if reason else SilenceRefusal.NO_REASON


def find_silence_target(what: str, rules: Rules, incidents: Iterable[int]) -> Target | int | None:
    """Find what is to be silenced; a configured name precedes an incident's bare number."""
    numbers = {written: n for n in incidents for written in (str(n), f"#{n}")}
    signals = {
        written.lower(): target
        for tenant in rules.tenants.values()
        for signal in (*tenant.all_signals, *tenant.monitors)
        for written, target in {
            signal: Target("", signal),
            f"{tenant.name}.{signal}": Target(tenant.name, signal),
        }.items()
    }
    tenants = {name.lower(): Target(name, "") for name in rules.tenants}
    return {**numbers, **signals, **tenants, EVERYTHING: ALL_SIGNALS}.get(what.lower())


def _find_check(named: str, rules: Rules) -> RunCheck | None:
    """Find a tenant, `tenant.signal`, or a signal of any tenant; a tenant precedes a signal."""
    found: dict[str, RunCheck] = {}
    for name, tenant in reversed(rules.tenants.items()):
        signals = {f"{name}.{each}".lower(): RunCheck(name, each) for each in tenant.all_signals}
        found = {**found, **signals, name.lower(): RunCheck(name)}
    for tenant in rules.tenants.values():
        for signal in tenant.all_signals:
            found.setdefault(signal.lower(), RunCheck(signal=signal))
    return found.get(named) if named else RunCheck()


def _parse_alerts(words: str) -> ShowAlerts | UnclearQuestion:
    """Read `[open|acked|all] [24h]`."""
    only, span_s = None, None
    for word in words.lower().split():
        if word in set(AlertFilter):
            only = AlertFilter(word)
        elif (found := parse_span(word)) is not None:
            span_s = found
        else:
            return UnclearQuestion(Verb.ALERTS, word)
    return ShowAlerts(only, span_s)
