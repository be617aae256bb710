"""A control endpoint: does our own network work?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.fault import classify_answer
from bot.http import HttpRequest
from bot.probes.result import build_observation

if TYPE_CHECKING:
    from bot.core.model.observation import Observation, Target
    from bot.http import Fetcher

BROKEN_FROM = 500
"""Any status below proves that the network works, whatever the host thinks of the request."""


class ControlProbe:
    """Sends a request to one URL and ignores the body of the answer."""

    def __init__(self, target: Target, url: str, timeout_s: float, fetcher: Fetcher) -> None:
        """Check `url`."""
        self._target = target
        self._request = HttpRequest(url=url, timeout_s=timeout_s, cap=0)
        self._fetcher = fetcher

    async def check(self) -> Observation:
        """Check once."""
        reply = await self._fetcher.fetch(self._request)
        fault = reply.fault
        if reply.status >= BROKEN_FROM and not reply.no_data_reason:
            fault = classify_answer(reply.status, None, headers=reply.headers, now=reply.at)
        return build_observation(
            self._target, reply, fault=fault, no_data_reason=reply.no_data_reason
        )
