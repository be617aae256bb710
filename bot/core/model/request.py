"""What people ask for: the grammar of `/auth0-check`, the same for buttons and mentions."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum


class Verb(StrEnum):
    """The first word of a command. Without one it is `status`."""

    STATUS = "status"
    RUN = "run"
    ALERTS = "alerts"
    WHY = "why"
    ACK = "ack"
    RESOLVE = "resolve"
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
    HELP = "help"
    UNKNOWN = "unknown"


VERBS = tuple(verb for verb in Verb if verb is not Verb.UNKNOWN)
SHARE = "share"
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
    ),
    Verb.RUN: ("check", "check again", "check auth0", "check now", "test", "try again"),
    Verb.ONCALL: ("who is on call", "who is oncall", "on call"),
    Verb.ACK: ("i am on it", "on it", "mine", "acknowledge", "i have it"),
    Verb.HELP: ("hi", "hello", "what can you do"),
}
"""Plain questions that people ask without knowing the verbs."""


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


@dataclass(frozen=True, slots=True)
class Request:
    """One command of one person, with all that is needed to answer it."""

    id: str
    """Unique; the same for a repeated delivery of the same click or command."""
    at: float
    verb: Verb
    argument: str = ""
    """What follows the verb, as it was typed; for `unknown`, the unknown word."""
    nearest: str = ""
    """For `unknown`: the most similar verb, or empty."""
    share: bool = False
    """Answer in the channel, visible to everybody."""
    user: str = ""
    channel: str = ""
    response_url: str = ""
    """Slack accepts 5 answers there within 30 minutes. A secret: whoever knows it can post."""
    thread_ts: str = ""
    """The thread of the request. Its incident is meant if the argument names none."""
    is_direct: bool = False
    """Sent to the bot in a direct message."""
    person: Person = field(default_factory=Person)
    """What Slack said about the user at the time of this request."""


def parse_command(text: str) -> tuple[Verb, str, str, bool]:
    """Parse what follows `/auth0-check`.

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
    said = " ".join(words).lower().replace("\u2019", "'").strip("?!. ")
    said = said.replace("who's", "who is").replace("what's", "what is").replace("i'm", "i am")
    for verb, phrases in PHRASES.items():
        if said in phrases:
            return verb, "", "", share
    near = get_close_matches(word, VERBS, n=1, cutoff=0.5)
    return Verb.UNKNOWN, words[0], near[0] if near else "", share
