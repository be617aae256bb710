"""All that can happen to the bot (Stimulus) and all that it can do (Effect)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, auto
from typing import TYPE_CHECKING

from bot.core.model.access import AuditEntry

if TYPE_CHECKING:
    from bot.core.model.command import Request
    from bot.core.model.measurement import Measurement, Push
    from bot.core.model.observation import FeedReading, Observation, SignalState, Target, Verdict
    from bot.core.oncall import Shifts
    from bot.core.signals.probe_threshold import Reason
    from bot.core.state.incident import Incident, MessageRef, OwnFault
    from bot.core.state.outbox import Body, Call, Delivery


@dataclass(frozen=True, slots=True)
class Started:
    """The process started."""

    at: float
    first_s: float = 0.0
    """The first probes of all tenants are spread over so many seconds."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Something may be due."""

    at: float


@dataclass(frozen=True, slots=True)
class Observed:
    """A probe has a result."""

    at: float
    observation: Observation
    request_id: str = ""
    """Of the person's request that started the probe, if any."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A routine probe has had no answer when its first repeat is due: perhaps it hangs."""

    at: float
    target: Target


@dataclass(frozen=True, slots=True)
class TurnDropped:
    """A probe was left out, because one of its target still waits for its turn."""

    at: float
    target: Target


@dataclass(frozen=True, slots=True)
class FeedPolled:
    """A status feed was polled."""

    at: float
    reading: FeedReading


@dataclass(frozen=True, slots=True)
class Measured:
    """A source was queried for metrics."""

    at: float
    measurement: Measurement
    request_id: str = ""
    """Of the person's request that started the query, if any."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A webhook received something."""

    at: float
    push: Push


@dataclass(frozen=True, slots=True)
class CheckRequested:
    """Somebody requested fresh probes of a tenant."""

    at: float
    request_id: str
    """Of the person's request; empty: the desk asks whether other signals fail as well."""
    signal: str = ""
    """Only this one; empty: all."""


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A person sent a command."""

    at: float
    request: Request


@dataclass(frozen=True, slots=True)
class QuestionAudited:
    """A person asked something that the audit log records; it is answered already."""

    at: float
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class PersonActed:
    """A person asked something, or wrote into an incident's thread: they are awake."""

    at: float
    user: str


@dataclass(frozen=True, slots=True)
class TenantReport:
    """The result of a tenant's step, for the desk."""

    at: float
    tenant: str
    changes: tuple[SignalChanged, ...] = ()
    unobserved_s: float = 0.0
    """We could not check for this long, and can again."""


@dataclass(frozen=True, slots=True)
class CheckStarted:
    """A tenant's step answers a `CheckRequested`: what it checks, and what not."""

    at: float
    request_id: str
    tenant: str
    targets: tuple[Target, ...]
    skipped: tuple[Target, ...] = ()
    """Not checked: the synthetic user logged in too often, or was refused, a moment ago."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Slack accepted an incident's message."""

    at: float
    incident: int
    channel: str
    ts: str
    key: str
    """Of the delivery, which is committed as sent together with the incident."""


@dataclass(frozen=True, slots=True)
class CallOverdue:
    """A call was not taken in time. It is tried further."""

    at: float
    call: Call
    contact_point: str = ""
    """Which has not taken it; empty: Slack."""


@dataclass(frozen=True, slots=True)
class CallTaken:
    """Slack or a contact point took a call. It is committed as sent with what follows from it."""

    at: float
    delivery: Delivery
    message: MessageRef | None = None
    """Where it is in Slack."""
    unreached: dict[str, str] = field(default_factory=dict)
    """The ids of those whom Slack does not notify all the same, and why: a code."""


@dataclass(frozen=True, slots=True)
class CallRefused:
    """A call will never be taken, or not by all of a contact point's recipients.

    It is committed as dead together with what follows from it.
    """

    at: float
    delivery: Delivery
    error: str


@dataclass(frozen=True, slots=True)
class PostMissed:
    """An incident ended before Slack took its message, as others of the channel did."""

    at: float
    incident: int


@dataclass(frozen=True, slots=True)
class ShiftsPolled:
    """The calendar of shifts was polled; that may have failed."""

    at: float
    shifts: Shifts


