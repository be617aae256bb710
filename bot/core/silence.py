"""What a person mutes for a while, and why: the incidents go on, only nobody is alerted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.calendar import until
from bot.core.model import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.core.incident import Incident
    from bot.core.rules import Rules

LONGEST_S = 30 * 86400.0
"""What is to be silent for longer should not be watched."""
REASON_LENGTH = 200
EVERYTHING = "all"


class Over(StrEnum):
    """What a silence is over."""

    TENANT = "tenant"
    SIGNAL = "signal"
    INCIDENT = "incident"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence, running or ended."""

    id: int
    over: Over
    name: str
    """A tenant, `signal` of any tenant or `tenant.signal`, an incident's number; of all: empty."""
    since: float
    until: float
    by: str
    """Whose it is: a user's id."""
    reason: str
    suppressed: int = 0
    """Alerts that it has hidden."""
    ended_by: str = ""
    """Who ended it by hand; empty: it ended by its time."""
    ended_at: float | None = None

    def is_on(self, now: float) -> bool:
        """Tell whether it mutes at this instant."""
        return self.ended_at is None and self.since <= now < self.until


class Refusal(StrEnum):
    """Why a silence cannot be set as it was asked for."""

    NO_SUCH = "no_such"
    NO_TIME = "no_time"
    PAST = "past"
    TOO_LONG = "too_long"
    NO_REASON = "no_reason"


@dataclass(frozen=True, slots=True)
class SilenceWanted:
    """A silence that can be set."""

    over: Over
    name: str
    until: float
    reason: str
    """What the person wrote, at most 200 characters."""


def covers(silence: Silence, incident: Incident) -> bool:
    """Tell whether all of an incident lies within a silence."""
    return _hides(silence.over, silence.name, incident)


def is_touched(silence: Silence, incident: Incident) -> bool:
    """Tell whether some of an incident lies within a silence."""
    return bool(_held(silence.over, silence.name, incident))


def covering(silences: Iterable[Silence], incident: Incident, now: float) -> tuple[Silence, ...]:
    """Return the silences that together hide an incident; none where a part lies outside."""
    held = {s: _held(s.over, s.name, incident) for s in silences if s.is_on(now)}
    if not held:
        return ()
    if set[Target]().union(*held.values()) != _parts(incident):
        return ()
    return tuple(silence for silence, parts in held.items() if parts)


def preview(over: Over, name: str, incidents: Iterable[Incident], since: float) -> tuple[int, ...]:
    """Return the incidents, open at any time since an instant, that a silence would have hidden."""
    return tuple(
        incident.id
        for incident in incidents
        if (incident.resolved_at is None or incident.resolved_at >= since)
        and _hides(over, name, incident)
    )


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


def _hides(over: Over, name: str, incident: Incident) -> bool:
    return _held(over, name, incident) == _parts(incident)


def _held(over: Over, name: str, incident: Incident) -> set[Target]:
    """Return the parts of an incident that lie within a silence."""
    parts = _parts(incident)
    match over:
        case Over.ALL:
            return parts
        case Over.INCIDENT:
            return parts if name == str(incident.id) else set()
        case Over.TENANT:
            return {part for part in parts if name == part.owner}
        case Over.SIGNAL:
            return {part for part in parts if name in (part.name, str(part))}


def _parts(incident: Incident) -> set[Target]:
    """Return what an incident alerts of: the troubles that go on; of one that is over, all.

    A tenant without any (we are blind there) is a part of its own, which no signal's name means.
    """
    troubles = [t for t in incident.troubles if not t.is_over] or incident.troubles
    bare = {*incident.tenants} - {trouble.tenant for trouble in incident.troubles}
    parts = {Target(t.tenant, t.signal) for t in troubles} | {Target(name, "") for name in bare}
    return parts or {Target("", "")}
