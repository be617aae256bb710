"""What the bot checks, what it observes, and the verdict.

All values are immutable, so that a state can be replayed and compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Flag, StrEnum, auto
from typing import NamedTuple

CONTROL = "control"
FEED = "feed"
LOGIN = "login"
WELLKNOWN = "wellknown"
CUSTOM = "custom"
M2M = "m2m"
TOKEN_ENDPOINT = "token-endpoint"  # noqa: S105 - a name, not a secret
LOGS = "logs"
CALENDAR = "calendar"
FRESH_S = 150.0
"""How long a successful check counts: two and a half routine intervals."""


class Target(NamedTuple):
    """Something that the bot can check: `prod.login`, `control.neutral`, `feed.US-1`."""

    owner: str
    """A tenant's name, or `control`, or `feed`."""
    name: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


class Outcome(StrEnum):
    """The result of a check. `no_data`: we could not check; never evidence against Auth0."""

    OK = "ok"
    FAILED = "failed"
    NO_DATA = "no_data"


class Stage(StrEnum):
    """The stage at which a request failed."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    HTTP = "http"
    OAUTH = "oauth"
    TOKEN = "token"  # noqa: S105 - a stage, not a secret
    PROOF = "proof"


class OwnSide(StrEnum):
    """What else was found out about our own side when a request failed."""

    UNKNOWN = ""
    NAMES_LOST = "names_lost"
    """Names that have nothing to do with Auth0 are not found either."""
    NAMES_FOUND = "names_found"
    """They are found: our resolver works."""
    BETWEEN = "between"
    """Somebody between us and Auth0 has answered: a proxy, a portal, a filter."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request failed."""

    stage: Stage
    reason: str
    """A stable code of ours: `nxdomain`, `refused`, `expired`, `http_503`, `invalid_grant` …"""
    status: int | None = None
    """HTTP status, if a response came."""
    error: str | None = None
    """The OAuth `error` of the response, if it had one."""
    description: str = ""
    """Foreign text for people only, at most 200 characters; nothing is decided by it."""
    retry_at: float | None = None
    """When we may try again, according to the response (429, 503)."""
    own_side: OwnSide = OwnSide.UNKNOWN


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one stage of a request took."""

    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Observation:
    """One check of one target."""

    target: Target
    at: float
    """When the request began."""
    outcome: Outcome
    latency_s: float | None = None
    fault: Fault | None = None
    """Set if and only if the outcome is `failed`."""
    no_data_reason: str = ""
    """Why we could not check; set if and only if the outcome is `no_data`."""
    timings: tuple[Timing, ...] = ()
    quota_remaining: int | None = None
    """`x-ratelimit-remaining` of the response, if it had one."""
    place: str = "local"


class SignalState(StrEnum):
    """Where a signal stands against its threshold."""

    OK = "ok"
    PENDING = "pending"
    FIRING = "firing"


class Health(Flag):
    """What is wrong with a signal, or with any signal of a tenant; nothing: it is well.

    Who asks differs on purpose. Evidence counts from the second failure on, incidents from the
    threshold on; slow answers open an incident, but are no failures; missing data is a problem of
    its own, which says nothing about the signals.
    """

    SUSPECT = auto()
    """It failed; whether that goes on is being checked."""
    REPEATED = auto()
    """It failed more than once."""
    FIRING = auto()
    """It is over its threshold."""
    SLOW = auto()
    """It succeeds, but slowly against its own past."""
    NO_DATA = auto()
    """No probe of the tenant works."""
    FAILING = REPEATED | FIRING
    """More than one single failure: evidence, even before it fires."""
    ALERTING = FIRING | SLOW
    """It belongs into an incident of the kind `failing`."""
    PROBLEM = ALERTING | NO_DATA
    """The tenant belongs into an incident."""


HEALTHY = Health(0)
HEALTH_BY_STATE = {
    SignalState.OK: HEALTHY,
    SignalState.PENDING: Health.SUSPECT,
    SignalState.FIRING: Health.FIRING,
}


class Phase(StrEnum):
    """The state of an incident or a maintenance on a status page."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"
    SCHEDULED = "scheduled"
    IN_PROGRESS = "in_progress"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    UNKNOWN = "unknown"