@dataclass(frozen=True, slots=True)
class MessageLost:
    """An incident's message was deleted or can no longer be edited."""

    at: float
    incident: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The process ends in good order: its start was no crash's."""

    at: float


@dataclass(frozen=True, slots=True)
class OwnFaultSeen:
    """Something is wrong with the bot itself or its host, or no longer."""

    at: float
    fault: OwnFault
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class ClockCorrected:
    """The bot's time was wrong and was put right; `at` is the right time."""

    at: float
    by_s: float
    """How much later than before it is now; below 0: earlier."""


SharedStimulus = (
    Started
    | Stopped
    | ClockCorrected
    | OwnFaultSeen
    | Tick
    | Observed
    | Measured
    | Pushed
    | FeedPolled
    | CommandReceived
    | QuestionAudited
    | PersonActed
    | Delivered
    | CallOverdue
    | CallTaken
    | CallRefused
    | PostMissed
    | ShiftsPolled
    | MessageLost
)
"""All that can happen to the bot, and may concern what tenants share."""
Stimulus = SharedStimulus | Unanswered | TurnDropped
"""All that can happen to the bot."""
TenantStimulus = (
    Started | Tick | Observed | Measured | Pushed | CheckRequested | Unanswered | TurnDropped
)
"""What a tenant's part of a step takes; `CheckRequested` comes from the desk."""
DeskStimulus = SharedStimulus | TenantReport | CheckStarted
"""What the desk's part of a step takes; the last two come from a tenant."""


class Priority(IntEnum):
    """Which probe is started first where more are due than the bot can start at once."""

    PERSON = auto()
    """A person waits for it."""
    CONFIRM = auto()
    """Of the first few tenants that fail alike: whether there is an alert depends on it. They are
    so few that nothing is late because of them."""
    ROUTINE = auto()
    """A login or a control endpoint that is well: in no storm a healthy tenant goes unwatched."""
    LIGHT = auto()
    """Another routine probe."""
    REPEAT = auto()
    """Of further tenants that fail, until one of their signals fires."""
    COMPANION = auto()
    """It only helps to find the cause."""
    KNOWN = auto()
    """It is in the message already."""


@dataclass(frozen=True)
class StartProbe:
    """Probe a target now."""

    target: Target
    request_id: str = ""
    priority: Priority = field(default=Priority.ROUTINE, compare=False)
    failures: int = field(default=0, compare=False)
    """Of its signal so far: of two probes with one priority, it is the one nearer to firing that is
    started first."""
    repeat_after_s: float | None = field(default=None, compare=False)
    """If it has had no answer for so long, it is `Unanswered`; None: nobody needs to know."""


@dataclass(frozen=True, slots=True)
class QueryMetrics:
    """Query a source for metrics now."""

    target: Target
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class PollFeed:
    """Poll a status feed now."""

    target: Target


@dataclass(frozen=True, slots=True)
class PollShifts:
    """Poll the calendar of shifts now."""


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """Request fresh probes from a tenant's step."""

    tenant: str
    request_id: str
    signal: str = ""


@dataclass(frozen=True, slots=True)
class SignalChanged:
    """A signal has a new state."""

    tenant: str
    signal: str
    state: SignalState
    reason: Reason


@dataclass(frozen=True, slots=True)
class IncidentChanged:
    """An incident was opened, or changed its state, severity or tenants."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class VerdictChanged:
    """An incident has a new verdict."""

    incident: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Send:
    """Send something to Slack or to a contact point. The same key is never sent twice."""

    key: str
    lane: str
    body: Body
    hold_s: float = 0.0
    """It may wait this long for more of its kind."""
    call: Call | None = None
    """The call that it makes; None: it is to wake nobody."""


Effect = (
    StartProbe
    | QueryMetrics
    | PollFeed
    | PollShifts
    | AuditEntry
    | SignalChanged
    | IncidentChanged
    | VerdictChanged
    | Send
)
"""All that the bot can do."""
TenantEffect = Effect | TenantReport | CheckStarted
DeskEffect = Effect | RequestCheck
"""`RequestCheck`, `TenantReport` and `CheckStarted` go from one part of a step to the other."""
