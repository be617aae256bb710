"""The incident: what it is about, its life, and its timeline."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf

from bot.core.model import measurement
from bot.core.model.observation import Cause, Severity, StatusIncident, Target, Verdict
from bot.core.oncall import AwaitingMention, EscalationState
from bot.core.state.problem import (
    Impact,
    Known,
    Problem,
)

MAX_PAST_SPANS = 50
PROBE, MONITOR, STATUS_INCIDENT, MESSAGE = "probe", "monitor", "notice", "message"
"""The sources of a detection, beside the values of `measurement.MetricKind`."""


class IncidentState(StrEnum):
    """Whether somebody works on an incident, or it has ended."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class IncidentKind(StrEnum):
    """What an incident is about."""

    FAILING = "failing"
    """A probe, a metric or an external alert reports a failure."""
    NO_DATA = "blind"
    """No probe of a tenant works."""
    SOURCE_NO_DATA = "silent"
    """A source of metrics has no data."""
    MONITORING_GAP = "gap"
    """No probe worked for a while. That has ended; people are only informed."""
    OWN_FAULT = "own_fault"
    """Something is wrong with the bot itself or its host. It is about no tenant."""


class OwnFaultKind(StrEnum):
    """What is wrong with the bot itself or its host."""

    CLOCK = "clock"
    """The host's clock is wrong; the bot goes on by the time of other hosts."""
    CLOCK_CORRECTED = "clock_corrected"
    """The bot's own time was wrong and is right now: for information only."""
    STORE = "store"
    """The state cannot be saved; the bot goes on from memory."""
    CRASH_LOOP = "crash_loop"
    """It crashes again and again."""


@dataclass(frozen=True, slots=True)
class OwnFault:
    """A fault of the bot itself or its host."""

    kind: OwnFaultKind
    detail: str = ""
    """Plain text for people: what it is, and what to do."""
    ahead_s: float = 0.0
    """How far the clock was ahead of the right time; below 0: behind it."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A person works on an incident."""

    by: str
    """A user's id."""
    at: float
    impact: Impact = Impact.NONE
    """The worst that was known by then."""
    active_at: float | None = None
    """When the person last did anything since; the wait for the question counts from then."""
    asked_at: float | None = None
    """When the person was asked whether it still holds; None: no question waits for an answer."""
    answered: int = 0
    """How many questions were answered: each doubles the wait for the next."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """How an incident ended."""

    at: float
    by: str = ""
    """A user's id; empty: it resolved by itself."""
    still_failing: tuple[Target, ...] = ()
    """Signals that still failed when a person resolved it: they open no new incident before they
    have recovered."""
    merged_into: int | None = None
    """The incident that this one became a part of."""
    ended_at: float | None = None
    """When the first of the successes began that ended it; None: that is not known."""


@dataclass(frozen=True, slots=True)
class FailingSpan:
    """A time in which an incident failed, until it ended and came back."""

    since: float
    until: float
    tenants_since: dict[str, float] = field(default_factory=dict)
    """When each tenant began to fail in it; empty: an older version did not record that."""
    detected_at: dict[str, float] = field(default_factory=dict)
    """When each kind of source first detected it; see `incidents.verdict_changes`."""


@dataclass(frozen=True, slots=True)
class Return:
    """It fails again; whether that is more than a single failure is not known yet."""

    since: float
    escalation: AwaitingMention | EscalationState | None = None
    """The escalation before the end, which goes on if this is still the same problem."""


