"""Turns a reply, and the verification of it, into an observation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from bot.core.model.fault import classify_answer, parse_quota_remaining
from bot.core.model.observation import Fault, Observation, Outcome
from bot.http import NoData, Stopwatch, parse_json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.core.model.observation import Target, Timing
    from bot.http import Fetcher, HttpRequest, HttpResult
    from bot.telemetry import Redactor


QUOTED = ("error", "error_description")
"""What a fault quotes of an answer."""
QUOTE_LIMIT = 4096
"""Characters, far more than are shown. Nothing longer is quoted: a search for secrets in 128 KB
takes 0.7 s, and a cut could leave the half of one."""


class ProbeFailed(Exception):  # noqa: N818 - says what happened
    """The target failed; ends the check."""

    def __init__(self, fault: Fault) -> None:
        """Fail for this reason."""
        super().__init__(fault.reason)
        self.fault = fault


class Probe(ABC):
    """One request, and the verification of its answer, which begins with the stage `stage`."""

    stage: ClassVar[str]

    def __init__(self, target: Target, request: HttpRequest, fetcher: Fetcher) -> None:
        self._target = target
        self._request = request
        self._fetcher = fetcher

    async def check(self) -> Observation:
        """Check once. Never raises, except when cancelled."""
        reply = await self._fetcher.fetch(self._request)
        watch = Stopwatch(self._fetcher.clock, self.stage)
        fault, reason = reply.fault, reply.no_data_reason
        if fault or reason:
            return build_observation(self._target, reply, fault=fault, no_data_reason=reason)
        try:
            await self._verify(reply, watch)
        except ProbeFailed as failed:
            fault = failed.fault
        except NoData as error:
            reason = str(error)
        timings = watch.timings()
        return build_observation(
            self._target, reply, fault=fault, no_data_reason=reason, further_timings=timings
        )

    @abstractmethod
    async def _verify(self, reply: HttpResult, watch: Stopwatch) -> None:
        """Verify an answer of any status. May raise `ProbeFailed` or `NoData`."""


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
        key: redact(value)
        for key, value in document.items()
        if key in QUOTED and isinstance(value, str) and len(value) <= QUOTE_LIMIT
    }
    fault = classify_answer(reply.status, quoted, headers=reply.headers, now=reply.at)
    if fault:
        raise ProbeFailed(fault)
    return document or {}
