"""What is to be said in Slack, and how far it came: neither lost nor said twice.

    pending -> sending -> sent
       ^          |
       |          +-> doubt   the answer was lost: look into the channel after 40 s
       +-- refused             `dead` where asking again is pointless

Lines of one lane (an incident, or one person's request) go out strictly in order; only what may
wait for more of its kind is overtaken, by others that may wait. At most one edit of a message waits
at a time: whenever it goes out, it shows the newest state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bot.core.model.access import CommandOutcome, NotAllowed
from bot.core.model.measurement import Measurement
from bot.core.model.observation import Observation, Severity, Target, Verdict
from bot.core.model.request import Request
from bot.core.oncall.schedule import Shift
from bot.core.state.incident import Entry, EntryKind
from bot.core.state.silence import Refusal, Silence


class PageAction(StrEnum):
    """What a page tells. The words are those of PagerDuty's Events API."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Page:
    """One message to a person: that an incident began, that somebody took it, that it is over."""

    key: str
    """Unique; the same for a repeated try."""
    incident: int
    action: PageAction
    severity: Severity
    tenants: tuple[str, ...]
    verdict: Verdict
    """For services that show figures; `title` and `body` say the same in words."""
    title: str
    """One plain line of at most 200 characters."""
    body: str
    """Plain text."""
    link: str
    """To the message in Slack; empty where there is none, as while Slack does not answer."""


SETTLE_S = 40.0
"""A lost post may become visible late; looking sooner doubled 47 of 600 (measured on loopback).
10 s request time-out + 30 s."""
SEARCH_AGAIN_S = 10.0
GIVE_UP_S = 180.0
"""If the channel cannot be searched, it is sent again after this, labelled as a possible double."""
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
ANSWER_LIFE_S = 1800.0
"""A person's request is not answered later than this: Slack's response_url lives 30 minutes."""


@dataclass(frozen=True, slots=True)
class Post:
    """An incident's first message."""

    incident: int


@dataclass(frozen=True, slots=True)
class Edit:
    """An incident's first message, brought up to date."""

    incident: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A line in the thread of an incident's message."""

    incident: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Result:
    """What came of something that a person wanted changed."""

    outcome: CommandOutcome
    incident: int | None = None
    """The one that it was about; None: none was found, or it is about none."""
    refused: NotAllowed | None = None
    silence: Silence | None = None
    """As it was set or ended."""
    unreadable: Refusal | None = None
    """Why a silence could not be set."""
    hidden: tuple[int, ...] = ()
    """Incidents of the last day that the silence would have hidden."""
    shift: Shift | None = None
    """Who is on call by an override."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person asked for."""

    request: Request
    is_first: bool = True
    """For `run`: the word that it has begun; the result is the second answer."""
    seen: tuple[Observation, ...] = ()
    left_out: tuple[Target, ...] = ()
    missing: tuple[Target, ...] = ()
    """Looked at, without an answer in time."""
    measured: tuple[Measurement, ...] = ()
    result: Result | None = None
    """What came of it, where it changes something."""


@dataclass(frozen=True, slots=True)
class Direct:
    """A message to one person about an incident."""

    incident: int
    person: str


@dataclass(frozen=True, slots=True)
class Paging:
    """An incident told beyond Slack."""

    incident: int
    way: str
    """As the configuration names it."""
    action: PageAction


@dataclass(frozen=True, slots=True)
class SilenceTold:
    """A silence begins, or is over and how much it hid: for the channel."""

    silence: Silence


@dataclass(frozen=True, slots=True)
class SwapTold:
    """Somebody is on call by an override: for the channel."""

    shift: Shift
    by: str


@dataclass(frozen=True, slots=True)
class ReportDue:
    """The report of a week, for the channel."""

    span_s: float


OfChannel = SilenceTold | SwapTold | ReportDue
Body = Post | Edit | Reply | Answer | Direct | Paging | OfChannel
OfIncident = Post | Edit | Reply | Direct | Paging


