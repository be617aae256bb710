"""Who is on call, by a calendar that others keep: what PagerDuty, Opsgenie or Google export."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from bot.core.model.wall_clock import DAY_S
from bot.core.oncall.schedule import Shift, Shifts
from bot.http import Call
from bot.sources.answer import Missing, body_of
from bot.sources.sandbox import Refused, read_apart
from bot.sources.status_page import plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.http import Fetcher

CAP = 2_000_000
TIMEOUT_S = 20.0
NAME_LIMIT = 80
REMEDIES = {401: "ask for a new address", 403: "ask for a new address", 404: "check the address"}


class ShiftCalendar:
    """An iCalendar document, polled. What it remembers is lost with the process, harmlessly."""

    def __init__(self, url: str, people: Mapping[str, str], zone: str, fetcher: Fetcher) -> None:
        """Read at `url`, a secret. `people` has Slack ids by mail address or name."""
        self._call = Call(url=url, timeout_s=TIMEOUT_S, cap=CAP)
        self._people = {name.casefold(): person for name, person in people.items()}
        self._zone = zone
        self._fetcher = fetcher
        self._last: tuple[object, tuple[Shift, ...]] = (None, ())

    async def read(self) -> Shifts:
        """Poll once: from two weeks ago to two months ahead. Never raises but on cancellation."""
        now = self._fetcher.clock.now()
        try:
            body = body_of(await self._fetcher.fetch(self._call), REMEDIES)
            return Shifts(now, await self._parsed(body, now))
        except Missing as missing:
            return Shifts(now, fault=str(missing))

    async def _parsed(self, body: bytes, now: float) -> tuple[Shift, ...]:
        """Read a document once a day, or when it has changed."""
        seen = hashlib.sha256(body).digest(), now // DAY_S
        if self._last[0] != seen:
            try:
                said = await read_apart(
                    "bot.sources.oncall_calendar_parser", body, repr(now), self._zone
                )
            except Refused as refusal:
                raise Missing(refusal.reason.replace("_", " ")) from None
            except OSError:
                raise Missing("no child process") from None
            self._last = seen, tuple(self._shift(row) for row in said["shifts"])
        return self._last[1]

    def _shift(self, row: Mapping[str, Any]) -> Shift:
        person = person_of(row["who"], row["summary"], self._people)
        name = "" if person else plain(row["summary"], NAME_LIMIT)
        return Shift(person, row["since"], row["until"], name)


def person_of(who: list[str], summary: str, people: Mapping[str, str]) -> str:
    """Return whom an entry means: an attendee, else the person whom its title names first.

    Args:
        who: mail addresses and names of those who attend.
        summary: the entry's title: `On Call - Anna Smith - Primary`.
        people: ids by mail address or name, in small letters.
    """
    for attendee in who:
        if attendee.casefold() in people:
            return people[attendee.casefold()]
    title = summary.casefold()
    found = [
        (match.start(), -len(name), person)
        for name, person in people.items()
        if (match := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", title))
    ]
    return min(found)[2] if found else ""
