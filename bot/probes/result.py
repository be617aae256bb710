"""Turns a reply, and the verification of it, into an observation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.model.fault import classify_answer, parse_quota_remaining
from bot.core.model.observation import Fault, Observation, Outcome
from bot.http import NoData, parse_json_object

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.core.model.observation import Target, Timing
    from bot.http import HttpResult, Stopwatch
    from bot.telemetry import Redactor


class ProbeFailed(Exception):  # noqa: N818 - says what happened
    """The target failed; ends the check."""

    def __init__(self, fault: Fault) -> None:
        """Fail for this reason."""
        super().__init__(fault.reason)
        self.fault = fault


async def to_observation(
    target: Target,
    reply: HttpResult,
    watch: Stopwatch,
    verify: Callable[[HttpResult, Stopwatch], Awaitable[None]],
) -> Observation:
    """Let `verify` check a reply that is an answer; it may raise `ProbeFailed` or `NoData`."""
    fault, reason = reply.fault, reply.no_data_reason
    if fault or reason:
        return build_observation(target, reply, fault=fault, no_data_reason=reason)
    try:
        await verify(reply, watch)
    except ProbeFailed as failed:
        fault = failed.fault
    except NoData as error:
        reason = str(error)
    return build_observation(
        target, reply, fault=fault, no_data_reason=reason, further_timings=watch.timings()
    )


def build_observation(
    target: Target,
    reply: HttpResult,
    *,
    fault: Fault | None,
    no_data_reason: str = "",
    further_timings: tuple[Timing, ...] = (),
) -> Observation:
    """Build the observation; its latency is that of the request alone, without the verification."""
    failed = Outcome.FAILED if fault else Outcome.OK
    return Observation(
        target=target,
        at=reply.at,
        outcome=Outcome.NO_DATA if no_data_reason else failed,
        latency_s=None if no_data_reason else reply.latency_s,
        fault=fault,
        no_data_reason=no_data_reason,
        timings=reply.timings + further_timings,
        quota_remaining=parse_quota_remaining(reply.headers),
    )


def require_json(reply: HttpResult, redact: Redactor) -> Mapping[str, Any]:
    """Return the JSON object of a 2xx answer. Raises `ProbeFailed` for every other answer.

    `redact` cleans what a fault quotes: a tenant's own code may echo the password.
    """
    document = parse_json_object(reply.body)
    quoted = document and {
        key: redact(value) if isinstance(value, str) else value for key, value in document.items()
    }
    fault = classify_answer(reply.status, quoted, headers=reply.headers, now=reply.at)
    if fault:
        raise ProbeFailed(fault)
    return document or {}
