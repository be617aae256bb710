"""Polls Auth0's status feed and reads what its entries say now.

Auth0 has one entry per incident; it grows by a paragraph with every update, newest first
(status.auth0.com `/feed` and `/rss`, as public parsers' fixtures show them, 2026-10):
`<p><small>Apr 22, 20:14 UTC</small><br><strong>Resolved</strong> - text</p>`.
A word anywhere in the body proves nothing: what was reopened still contains "Resolved".
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
from bot.sources.sandbox import DocumentRefused, parse_in_sandbox

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.http import HttpRequest, HttpResult
    from bot.ports import Clock

TITLE_LIMIT = 200
TEXT_LIMIT = 500
STATUS_INCIDENTS_LIMIT = 100
"""The newest are kept; a history longer than that tells nothing about now."""
OLDEST_S = 30 * DAY_S
"""Dates are hints: what claims to be older counts as this old."""
CLOCK_SKEW_S = DAY_S
"""How far the sender's clocks may disagree."""

PHASE_BY_WORD = {
    "investigating": Phase.INVESTIGATING,
    "identified": Phase.IDENTIFIED,
    "monitoring": Phase.MONITORING,
    "resolved": Phase.RESOLVED,
    "postmortem": Phase.RESOLVED,
    "scheduled": Phase.SCHEDULED,
    "inprogress": Phase.IN_PROGRESS,
    "verifying": Phase.VERIFYING,
    "completed": Phase.COMPLETED,
}
"""By word, without case and separators. Other words ("Update") leave the phase as it was."""
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
    rf"|Scheduled|In[ _]progress|Verifying|Completed){_ENDS}",
    re.MULTILINE | re.IGNORECASE,
)


class FeedEntry(NamedTuple):
    """One entry as the feed has it: foreign text and markup, of any length."""

    id: str = ""
    title: str = ""
    link: str = ""
    published: str = ""
    updated: str = ""
    body: str = ""


class StatusUpdate(NamedTuple):
    """One update of an incident."""

    phase: Phase | None
    """None: the word names no phase, so the phase stayed what it was."""
    at: float | None
    text: str


def parse_entry(entry: FeedEntry, now: float) -> StatusIncident:
    """Read an entry: all texts plain and cut, no instant after `now`."""
    changed = parse_instant(entry.updated)
    latest = changed if changed is not None and changed <= now + CLOCK_SKEW_S else now
    told = parse_updates(entry.body, latest)
    phase, since = _find_phase(told)
    dates = [paragraph.at for paragraph in reversed(told)]
    updated_at = _first_date([since, changed], now)
    posted_at = _first_date([*dates, parse_instant(entry.published), changed], now)
    return StatusIncident(
        id=to_plain_text(entry.id, TITLE_LIMIT) or _fingerprint(entry),
        title=to_plain_text(entry.title, TITLE_LIMIT),
        phase=phase,
        text=told[0].text if told else to_plain_text(entry.body, TEXT_LIMIT),
        link=entry.link if _LINK.fullmatch(entry.link) else "",
        posted_at=min(posted_at, updated_at),
        updated_at=updated_at,
    )


def keep_newest(notices: list[StatusIncident]) -> tuple[StatusIncident, ...]:
    """One notice per id, the newest first."""
    ordered = sorted(notices, key=lambda each: each.updated_at, reverse=True)
    by_id: dict[str, StatusIncident] = {}
    for each in ordered:
        by_id.setdefault(each.id, each)
    return tuple(by_id.values())[:STATUS_INCIDENTS_LIMIT]


def keep_times(
    notices: tuple[StatusIncident, ...], before: tuple[StatusIncident, ...]
) -> tuple[StatusIncident, ...]:
    """Keep the times of what is in the same phase as before: an edit is no news."""
    known = {(each.id, each.phase): each for each in before}
    return tuple(
        replace(each, posted_at=old.posted_at, updated_at=old.updated_at)
        if (old := known.get((each.id, each.phase)))
        else each
        for each in notices
    )


def parse_updates(body: str, latest: float) -> list[StatusUpdate]:
    """Split a body into updates, newest first; `latest` tells the year, which the feed omits."""
    lines = map(_strip_markup, _BREAK.sub("\n", body).splitlines())
    text = "\n".join(filter(None, lines))
    # Where updates are dated, a line "Resolved: EU-1" is part of one and begins none.
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
    """Readable text: no tags, one level of entities, nothing invisible, at most `limit` long."""
    return _truncate(_strip_markup(_BREAK.sub(" ", markup)), limit)


def parse_instant(text: str) -> float | None:
    """Read an ISO 8601 or RFC 2822 date from 1970 on that names its offset; else None.

    feedparser's own reader takes BST and CEST for UTC (6.0.14), an hour or two wrong.
    """
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with suppress(ValueError, OverflowError, TypeError, IndexError):
            moment = read(text[:100])
            if moment.tzinfo and moment.timestamp() >= 0:
                return moment.timestamp()
    return None


def _strip_markup(line: str) -> str:
    # int() refuses a character reference of over 4,300 digits, so no text gets that far.
    text = html.unescape(_TAG.sub("", line)[:4_000])
    return " ".join("".join(each for each in text if each.isprintable() or each.isspace()).split())


