"""The incident: what it is about, its life, and its timeline."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from bot.core.model import measurement
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Fault, Severity, StatusIncident, Target, Verdict
from bot.core.oncall import AwaitingMention, EscalationState
from bot.core.signals.probe_threshold import Reason


@dataclass(frozen=True, slots=True)
class _Problem:
    tenant: str
    signal: str
    since: float
    is_over: bool = field(default=False, kw_only=True)

    @property
    def target(self) -> Target:
        """The signal that fails."""
        return Target(self.tenant, self.signal)


@dataclass(frozen=True, slots=True)
class ProbeProblem(_Problem):
    """A probe fails."""

    failed: int
    tries: int
    fault: Fault | None = None
    """The most frequent one."""
    is_stopped: bool = False
    kind: Literal["probe"] = "probe"


@dataclass(frozen=True, slots=True)
class SlowProblem(_Problem):
    """A probe succeeds, but slowly against its own past."""

    slow: int
    tries: int
    latency_s: float
    """Now."""
    usual_s: float
    kind: Literal["slow"] = "slow"


@dataclass(frozen=True, slots=True)
class MetricProblem(_Problem):
    """A metric fires."""

    source: MetricKind
    reason: Reason | None
    failed: int
    total: int
    """0: it counts failures only."""
    span_s: float
    baseline: float | None = None
    """How many usually fail in the same span (if successes are missing: succeed), if known."""
    no_data_reason: str = ""
    """Why there is no data now."""
    link: str = ""
    """An https address with more details; foreign."""
    kind: Literal["metric"] = "metric"


@dataclass(frozen=True, slots=True)
class AlertProblem(_Problem):
    """An external monitor, after which the signal is named, has alerts."""

    alerts: int
    title: str = ""
    """Of the newest one: foreign text."""
    link: str = ""
    """An https address with more details; foreign."""
    kind: Literal["alert"] = "alert"


@dataclass(frozen=True, slots=True)
class NoDataProblem(_Problem):
    """A source of metrics has no data."""

    source: MetricKind
    no_data_reason: str = ""
    kind: Literal["no_data"] = "no_data"


Problem = ProbeProblem | SlowProblem | MetricProblem | AlertProblem | NoDataProblem
"""One failing signal of an incident, with its numbers."""


def problem_counts(problem: Problem) -> tuple[int, int]:
    """Return how many failed, of how many; 0: that is not known."""
    match problem:
        case ProbeProblem():
            return problem.failed, problem.tries
        case SlowProblem():
            return problem.slow, problem.tries
        case MetricProblem():
            return problem.failed, problem.total
        case AlertProblem():
            return problem.alerts, 0
        case NoDataProblem():
            return 0, 0


PROBE, MONITOR, STATUS_INCIDENT, MESSAGE = "probe", "monitor", "notice", "message"
"""The sources of a detection, beside the values of `measurement.MetricKind`."""


def detection_times(incident: Incident) -> dict[str, float]:
    """Return when each kind of source first detected the incident.

    A status incident counts from when it was posted, not from when we read it.
    """
    times = dict(incident.history.detected_at)
    for problem in incident.problems:
        match problem:
            case ProbeProblem() | SlowProblem():
                source = PROBE
            case MetricProblem() | NoDataProblem():
                source = problem.source.value
            case AlertProblem():
                source = MONITOR
        times[source] = min(problem.since, times.get(source, problem.since))
    for each in incident.status_incidents:
        times[STATUS_INCIDENT] = min(each.posted_at, times.get(STATUS_INCIDENT, each.posted_at))
    return times


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


@dataclass(frozen=True, slots=True)
class IncidentLife:
    """What became of an incident since it was opened, and who did it."""

    opened_at: float
    acknowledged: Acknowledgement | None = None
    resolved: Resolution | None = None
    reopen_count: int = 0

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
    called_wider_at: float | None = None
    """When people were last called because more tenants fail."""


@dataclass(frozen=True, slots=True)
class MessageRef:
    """The address of an incident's message in Slack."""

    channel: str
    ts: str


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
    """When each kind of source first detected it; see `detection_times`."""


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


def current_cause(incidents: tuple[Incident, ...], since: float, *, has_failed: bool) -> Cause:
    """Return the cause of the most severe open incident, else of the last resolved one.

    Args:
        incidents: all that are known.
        since: incidents that were resolved before this instant do not count.
        has_failed: whether a request failed since then.
    """
    still_open = [i for i in incidents if i.is_open]
    if still_open:
        return min(still_open, key=lambda i: (i.severity.rank, i.life.opened_at)).verdict.cause
    ended = [i for i in incidents if i.life.resolved_at is not None and i.life.resolved_at >= since]
    if ended:
        return max(ended, key=lambda i: i.life.resolved_at or 0.0).verdict.cause
    return Cause.BLIP if has_failed else Cause.NONE


def reopen(incident: Incident) -> Incident:
    """Return the incident in an open state again."""
    life = replace(incident.life, resolved=None, reopen_count=incident.life.reopen_count + 1)
    message = incident.message
    message = replace(message, is_missed=False, posts=message.posts + message.is_missed)
    return replace(incident, life=life, message=message)