@dataclass(frozen=True, slots=True)
class IncidentLife:
    """What became of an incident since it was opened, and who did it."""

    opened_at: float
    acknowledged: Acknowledgement | None = None
    resolved: Resolution | None = None
    reopen_count: int = 0
    acknowledgement_ended: Acknowledgement | None = None
    """The last acknowledgement that a call has ended."""
    reopened_at: float | None = None
    failing_since: float | None = None
    """When it began to fail after the end before; None: it never ended."""
    past: tuple[FailingSpan, ...] = ()
    """The times in which it failed before the present one, oldest first."""
    returning: Return | None = None
    """It has just come back, and nobody was called for that."""
    returned_at: tuple[float, ...] = ()
    """When it came back and met its threshold again."""

    @property
    def acknowledged_by(self) -> str:
        """The id of the user who acknowledged it; empty: nobody did."""
        return self.acknowledged.by if self.acknowledged else ""

    @property
    def resolved_at(self) -> float | None:
        """When it ended; None: it is open."""
        return self.resolved.at if self.resolved else None

    @property
    def resolved_by(self) -> str:
        """The id of the user who resolved it; empty: nobody did."""
        return self.resolved.by if self.resolved else ""

    @property
    def merged_into(self) -> int | None:
        """The incident that it is a part of now."""
        return self.resolved.merged_into if self.resolved else None

    @property
    def still_failing(self) -> tuple[Target, ...]:
        """What still failed when a person resolved it, and has not recovered since."""
        return self.resolved.still_failing if self.resolved else ()


@dataclass(frozen=True, slots=True)
class Damping:
    """Fewer calls for what comes and goes."""

    since: float
    longest_good_s: float
    """The longest time without a failure in between."""
    tenants: tuple[str, ...] = ()
    """Those that come and go; empty: all of the incident."""


@dataclass(frozen=True, slots=True)
class MessageRef:
    """The address of a message in Slack."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class NotificationState:
    """Who was notified of an incident, and who is to be."""

    is_muted: bool = False
    """It began in a silence or in maintenance, and nobody was notified."""
    has_mentioned: bool = False
    """People were first mentioned; from then on the escalation decides."""
    mentioned: tuple[str, ...] = ()
    """Who is mentioned in the message: `@here`, ids of users and of user groups."""
    escalation: AwaitingMention | EscalationState | None = None
    """None: nobody is to be notified, as of an incident that a person acknowledged."""
    paged_at: dict[str, float] = field(default_factory=dict)
    """When each contact point was paged last; they are notified of the end as well."""
    pages: dict[str, int] = field(default_factory=dict)
    """How often each contact point was paged."""
    direct_messages: tuple[MessageRef, ...] = ()
    """The messages to single people; they are updated as the one in the channel is."""
    calls: int = 0
    """How many direct messages and pages were decided."""
    awaited_until: dict[str, float] = field(default_factory=dict)
    """Calls that were neither taken nor refused, by key, and how long other ways wait for them."""
    reached_at: float | None = None
    """When a call last reached somebody, as far as Slack and the contact points say."""
    nobody_at: float | None = None
    """When it turned out that no way reaches anybody. None: some way does."""
    fell_back_at: float | None = None
    """When `slack.mention` was tried because nobody was reached otherwise."""
    called_at: float | None = None
    """When people were last called because of what is known, not by a step of the escalation."""
    called_wider_at: float | None = None
    """When people were last called because more tenants fail."""
    known: Known | None = None
    """What was known when people were last called or did something. None: neither yet."""
    healed: tuple[str, ...] = ()
    """The tenants that worked again since people were called for them, while others failed."""
    told_cause: Cause | None = None
    """The cause that people were called with, or a correction named."""
    damping: Damping | None = None
    """It comes and goes, and people are called at most once an hour."""


@dataclass(frozen=True, slots=True)
class IncidentMessage:
    """An incident's message in Slack, and what was requested for it."""

    ref: MessageRef | None = None
    """None: Slack has not taken it yet."""
    channel: str = ""
    """Where it is posted, as configured when it was opened; empty: in the default channel."""
    cross_posts: tuple[str, ...] = ()
    """The other channels that have a line with a link to it."""
    is_missed: bool = False
    """It ended before Slack took the message, and is posted in one message with others."""
    posts: int = 1
    """How many messages were posted for it; more than one only if Slack lost or missed one."""
    replies: int = 0
    edits: int = 0
    updated_at: float = 0.0
    """When the last edit was requested."""

    @property
    def channels(self) -> tuple[str, ...]:
        """Where it is posted, and where a link to it is."""
        return (self.channel, *self.cross_posts)


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """A verdict that an incident had."""

    at: float
    verdict: Verdict
    """Without its evidence."""
    new_rule_ids: tuple[str, ...]
    """The evidence rules that were new then."""


