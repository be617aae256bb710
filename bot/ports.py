"""The protocols that the edges implement: the real ones and those of `simulator/`."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from bot.core.model.command import Request
from bot.core.model.measurement import Push

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.core.model.access import AuditEntry
    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import FeedReading, Observation, Target
    from bot.core.oncall import Shifts
    from bot.core.state.desk import DeskState
    from bot.core.state.incident import Incident, MessageRef
    from bot.core.state.outbox import Delivery, PagerMessage
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import Effect, Stimulus
    from bot.core.state.tenant import Tenants, TenantState


class Clock(Protocol):
    """The only source of time. At `speed` N it runs N times as fast as a real clock."""

    speed: float

    def now(self) -> float:
        """Seconds since the Unix epoch (UTC); never steps while the process runs."""

    async def sleep(self, span_s: float) -> None:
        """Wait for a span of this clock: `span_s / speed` real seconds."""


class Prober(Protocol):
    """Probes targets and queries sources."""

    async def probe(self, target: Target) -> Observation:
        """Probe a tenant's or a control endpoint's target. Never raises but on cancellation."""

    async def measure(self, target: Target) -> Measurement:
        """Query a source. Never raises but on cancellation."""

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll a status feed once. Never raises but on cancellation."""

    async def poll_shifts(self) -> Shifts:
        """Read the on-call calendar. Never raises but on cancellation."""


class WebApi(Protocol):
    """Slack's Web API, one method call at a time, without any retry."""

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call `method` (such as `chat.postMessage`) and return Slack's JSON answer.

        Raises `Refused` where Slack certainly did not do it, `Doubt` where it may have.
        """

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        """Answer a command or a click by its `response_url`. Raises like `call`."""


class Reason(StrEnum):
    """Why a system refused."""

    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    """It cannot do this now; it may later."""
    MESSAGE_LOST = "message_lost"
    """The message can never be edited or replied to again."""
    REJECTED = "rejected"
    """It will refuse the same again."""


class CallFailed(Exception):  # noqa: N818 - says what happened
    """A system beyond the bot did not do what we asked for, or may not have.

    Args:
        system: its name, such as `Slack`.
        code: its own error code, or ours.
    """

    def __init__(self, system: str, code: str) -> None:
        super().__init__(code)
        self.system = system
        self.code = code


class Refused(CallFailed):
    """It certainly did not do it.

    Args:
        system: its name.
        reason: decides what follows.
        code: for logs.
        retry_after_s: the wait that it asked for, in seconds.
    """

    def __init__(
        self, system: str, reason: Reason, code: str, retry_after_s: float | None = None
    ) -> None:
        super().__init__(system, code)
        self.reason = reason
        self.retry_after_s = retry_after_s

    def describe(self, what: str) -> str:
        """Say for logs what became of it: a system that was not reached refused nothing."""
        did = "was not reached with" if self.reason is Reason.UNREACHABLE else "refused"
        said = "" if self.code == self.reason else f": {self.code}"
        return f"{self.system} {did} {what}{said}"


class Doubt(CallFailed):
    """The answer was lost: it may have done it or not.

    Args:
        system: its name.
        code: for logs.
        has_reached: some of several recipients certainly have it.
    """

    def __init__(self, system: str, code: str, *, has_reached: bool = False) -> None:
        super().__init__(system, code)
        self.has_reached = has_reached


InboxItem = Request | Push
"""What must not be lost: it is committed before the sender gets an acknowledgement."""


class Inbox(Protocol):
    """Takes people's requests and webhooks' messages before they are acknowledged."""

    def submit(self, stimulus: Stimulus) -> None:
        """Take what nobody waits for: it need not be committed first."""

    async def accept(self, item: InboxItem) -> bool:
        """Commit it. Returns False for one that was taken before.

        Where it cannot be committed in time, it is handled all the same, from memory. For a
        webhook's message `StoreError` is raised as well, so that its sender sends it again.
        """


@dataclass(slots=True)
class Change:
    """What is committed at once: all of it, or nothing."""

    tenants: dict[str, TenantState] = field(default_factory=dict)
    desk: DeskState | None = None
    """Without its incidents, which are committed one by one."""
    incidents: dict[int, Incident] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    inbox_items: list[InboxItem] = field(default_factory=list)
    """New in the inbox."""
    handled_ids: list[str] = field(default_factory=list)
    """Ids of the inbox items that this change handles."""
    audit_entries: list[AuditEntry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What earlier processes committed."""

    tenants: dict[str, TenantState]
    desk: DeskState | None
    """With its incidents: the open ones, and those that ended in the last seven days."""
    deliveries: dict[str, Delivery]
    """All that are not done, and the posts of the last hour that may be there twice."""
    inbox_items: tuple[InboxItem, ...]
    """All that are not handled, oldest first."""
    was_unsaved: bool = False
    """The process before ran from memory: it may have sent more than this says."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What is committed and not done."""

    incidents: tuple[Incident, ...]
    """The open ones."""
    deliveries: tuple[Delivery, ...]