OPEN_PHASES = frozenset({Phase.INVESTIGATING, Phase.IDENTIFIED, Phase.MONITORING})
MAINTENANCE_PHASES = frozenset(
    {Phase.SCHEDULED, Phase.IN_PROGRESS, Phase.VERIFYING, Phase.COMPLETED}
)


@dataclass(frozen=True, slots=True)
class StatusIncident:
    """An incident or a maintenance on the status page. Its texts are foreign, plain and cut."""

    id: str
    title: str
    phase: Phase
    """From the newest update only."""
    text: str
    """The newest update, at most 500 characters."""
    link: str
    """An https address, or empty."""
    posted_at: float
    """Of the oldest update that the feed has; never in the future."""
    updated_at: float
    """Of the newest update that changed the phase; never in the future."""

    @property
    def is_open(self) -> bool:
        """Whether it is an incident (not a maintenance) that goes on."""
        return self.phase in OPEN_PHASES

    @property
    def is_maintenance(self) -> bool:
        """Whether it is announced work."""
        return self.phase in MAINTENANCE_PHASES


class FeedState(StrEnum):
    """The result of polling a status feed. Only `ok` says anything about Auth0."""

    OK = "ok"
    EMPTY = "empty"
    """Readable, but without entries: no information."""
    UNREADABLE = "unreadable"
    """The response is not a feed."""
    UNREACHABLE = "unreachable"
    STALE = "stale"
    """Older than an earlier poll."""


@dataclass(frozen=True, slots=True)
class FeedReading:
    """One poll of a status feed."""

    target: Target
    at: float
    state: FeedState
    status_incidents: tuple[StatusIncident, ...] = ()
    """All in the feed, newest first; empty unless the state is `ok`."""
    fault: Fault | None = None
    no_data_reason: str = ""
    """Why we could not poll. If set, nothing else counts."""


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


class MissingEvidence(StrEnum):
    """What would settle an unclear verdict."""

    CONTROL = "control"
    """A control endpoint: it tells our network from Auth0."""
    PEER = "peer"
    """A login at another tenant of the same environment."""
    USERS = "users"
    """Whether real users' logins fail."""


class Scope(StrEnum):
    """How far a cause reaches."""

    TENANT = "tenant"
    ENVIRONMENT = "environment"
    SEVERAL = "several"
    UNKNOWN = "unknown"


class Severity(StrEnum):
    """Logins fail; a part of them or only one path fails; nobody needs to act."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the most severe."""
        return list(Severity).index(self)


EvidenceValue = str | int | float | tuple[str, ...] | Fault
"""A number, a code or a name, several names, or the codes of a fault."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One line of evidence: a rule of the triage table that matches, with its values."""

    rule_id: str
    """The rule's id in `core/triage/evidence_table.py`."""
    values: dict[str, EvidenceValue]
    """What its sentence names; no foreign text. Schema 0002 had only the whole `text`."""
    weight: float
    """How much it speaks for (above 0) or against (below 0) the verdict's cause, compared with the
    other causes."""
    strength: float = 1.0
    """How much there is of it, above 0 to 1."""


PROBABLE, ALMOST_CERTAIN = 0.7, 0.85
"""From these confidences on, messages say "probably" and "almost certainly". Below both they say
"Cause not clear yet"."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The cause, its scope, the confidence and the evidence."""

    cause: Cause
    scope: Scope
    confidence: float
    """0 to 1."""
    evidence_for: tuple[Evidence, ...] = ()
    evidence_against: tuple[Evidence, ...] = ()
    settled_by: MissingEvidence | None = None
    """What would settle it, if the cause is `unclear` or not probable enough to be stated."""

    @property
    def stated_cause(self) -> Cause:
        """The cause that people are told; `unclear`: none is probable enough."""
        return self.cause if self.confidence >= PROBABLE else Cause.UNCLEAR

    @property
    def is_certain(self) -> bool:
        """Whether people are told the cause as almost certain."""
        return self.confidence >= ALMOST_CERTAIN and self.cause is not Cause.UNCLEAR