@dataclass(frozen=True, slots=True)
class IncidentHistory:
    """What is remembered of an incident's past."""

    evidence_since: dict[str, float] = field(default_factory=dict)
    """When each evidence rule first applied."""
    verdicts: tuple[VerdictRecord, ...] = ()
    """One for each change of cause or scope, oldest first."""
    detected_at: dict[str, float] = field(default_factory=dict)
    """When each kind of source first detected it, the last time."""
    doubted_as: Cause | None = None
    doubted_since: float | None = None
    """Since when the facts have named that cause, and not the verdict's."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a person wrote about an incident."""

    at: float
    by: str
    """A user's id."""
    text: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident, shown in one message."""

    id: int
    kind: IncidentKind
    severity: Severity
    tenants: tuple[str, ...]
    since: float
    """When the first failing request began."""
    verdict: Verdict
    life: IncidentLife
    problems: tuple[Problem, ...] = ()
    status_incidents: tuple[StatusIncident, ...] = ()
    """Those that match it, newest first."""
    notification: NotificationState = field(default_factory=NotificationState)
    message: IncidentMessage = field(default_factory=IncidentMessage)
    source: measurement.MetricKind | None = None
    """The kind of source that has no data."""
    own_fault: OwnFault | None = None
    """What is wrong with the bot itself, in an incident of that kind."""
    false_alarm: str = ""
    """A person's reason why it was a false alarm."""
    notes: tuple[Note, ...] = ()
    history: IncidentHistory = field(default_factory=IncidentHistory)
    perhaps_same_as: int | None = None
    """An open incident that may have the same cause, and began too long before to be joined."""

    @property
    def state(self) -> IncidentState:
        """Whether somebody works on it, or it has ended."""
        if self.life.resolved:
            return IncidentState.RESOLVED
        return IncidentState.ACKNOWLEDGED if self.life.acknowledged else IncidentState.OPEN

    @property
    def is_open(self) -> bool:
        """Whether it is not resolved."""
        return self.life.resolved is None

    @property
    def failing_since(self) -> float:
        """When the first failing request began, since it last ended if it has."""
        again = (self.life.failing_since, self.life.reopened_at)
        return next((at for at in again if at is not None), self.since)

    @property
    def ended_at(self) -> float | None:
        """When it stopped to fail, as far as is known; None: it is open."""
        resolved = self.life.resolved
        if resolved is None:
            return None
        return resolved.at if resolved.ended_at is None else resolved.ended_at

    def failing_spans(self, now: float) -> tuple[FailingSpan, ...]:
        """Return the times in which it failed, oldest first."""
        until = now if self.ended_at is None else self.ended_at
        begins: dict[str, float] = {}
        for problem in self.problems:
            if problem.since < begins.get(problem.tenant, inf):
                begins[problem.tenant] = problem.since
        last = FailingSpan(self.failing_since, until, begins, self.history.detected_at)
        return (*self.life.past, last)


def reopen(incident: Incident, now: float) -> Incident:
    """Return the incident in an open state again, with the time that it failed before.

    The healthy time is not part of the wait for the question whether an acknowledgement holds.
    What a person resolved while it failed has failed all the time.
    """
    life, message = incident.life, incident.message
    if (taken := life.acknowledged) is not None:
        active_at = (taken.active_at or taken.at) + now - (life.resolved_at or now)
        life = replace(life, acknowledged=replace(taken, active_at=active_at, asked_at=None))
    life = replace(life, resolved=None, reopen_count=life.reopen_count + 1, reopened_at=now)
    if incident.life.still_failing:
        life = replace(life, failing_since=incident.failing_since)
    else:
        past = incident.failing_spans(now)[-MAX_PAST_SPANS:]
        life = replace(life, failing_since=now, past=past)
        detected_at = {} if message.is_missed else {MESSAGE: now}
        history = replace(incident.history, detected_at=detected_at)
        incident = replace(incident, problems=(), history=history)
    message = replace(message, is_missed=False, posts=message.posts + message.is_missed)
    return replace(incident, life=life, message=message)
