"""What people handle: one incident, from its opening to its end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from bot.core import measurement
from bot.core.detector import Reason
from bot.core.model import Cause, Fact, Fault, Notice, Severity, Verdict


class IncidentState(StrEnum):
    """Where an incident stands with the people who handle it."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Kind(StrEnum):
    """What an incident is about."""

    FAILING = "failing"
    """Something that we look at fails."""
    BLIND = "blind"
    """We can see nothing."""
    SILENT = "silent"
    """A source of figures says nothing."""
    GAP = "gap"
    """We could see nothing for a while; it is over and only told."""


@dataclass(frozen=True, slots=True)
class Trouble:
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
    counted: measurement.Kind | None = None
    """What a measured signal counts; None: it is a probe's, or a monitor's."""
    reason: Reason | None = None
    """Why a measured signal or a monitor fires."""
    usual: float | None = None
    """In the same span usually so many fail (where successes are missing: succeed), if known."""
    span_s: float = 0.0
    """How long was counted; of what is slow, its latency now (`usual` is its usual one)."""
    missing: str = ""
    """Why a source has no figures, where it is silent."""
    said: str = ""
    """A monitor's own title: foreign."""
    link: str = ""
    """Where people see more; foreign, https."""


@dataclass(frozen=True, slots=True)
class Card:
    """Where Slack keeps an incident's message."""

    channel: str
    ts: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict that an incident came to."""

    at: float
    verdict: Verdict
    """Without its facts."""
    news: tuple[str, ...]
    """The rows of the evidence table that were new then."""


@dataclass(frozen=True, slots=True)
class Incident:
    """One message's worth of trouble."""

    id: int
    kind: Kind
    severity: Severity
    tenants: tuple[str, ...]
    since: float
    """When the first failing request began."""
    opened_at: float
    verdict: Verdict
    state: IncidentState = IncidentState.OPEN
    troubles: tuple[Trouble, ...] = ()
    notices: tuple[Notice, ...] = ()
    """Posts of the status page that fit it, newest first."""
    resolved_at: float | None = None
    merged_into: int | None = None
    """The incident that this one turned out to be a part of."""
    reopened: int = 0
    mention_at: float | None = None
    """When people are to be mentioned, if that is still to come."""
    with_mention: bool = False
    """The first message mentions people."""
    is_mentioned: bool = False
    """People were mentioned: once is enough."""
    card: Card | None = None
    posts: int = 1
    """How many first messages it has had; more than one only where Slack lost it."""
    replies: int = 0
    edits: int = 0
    shown_at: float = 0.0
    """When the last edit was asked for."""
    source: measurement.Kind | None = None
    """Which source is silent."""
    facts_since: dict[str, float] = field(default_factory=dict)
    """When each row of the evidence table first spoke."""
    history: tuple[Judgement, ...] = ()
    """Each cause and scope that it was given, oldest first."""
    knew: dict[str, float] = field(default_factory=dict)
    """When each kind of source first knew; see `core/lead.py`."""

    @property
    def is_open(self) -> bool:
        """Not resolved."""
        return self.state is not IncidentState.RESOLVED


class EntryKind(StrEnum):
    """What a line of the timeline tells."""

    VERDICT = "verdict"
    JOINED = "joined"
    MERGED = "merged"
    RECOVERED = "recovered"
    NOTICE = "notice"
    MENTION = "mention"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    GRAVER = "graver"
    WHY = "why"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an incident's timeline, told in its thread."""

    at: float
    kind: EntryKind
    trouble: Trouble | None = None
    verdict: Verdict | None = None
    notice: Notice | None = None
    severity: Severity | None = None
    news: tuple[Fact, ...] = ()
    """The facts that changed a verdict."""
    tenants: tuple[str, ...] = ()
    """Those that joined."""


def standing_cause(incidents: tuple[Incident, ...], since: float, *, has_failed: bool) -> Cause:
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


def reopened(incident: Incident) -> Incident:
    """Return the same incident, open again."""
    return replace(
        incident,
        state=IncidentState.OPEN,
        resolved_at=None,
        reopened=incident.reopened + 1,
    )