def _truncate(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"


def _find_phase(told: list[StatusUpdate]) -> tuple[Phase, float | None]:
    """Find the phase by the newest word that names one, and since when it has been that."""
    known = [each for each in told if each.phase]
    phase = known[0].phase if known else None
    run = list(takewhile(lambda each: each.phase is phase, known)) or told[-1:]
    return phase or Phase.UNKNOWN, run[-1].at if run else None


def _parse_date(head: re.Match[str], latest: float) -> float | None:
    """Read a paragraph's date, in the last year in which it is not after `latest`."""
    year, month = datetime.fromtimestamp(latest, UTC).year, MONTHS.index(head["month"]) + 1
    day, hour, minute = (int(head[key]) for key in ("day", "hour", "minute"))
    for candidate in (year + 1, year, year - 1):
        with suppress(ValueError):
            at = datetime(candidate, month, day, hour, minute, tzinfo=UTC).timestamp()
            if at <= latest + CLOCK_SKEW_S:
                return at
    return None


def _first_date(dates: list[float | None], now: float) -> float:
    """Take the first date there is, at most now and at least `OLDEST_S` ago; without one, now."""
    date = next((each for each in dates if each is not None), now)
    return min(max(date, now - OLDEST_S), now)


def _fingerprint(entry: FeedEntry) -> str:
    return hashlib.sha256(f"{entry.link}\n{entry.title}".encode(errors="replace")).hexdigest()[:32]


if TYPE_CHECKING:
    Fetch = Callable[[HttpRequest], Awaitable[HttpResult]]

ACCEPT = {"accept": "application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.1"}
"""Once a day all is asked for anew, since servers with wrong ETags exist; and what the feed
has denied for a day has been withdrawn."""
PARSE_S = 10.0
OK = 200
NOT_MODIFIED = 304
VALIDATOR_LIMIT = 500


@dataclass(frozen=True, slots=True)
class FeedDocument:
    """A feed that could be read."""

    updated: float | None
    """By its own account."""
    newest: float | None
    """When its newest entry was updated."""
    status_incidents: tuple[StatusIncident, ...]

    def is_older(self, other: FeedDocument) -> bool:
        """Whether one of its two dates lies before the other document's."""
        pairs = ((self.updated, other.updated), (self.newest, other.newest))
        return any(mine is not None and its is not None and mine < its for mine, its in pairs)


@dataclass(frozen=True, slots=True)
class CachedDocument:
    """The last document with entries, and how to ask whether it is still the same."""

    document: FeedDocument
    validators: Mapping[str, str]
    sent_at: float
    """When it last came in full."""
    confirmed_at: float
    """When we last heard that it holds."""


class StatusFeed:
    """One environment's status feed. What it remembers is lost with the process, harmlessly."""

    def __init__(self, target: Target, call: HttpRequest, fetch: Fetch, clock: Clock) -> None:
        """Poll by `call`, a GET, whose address may carry a token (Private Cloud)."""
        self._target = target
        self._request = call
        self._fetch = fetch
        self._clock = clock
        self._cached: CachedDocument | None = None
        self._last_parsed: tuple[str, FeedDocument] | None = None

    async def poll(self) -> FeedReading:
        """Poll once. Never raises but on cancellation."""
        now = self._clock.now()
        conditions = self._conditional_headers(now)
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
            fault = answer.fault or _http_fault(f"http_{answer.status}", answer.status)
            return self._build_reading(now, FeedState.UNREACHABLE, fault=fault)
        try:
            return self._evaluate(answer, await self._parse(answer.body, now), now)
        except OSError:
            return self._build_reading(
                now, FeedState.UNREACHABLE, no_data_reason="no_child_process"
            )

    def _conditional_headers(self, now: float) -> Mapping[str, str]:
        if self._cached is None or now - self._cached.sent_at >= DAY_S:
            return {}
        return self._cached.validators

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
            notices = keep_times(document.status_incidents, self._cached.document.status_incidents)
            document = replace(document, status_incidents=notices)
        if not document.status_incidents:
            return self._build_reading(now, FeedState.EMPTY)
        self._cached = CachedDocument(
            document, _validators(answer.headers), sent_at=now, confirmed_at=now
        )
        return self._build_reading(now, FeedState.OK, status_incidents=document.status_incidents)

    def _build_reading(self, now: float, state: FeedState, **rest: Any) -> FeedReading:
        return FeedReading(self._target, now, state, **rest)


async def parse_feed_in_sandbox(
    body: bytes, now: float, *, within_s: float = PARSE_S
) -> FeedDocument | Fault:
    """Parse in a child process, which is killed after `within_s` real seconds.

    Raises OSError where no process can be started.
    """
    try:
        said = await parse_in_sandbox(
            "bot.sources.status_page_parser", body, repr(now), within_s=within_s
        )
    except DocumentRefused as refusal:
        return _http_fault(refusal.reason, description=refusal.detail)
    notices = [StatusIncident(**{**row, "phase": Phase(row["phase"])}) for row in said["notices"]]
    return FeedDocument(said["updated"], said["newest"], tuple(notices))


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    """Take what makes the next request conditional: foreign text that goes back in a header."""
    names = {"if-none-match": "etag", "if-modified-since": "last-modified"}
    return {
        ours: value
        for ours, theirs in names.items()
        if (value := headers.get(theirs, "")) and value.isascii() and len(value) < VALIDATOR_LIMIT
    }


def _http_fault(reason: str, status: int = OK, description: str = "") -> Fault:
    return Fault(Stage.HTTP, reason, status=status, description=description)
