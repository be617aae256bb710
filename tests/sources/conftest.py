from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from bot.core.model.observation import FEED, Target
from bot.http import HttpRequest, HttpResult
from bot.sources.status_page import StatusFeed

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 4, 22, 20, 30, tzinfo=UTC).timestamp()
URL = "https://status.test/feed"
NOTHING = HttpResult(at=NOW, latency_s=0.1, timings=())
INCIDENT = (
    "<p><small>Apr 22, 20:14 UTC</small><br><strong>Monitoring</strong> - A fix is in.</p>"
    "<p><small>Apr 22, 19:40 UTC</small><br><strong>Investigating</strong> - Logins fail.</p>"
)


@dataclass
class FixedClock:
    """A clock that is set by hand."""

    at: float = NOW
    speed: float = 1.0

    def now(self) -> float:
        return self.at

    async def sleep(self, span_s: float) -> None:
        self.at += span_s


class Direct:
    """A network that needs no DNS lookup, and so no thread that may be late."""

    async def resolve(self, host: str, port: int) -> list[tuple[str, int]]:
        return [(host, port)]

    async def before_connect(self, host: str) -> None:
        assert host


@dataclass
class Web:
    """Answers every request with `answer`, and records its headers."""

    answer: HttpResult = field(default=NOTHING)
    sent: list[Mapping[str, str]] = field(default_factory=list)

    async def __call__(self, call: HttpRequest) -> HttpResult:
        assert call.url == URL
        self.sent.append(call.headers)
        return self.answer

    def reply(self, **what: Any) -> None:
        self.answer = replace(NOTHING, **what)

    def serve(self, body: bytes, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.reply(status=200, headers=named, body=body)


class Atom(Protocol):
    """Builds a document like status.auth0.com `/feed`."""

    def __call__(self, *bodies: str, updated: str = ..., entry_updated: str = ...) -> bytes: ...


def make_atom(
    *bodies: str,
    updated: str = "2026-04-22T20:15:12.000Z",
    entry_updated: str = "2026-04-22T20:15:12.000Z",
) -> bytes:
    entries = "".join(
        f"""<entry><title type="html"><![CDATA[Login errors {number}]]></title><id>id{number}</id>
        <link href="https://status.auth0.com/incidents/id{number}"/>
        <updated>{entry_updated}</updated>
        <content type="html"><![CDATA[{body}]]></content></entry>"""
        for number, body in enumerate(bodies)
    )
    return f"""<?xml version="1.0" encoding="utf-8"?>
        <feed xmlns="http://www.w3.org/2005/Atom"><id>https://status.auth0.com</id>
        <title>Auth0 Status</title><updated>{updated}</updated>
        <generator>https://github.com/jpmonette/feed</generator>{entries}</feed>""".strip().encode()


@pytest.fixture(scope="session")
def atom() -> Atom:
    return make_atom


@pytest.fixture(scope="session")
def incident() -> str:
    return INCIDENT


@pytest.fixture(scope="session")
def now() -> float:
    return NOW


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def feed(web: Web, clock: FixedClock) -> StatusFeed:
    return StatusFeed(Target(FEED, "US-1"), HttpRequest(url=URL, timeout_s=20), web, clock)
