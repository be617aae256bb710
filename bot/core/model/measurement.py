"""What other systems report about real users: metrics, alerts and changes, beside our own probes.

They hold no personal data: only counts, kinds, and the names of patterns and connections.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.model.observation import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST_READ = "reading begins now"
"""Why a log has no metrics when it is first read: counting starts there."""


OWN_APP = "auth0-check"
"""The application of a change that is one of the bot itself."""


class MetricKind(StrEnum):
    """What a metric counts."""

    METRICS = "metrics"
    """Calls to Auth0 that an application's backend counts: failed and total."""
    ERRORS = "errors"
    """Events in an error tracker: failures only, without a total."""
    LOGS = "logs"
    """Rows of the tenant's log."""


@dataclass(frozen=True, slots=True)
class Group:
    """Log rows, or events of an error tracker, of one kind, pattern and connection."""

    kind: str
    """Of log rows: a `RowKind`; of events: empty."""
    count: int
    pattern: str = ""
    """The pattern of `core/auth0_logs/text_patterns.py` that the foreign text matched, if any."""
    connection: str = ""
    """The connection that log rows name, at most 60 plain characters."""


MAX_GROUPS = 30


def merge_groups(groups: Iterable[Group]) -> tuple[Group, ...]:
    """Add up equal groups, the largest first.

    Beyond `MAX_GROUPS`, those of a kind become one without names: its total stays what it was.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for each in groups:
        counts[each.kind, each.pattern, each.connection] += each.count
    ranked = [Group(kind, n, pattern, place) for (kind, pattern, place), n in counts.items()]
    ranked.sort(key=lambda each: (-each.count, each.kind, each.pattern, each.connection))
    if len(ranked) <= MAX_GROUPS:
        return tuple(ranked)
    named = MAX_GROUPS - len({each.kind for each in ranked})
    rest = (Group(each.kind, each.count) for each in ranked[named:])
    return merge_groups((*ranked[:named], *rest))


@dataclass(frozen=True, slots=True)
class ChangeMade:
    """Somebody changed something: a tenant's setting, or a deploy of ours."""

    id: str
    """Unique: a change that is reported twice counts once."""
    at: float
    what: str
    """Short and plain, at most 80 characters: `client updated`, `deploy 4711`."""
    tenant: str = ""
    """The tenant whose setting it was, if any."""
    app: str = ""
    """The application of ours that was deployed, if any."""


@dataclass(frozen=True)
class Measurement:
    """What one source counted in the `span_s` seconds up to `at`."""

    target: Target
    """Such as `prod.checkout`; a tenant's log is `prod.logs`."""
    at: float
    span_s: float = 0.0
    failed: float = 0.0
    """Failed calls, events, or log rows of failed logins that are no user's mistake."""
    total: float | None = None
    """Failed and successful together; None: the source counts failures only."""
    groups: tuple[Group, ...] = ()
    own_rows: int | None = None
    """Log rows of our own synthetic logins, which no other count includes; None: unknown."""
    no_data_reason: str = ""
    """Why there are no metrics, in a few plain words. If set, only `at` has a meaning."""
    link: str = ""
    """An https address with more details, or empty."""
    environment: str = ""
    """The tenant's environment as its log names it (`US-1`), or empty."""
    changes: tuple[ChangeMade, ...] = ()
    """Changes of settings that the log reports."""
    is_source_alive: bool = False
    """Another signal of its source has calls now: then none here are none."""

    @property
    def has_rows(self) -> bool:
        """Whether a log had any rows at all."""
        return bool(self.own_rows or self.total or self.groups)


ALERTMANAGER, PINGDOM, SENTRY = MONITORS = ("alertmanager", "pingdom", "sentry")
"""The external monitors that push alerts, and the only place that names them. The name is that of
the signal, of the section in `hooks` and of the webhook's address. A new monitor needs its name
here, its parser in `webhooks/` with a line in `routes`, and a setting for its secret."""


@dataclass(frozen=True, slots=True)
class ExternalAlert:
    """An alert of an external monitor about a tenant: firing or resolved."""

    target: Target
    """The tenant and the monitor: `prod.alertmanager`, `prod.pingdom`, `prod.sentry`."""
    id: str
    """The alert's id, the same in all messages about it."""
    at: float
    """When this state began, according to the monitor; never in the future."""
    is_firing: bool
    title: str
    """Foreign plain text, at most 150 characters; only shown."""
    link: str = ""
    """An https address, or empty."""
    lasts_s: float = 86400.0
    """It expires after this unless it is repeated: a "resolved" may get lost."""
    is_unauthenticated: bool = False
    """The sender is not authenticated: it starts a check, but alerts nobody by itself."""


@dataclass(frozen=True, slots=True)
class Push:
    """What one webhook request reported; committed before the request is answered."""

    id: str
    """The same if the request is delivered again."""
    at: float
    items: tuple[ExternalAlert | ChangeMade, ...]
