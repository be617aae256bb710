"""What the engine needs of the world. Product code and `simulator/` both supply these."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bot.core.model.measurement import Push
from bot.core.model.request import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.core.model.access import AuditEntry
    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import FeedReading, Observation, Target
    from bot.core.oncall.schedule import Shifts
    from bot.core.state.desk import DeskState
    from bot.core.state.incident import Incident, MessageRef
    from bot.core.state.outbox import Delivery, PagerMessage
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import Effect, Tenants
    from bot.core.state.tenant import TenantState


class Clock(Protocol):
    """The only source of time. At `speed` N it runs N times as fast as a real clock."""

    speed: float

    def now(self) -> float:
        """Seconds since the Unix epoch (UTC); never steps while the process runs."""

    async def sleep(self, span_s: float) -> None:
        """Wait for a span of this clock: `span_s / speed` real seconds."""


class Prober(Protocol):
    """Looks at targets."""

    async def probe(self, target: Target) -> Observation:
        """One fresh look at a tenant's or a control's target. Never raises but on cancellation."""

    async def measure(self, target: Target) -> Measurement:
        """Ask a source for its figures. Never raises but on cancellation."""

    async def poll_feed(self, target: Target) -> FeedReading:
        """One poll of a status feed. Never raises but on cancellation."""

    async def poll_shifts(self) -> Shifts:
        """Read the calendar of shifts. Never raises but on cancellation."""


class WebApi(Protocol):
    """Slack's Web API, one method call at a time, without any retry."""

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call `method` (such as `chat.postMessage`) and return Slack's JSON answer.

        Raises `SlackRefused` where Slack certainly did not do it, `SlackDoubt` where it may have.
        """

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        """Answer a command or a click by its `response_url`. Raises like `call`."""


class SlackRefused(Exception):  # noqa: N818 - says what happened
    """Slack certainly did not do it."""

    def __init__(self, error: str, retry_after_s: float | None = None) -> None:
        """Keep Slack's `error` code, or our own `unreachable`, and the wait it asked for."""
        super().__init__(error)
        self.error = error
        self.retry_after_s = retry_after_s


class SlackDoubt(Exception):  # noqa: N818 - says what happened
    """The answer was lost: Slack may have done it or not."""


InboxItem = Request | Push
"""What comes in from outside and must not be lost: it is committed before it is acknowledged."""


class Inbox(Protocol):
    """Where people's requests and what hooks were told go before they are acknowledged."""

    async def accept(self, received: InboxItem) -> bool:
        """Commit it. False: this one was there before and nothing was done.

        Raises `StoreError` where it could not be committed.
        """


@dataclass(slots=True)
class Change:
    """What is committed at once: all of it, or nothing."""

    tenants: dict[str, TenantState] = field(default_factory=dict)
    desk: DeskState | None = None
    """Without its incidents, which are rows of their own."""
    incidents: dict[int, Incident] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    inbox_items: list[InboxItem] = field(default_factory=list)
    """New in the inbox."""
    handled_ids: list[str] = field(default_factory=list)
    """Ids of what this change answers."""
    audit_entries: list[AuditEntry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was committed before: the start of a process."""

    tenants: dict[str, TenantState]
    desk: DeskState | None
    """With its incidents: all that are open, and those that ended in the last seven days."""
    deliveries: dict[str, Delivery]
    """All that are not done."""
    inbox_items: tuple[InboxItem, ...]
    """All that was not handled, oldest first."""


class Store(Protocol):
    """Keeps what the process must not forget."""

    async def load(self, now: float) -> Snapshot:
        """Read what was committed, and forget what is older than its retention."""

    async def commit(self, change: Change) -> None:
        """Write a change durably. Raises `StoreError` with nothing written."""

    async def has_received(self, received_id: str) -> bool:
        """Tell whether something with this id was committed before, handled or not."""


class StoreError(Exception):
    """The store cannot be read or written; the text says why and what to do."""


class Timer(Protocol):
    """Wakes the engine."""

    def start(self, wake: Callable[[], None]) -> None:
        """Set what is called at the time given by `wake_at`."""

    def wake_at(self, at: float) -> None:
        """Call `wake` once at this instant of the clock, instead of the one named before."""


class Messenger(Protocol):
    """Says things in Slack. `send` and `find` raise `SlackRefused` and `SlackDoubt`."""

    async def send(
        self, delivery: Delivery, view: View, card: MessageRef | None
    ) -> MessageRef | None:
        """Say it as the world is now; `card` is the message that it edits or replies to.

        Returns where a new message stands.
        """

    async def find(self, delivery: Delivery, card: MessageRef | None) -> MessageRef | None:
        """Look into the channel whether it was said. None: it was not."""


@dataclass(frozen=True, slots=True)
class View:
    """What a message can be made of."""

    now: float
    rules: Rules
    tenants: Tenants
    desk: DeskState


class EffectListener(Protocol):
    """Is told every effect, in order: for logs, metrics and the story of a simulation."""

    def listen(self, at: float, effect: Effect) -> None:
        """Take note of an effect that was committed."""


class Notifier(Protocol):
    """Reaches people beyond Slack."""

    async def notify(self, page: PagerMessage) -> None:
        """Tell it, in one try. Raises `NotifyRefused` and `NotifyDoubt`; repeat it after both.

        A person who is told twice is better off than one who is not told.
        """


class NotifyRefused(Exception):  # noqa: N818 - says what happened
    """Nobody was told."""

    def __init__(
        self, error: str, retry_after_s: float | None = None, *, is_final: bool = False
    ) -> None:
        """Keep the reason, the wait that was asked for, and whether repeating is pointless."""
        super().__init__(error)
        self.error = error
        self.retry_after_s = retry_after_s
        self.is_final = is_final


class NotifyDoubt(Exception):  # noqa: N818 - says what happened
    """Somebody may have been told, or not."""
