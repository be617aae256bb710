"""Who may do what, and the audit log of what people did.

Rights are checked where a command is handled: a button that is shown gives no permission.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.model.request import Person, Request, Verb

EVERYONE = "everyone"
Principal = str
"""A user's id (`U…`, `W…`), a user group's (`S…`), the channel's in which it is asked for (`C…`,
`G…`), or `everyone`."""


class Right(StrEnum):
    """What a person may be allowed."""

    VIEW = "view"
    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    ADMINISTER = "administer"


@dataclass(frozen=True, slots=True)
class Access:
    """Who has each right. No right holds another one."""

    view: tuple[Principal, ...] = (EVERYONE,)
    acknowledge: tuple[Principal, ...] = (EVERYONE,)
    silence: tuple[Principal, ...] = (EVERYONE,)
    administer: tuple[Principal, ...] = (EVERYONE,)

    def who_may(self, right: Right) -> tuple[Principal, ...]:
        """Return who has a right."""
        return {
            Right.VIEW: self.view,
            Right.ACKNOWLEDGE: self.acknowledge,
            Right.SILENCE: self.silence,
            Right.ADMINISTER: self.administer,
        }[right]


RIGHTS = {
    Verb.STATUS: Right.VIEW,
    Verb.RUN: Right.VIEW,
    Verb.ALERTS: Right.VIEW,
    Verb.WHY: Right.VIEW,
    Verb.ACK: Right.ACKNOWLEDGE,
    Verb.RESOLVE: Right.ACKNOWLEDGE,
    Verb.ESCALATE: Right.ACKNOWLEDGE,
    Verb.NOTE: Right.ACKNOWLEDGE,
    Verb.FALSE_ALARM: Right.ACKNOWLEDGE,
    Verb.SILENCE: Right.SILENCE,
    Verb.UNSILENCE: Right.SILENCE,
    Verb.SILENCES: Right.VIEW,
    Verb.ONCALL: Right.VIEW,
    Verb.REPORT: Right.VIEW,
    Verb.HEALTH: Right.VIEW,
    Verb.AUDIT: Right.ADMINISTER,
    Verb.HELP: Right.VIEW,
    Verb.UNKNOWN: Right.VIEW,
}
"""What each verb needs."""


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """Why a person may not."""

    right: Right
    """What they would need."""
    who: tuple[Principal, ...]
    """Who has it; empty: the person is a guest, and those never have any."""


def has_right(access: Access, right: Right, person: Person, channel: str) -> bool:
    """Tell whether a person has a right in a channel. Guests have none."""
    are = {EVERYONE, person.id, channel, *person.groups}
    return not person.is_guest and not are.isdisjoint(access.who_may(right))


def authorize(access: Access, right: Right, person: Person, channel: str) -> NotAllowed | None:
    """Return why a person may not, and who may; None: they may."""
    if has_right(access, right, person, channel):
        return None
    return NotAllowed(right, () if person.is_guest else access.who_may(right))


ARGUMENT_LENGTH = 200


class CommandOutcome(StrEnum):
    """What came of what a person asked for."""

    DONE = "done"
    ALREADY = "already"
    """It was so before: nothing changed."""
    REFUSED = "refused"
    """They may not."""
    NO_SUCH = "no_such"
    """It names nothing that is known."""
    TOO_LATE = "too_late"
    """What it names is over."""
    NOBODY = "nobody"
    """There is nobody left to call, or nobody who takes turns."""
    INVALID = "invalid"
    """It could not be done as it was asked for: a time or a reason is missing."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that one person asked for, and what came of it."""

    at: float
    user: str
    verb: Verb
    argument: str
    incident: int | None
    """The one that it was about, if it was about one."""
    outcome: CommandOutcome


def make_audit_entry(
    request: Request, outcome: CommandOutcome, incident: int | None = None
) -> AuditEntry:
    """Return the line for a request."""
    argument = request.argument[:ARGUMENT_LENGTH]
    return AuditEntry(request.at, request.user, request.verb, argument, incident, outcome)
