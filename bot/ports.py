"""What the engine needs of the world. Product code and `simulator/` both supply these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.core.model import FeedReading, Observation, Target
    from bot.core.request import Request


class Clock(Protocol):
    """The only source of time. At `speed` N it runs N times as fast as a real clock."""

    speed: float

    def now(self) -> float:
        """Seconds since the Unix epoch (UTC); never steps while the process runs."""

    async def sleep(self, span_s: float) -> None:
        """Wait for a span of this clock: `span_s / speed` real seconds."""


class Prober(Protocol):
    """Looks at targets."""

    async def look(self, target: Target) -> Observation:
        """One fresh look at a tenant's or a control's target. Never raises but on cancellation."""

    async def read(self, target: Target) -> FeedReading:
        """One poll of a status feed. Never raises but on cancellation."""


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


class Inbox(Protocol):
    """Where people's requests go before they are acknowledged."""

    async def accept(self, request: Request) -> bool:
        """Commit a request. False: this one was there before and nothing was done."""
