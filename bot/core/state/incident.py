"""What people handle: one incident, from its opening to its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.model import measurement
from bot.core.model.observation import Cause, Evidence, Fault, Severity, StatusIncident, Verdict
from bot.core.signals.probe_threshold import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
from bot.core.oncall.escalation import EscalationState

PROBE, MONITOR, STATUS_INCIDENT, MESSAGE = "probe", "monitor", "notice", "message"
"""Beside these there are the values of `measurement.Kind`."""


def detection_times(incident: Incident) -> dict[str, float]:
    """Return when each kind of source first knew, in seconds since the Unix epoch.

    A notice counts from when it was posted, whenever we read it.
    """
    knew = dict(incident.detected_at)
    for source, at in _detections(incident):
        knew[source] = min(at, knew.get(source, at))
    return knew


def _detections(incident: Incident) -> Iterator[tuple[str, float]]:
    for trouble in incident.problems:
        yield _source_of(trouble), trouble.since
    for notice in incident.status_incidents:
        yield STATUS_INCIDENT, notice.posted_at


def _source_of(trouble: Problem) -> str:
    if trouble.source:
        return trouble.source.value
    return MONITOR if trouble.reason is Reason.EXTERNAL_ALERT else PROBE


class IncidentState(StrEnum):
    """Where an incident stands with the people who handle it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class IncidentKind(StrEnum):
    """What an incident is about."""

    FAILING = "failing"
    """Something that we look at fails."""
    NO_DATA = "blind"
    """We can see nothing."""
    SOURCE_NO_DATA = "silent"
    """A source of figures says nothing."""
    MONITORING_GAP = "gap"
    """We could see nothing for a while; it is over and only told."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One firing signal of an incident, in figures."""

    tenant: str
    signal: str
    since: float
    failed: int
    tries: int
    fault: Fault | None = None
    """The most frequent one."""
    is_stopped: bool = False
    is_over: bool = False
    source: measurement.MetricKind | None = None
    """What a measured signal counts; None: it is a probe's, or a monitor's."""
    reason: Reason | None = None
    """Why a measured signal or a monitor fires."""
    baseline: float | None = None
    """In the same span usually so many fail (where successes are missing: succeed), if known."""
    span_s: float = 0.0
    """How long was counted; of what is slow, its latency now (`usual` is its usual one)."""
    no_data_reason: str = ""
    """Why a source has no figures, where it is silent."""
    title: str = ""
    """A monitor's own title: foreign."""
    link: str = ""
    """Where people see more; foreign, https."""


@dataclass(frozen=True, slots=True)
class MessageRef:
    """Where Slack keeps an incident's message."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """A verdict that an incident came to."""

    at: float
    verdict: Verdict
    """Without its facts."""
    new_rule_ids: tuple[str, ...]
    """The rows of the evidence table that were new then."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a person wrote about an incident."""

    at: float
    by: str
    """A user's id."""
    text: str


