"""What people did: one line each, for `/auth0-check audit` and for the store."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.request import Request, Verb

ARGUMENT_LENGTH = 200


class Outcome(StrEnum):
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
class Audited:
    """One thing that one person asked for, and what came of it."""

    at: float
    user: str
    verb: Verb
    argument: str
    incident: int | None
    """The one that it was about, if it was about one."""
    outcome: Outcome


def audited(request: Request, outcome: Outcome, incident: int | None = None) -> Audited:
    """Return the line for a request."""
    argument = request.argument[:ARGUMENT_LENGTH]
    return Audited(request.at, request.user, request.verb, argument, incident, outcome)
