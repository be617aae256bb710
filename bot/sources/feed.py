"""A status feed, polled: what it shows now, and whether that can be believed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.core.model import Fault, FeedReading, FeedState, Notice, Phase, Stage, Target
from bot.sources.apart import read_apart
from bot.sources.child import Refused
from bot.sources.feed_notice import steady

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.fetch import Call, Reply
    from bot.ports import Clock

    Fetch = Callable[[Call], Awaitable[Reply]]

ACCEPT = {"accept": "application/atom+xml, application/rss+xml, application/xml;q=0.9, */*;q=0.1"}
DAY_S = 86_400.0
"""Once a day all is asked for anew, since servers with wrong ETags exist; and what the feed
has denied for a day has been withdrawn."""
PARSE_S = 10.0
OK = 200
NOT_MODIFIED = 304
VALIDATOR_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Document:
    """A feed that could be read."""

    updated: float | None
    """By its own account."""
    newest: float | None
    """When its newest entry was updated."""
    notices: tuple[Notice, ...]

    def is_older(self, other: Document) -> bool:
        """Whether one of its two dates lies before the other document's."""
        pairs = ((self.updated, other.updated), (self.newest, other.newest))
        return any(mine is not None and its is not None and mine < its for mine, its in pairs)


@dataclass(frozen=True, slots=True)
class Kept:
    """The last document with entries, and how to ask whether it is still the same."""

    document: Document
    validators: Mapping[str, str]
    sent_at: float
    """When it last came in full."""
    confirmed_at: float
    """When we last heard that it holds."""


class StatusFeed:
    """One environment's status feed. What it remembers is lost with the process, harmlessly."""

    def __init__(self, target: Target, call: Call, fetch: Fetch, clock: Clock) -> None:
        """Poll by `call`, a GET, whose address may carry a token (Private Cloud)."""
        self._target = target
        self._call = call
        self._fetch = fetch
        self._clock = clock
        self._kept: Kept | None = None
        self._last: tuple[str, Document] | None = None

    async def read(self) -> FeedReading:
        """Poll once. Never raises but on cancellation."""
        now = self._clock.now()
        conditions = self._conditions(now)
        answer = await self._fetch(replace(self._call, headers={**ACCEPT, **conditions}))
        if answer.blind:
            return self._reading(now, FeedState.UNREACHABLE, blind=answer.blind)
        if self._kept and conditions and answer.status == NOT_MODIFIED:
            self._kept = replace(self._kept, confirmed_at=now)
            return self._reading(now, FeedState.OK, notices=self._kept.document.notices)
        if answer.fault or answer.status != OK:
            fault = answer.fault or _fault(f"http_{answer.status}", answer.status)
            return self._reading(now, FeedState.UNREACHABLE, fault=fault)
        try:
            return self._judge(answer, await self._parse(answer.body, now), now)
        except OSError:
            return self._reading(now, FeedState.UNREACHABLE, blind="no_child_process")

    def _conditions(self, now: float) -> Mapping[str, str]:
        if self._kept is None or now - self._kept.sent_at >= DAY_S:
            return {}
        return self._kept.validators

    async def _parse(self, body: bytes, now: float) -> Document | Fault:
        digest = hashlib.sha256(body).hexdigest()
        if self._last and self._last[0] == digest:
            return self._last[1]
        document = await parse(body, now)
        if isinstance(document, Document):
            self._last = digest, document
        return document

    def _judge(self, answer: Reply, document: Document | Fault, now: float) -> FeedReading:
        if isinstance(document, Fault):
            return self._reading(now, FeedState.UNREADABLE, fault=document)
        if self._kept:
            if now - self._kept.confirmed_at < DAY_S and document.is_older(self._kept.document):
                return self._reading(now, FeedState.STALE)
            notices = steady(document.notices, self._kept.document.notices)
            document = replace(document, notices=notices)
        if not document.notices:
            return self._reading(now, FeedState.EMPTY)
        self._kept = Kept(document, _validators(answer.headers), sent_at=now, confirmed_at=now)
        return self._reading(now, FeedState.OK, notices=document.notices)

    def _reading(self, now: float, state: FeedState, **rest: Any) -> FeedReading:
        return FeedReading(self._target, now, state, **rest)


async def parse(body: bytes, now: float, *, within_s: float = PARSE_S) -> Document | Fault:
    """Parse in a child process, which is killed after `within_s` real seconds.

    Raises OSError where no process can be started.
    """
    try:
        said = await read_apart("bot.sources.feed_parser", body, repr(now), within_s=within_s)
    except Refused as refusal:
        return _fault(refusal.reason, description=refusal.detail)
    notices = [Notice(**{**row, "phase": Phase(row["phase"])}) for row in said["notices"]]
    return Document(said["updated"], said["newest"], tuple(notices))


def _validators(headers: Mapping[str, str]) -> dict[str, str]:
    """Take what makes the next request conditional: foreign text that goes back in a header."""
    names = {"if-none-match": "etag", "if-modified-since": "last-modified"}
    return {
        ours: value
        for ours, theirs in names.items()
        if (value := headers.get(theirs, "")) and value.isascii() and len(value) < VALIDATOR_LIMIT
    }


def _fault(reason: str, status: int = OK, description: str = "") -> Fault:
    return Fault(Stage.HTTP, reason, status=status, description=description)
