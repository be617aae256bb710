"""What is to be said in Slack, and how far it came: neither lost nor said twice.

    pending -> sending -> sent
       ^          |
       |          +-> doubt   the answer was lost: look into the channel after 40 s
       +-- refused             `dead` where asking again is pointless

Lines of one lane (an incident, or one person's request) go out strictly in order. At most one edit
of a message waits at a time: whenever it goes out, it shows the newest state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from bot.core.incident import Entry
from bot.core.measurement import Measurement
from bot.core.model import Observation, Target
from bot.core.request import Request

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


Body = Post | Edit | Reply | Answer


class Status(StrEnum):
    """How far a delivery came."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DOUBT = "doubt"
    DEAD = "dead"


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


def is_superfluous(body: Body, lane: tuple[Delivery, ...]) -> bool:
    """Tell whether a waiting edit of this lane will show all that a new one would."""
    return isinstance(body, Edit) and any(
        isinstance(d.body, Edit) and d.status is Status.PENDING for d in lane
    )


def next_of(lane: tuple[Delivery, ...], now: float) -> Delivery | None:
    """Return the delivery of a lane that is to be handled now, if any: the oldest not done."""
    open_ones = [d for d in lane if not d.is_done]
    first = min(open_ones, key=lambda d: d.seq, default=None)
    if first is None or first.status is Status.SENDING or first.due_at > now:
        return None
    return first


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
    if isinstance(delivery.body, Post | Reply):
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
