"""Polls Auth0's status feed and parses the current state of its status incidents.

Auth0 has one entry per incident; it grows by a paragraph with every update, newest first
(status.auth0.com `/feed` and `/rss`, as public parsers' fixtures show them, 2026-10):
`<p><small>Apr 22, 20:14 UTC</small><br><strong>Resolved</strong> - text</p>`.
A word anywhere in the body proves nothing: a reopened incident still contains "Resolved".
"""

from __future__ import annotations

import hashlib
import html
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.core.model.observation import (
    Fault,
    FeedReading,
    FeedState,
    Phase,
    Stage,
    StatusIncident,
    Target,
)
from bot.core.model.wall_clock import DAY_S
from bot.sources.sandbox import PARSE_S, DocumentRefused, parse_in_sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.http import Fetch, HttpRequest, HttpResult
    from bot.ports import Clock

TITLE_LIMIT = 200
TEXT_LIMIT = 500
STATUS_INCIDENTS_LIMIT = 100
"""The newest are kept; a longer history says nothing about now."""
OLDEST_S = 30 * DAY_S
"""Foreign dates are only hints: an older one counts as this old."""
CLOCK_SKEW_S = DAY_S
"""How wrong the sender's clock may be."""

PHASE_BY_WORD = {
    "investigating": Phase.INVESTIGATING,
    "identified": Phase.IDENTIFIED,
    "monitoring": Phase.MONITORING,
    "resolved": Phase.RESOLVED,
    "postmortem": Phase.RESOLVED,
    "falsealarm": Phase.RESOLVED,
    "scheduled": Phase.SCHEDULED,
    "inprogress": Phase.IN_PROGRESS,
    "verifying": Phase.VERIFYING,
    "completed": Phase.COMPLETED,
    "cancelled": Phase.COMPLETED,
    "canceled": Phase.COMPLETED,
}
"""By word, without case and separators. Other words ("Update") do not change the phase."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_BREAK = re.compile(r"</?(?:p|br|hr|div|li|ul|ol|tr|h[1-6]|blockquote)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]*>")
_LINK = re.compile(r"https://[a-zA-Z0-9.-]+(?::\d+)?(?:[/?#][!#-;=?-{}~]{0,1000})?")
_ENDS = r"(?:\s*[:\u2013\u2014]\s|\s+-\s|\s*$)"
_DATED = re.compile(
    rf"^(?P<month>{'|'.join(MONTHS)})[a-z]{{0,6}} (?P<day>\d{{1,2}}), "
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d) UTC"
    rf"\s*(?:-\s)?(?P<word>[A-Za-z][A-Za-z _-]{{2,29}}?){_ENDS}",
    re.MULTILINE,
)
_UNDATED = re.compile(
    r"^(?:Status: )?(?P<word>Update|Investigating|Identified|Monitoring|Resolved|Post-?mortem"
    rf"|Scheduled|In[ _]progress|Verifying|Completed|False alarm|Cancell?ed){_ENDS}",
    re.MULTILINE | re.IGNORECASE,
)


class FeedEntry(NamedTuple):
    """An entry as it is in the feed: foreign text and markup, of any length."""

    id: str = ""
    title: str = ""
    link: str = ""
    published: str = ""
    updated: str = ""
    body: str = ""


class StatusUpdate(NamedTuple):
    """An update of a status incident."""

    phase: Phase | None
    """None: its word names no phase, so the phase did not change."""
    at: float | None
    text: str


def parse_entry(entry: FeedEntry, now: float) -> StatusIncident:
    """Parse an entry: all texts plain and cut, no time after `now`."""
    changed = parse_instant(entry.updated)
    latest = changed if changed is not None and changed <= now + CLOCK_SKEW_S else now
    updates = parse_updates(entry.body, latest)
    known = [each for each in updates if each.phase]
    phase = known[0].phase if known else None
    same = list(takewhile(lambda each: each.phase is phase, known)) or updates[-1:]
    dates = [update.at for update in reversed(updates)]
    updated_at = _first_date([*(each.at for each in same[-1:]), changed], now)
    posted_at = _first_date([*dates, parse_instant(entry.published), changed], now)
    fingerprint = hashlib.sha256(f"{entry.link}\n{entry.title}".encode(errors="replace"))
    return StatusIncident(
        id=to_plain_text(entry.id, TITLE_LIMIT) or fingerprint.hexdigest()[:32],
        title=to_plain_text(entry.title, TITLE_LIMIT),
        phase=phase or Phase.UNKNOWN,
        text=updates[0].text if updates else to_plain_text(entry.body, TEXT_LIMIT),
        link=entry.link if _LINK.fullmatch(entry.link) else "",
        posted_at=min(posted_at, updated_at),
        updated_at=updated_at,
    )


def keep_newest(incidents: list[StatusIncident]) -> tuple[StatusIncident, ...]:
    """Return one status incident per id, the newest first."""
    by_id: dict[str, StatusIncident] = {}
    for each in sorted(incidents, key=lambda each: each.updated_at, reverse=True):
        by_id.setdefault(each.id, each)
    return tuple(by_id.values())[:STATUS_INCIDENTS_LIMIT]


def keep_times(
    incidents: tuple[StatusIncident, ...], before: tuple[StatusIncident, ...]
) -> tuple[StatusIncident, ...]:
    """Keep the times of each incident that is in the same phase as before: an edit is no news."""
    known = {(each.id, each.phase): each for each in before}
    return tuple(
        replace(each, posted_at=old.posted_at, updated_at=old.updated_at)
        if (old := known.get((each.id, each.phase)))
        else each
        for each in incidents
    )


def parse_updates(body: str, latest: float) -> list[StatusUpdate]:
    """Split a body into updates, newest first; the year, which the feed omits, is by `latest`."""
    lines = map(_strip_markup, _BREAK.sub("\n", body).splitlines())
    text = "\n".join(filter(None, lines))
    # If updates have dates, a line "Resolved: EU-1" is part of one and begins none.
    heads = list(_DATED.finditer(text)) or list(_UNDATED.finditer(text))
    ends = [*(head.start() for head in heads), len(text)][1:]
    return [
        StatusUpdate(
            phase=PHASE_BY_WORD.get(re.sub(r"[ _-]", "", head["word"]).lower()),
            at=_parse_date(head, latest) if head.re is _DATED else None,
            text=_truncate(" ".join(text[head.end() : end].lstrip("\n -:").split()), TEXT_LIMIT),
        )
        for head, end in zip(heads, ends, strict=True)
    ]


def to_plain_text(markup: str, limit: int) -> str:
    """Return readable text: no tags, one level of entities unescaped, nothing invisible, cut."""
    return _truncate(_strip_markup(_BREAK.sub(" ", markup)), limit)


def parse_instant(text: str) -> float | None:
    """Parse an ISO 8601 or RFC 2822 date from 1970 on that names its offset; else None.

    feedparser itself takes BST and CEST for UTC (6.0.14), an hour or two wrong.
    """
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, OverflowError, TypeError, IndexError):
            moment = parse(text[:100])
            if moment.tzinfo and moment.timestamp() >= 0:
                return moment.timestamp()
    return None


def _strip_markup(line: str) -> str:
    # int() refuses a character reference of over 4,300 digits, so no text gets that far.
    text = html.unescape(_TAG.sub("", line)[:4_000])
    return " ".join("".join(each for each in text if each.isprintable() or each.isspace()).split())


def _truncate(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def _parse_date(head: re.Match[str], latest: float) -> float | None:
    """Parse an update's date, in the last year in which it is not after `latest`."""
    year, month = datetime.fromtimestamp(latest, UTC).year, MONTHS.index(head["month"]) + 1
    day, hour, minute = (int(head[key]) for key in ("day", "hour", "minute"))
    for candidate in (year + 1, year, year - 1):
        with suppress(ValueError):
            at = datetime(candidate, month, day, hour, minute, tzinfo=UTC).timestamp()
            if at <= latest + CLOCK_SKEW_S:
                return at
    return None


