"""Who asks: time zone, guest or not, user groups. Slack is asked rarely, and never waited for long.

What was known before counts while Slack does not answer; of somebody who was never heard of
nothing is known but the id, which no user group holds.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.access import Right
from bot.core.model.request import Person
from bot.ports import SlackDoubt, SlackRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from bot.core.model.access import Access
    from bot.ports import Clock, WebApi

_LOG = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S = 1.0
"""Of a request, in real seconds: Slack wants it acknowledged within 3."""
USER_TTL_S = 600.0
GROUPS_TTL_S = 300.0
"""For so long, in real seconds, what Slack said counts as true."""
MAX_PEOPLE = 2000
"""People that are remembered."""


def groups_with_rights(access: Access) -> frozenset[str]:
    """Return the user groups that have a right."""
    whom = (who for right in Right for who in access.who_may(right))
    return frozenset(who for who in whom if who.startswith("S"))


class UserDirectory:
    """Looks people up.

    Args:
        web: asks Slack.
        clock: tells how old an answer is.
        groups: the user groups whose members matter.
        homes: the workspaces and organisations whose members are no guests.
    """

    def __init__(
        self, web: WebApi, clock: Clock, *, groups: Iterable[str], workspaces: frozenset[str]
    ) -> None:
        self._web = web
        self._clock = clock
        self._workspaces = workspaces
        self._members: dict[str, frozenset[str]] = dict.fromkeys(groups, frozenset())
        self._has_groups = asyncio.Event()
        if not self._members:
            self._has_groups.set()
        self._people: dict[str, tuple[float, Person]] = {}
        """And when they were looked up, the longest known first."""
        self._lookups: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Keep the user groups fresh, for ever."""
        while True:
            for group in self._members:
                await self._read_group(group)
            self._has_groups.set()
            await self._clock.sleep(GROUPS_TTL_S * self._clock.speed)

    async def find_person(self, user: str) -> Person:
        """Return what is known of somebody, after a second at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                if self._is_old(user):
                    await asyncio.shield(self._look_up(user))
                await self._has_groups.wait()
        _, known = self._people.get(user, (0.0, Person(user)))
        return replace(
            known, groups=tuple(g for g, users in self._members.items() if user in users)
        )

    def _is_old(self, user: str) -> bool:
        at, _ = self._people.get(user, (float("-inf"), None))
        return self._clock.now() - at >= USER_TTL_S * self._clock.speed

    def _look_up(self, user: str) -> asyncio.Task[None]:
        """Look somebody up, once at a time; it goes on when nobody waits any more."""
        if user not in self._lookups:
            task = self._lookups[user] = asyncio.create_task(self._read_user(user))
            task.add_done_callback(lambda _: self._lookups.pop(user))
        return self._lookups[user]

    async def _read_user(self, user: str) -> None:
        answer = await self._call("users.info", {"user": user})
        if answer is None or "user" not in answer:
            return
        person = _parse_person(user, answer["user"], self._workspaces)
        self._people.pop(user, None)
        self._people[user] = self._clock.now(), person
        if len(self._people) > MAX_PEOPLE:
            del self._people[next(iter(self._people))]

    async def _read_group(self, group: str) -> None:
        answer = await self._call("usergroups.users.list", {"usergroup": group})
        if answer is not None:
            self._members[group] = frozenset(answer.get("users", ()))

    async def _call(self, method: str, params: dict[str, Any]) -> Mapping[str, Any] | None:
        try:
            return await self._web.call(method, params)
        except (SlackRefused, SlackDoubt) as error:
            _LOG.warning("%s of %s: %s", method, *params.values(), error)
            return None


def _parse_person(user: str, told: Mapping[str, Any], workspaces: frozenset[str]) -> Person:
    """Read a user object: https://docs.slack.dev/reference/objects/user-object (read 2026-11)."""
    belongs = {told.get("team_id"), (told.get("enterprise_user") or {}).get("enterprise_id")}
    marks = ("is_restricted", "is_ultra_restricted", "is_stranger")
    return Person(
        user,
        zone=told.get("tz") or "UTC",
        is_guest=any(told.get(mark) for mark in marks) or workspaces.isdisjoint(belongs),
        name=told.get("real_name") or told.get("name") or "",
    )
