"""The messages to deliver and their status, so that none is lost or sent twice.

    pending -> sending -> sent
       ^          +-> doubt   the response was lost: search the channel after 40 s
       +-- refused             `dead` if another try is pointless

Deliveries of one lane (an incident, or one person's request) go out strictly in order; only those
that are held to be batched may overtake each other. At most one edit of a message waits at a time:
whenever it goes out, it shows the newest state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.model.access import CommandOutcome, NotAllowed
from bot.core.model.command import Request, SilenceRefusal
from bot.core.model.measurement import Measurement
from bot.core.model.observation import Observation, Severity, Target
from bot.core.oncall import CallReason, Shift
from bot.core.state.incident import MessageRef
from bot.core.state.silence import Silence
from bot.core.state.timeline import DirectEntry, TimelineEntry

if TYPE_CHECKING:
    from collections.abc import Iterable


class PagerAction(StrEnum):
    """What a pager message reports, in the words of PagerDuty's Events API."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class PagerMessage:
    """A message beyond Slack: an incident began, somebody acknowledged it, or it is resolved."""

    key: str
    """Unique; the same for a repeated try."""
    incident: int
    number: int
    """How many pages about the incident the contact point has had by now, from 1."""
    action: PagerAction
    severity: Severity
    tenants: tuple[str, ...]
    details: dict[str, str | list[str]]
    """The verdict's parts by name, for services that show them; `body` says the same."""
    title: str
    """One plain line of at most 200 characters."""
    body: str
    """Plain text."""
    link: str
    """To the message in Slack; empty if there is none, as while Slack does not answer."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call about an incident: what is meant to wake a person."""

    incident: int
    reason: CallReason
    decided_at: float
    step: int | None = None
    """The step of the escalation, from 1; None: no step decided it."""
    by: str = ""
    """The user who wanted it; empty: its time had come."""

    @property
    def overdue_at(self) -> float:
        """When it is made by other ways as well, unless it was taken by then."""
        return self.decided_at + CALL_OVERDUE_S


CALL_OVERDUE_S = 60.0
"""A call that Slack has not taken for so long goes to every contact point."""
SETTLE_S = 40.0
"""A message whose answer was lost may show so late. Searched sooner, 47 of 600 came twice."""
SEARCH_AGAIN_S = 10.0
GIVE_UP_S = 180.0
"""If the channel cannot be searched, we send again after this, labelled as a possible duplicate."""
DOUBLES_S = 3600.0
"""For so long after a message was due a new process still looks for doubles of it."""
BACKOFF_S = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0)
MAX_RETRY_AFTER_S = 300.0
"""What is urgent is tried again after this, even if Slack asks us to wait for longer."""


@dataclass(frozen=True, slots=True)
class Post:
    """An incident's message. An empty channel, here and below, is the default one."""

    incident: int
    channel: str = ""
    mentioned: tuple[str, ...] = ()
    """Who is mentioned besides, because calls waited for Slack."""
    is_quiet: bool = False
    """It mentions nobody: nobody is needed any more."""


@dataclass(frozen=True, slots=True)
class Edit:
    """An update of an incident's message."""

    incident: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A timeline entry in the thread of an incident's message."""

    incident: int
    entry: TimelineEntry


