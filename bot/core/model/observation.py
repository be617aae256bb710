"""The words: what the bot looks at, what it sees, and what people handle.

Instants (`…_at`) are seconds since the Unix epoch, UTC; spans (`…_s`) are seconds.
Everything here is an immutable value, so that a state can be replayed and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

CONTROL = "control"
FEED = "feed"
LOGIN = "login"
WELLKNOWN = "wellknown"
CUSTOM = "custom"
M2M = "m2m"
LOGS = "logs"
CALENDAR = "calendar"
FRESH_S = 150.0
"""How long a look at something healthy counts: two and a half routine intervals."""


class Target(NamedTuple):
    """A place that the bot can look at: `prod.login`, `control.neutral`, `feed.US-1`."""

    owner: str
    """A tenant's name, or `control`, or `feed`."""
    name: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


class Outcome(StrEnum):
    """What a look came to. `no_data`: we could not look; never evidence against Auth0."""

    OK = "ok"
    FAILED = "failed"
    NO_DATA = "no_data"


class Stage(StrEnum):
    """How far a request came before it failed."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    HTTP = "http"
    OAUTH = "oauth"
    TOKEN = "token"  # noqa: S105 - a stage, not a secret
    PROOF = "proof"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request failed."""

    stage: Stage
    reason: str
    """A stable code of ours: `nxdomain`, `refused`, `expired`, `http_503`, `invalid_grant` …"""
    status: int | None = None
    """HTTP status, where an answer came."""
    error: str | None = None
    """The OAuth `error` of the answer, where it had one."""
    description: str = ""
    """Foreign text for people only, at most 200 characters; nothing is decided by it."""
    retry_at: float | None = None
    """When the sender said that we may come again (429)."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one stage of a request took."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at one target."""

    target: Target
    at: float
    """When the request began."""
    outcome: Outcome
    latency_s: float | None = None
    fault: Fault | None = None
    """Set if and only if the outcome is `failed`."""
    no_data_reason: str = ""
    """Why we could not look; set if and only if the outcome is `no_data`."""
    timings: tuple[Timing, ...] = ()
    quota_remaining: int | None = None
    """`x-ratelimit-remaining` of the answer, where it had one."""
    place: str = "local"


class SignalState(StrEnum):
    """Where a signal stands against its threshold."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"


class Phase(StrEnum):
    """The state that a status page gives an incident or a maintenance."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    UNKNOWN = "unknown"


OPEN_PHASES = frozenset({Phase.INVESTIGATING, Phase.IDENTIFIED, Phase.MONITORING, Phase.UNKNOWN})
MAINTENANCE_PHASES = frozenset(
    {Phase.SCHEDULED, Phase.IN_PROGRESS, Phase.VERIFYING, Phase.COMPLETED}
)


@dataclass(frozen=True, slots=True)
class StatusIncident:
    """A post on the status page. All its texts are foreign, plain and cut."""

    id: str
    title: str
    phase: Phase
    """By the newest paragraph only."""
    text: str
    """The newest paragraph, at most 500 characters."""
    link: str
    """An https address, or empty."""
    posted_at: float
    """Of the oldest paragraph, as far as the feed tells; never in the future."""
    updated_at: float
    """Of the newest paragraph that changed the phase; never in the future."""

    @property
    def is_open(self) -> bool:
        """An incident (not a maintenance) that is not over."""
        return self.phase in OPEN_PHASES

    @property
    def is_maintenance(self) -> bool:
        """Work that was announced."""
        return self.phase in MAINTENANCE_PHASES


class FeedState(StrEnum):
    """What came of reading a status feed. Only `ok` says anything about Auth0."""

    OK = "ok"
    EMPTY = "empty"
    """Readable, without any entry: no information."""
    UNREADABLE = "unreadable"
    """Something came that is no feed."""
    UNREACHABLE = "unreachable"
    STALE = "stale"
    """Older than what we had read before."""


@dataclass(frozen=True, slots=True)
class FeedReading:
    """One poll of a status feed."""

    target: Target
    at: float
    state: FeedState
    status_incidents: tuple[StatusIncident, ...] = ()
    """All that the feed shows now, newest first; empty unless the state is `ok`."""
    fault: Fault | None = None
    no_data_reason: str = ""
    """Set where we could not look; then nothing else counts."""


class Cause(StrEnum):
    """Whose fault it is."""

    AUTH0 = "auth0"
    TENANT = "tenant"
    QUOTA = "quota"
    PROBE = "probe"
    NETWORK = "network"
    APP = "app"
    UPSTREAM = "upstream"
    BLIP = "blip"
    NONE = "none"
    UNCLEAR = "unclear"


class Scope(StrEnum):
    """How far a cause reaches."""

    TENANT = "tenant"
    ENVIRONMENT = "environment"
    SEVERAL = "several"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """How bad: logins fail; a part of them, or only one path; nobody needs to act."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the gravest."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of evidence: a row of the triage table, filled in."""

    rule_id: str
    """The row's id in `core/triage/verdict.py`."""
    text: str
    """The row's sentence with its figures; no foreign text."""
    weight: float
    """How much it speaks for (above 0) or against (below 0) the verdict's cause, rather than for
    the other causes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whose fault it is, how sure that is, and why."""

    cause: Cause
    scope: Scope
    confidence: float
    """0 to 1."""
    evidence_for: tuple[Evidence, ...] = ()
    evidence_against: tuple[Evidence, ...] = ()
    settled_by: str = ""
    """What would settle it, where the cause is `unclear`."""
