"""A neutral host: does our own network work?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.fault import from_answer
from bot.http import Call
from bot.probes.result import concluded

if TYPE_CHECKING:
    from bot.core.model.observation import Observation, Target
    from bot.http import Fetcher

BROKEN_FROM = 500
"""Any answer below proves the network, whatever the host thinks of our request."""


class ControlProbe:
    """Asks one address and ignores what it answers."""

    def __init__(self, target: Target, url: str, timeout_s: float, fetcher: Fetcher) -> None:
        """Ask `url`."""
        self._target = target
        self._call = Call(url=url, timeout_s=timeout_s, cap=0)
        self._fetcher = fetcher

    async def look(self) -> Observation:
        """Ask once."""
        reply = await self._fetcher.fetch(self._call)
        fault = reply.fault
        if reply.status >= BROKEN_FROM and not reply.blind:
            fault = from_answer(reply.status, None, headers=reply.headers, now=reply.at)
        return concluded(self._target, reply, fault=fault, blind=reply.blind)