@dataclass(frozen=True, slots=True)
class CalledNow:
    """Who is being called because a person wanted it."""

    contact: str
    """`mention`, `dm`, or the name of a contact point."""
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnswerResult:
    """The result of a command that changes something."""

    outcome: CommandOutcome
    incident: int | None = None
    """The incident that it was about; None: none was found, or it is about none."""
    refused: NotAllowed | None = None
    silence: Silence | None = None
    """The silence that was set or ended."""
    silence_refusal: SilenceRefusal | None = None
    hidden: tuple[int, ...] = ()
    """Incidents of the last day that the silence would have hidden."""
    shift: Shift | None = None
    called: tuple[CalledNow, ...] = ()
    """Whom an escalation by hand calls."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one person's request."""

    request: Request
    is_first: bool = True
    """For `run`: the answer that it started; the result is the second answer."""
    observations: tuple[Observation, ...] = ()
    skipped: tuple[Target, ...] = ()
    unanswered: tuple[Target, ...] = ()
    """Targets without a result in time."""
    measurements: tuple[Measurement, ...] = ()
    result: AnswerResult | None = None
    """Set if the request changes something."""
    is_share_refused: bool = False
    """The person shared too many answers: only they see this one."""

    @property
    def is_shared(self) -> bool:
        """Whether everybody sees it. A refusal mentions those who may: it would call them."""
        is_refused = bool(self.result and self.result.refused)
        return self.request.share and not is_refused and not self.is_share_refused


@dataclass(frozen=True, slots=True)
class DirectMessage:
    """A message to one person about an incident."""

    incident: int
    person: str


@dataclass(frozen=True, slots=True)
class DirectEdit:
    """An update of a message to one person: how the incident goes on."""

    incident: int
    message: MessageRef


@dataclass(frozen=True, slots=True)
class NobodyReached:
    """For the channel: no way to call people reached anybody."""

    incident: int
    channel: str


@dataclass(frozen=True, slots=True)
class Paging:
    """A pager message about an incident, through one contact point."""

    incident: int
    contact_point: str
    """Its name in the configuration."""
    action: PagerAction
    number: int = 1
    """How many pages about the incident it has had by now."""


@dataclass(frozen=True, slots=True)
class SilenceAnnouncement:
    """For the channel: a silence begins, or has ended, with how much it hid."""

    silence: Silence
    channel: str = ""


@dataclass(frozen=True, slots=True)
class CrossPost:
    """For another channel that an incident has come to concern: a link to its message."""

    incident: int
    channel: str


@dataclass(frozen=True, slots=True)
class OverrideAnnouncement:
    """For the channel: somebody is on call by an override."""

    shift: Shift
    by: str


@dataclass(frozen=True, slots=True)
class ReportDue:
    """For the channel: the weekly report."""

    span_s: float


@dataclass(frozen=True, slots=True)
class CatchUp:
    """For a channel: incidents that began and ended while Slack was away."""

    incidents: tuple[int, ...]
    channel: str = ""


@dataclass(frozen=True, slots=True)
class Greeting:
    """For a channel: what is watched, so that silence is not taken for death."""

    tenants: tuple[str, ...]
    channel: str = ""
    is_first: bool = True


_FromDesk = SilenceAnnouncement | OverrideAnnouncement | ReportDue | Greeting
ChannelBody = CrossPost | NobodyReached | CatchUp | _FromDesk
DirectBody = DirectMessage | DirectEntry | DirectEdit
Body = Post | Edit | Reply | Answer | DirectBody | Paging | ChannelBody
IncidentBody = Post | Edit | Reply | DirectBody | Paging | CrossPost | NobodyReached


class DeliveryStatus(StrEnum):
    """How far a delivery has come."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DOUBT = "doubt"
    DEAD = "dead"


FINAL_STATUSES = frozenset({DeliveryStatus.SENT, DeliveryStatus.DEAD})


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to deliver."""

    key: str
    """Unique. Stored in the message's metadata, so that a search settles a lost response."""
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
    """It may have been sent before."""
    call: Call | None = None
    """The call that it makes; None: it is to wake nobody."""

    @property
    def is_done(self) -> bool:
        """Whether it needs no more work."""
        return self.status in FINAL_STATUSES

    @property
    def may_be_double(self) -> bool:
        """Whether it is an incident's message of which an earlier try may show up yet."""
        return isinstance(self.body, Post) and self.tries > 1 and self.status is DeliveryStatus.SENT

    @property
    def is_held(self) -> bool:
        """Whether it waits for more of its kind: until it is due, or one without hold follows."""
        return self.tries == 0 and self.due_at > self.created_at