def _first_date(dates: list[float | None], now: float) -> float:
    """Return the first known date, at most now and not more than `OLDEST_S` ago; else now."""
    date = next((each for each in dates if each is not None), now)
    return min(max(date, now - OLDEST_S), now)


ACCEPT = {"accept": "application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.1"}
OK = 200
NOT_MODIFIED = 304
MOVED = "it has moved: set feed_url to its new address"
REMEDIES = {
    **dict.fromkeys((301, 302, 303, 307, 308), MOVED),
    **dict.fromkeys((401, 403), "it refuses us: check the token in feed_url"),
    **dict.fromkeys((404, 410), "it is gone: set feed_url to its new address"),
    429: "too many requests",
}
VALIDATOR_LIMIT = 500


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A feed that could be parsed."""

    updated: float | None
    """The feed's own date."""
    newest: float | None
    """The date of its newest entry."""
    status_incidents: tuple[StatusIncident, ...]

    def is_older(self, other: FeedDocument) -> bool:
        """Return whether one of its two dates is before the other document's."""
        pairs = ((self.updated, other.updated), (self.newest, other.newest))
        return any(mine is not None and its is not None and mine < its for mine, its in pairs)


@dataclass(frozen=True, slots=True)
class CachedDocument:
    """The last document with entries, and the headers to ask whether it has changed."""

    document: FeedDocument
    validators: Mapping[str, str]
    sent_at: float
    """When it was last sent in full."""
    confirmed_at: float
    """When the server last sent or confirmed it."""


