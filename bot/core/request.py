"""What people ask for: the grammar of `/auth0-check`, the same for buttons and mentions."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Verb(StrEnum):
    """The first word of what is asked. Without one it is `status`."""

    STATUS = "status"
    RUN = "run"
    ALERTS = "alerts"
    WHY = "why"
    HELP = "help"
    UNKNOWN = "unknown"


VERBS = tuple(verb for verb in Verb if verb is not Verb.UNKNOWN)
SHARE = "share"


@dataclass(frozen=True, slots=True)
class Request:
    """One thing that one person asked for, with all that is needed to answer."""

    id: str
    """Unique; the same for a repeated delivery of the same click or command."""
    at: float
    verb: Verb
    argument: str = ""
    """What follows the verb: a tenant or signal for `run`, an incident's number for `why`; for
    `unknown`, the word that was typed."""
    nearest: str = ""
    """For `unknown`: the verb that was probably meant, or empty."""
    share: bool = False
    """Answer in the channel, for everybody."""
    user: str = ""
    channel: str = ""
    response_url: str = ""
    """Slack takes answers there for 30 minutes, 5 at most. Who knows it can post: a secret."""


def parse(text: str) -> tuple[Verb, str, str, bool]:
    """Read what follows `/auth0-check`.

    Returns the verb, its argument, the nearest verb (for an unknown one), and whether to share.
    """
    words = text.split()
    share = bool(words) and words[-1].lower() == SHARE
    if share:
        words.pop()
    if not words:
        return Verb.STATUS, "", "", share
    word, argument = words[0].lower(), " ".join(words[1:])
    if word in VERBS:
        return Verb(word), argument, "", share
    near = get_close_matches(word, VERBS, n=1, cutoff=0.5)
    return Verb.UNKNOWN, words[0], near[0] if near else "", share
