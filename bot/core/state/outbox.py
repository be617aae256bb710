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
from bot.core.state.incident import TimelineEntry, TimelineKind
from bot.core.state.silence import Silence, SilenceRefusal


class PagerAction(StrEnum):
    """What a page tells. The words are those of PagerDuty's Events API."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class PagerMessage:
    """One message to a person: that an incident began, that somebody took it, that it is over."""

    key: str
    """Unique; the same for a repeated try."""
    incident: int
    action: PagerAction
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
    entry: TimelineEntry


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """What came of something that a person wanted changed."""

    outcome: CommandOutcome
    incident: int | None = None
    """The one that it was about; None: none was found, or it is about none."""
    refused: NotAllowed | None = None
    silence: Silence | None = None
    """As it was set or ended."""
    silence_refusal: SilenceRefusal | None = None
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
    observations: tuple[Observation, ...] = ()
    skipped: tuple[Target, ...] = ()
    unanswered: tuple[Target, ...] = ()
    """Looked at, without an answer in time."""
    measurements: tuple[Measurement, ...] = ()
    result: AnswerResult | None = None
    """What came of it, where it changes something."""


@dataclass(frozen=True, slots=True)
class DirectMessage:
    """A message to one person about an incident."""

    incident: int
    person: str


@dataclass(frozen=True, slots=True)
class Paging:
    """An incident told beyond Slack."""

    incident: int
    contact_point: str
    """As the configuration names it."""
    action: PagerAction


@dataclass(frozen=True, slots=True)
class SilenceAnnouncement:
    """A silence begins, or is over and how much it hid: for the channel."""

    silence: Silence


@dataclass(frozen=True, slots=True)
class OverrideAnnouncement:
    """Somebody is on call by an override: for the channel."""

    shift: Shift
    by: str


@dataclass(frozen=True, slots=True)
class ReportDue:
    """The report of a week, for the channel."""

    span_s: float


ChannelBody = SilenceAnnouncement | OverrideAnnouncement | ReportDue
Body = Post | Edit | Reply | Answer | DirectMessage | Paging | ChannelBody
IncidentBody = Post | Edit | Reply | DirectMessage | Paging


class DeliveryStatus(StrEnum):
    """How far a delivery came."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DOUBT = "doubt"
    DEAD = "dead"


BATCHED_KINDS = frozenset({TimelineKind.JOINED, TimelineKind.RECOVERED})
"""Lines that are added to one another while they wait."""
FINAL_STATUSES = frozenset({DeliveryStatus.SENT, DeliveryStatus.DEAD})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to be said."""

    key: str
    """Unique. It travels in the message's metadata, so that a lost answer can be settled."""
    lane: str
    seq: int
    body: Body
    created_at: float
    status: DeliveryStatus = DeliveryStatus.PENDING
    tries: int = 0
    due_at: float = 0.0
    started_at: float = 0.0
    """When the newest try began."""
    is_repeat: bool = False
    """It may have been said before."""

    @property
    def is_done(self) -> bool:
        """Nothing more is to be done about it."""
        return self.status in FINAL_STATUSES

    @property
    def is_held(self) -> bool:
        """It waits for more of its kind, until it is due or something follows that does not."""
        return self.tries == 0 and self.due_at > self.created_at


def is_superfluous(body: Body, lane: tuple[Delivery, ...]) -> bool:
    """Tell whether a waiting edit of this lane will show all that a new one would."""
    return isinstance(body, Edit) and any(
        isinstance(d.body, Edit) and d.status is DeliveryStatus.PENDING for d in lane
    )


def next_delivery(lane: tuple[Delivery, ...], now: float) -> Delivery | None:
    """Return the delivery of a lane that is to be handled now, if any: the oldest not done."""
    open_ones = [d for d in lane if not d.is_done]
    if not open_ones or any(d.status is DeliveryStatus.SENDING for d in open_ones):
        return None
    if all(d.is_held for d in open_ones):
        first = min(open_ones, key=lambda d: d.due_at)
        return first if first.due_at <= now else None
    first = min(open_ones, key=lambda d: d.seq)
    return first if first.is_held or first.due_at <= now else None


def batch_replies(first: Delivery, lane: tuple[Delivery, ...]) -> list[Delivery]:
    """Return a line with all that waits of its kind, and the lines that are said with it."""
    if not isinstance(first.body, Reply) or first.body.entry.kind not in BATCHED_KINDS:
        return [first]
    entry = first.body.entry
    more = [d for d in lane if d.key != first.key and _is_batchable(d, entry)]
    names = [name for d in more if isinstance(d.body, Reply) for name in d.body.entry.tenants]
    tenants = tuple(dict.fromkeys((*entry.tenants, *names)))
    body = replace(first.body, entry=replace(entry, tenants=tenants))
    return [replace(first, body=body), *map(mark_sent, more)]


def _is_batchable(other: Delivery, entry: TimelineEntry) -> bool:
    is_waiting = other.status is DeliveryStatus.PENDING and other.tries == 0
    return is_waiting and isinstance(other.body, Reply) and other.body.entry.kind is entry.kind


def mark_sending(delivery: Delivery, now: float) -> Delivery:
    """Return it with a try begun; to be committed before anything is sent."""
    return replace(
        delivery, status=DeliveryStatus.SENDING, tries=delivery.tries + 1, started_at=now
    )


def mark_sent(delivery: Delivery) -> Delivery:
    """Return it as said."""
    return replace(delivery, status=DeliveryStatus.SENT)


def mark_dead(delivery: Delivery) -> Delivery:
    """Return it as given up."""
    return replace(delivery, status=DeliveryStatus.DEAD)


def mark_refused(delivery: Delivery, now: float, retry_after_s: float | None) -> Delivery:
    """Return it as certainly not said, to be tried again."""
    wait = BACKOFF_S[min(delivery.tries, len(BACKOFF_S)) - 1]
    if retry_after_s is not None:
        wait = max(retry_after_s, 0.1)
    return replace(delivery, status=DeliveryStatus.PENDING, due_at=now + wait)


def mark_doubt(delivery: Delivery, now: float) -> Delivery:
    """Return it as perhaps said. Edits and answers may be repeated; a post is looked for first."""
    if isinstance(delivery.body, Post | Reply | ChannelBody):
        return replace(delivery, status=DeliveryStatus.DOUBT, due_at=now + SETTLE_S)
    return mark_refused(delivery, now, None)


def handle_failed_search(delivery: Delivery, now: float) -> Delivery:
    """Return it after a search that could not be made: once more later, then sent again."""
    if now - delivery.started_at < GIVE_UP_S:
        return replace(delivery, due_at=now + SEARCH_AGAIN_S)
    return requeue(replace(delivery, is_repeat=True), now)


def requeue(delivery: Delivery, now: float) -> Delivery:
    """Return it to be sent (again) now."""
    return replace(delivery, status=DeliveryStatus.PENDING, due_at=now)


def recover(delivery: Delivery, now: float) -> Delivery:
    """Return it as found after a restart: what was being sent is in doubt."""
    return mark_doubt(delivery, now) if delivery.status is DeliveryStatus.SENDING else delivery
