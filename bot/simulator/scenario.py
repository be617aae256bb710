"""A scenario: what is true in the world, and when. Offsets are seconds from t=0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.config.document import Document
    from bot.core.model.observation import Cause
    from bot.simulator.happening import InjectedFault


class ScenarioError(Exception):
    """A scenario that cannot be played. `problems` has a line for each problem."""

    def __init__(self, *problems: str) -> None:
        """Keep the problems; the message has them line by line."""
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Window:
    """When an entry is active: from `since_s`, up to but not including `until_s`."""

    since_s: float = -math.inf
    until_s: float = math.inf

    def is_active(self, offset_s: float) -> bool:
        """Tell whether it is active at an offset."""
        return self.since_s <= offset_s < self.until_s


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant of the world."""

    name: str
    domain: str
    environment: str | None = None
    custom_domain: str | None = None
    m2m: bool = False
    calls: str | None = None
    """When its incidents may call people: `always`, `never` or `hours`."""


@dataclass(frozen=True, slots=True)
class FaultEntry:
    """A fault of a part of the requests, at some places, for a while."""

    targets: tuple[str, ...]
    window: Window
    share: float
    fault: InjectedFault


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """An update on the status page, with what it takes over from earlier ones filled in."""

    at_s: float
    incident: str
    title: str
    status: str
    text: str
    environments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """What a backend counts. None: as earlier entries say."""

    signal: str
    tenant: str
    window: Window
    requests_s: float | None
    errors: float | None
    """The share that fails, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Errors:
    """What an error tracker gets. None: as earlier entries say."""

    signal: str
    tenant: str
    window: Window
    events_s: float | None
    title: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """Rows of one type in a tenant's log."""

    type: str
    rate_s: float
    description: str = ""
    connection: str = ""


@dataclass(frozen=True, slots=True)
class Log:
    """A tenant's log. A type that is not named stays as in earlier entries."""

    tenant: str
    window: Window
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody changed something: a tenant's setting, or (with `app`) a deploy of ours."""

    at_s: float
    tenant: str | None
    app: str | None
    what: str


@dataclass(frozen=True, slots=True)
class UserInput:
    """What somebody does in Slack: they type something, or click a button of an incident."""

    at_s: float
    user: str
    say: str = ""
    """Empty: they click."""
    click: str = ""
    incident: int = 0
    """Whose button it is."""


class Presence(StrEnum):
    """How a person is there who is not simply a member of the channel."""

    MISSING = "missing"
    GUEST = "guest"
    DND = "dnd"
    """Slack makes no sound for them."""


@dataclass(frozen=True, slots=True)
class CallSpan:
    """A span in which somebody must be called; both ends are in it."""

    since_s: float
    until_s: float
    tenant: str | None
    """Called for an incident that names it; None: for any."""
    why: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The truth, for the score only."""

    cause: Cause
    accept: tuple[Cause, ...]
    decidable_s: float | None
    """Set where `alert` is."""
    alert: bool
    called: tuple[CallSpan, ...] = ()
    quiet: tuple[Window, ...] = ()
    """When nobody may be called."""
    calls_most: int | None = None
    """How many calls are allowed; None: it does not matter."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file."""

    document: Document
    """The document, which knows the lines of `bot` for problems that are found later."""
    name: str
    about: str
    start_at: float
    """The wall clock at t=0, in seconds since the Unix epoch."""
    warmup_s: float
    duration_s: float
    seed: int
    bot: dict[str, Any]
    """As in the file: every scalar is text or None."""
    tenants: tuple[Tenant, ...]
    controls: tuple[str, ...]
    timeline: tuple[FaultEntry, ...]
    feed: tuple[StatusUpdate, ...]
    """The oldest first."""
    metrics: tuple[Metric, ...]
    errors: tuple[Errors, ...]
    logs: tuple[Log, ...]
    changes: tuple[Change, ...]
    people: tuple[UserInput, ...]
    users: dict[str, Presence]
    """Only people who are not simply members of the channel."""
    answer: Answer | None

    def is_ongoing(self, tenant: str) -> bool:
        """Tell whether a tenant still has a fault when the scenario ends."""
        places = (
            entry.window
            for entry in self.timeline
            for target in entry.targets
            if target.split(".")[0] in {tenant, "*"}
        )
        counted: tuple[Metric | Errors | Log, ...] = (*self.metrics, *self.errors, *self.logs)
        signals = (
            entry.window
            for entry in counted
            if entry.tenant == tenant and entry.window.since_s > -math.inf
        )
        return any(window.until_s > self.duration_s for window in (*places, *signals))