class StatusFeed:
    """Polls one environment's status feed. A restart loses only what it caches.

    Once a day it requests the whole feed, since servers with wrong ETags exist; and a document that
    the feed has contradicted for a day counts as withdrawn.
    """

    def __init__(self, target: Target, request: HttpRequest, fetch: Fetch, clock: Clock) -> None:
        """Poll with `request`, a GET, whose URL may contain a token (Private Cloud)."""
        self._target = target
        self._request = request
        self._fetch = fetch
        self._clock = clock
        self._cached: CachedDocument | None = None
        self._last_parsed: tuple[str, FeedDocument] | None = None

    async def poll(self) -> FeedReading:
        """Poll once. Never raises, except when cancelled."""
        now = self._clock.now()
        is_fresh = self._cached is not None and now - self._cached.sent_at < DAY_S
        conditions = self._cached.validators if self._cached and is_fresh else {}
        answer = await self._fetch(replace(self._request, headers={**ACCEPT, **conditions}))
        if answer.no_data_reason:
            return self._build_reading(
                now, FeedState.UNREACHABLE, no_data_reason=answer.no_data_reason
            )
        if self._cached and conditions and answer.status == NOT_MODIFIED:
            self._cached = replace(self._cached, confirmed_at=now)
            return self._build_reading(
                now, FeedState.OK, status_incidents=self._cached.document.status_incidents
            )
        if answer.fault or answer.status != OK:
            remedy = REMEDIES.get(answer.status, "")
            fault = answer.fault or _http_fault(f"http_{answer.status}", answer.status, remedy)
            return self._build_reading(now, FeedState.UNREACHABLE, fault=fault)
        try:
            return self._evaluate(answer, await self._parse(answer.body, now), now)
        except OSError:
            return self._build_reading(
                now, FeedState.UNREACHABLE, no_data_reason="no_child_process"
            )

    async def _parse(self, body: bytes, now: float) -> FeedDocument | Fault:
        digest = hashlib.sha256(body).hexdigest()
        if self._last_parsed and self._last_parsed[0] == digest:
            return self._last_parsed[1]
        document = await parse_feed_in_sandbox(body, now)
        if isinstance(document, FeedDocument):
            self._last_parsed = digest, document
        return document

    def _evaluate(
        self, answer: HttpResult, document: FeedDocument | Fault, now: float
    ) -> FeedReading:
        if isinstance(document, Fault):
            return self._build_reading(now, FeedState.UNREADABLE, fault=document)
        if self._cached:
            if now - self._cached.confirmed_at < DAY_S and document.is_older(self._cached.document):
                return self._build_reading(now, FeedState.STALE)
            before = self._cached.document.status_incidents
            incidents = keep_times(document.status_incidents, before)
            document = replace(document, status_incidents=incidents)
        if not document.status_incidents:
            return self._build_reading(now, FeedState.EMPTY)
        # They make the next request conditional: foreign text that is sent back.
        names = {"if-none-match": "etag", "if-modified-since": "last-modified"}
        validators = {
            ours: value
            for ours, theirs in names.items()
            if (value := answer.headers.get(theirs, ""))
            and value.isascii()
            and len(value) < VALIDATOR_LIMIT
        }
        self._cached = CachedDocument(document, validators, sent_at=now, confirmed_at=now)
        return self._build_reading(now, FeedState.OK, status_incidents=document.status_incidents)

    def _build_reading(self, now: float, state: FeedState, **rest: Any) -> FeedReading:
        return FeedReading(self._target, now, state, **rest)


async def parse_feed_in_sandbox(
    body: bytes, now: float, *, within_s: float = PARSE_S
) -> FeedDocument | Fault:
    """Parse in a child process, which is killed after `within_s` real seconds.

    Raises OSError if no process can be started.
    """
    try:
        parsed = await parse_in_sandbox(
            "bot.sources.status_page_parser", body, repr(now), within_s=within_s
        )
    except DocumentRefused as refusal:
        return _http_fault(refusal.reason, description=refusal.detail)
    incidents = (
        StatusIncident(**{**row, "phase": Phase(row["phase"])}) for row in parsed["incidents"]
    )
    return FeedDocument(parsed["updated"], parsed["newest"], tuple(incidents))


def _http_fault(reason: str, status: int = OK, description: str = "") -> Fault:
    return Fault(Stage.HTTP, reason, status=status, description=description)
