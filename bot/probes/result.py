"""From a reply, and what it was found to be worth, to an observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.model.fault import from_answer, quota_remaining
from bot.core.model.observation import Fault, Observation, Outcome
from bot.http import Blind, read_object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.core.model.observation import Target, Timing
    from bot.http import Reply, Stopwatch
    from bot.telemetry import Redactor


class Failed(Exception):  # noqa: N818 - says what happened
    """The target failed; ends the judging of it."""

    def __init__(self, fault: Fault) -> None:
        """Keep why."""
        super().__init__(fault.reason)
        self.fault = fault


async def judged(
    target: Target,
    reply: Reply,
    watch: Stopwatch,
    judge: Callable[[Reply, Stopwatch], Awaitable[None]],
) -> Observation:
    """Let `judge` look into a reply that is an answer; it may raise `Failed` or `Blind`."""
    fault, blind = reply.fault, reply.blind
    if fault or blind:
        return concluded(target, reply, fault=fault, blind=blind)
    try:
        await judge(reply, watch)
    except Failed as failed:
        fault = failed.fault
    except Blind as error:
        blind = str(error)
    return concluded(target, reply, fault=fault, blind=blind, further=watch.timings())


def concluded(
    target: Target,
    reply: Reply,
    *,
    fault: Fault | None,
    blind: str = "",
    further: tuple[Timing, ...] = (),
) -> Observation:
    """Build the observation; its latency is that of the request alone."""
    failed = Outcome.FAILED if fault else Outcome.OK
    return Observation(
        target=target,
        at=reply.at,
        outcome=Outcome.NO_DATA if blind else failed,
        latency_s=None if blind else reply.latency_s,
        fault=fault,
        blind=blind,
        timings=reply.timings + further,
        quota_remaining=quota_remaining(reply.headers),
    )


def document_of(reply: Reply, redact: Redactor) -> Mapping[str, Any]:
    """Return the JSON object of a 2xx answer. Raises `Failed` for every other answer.

    `redact` is for what a fault quotes: a tenant's own code may echo the password.
    """
    document = read_object(reply.body)
    quoted = document and {
        key: redact(value) if isinstance(value, str) else value for key, value in document.items()
    }
    fault = from_answer(reply.status, quoted, headers=reply.headers, now=reply.at)
    if fault:
        raise Failed(fault)
    return document or {}