def next_delivery(lane: Iterable[Delivery]) -> tuple[Delivery, float] | None:
    """Return the next delivery of a lane, and when it is due; None: there is none for now.

    It is the oldest that is not done. A call overtakes all but its incident's message.
    """
    open_ones = [d for d in lane if not d.is_done]
    if not open_ones or any(d.status is DeliveryStatus.SENDING for d in open_ones):
        return None
    if not any(isinstance(d.body, Post) for d in open_ones):
        open_ones = [d for d in open_ones if d.call] or open_ones
    if all(d.is_held for d in open_ones):
        first = min(open_ones, key=lambda d: d.due_at)
        return first, first.due_at
    first = min(open_ones, key=lambda d: d.seq)
    return first, 0.0 if first.is_held else first.due_at


def is_ahead(delivery: Delivery, lane: Iterable[Delivery]) -> bool:
    """Tell whether it goes before older messages because its line calls people."""
    if delivery.status is not DeliveryStatus.PENDING or not delivery.call:
        return False
    older = (each for each in lane if each.seq < delivery.seq)
    return isinstance(delivery.body, Reply) and not all(each.is_done for each in older)


def mark_sending(delivery: Delivery, now: float) -> Delivery:
    """Return it with a started try; to be committed before anything is sent."""
    return replace(
        delivery, status=DeliveryStatus.SENDING, tries=delivery.tries + 1, started_at=now
    )


def mark_sent(delivery: Delivery) -> Delivery:
    """Return it as sent."""
    return replace(delivery, status=DeliveryStatus.SENT)


def mark_dead(delivery: Delivery) -> Delivery:
    """Return it as given up."""
    return replace(delivery, status=DeliveryStatus.DEAD)


def mark_refused(delivery: Delivery, now: float, retry_after_s: float | None) -> Delivery:
    """Return it as certainly not sent, to be tried again."""
    wait = BACKOFF_S[min(delivery.tries, len(BACKOFF_S)) - 1]
    if retry_after_s is not None:
        wait = max(retry_after_s, 0.1)
    return replace(delivery, status=DeliveryStatus.PENDING, due_at=now + wait)


def mark_doubt(delivery: Delivery, now: float) -> Delivery:
    """Return it as perhaps sent. Edits and answers may be repeated; for others we search first."""
    if isinstance(delivery.body, Post | Reply | ChannelBody):
        return replace(delivery, status=DeliveryStatus.DOUBT, due_at=now + SETTLE_S)
    return mark_refused(delivery, now, None)


def handle_failed_search(delivery: Delivery, now: float, *, is_pointless: bool = False) -> Delivery:
    """Return it after a failed search: to be searched again later, in the end to be sent again.

    That is at once where another search is pointless, as where the bot may not read the channel.
    """
    if not is_pointless and now - delivery.started_at < GIVE_UP_S:
        return replace(delivery, due_at=now + SEARCH_AGAIN_S)
    return requeue(replace(delivery, is_repeat=True), now)


def requeue(delivery: Delivery, now: float) -> Delivery:
    """Return it to be sent (again) now."""
    return replace(delivery, status=DeliveryStatus.PENDING, due_at=now)


def recover(delivery: Delivery, now: float) -> Delivery:
    """Return it as it is after a restart: if it was being sent, it is in doubt since that try.

    Counted from the restart, a bot that crashes every 25 s would never send it. No time lies ahead,
    as it may where the clock was wrong before.
    """
    call = delivery.call and replace(delivery.call, decided_at=min(delivery.call.decided_at, now))
    began_at = min(delivery.started_at, now)
    created_at = min(delivery.created_at, now)
    delivery = replace(delivery, created_at=created_at, started_at=began_at, call=call)
    if delivery.status is DeliveryStatus.SENDING:
        return mark_doubt(delivery, began_at)
    return delivery
