"""Asks Slack whether the people who were called hear it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from bot.core.alerting.paging import PERSON_ID_PREFIXES
from bot.ports import CallFailed, Refused
from bot.slack.render.timeline import IN_DND, USER_INACTIVE, USER_NOT_FOUND

if TYPE_CHECKING:
    from bot.ports import WebApi

LOOKUP_LIMIT_S = 3.0
"""Real seconds for all people together."""


async def find_unreached(api: WebApi, names: tuple[str, ...], now: float) -> dict[str, str]:
    """Return which people Slack notifies of nothing now, and why. Never raises.

    Whatever Slack answers, the call was sent: a failure here must not repeat it.
    """
    people = [name for name in names if name[:1] in PERSON_ID_PREFIXES]
    try:
        async with asyncio.timeout(LOOKUP_LIMIT_S):
            found = await asyncio.gather(*(_find_why_unreached(api, p, now) for p in people))
    except TimeoutError:
        return {}
    return {person: why for person, why in zip(people, found, strict=True) if why}


async def _find_why_unreached(api: WebApi, person: str, now: float) -> str:
    """Return a code; empty as well where Slack does not tell, as without a scope."""
    with suppress(CallFailed, LookupError, TypeError):
        try:
            if (await api.call("users.info", {"user": person}))["user"]["deleted"]:
                return USER_INACTIVE
        except (Refused, LookupError) as error:
            if isinstance(error, Refused) and error.code == USER_NOT_FOUND:
                return error.code
        dnd = await api.call("dnd.info", {"user": person})
        span = dnd["next_dnd_start_ts"], dnd["next_dnd_end_ts"]
        return IN_DND if dnd["dnd_enabled"] and span[0] <= now < span[1] else ""
    return ""