class Store(Protocol):
    """Keeps what must survive the process."""

    async def load(self, now: float) -> Snapshot:
        """Read what was committed, and delete what is older than its retention."""

    async def commit(self, change: Change) -> None:
        """Write a change durably. Raises `StoreError` with nothing written."""

    async def has_received(self, received_id: str) -> bool:
        """Tell whether an inbox item with this id was committed before, handled or not."""

    async def read_unfinished(self) -> Unfinished:
        """Read what is to be done, for whoever checks that it is. Raises `StoreError`."""

    async def read_past_incidents(self, after: int) -> tuple[Incident, ...]:
        """Read the next resolved incidents after this number, a few at a time; empty: no more.

        Those of the last 90 days, however long ago they were loaded. Raises `StoreError`.
        """

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        """Note for the next process whether this one runs from memory. Never waits or raises."""

    def may_send(self, *, is_urgent: bool) -> bool:
        """Tell whether this process may send now: another one may have taken over.

        What is urgent is sent by a process that cannot know, rather than by none.
        """


class StoreError(Exception):
    """The store cannot be read or written; the text says why and what to do."""


class LeaseHeldError(StoreError):
    """Another process is the active one, on a database that several may wait for."""

    def __init__(self, database: str, holder: str) -> None:
        super().__init__(f"The database {database} is in use by {holder or 'another auth0-check'}")
        self.holder = holder


class LeaseLostError(StoreError):
    """Another process has become the active one: this one must not act any more."""

    def __init__(self, database: str, holder: str) -> None:
        by = holder or "another auth0-check"
        super().__init__(f"The database {database} was taken over by {by}: nothing was written")


class Timer(Protocol):
    """Wakes the engine."""

    def start(self, wake: Callable[[], None]) -> None:
        """Start, with the function to call at the time set by `wake_at`."""

    def wake_at(self, at: float) -> None:
        """Call `wake` once at this instant of the clock, in place of the one set before."""


class Messenger(Protocol):
    """Sends to Slack, or to contact points. `send` and `find` raise `Refused` and `Doubt`."""

    async def send(
        self, delivery: Delivery, view: View, message: MessageRef | None
    ) -> MessageRef | None:
        """Send it, rendered from the view; `message` is what it edits or replies to.

        Returns where a new message is.
        """

    async def find(self, delivery: Delivery, message: MessageRef | None) -> MessageRef | None:
        """Search the channel for a delivery. None: it did not arrive."""

    async def find_unreached(self, names: tuple[str, ...], now: float) -> dict[str, str]:
        """Return which people Slack notifies of nothing now, and why: a code. Never raises."""


@dataclass(frozen=True, slots=True)
class View:
    """The state that messages and answers are rendered from."""

    now: float
    rules: Rules
    tenants: Tenants
    desk: DeskState


class EffectListener(Protocol):
    """Gets every effect, in order: for logs, metrics and the story of a simulation."""

    def listen(self, at: float, effect: Effect) -> None:
        """Take an effect that was committed."""


class Notifier(Protocol):
    """Notifies people beyond Slack, by one contact point."""

    async def notify(self, message: PagerMessage) -> None:
        """Send it, in one attempt. Raises `Refused` and `Doubt`.

        Repeat it after a doubt: notifying a person twice is better than not at all.
        """
