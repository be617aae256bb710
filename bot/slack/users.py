"""Looks up who asks: time zone, member or guest, user groups.

Slack is asked rarely and never waited for long. While it does not answer, its last answer counts,
and it is asked again in the background. Somebody who was never looked up, or not for 30 days, is in
no user group, and unknown unless the bot's state vouches for them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.model.access import KNOWN_FOR_S, Person, Right
from bot.ports import CallFailed, Reason, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from bot.core.model.access import Access
    from bot.ports import Clock, View, WebApi

_LOG = logging.getLogger(__name__)

LOOKUP_TIMEOUT_S = 1.0
"""Real seconds that a request waits: Slack wants it acknowledged within 3."""
USER_TTL_S = 600.0
GROUPS_TTL_S = 300.0
"""Real seconds for which an answer of Slack's is used."""
ASK_AGAIN_S = 15.0
"""Real seconds after which Slack is asked again about those of whom it has said nothing."""
MAX_PEOPLE = 2000


def groups_with_rights(access: Access) -> frozenset[str]:
    """Return the user groups that have a right."""
    holders = (holder for right in Right for holder in access.who_may(right))
    return frozenset(holder for holder in holders if holder.startswith("S"))


class UserDirectory:
    """Looks people up.

    Args:
        web: asks Slack.
        clock: gives the age of an answer.
        view: returns the state that vouches for people while Slack does not.
        groups: the user groups whose members are looked up.
        workspaces: the workspaces and organisations whose members are not guests.
    """

    def __init__(
        self,
        web: WebApi,
        clock: Clock,
        view: Callable[[], View],
        *,
        groups: Iterable[str],
        workspaces: frozenset[str],
    ) -> None:
        self._web = web
        self._clock = clock
        self._workspaces = workspaces
        self._view = view
        self._members: dict[str, frozenset[str]] = dict.fromkeys(groups, frozenset())
        self._has_groups = asyncio.Event()
        if not self._members:
            self._has_groups.set()
        self._people: dict[str, tuple[float, Person]] = {}
        """With the time of the look-up, the oldest first."""
        self._lookups: dict[str, asyncio.Task[None]] = {}
        self._unanswered: dict[str, None] = {}
        """Of whom Slack has said nothing yet, the first first."""

    async def run(self) -> None:
        """Refresh the user groups, and ask again what Slack has not answered, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._refresh_groups())
            tasks.create_task(self._ask_again())

    async def _ask_again(self) -> None:
        """One call that fails ends a round: Slack may have asked us to be slow."""
        while True:
            await self._clock.sleep(ASK_AGAIN_S * self._clock.speed)
            for user in tuple(self._unanswered):
                await self._look_up(user)
                if user in self._unanswered:
                    break

    async def _refresh_groups(self) -> None:
        while True:
            for group in self._members:
                answer = await self._call("usergroups.users.list", {"usergroup": group})
                if answer:
                    self._members[group] = frozenset(answer.get("users", ()))
            self._has_groups.set()
            await self._clock.sleep(GROUPS_TTL_S * self._clock.speed)

    async def find_person(self, user: str) -> Person:
        """Return what is known of somebody, after `LOOKUP_TIMEOUT_S` at most."""
        looked_up_at, _ = self._people.get(user, (float("-inf"), None))
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                # Below 0 after the clock was set back.
                age_s = abs(self._clock.now() - looked_up_at)
                if age_s >= USER_TTL_S * self._clock.speed:
                    await asyncio.shield(self._look_up(user))
                await self._has_groups.wait()
        looked_up_at, person = self._people.get(user, (float("-inf"), Person(user)))
        if not person.is_guest and abs(self._clock.now() - looked_up_at) > KNOWN_FOR_S:
            view = self._view()
            is_known = view.desk.vouches_for(user, view.rules, view.now)
            person = replace(person, is_known=is_known)
        groups = tuple(group for group, users in self._members.items() if user in users)
        return replace(person, groups=groups)

    async def is_member(self, user: str) -> bool:
        """Tell whether somebody is known as a member."""
        person = await self.find_person(user)
        return person.is_known and not person.is_guest

    def _look_up(self, user: str) -> asyncio.Task[None]:
        """Look somebody up, once at a time. The look-up goes on when nobody waits any more."""
        if user not in self._lookups:
            task = self._lookups[user] = asyncio.create_task(self._read_user(user))
            task.add_done_callback(lambda _: self._lookups.pop(user))
        return self._lookups[user]

    async def _read_user(self, user: str) -> None:
        answer = await self._call("users.info", {"user": user})
        self._unanswered.pop(user, None)
        if answer is None and len(self._unanswered) < MAX_PEOPLE:
            self._unanswered[user] = None
        if not answer or "user" not in answer:
            return
        person = _parse_person(user, answer["user"], self._workspaces)
        self._people.pop(user, None)
        self._people[user] = self._clock.now(), person
        if len(self._people) > MAX_PEOPLE:
            del self._people[next(iter(self._people))]

    async def _call(self, method: str, params: dict[str, Any]) -> Mapping[str, Any] | None:
        """Return the answer, an empty one if Slack will not answer, or None if it may later."""
        try:
            return await self._web.call(method, params)
        except CallFailed as error:
            _LOG.warning("%s failed for %s: %s", method, *params.values(), error)
            is_final = isinstance(error, Refused) and error.reason is Reason.REJECTED
            return {} if is_final else None


def _parse_person(user: str, profile: Mapping[str, Any], workspaces: frozenset[str]) -> Person:
    """Read a user object: https://docs.slack.dev/reference/objects/user-object (read 2026-11)."""
    memberships = {
        profile.get("team_id"),
        (profile.get("enterprise_user") or {}).get("enterprise_id"),
    }
    guest_flags = ("is_restricted", "is_ultra_restricted", "is_stranger")
    return Person(
        user,
        zone=profile.get("tz") or "UTC",
        is_guest=any(profile.get(f) for f in guest_flags) or workspaces.isdisjoint(memberships),
        name=profile.get("real_name") or profile.get("name") or "",
    )
