"""What others count of real users' calls, and what they say: the evidence beside our own probes.

No personal data is in here: counts, kinds, the names of patterns and of connections only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.model.observation import Target

FIRST_READ = "reading begins now"
"""Why a log has no figures when it is first read: they count from there on."""


class MetricKind(StrEnum):
    """What a measured signal counts."""

    METRICS = "metrics"
    """Calls to Auth0 that an application's backend counts: failed ones, and all."""
    ERRORS = "errors"
    """Events in an error tracker: that users fail, not how many of how many."""
    LOGS = "logs"
    """Rows of the tenant's log."""


@dataclass(frozen=True, slots=True)
class Group:
    """Log rows, or events of an error tracker, that are alike."""

    kind: str
    """Of log rows: a `RowKind`; of events: empty."""
    count: int
    pattern: str = ""
    """The name of the pattern of `core/auth0_logs/text_patterns.py` that the foreign text matched, if one did."""
    connection: str = ""
    """The connection that log rows name, at most 60 plain characters."""


@dataclass(frozen=True, slots=True)
class ChangeMade:
    """Somebody changed something: a tenant's setting, or a deploy of ours."""

    id: str
    """Unique: told twice it counts once."""
    at: float
    what: str
    """Short and plain, at most 80 characters: `client updated`, `deploy 4711`."""
    tenant: str = ""
    """Whose setting it was, if it was a tenant's."""
    app: str = ""
    """Which application of ours it was, if it was one."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one source counted in the `span_s` seconds up to `at`."""

    target: Target
    """Such as `prod.checkout`; a tenant's log is `prod.logs`."""
    at: float
    span_s: float = 0.0
    failed: float = 0.0
    """Failed calls, or events, or rows that tell of a failed login which is no user's mistake."""
    total: float | None = None
    """Failed and successful ones together; None: the source counts failures only."""
    groups: tuple[Group, ...] = ()
    own_rows: int | None = None
    """Rows of our own synthetic logins, which are in no other figure; None: cannot be known."""
    no_data_reason: str = ""
    """Why there are no figures, in a few plain words; then nothing but `at` counts."""
    link: str = ""
    """An https address where people see more, or empty."""
    environment: str = ""
    """The tenant's environment as its log names it (`US-1`), or empty."""
    changes: tuple[ChangeMade, ...] = ()
    """What the log tells of changed settings."""

    @property
    def has_rows(self) -> bool:
        """A log told anything at all."""
        return bool(self.own_rows or self.total or self.groups)


@dataclass(frozen=True, slots=True)
class ExternalAlert:
    """What an outside monitor says of a tenant: that something is wrong, or well again."""

    target: Target
    """The tenant and the monitor: `prod.alertmanager`, `prod.pingdom`, `prod.sentry`."""
    id: str
    """Of the alert, the same in all that is said of it."""
    at: float
    """When it began to be so, by the monitor; never in the future."""
    is_firing: bool
    title: str
    """Foreign and plain, at most 150 characters; only shown."""
    link: str = ""
    """An https address, or empty."""
    lasts_s: float = 86400.0
    """How long it holds unless it is said again: a lost "resolved" must not stay for ever."""
    is_unauthenticated: bool = False
    """Nobody vouches for it: it makes us look, and alerts nobody by itself."""


@dataclass(frozen=True, slots=True)
class Push:
    """What one request to a hook told, committed before it is answered."""

    id: str
    """The same for a repeated delivery."""
    at: float
    items: tuple[ExternalAlert | ChangeMade, ...]
