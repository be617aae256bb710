"""When Slack and contact points may be called again: the gaps between calls, and `Retry-After`.

All spans are real seconds: the limits of others know no other clock.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.state.outbox import (
    MAX_RETRY_AFTER_S,
    Answer,
    CatchUp,
    CrossPost,
    DirectEdit,
    DirectMessage,
    Edit,
    NobodyReached,
    Paging,
    Post,
    Reply,
)
from bot.core.state.timeline import DirectEntry

if TYPE_CHECKING:
    from bot.core.state.outbox import Delivery

MESSAGE_GAP_S = 1.0
"""Slack accepts about one new message a second and channel, in real time (Rate Limits, 2026-11)."""
EDIT_GAP_S = 1.2
"""Slack accepts at least 50 edits a minute (tier 3, Rate Limits, 2026-11)."""


def limit_of(delivery: Delivery) -> tuple[str, float] | None:
    """Return the limit that a delivery is under: its name, and the gap between two calls."""
    match delivery.body:
        case Paging(contact_point=name):
            return f"contact point {name}", 0.0
        case DirectMessage(person=person) | DirectEntry(person=person):
            return f"direct {person}", MESSAGE_GAP_S
        case Edit() | DirectEdit():
            return "edits", EDIT_GAP_S
        case Answer(is_shared=False):
            return None
        case _:
            return "channel", MESSAGE_GAP_S


URGENT = 1
"""Up to this priority a delivery is urgent: calls and new incidents."""


def priority(delivery: Delivery) -> int:
    """Return the place of a delivery among all that wait for the same limit; 0 is first.

    Calls come first, then new incidents, then lines in threads; what a person shares comes last.
    """
    if delivery.call:
        return 0
    match delivery.body:
        case Post() | CrossPost() | NobodyReached():
            return 1
        case Reply() | CatchUp():
            return 2
        case _:
            return 3


@dataclass(slots=True)
class _Limit:
    free_at: float = 0.0
    """When the gap after the last call ends."""
    held_until: float = 0.0
    """When the wait ends that was asked for …"""
    urgent_until: float = 0.0
    """… and when it ends for what is urgent."""


class RateLimits:
    """The limits by their names, such as that of new messages in a channel."""

    def __init__(self) -> None:
        self._limits: dict[str, _Limit] = {}

    def take_turn(self, name: str, gap_s: float, *, is_urgent: bool) -> float:
        """Return for how long no call is allowed under a limit; 0: one is made now.

        Args:
            name: the limit's.
            gap_s: how long after this call none is allowed.
            is_urgent: it waits for less of what `Retry-After` asks.
        """
        limit, now = self._limits.setdefault(name, _Limit()), _now()
        held_until = limit.urgent_until if is_urgent else limit.held_until
        wait_s = max(limit.free_at - now, held_until - now, 0.0)
        if not wait_s:
            limit.free_at = now + gap_s
        return wait_s

    def hold(self, name: str, span_s: float) -> None:
        """Note that no call is to be made for a while, as `Retry-After` asks."""
        limit, now = self._limits.setdefault(name, _Limit()), _now()
        limit.held_until = now + span_s
        limit.urgent_until = now + min(span_s, MAX_RETRY_AFTER_S)

    def release(self, name: str) -> None:
        """Note that a call was taken: whatever wait was asked for is over."""
        if limit := self._limits.get(name):
            limit.held_until = limit.urgent_until = 0.0


class PersonLimit:
    """Allows each person something so often.

    Args:
        count: how often …
        span_s: … within this span.
    """

    def __init__(self, count: int, span_s: float) -> None:
        self._count = count
        self._span_s = span_s
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def allow(self, person: str) -> bool:
        """Tell whether a person may do it now, and count it if so."""
        times, now = self._times[person], _now()
        while times and now - times[0] >= self._span_s:
            times.popleft()
        if len(times) >= self._count:
            return False
        times.append(now)
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