class Status(StrEnum):
    """How far a delivery came."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DOUBT = "doubt"
    DEAD = "dead"


GATHERED = frozenset({EntryKind.JOINED, EntryKind.RECOVERED})
"""Lines that are added to one another while they wait."""
DONE = frozenset({Status.SENT, Status.DEAD})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to be said."""

    key: str
    """Unique. It travels in the message's metadata, so that a lost answer can be settled."""
    lane: str
    seq: int
    body: Body
    created_at: float
    status: Status = Status.PENDING
    tries: int = 0
    due_at: float = 0.0
    started_at: float = 0.0
    """When the newest try began."""
    is_repeat: bool = False
    """It may have been said before."""

    @property
    def is_done(self) -> bool:
        """Nothing more is to be done about it."""
        return self.status in DONE

    @property
    def is_patient(self) -> bool:
        """It waits for more of its kind, until it is due or something follows that does not."""
        return self.tries == 0 and self.due_at > self.created_at


def is_superfluous(body: Body, lane: tuple[Delivery, ...]) -> bool:
    """Tell whether a waiting edit of this lane will show all that a new one would."""
    return isinstance(body, Edit) and any(
        isinstance(d.body, Edit) and d.status is Status.PENDING for d in lane
    )


def next_of(lane: tuple[Delivery, ...], now: float) -> Delivery | None:
    """Return the delivery of a lane that is to be handled now, if any: the oldest not done."""
    open_ones = [d for d in lane if not d.is_done]
    if not open_ones or any(d.status is Status.SENDING for d in open_ones):
        return None
    if all(d.is_patient for d in open_ones):
        first = min(open_ones, key=lambda d: d.due_at)
        return first if first.due_at <= now else None
    first = min(open_ones, key=lambda d: d.seq)
    return first if first.is_patient or first.due_at <= now else None


def gathered(first: Delivery, lane: tuple[Delivery, ...]) -> list[Delivery]:
    """Return a line with all that waits of its kind, and the lines that are said with it."""
    if not isinstance(first.body, Reply) or first.body.entry.kind not in GATHERED:
        return [first]
    entry = first.body.entry
    more = [d for d in lane if d.key != first.key and _is_like(d, entry)]
    names = [name for d in more if isinstance(d.body, Reply) for name in d.body.entry.tenants]
    tenants = tuple(dict.fromkeys((*entry.tenants, *names)))
    body = replace(first.body, entry=replace(entry, tenants=tenants))
    return [replace(first, body=body), *map(sent, more)]


def _is_like(other: Delivery, entry: Entry) -> bool:
    is_waiting = other.status is Status.PENDING and other.tries == 0
    return is_waiting and isinstance(other.body, Reply) and other.body.entry.kind is entry.kind


def started(delivery: Delivery, now: float) -> Delivery:
    """Return it with a try begun; to be committed before anything is sent."""
    return replace(delivery, status=Status.SENDING, tries=delivery.tries + 1, started_at=now)


def sent(delivery: Delivery) -> Delivery:
    """Return it as said."""
    return replace(delivery, status=Status.SENT)


def dead(delivery: Delivery) -> Delivery:
    """Return it as given up."""
    return replace(delivery, status=Status.DEAD)


def refused(delivery: Delivery, now: float, retry_after_s: float | None) -> Delivery:
    """Return it as certainly not said, to be tried again."""
    wait = BACKOFF_S[min(delivery.tries, len(BACKOFF_S)) - 1]
    if retry_after_s is not None:
        wait = max(retry_after_s, 0.1)
    return replace(delivery, status=Status.PENDING, due_at=now + wait)


def doubted(delivery: Delivery, now: float) -> Delivery:
    """Return it as perhaps said. Edits and answers may be repeated; a post is looked for first."""
    if isinstance(delivery.body, Post | Reply | OfChannel):
        return replace(delivery, status=Status.DOUBT, due_at=now + SETTLE_S)
    return refused(delivery, now, None)


def unsettled(delivery: Delivery, now: float) -> Delivery:
    """Return it after a search that could not be made: once more later, then sent again."""
    if now - delivery.started_at < GIVE_UP_S:
        return replace(delivery, due_at=now + SEARCH_AGAIN_S)
    return repeated(replace(delivery, is_repeat=True), now)


def repeated(delivery: Delivery, now: float) -> Delivery:
    """Return it to be sent (again) now."""
    return replace(delivery, status=Status.PENDING, due_at=now)


def recovered(delivery: Delivery, now: float) -> Delivery:
    """Return it as found after a restart: what was being sent is in doubt."""
    return doubted(delivery, now) if delivery.status is Status.SENDING else delivery