@dataclass(frozen=True, slots=True)
class Incident:
    """One message's worth of trouble."""

    id: int
    kind: IncidentKind
    severity: Severity
    tenants: tuple[str, ...]
    since: float
    """When the first failing request began."""
    opened_at: float
    verdict: Verdict
    state: IncidentState = IncidentState.OPEN
    problems: tuple[Problem, ...] = ()
    status_incidents: tuple[StatusIncident, ...] = ()
    """Posts of the status page that fit it, newest first."""
    resolved_at: float | None = None
    merged_into: int | None = None
    """The incident that this one turned out to be a part of."""
    reopen_count: int = 0
    mention_at: float | None = None
    """When people are to be called the first time, if that is still to come."""
    has_mentioned: bool = False
    """People were called the first time; what follows is the escalation's."""
    message: MessageRef | None = None
    posts: int = 1
    """How many first messages it has had; more than one only where Slack lost it."""
    replies: int = 0
    edits: int = 0
    message_updated_at: float = 0.0
    """When the last edit was asked for."""
    source: measurement.MetricKind | None = None
    """Which source is silent."""
    mentioned: tuple[str, ...] = ()
    """Who is mentioned in the first message: `@here`, users' and user groups' ids."""
    escalation: EscalationState | None = None
    """The escalation, while one goes on."""
    paged_contact_points: tuple[str, ...] = ()
    """The ways beyond Slack by which people were told; they are told of its end, too."""
    acknowledged_by: str = ""
    """A user's id."""
    acknowledged_at: float | None = None
    resolved_by: str = ""
    """A user's id; empty: it ended by itself."""
    sticky_resolve: tuple[str, ...] = ()
    """Signals (`tenant.signal`) that still failed when a person resolved it: they open nothing
    new before they have been well."""
    false_alarm: str = ""
    """Why a person says that it was none."""
    notes: tuple[Note, ...] = ()
    is_muted: bool = False
    """It began in a silence or in maintenance, and nobody was told of it."""
    evidence_since: dict[str, float] = field(default_factory=dict)
    """When each row of the evidence table first spoke."""
    verdict_history: tuple[VerdictRecord, ...] = ()
    """Each cause and scope that it was given, oldest first."""
    detected_at: dict[str, float] = field(default_factory=dict)
    """When each kind of source first knew; see `core/state/incident.py`."""

    @property
    def is_open(self) -> bool:
        """Not resolved."""
        return self.state is not IncidentState.RESOLVED


class TimelineKind(StrEnum):
    """What a line of the timeline tells."""

    VERDICT = "verdict"
    JOINED = "joined"
    MERGED = "merged"
    RECOVERED = "recovered"
    STATUS_UPDATE = "notice"
    MENTION = "mention"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    SEVERITY_RAISED = "graver"
    WHY = "why"
    ACKNOWLEDGED = "acknowledged"
    NOTE = "note"
    FALSE_ALARM = "false_alarm"
    PAGED = "paged"
    HAND_OVER = "hand_over"
    SILENCED = "silenced"


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of an incident's timeline, told in its thread."""

    at: float
    kind: TimelineKind
    problem: Problem | None = None
    verdict: Verdict | None = None
    status_incident: StatusIncident | None = None
    severity: Severity | None = None
    new_evidence: tuple[Evidence, ...] = ()
    """The facts that changed a verdict."""
    tenants: tuple[str, ...] = ()
    """Those that joined, or work again."""
    by: str = ""
    """The user whose doing it is."""
    mentioned: tuple[str, ...] = ()
    """Who is mentioned."""
    contact_points: tuple[str, ...] = ()
    """How others are told: `dm`, or the name of a way beyond Slack."""
    text: str = ""
    """What a person wrote."""
    until: float | None = None
    """When a silence ends."""


def current_cause(incidents: tuple[Incident, ...], since: float, *, has_failed: bool) -> Cause:
    """Return what is to blame now: the gravest open incident, else the last one resolved.

    Args:
        incidents: all that are known.
        since: incidents that were resolved before this instant do not count.
        has_failed: whether a request failed since then.
    """
    still_open = [i for i in incidents if i.is_open]
    if still_open:
        return min(still_open, key=lambda i: (i.severity.rank, i.opened_at)).verdict.cause
    ended = [i for i in incidents if i.resolved_at is not None and i.resolved_at >= since]
    if ended:
        return max(ended, key=lambda i: i.resolved_at or 0.0).verdict.cause
    return Cause.BLIP if has_failed else Cause.NONE


def reopen(incident: Incident) -> Incident:
    """Return the same incident, open again."""
    return replace(
        incident,
        state=IncidentState.ACKNOWLEDGED if incident.acknowledged_by else IncidentState.OPEN,
        resolved_at=None,
        resolved_by="",
        sticky_resolve=(),
        reopen_count=incident.reopen_count + 1,
    )
