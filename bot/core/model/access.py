"""Who may do what, and the audit log of what people did.

Rights are checked where a command is handled: seeing a button gives no permission.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verb(StrEnum):
    """The first word of what people ask for. Without one it is `status`."""

    STATUS = "status"
    RUN = "run"
    ALERTS = "alerts"
    WHY = "why"
    ACK = "ack"
    RESOLVE = "resolve"
    HAND_OVER = "hand-over"
    ESCALATE = "escalate"
    NOTE = "note"
    FALSE_ALARM = "false-alarm"
    SILENCE = "silence"
    UNSILENCE = "unsilence"
    SILENCES = "silences"
    ONCALL = "oncall"
    REPORT = "report"
    HEALTH = "health"
    AUDIT = "audit"
    DOCTOR = "doctor"
    HELP = "help"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Person:
    """Who sends a request, as Slack knows them."""

    id: str = ""
    zone: str = "UTC"
    """An IANA name."""
    groups: tuple[str, ...] = ()
    """The ids of their user groups."""
    is_guest: bool = False
    """A member of another workspace, or restricted to some channels."""
    name: str = ""
    is_known: bool = True
    """Whether Slack has said who they are, or the configuration or their own past does."""


KNOWN_FOR_S = 30 * 86_400.0
"""For so long a person is known after Slack said who they are, or after they did something."""
EVERYONE = "everyone"
Principal = str
"""The id of a user (`U…`, `W…`), of a user group (`S…`) or of the channel in which the command is
given (`C…`, `G…`), or `everyone`."""


class Right(StrEnum):
    """What a person may be allowed."""

    VIEW = "view"
    ACKNOWLEDGE = "acknowledge"
    SILENCE = "silence"
    ADMINISTER = "administer"


@dataclass(frozen=True, slots=True)
class Access:
    """Who has each right. No right includes another one."""

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
    Verb.HAND_OVER: Right.ACKNOWLEDGE,
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
    Verb.DOCTOR: Right.ADMINISTER,
    Verb.HELP: Right.VIEW,
    Verb.UNKNOWN: Right.VIEW,
}
"""The right that each verb needs; what concerns everybody needs `ADMINISTER`."""


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """Why a person may not do something."""

    right: Right
    """The right that they lack."""
    who: tuple[Principal, ...]
    """Who has it. Empty: the person is a guest, or may be one, and guests have no rights."""
    is_unknown: bool = False
    """Nothing is known of the person yet."""


def authorize(access: Access, right: Right, person: Person, channel: str) -> NotAllowed | None:
    """Return why a person may not do something in a channel; None: they may.

    Guests never may. Of whom nothing is known, as while Slack does not answer, may only look.
    """
    if person.is_guest:
        return NotAllowed(right, ())
    if not person.is_known and right is not Right.VIEW:
        return NotAllowed(right, (), is_unknown=True)
    holders = access.who_may(right)
    is_holder = not {EVERYONE, person.id, channel, *person.groups}.isdisjoint(holders)
    return None if is_holder else NotAllowed(right, holders)


class CommandOutcome(StrEnum):
    """The result of a command."""

    DONE = "done"
    ALREADY = "already"
    """It was so before; nothing changed."""
    REFUSED = "refused"
    """The person lacks the right."""
    NO_SUCH = "no_such"
    """It names something unknown."""
    TOO_LATE = "too_late"
    """What it names has ended."""
    NOBODY = "nobody"
    """Nobody is left to call, or there is no rotation."""
    UNCONFIRMED = "unconfirmed"
    """It still fails: whoever wants to resolve it is asked first."""
    INVALID = "invalid"
    """A time or a reason is missing or cannot be used."""
    OUTDATED = "outdated"
    """An earlier version of the bot received it, and this one cannot say what it means."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One command of one person, and its result."""

    at: float
    user: str
    verb: Verb
    argument: str
    incident: int | None
    """The incident that it was about, if any."""
    outcome: CommandOutcome
