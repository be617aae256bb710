"""Polls who is on call from a calendar that PagerDuty, Opsgenie or Google exports."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from bot.core.model.wall_clock import DAY_S
from bot.core.oncall import Shift, Shifts
from bot.http import HttpRequest
from bot.sources.answer import NoUsableAnswer, require_body
from bot.sources.sandbox import DocumentRefused, parse_in_sandbox
from bot.sources.status_page import to_plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.http import Fetcher

CAP = 2_000_000
TIMEOUT_S = 20.0
NAME_LIMIT = 80
REMEDIES = {401: "ask for a new address", 403: "ask for a new address", 404: "check the address"}


class ShiftCalendar:
    """Polls an iCalendar document. A restart loses only what it caches."""

    def __init__(self, url: str, people: Mapping[str, str], zone: str, fetcher: Fetcher) -> None:
        """Poll `url`, a secret. `people` maps mail addresses and names to Slack ids."""
        self._request = HttpRequest(url=url, timeout_s=TIMEOUT_S, cap=CAP)
        self._people = {fold_name(name): person for name, person in people.items()}
        self._zone = zone
        self._fetcher = fetcher
        self._last_parsed: tuple[object, tuple[Shift, ...]] = (None, ())

    async def poll(self) -> Shifts:
        """Poll the shifts from two weeks ago to two months ahead. Never raises but on cancel."""
        now = self._fetcher.clock.now()
        try:
            body = require_body(await self._fetcher.fetch(self._request), REMEDIES)
            return Shifts(now, await self._parse(body, now))
        except NoUsableAnswer as error:
            return Shifts(now, fault=str(error))

    async def _parse(self, body: bytes, now: float) -> tuple[Shift, ...]:
        """Parse a document once a day, and when it has changed."""
        version = hashlib.sha256(body).digest(), now // DAY_S
        if self._last_parsed[0] != version:
            try:
                document = await parse_in_sandbox(
                    "bot.sources.oncall_calendar_parser", body, repr(now), self._zone
                )
            except DocumentRefused as refusal:
                raise NoUsableAnswer(refusal.reason.replace("_", " ")) from None
            except OSError:
                raise NoUsableAnswer("no child process") from None
            self._last_parsed = version, tuple(map(self._to_shift, document["shifts"]))
        return self._last_parsed[1]

    def _to_shift(self, row: Mapping[str, Any]) -> Shift:
        person = find_person(row["attendees"], row["summary"], self._people, row["declined"])
        name = "" if person else to_plain_text(row["summary"], NAME_LIMIT)
        return Shift(person, row["since"], row["until"], name)


def fold_name(name: str) -> str:
    """Return a name so that it compares equal however its letters are cased and composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def find_person(
    attendees: list[str], summary: str, people: Mapping[str, str], declined: Iterable[str] = ()
) -> str:
    """Return the id of an event's person: an attendee, else the first person in its title.

    Args:
        attendees: the mail addresses and names of those who did not decline.
        summary: the event's title: `On Call - Anna Smith - Primary`.
        people: ids by mail address or name, folded.
        declined: the mail addresses and names of those who declined: they are not on call.
    """
    absent = {people.get(fold_name(one)) for one in declined}
    for attendee in attendees:
        if person := people.get(fold_name(attendee)):
            return person
    title = fold_name(summary)
    found = [
        (match.start(), -len(name), person)
        for name, person in people.items()
        if person not in absent and (match := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", title))
    ]
    return min(found)[2] if found else ""
