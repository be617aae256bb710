"""Sentry's API by the shapes that its own tests and documentation record."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.app.clock import SystemClock
from bot.config.settings_sources import Errors, Sentry
from bot.core.model.measurement import Group, Measurement
from bot.core.model.observation import Target
from bot.http import Fetcher, HttpResult, LoopLag
from bot.sources.answer import NoUsableAnswer
from bot.sources.sentry import REMEDIES, SentryEvents, count_by_pattern
from tests.sources.conftest import Direct
from tests.steady import pass_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

WEB = Target("prod", "web")
TOKEN = "canary-token"
NEVER_LATE = 60.0
META = {
    "fields": {"title": "string", "count()": "integer"},
    "units": {"title": None, "count()": None},
    "isMetricsData": False,
    "isMetricsExtractedData": False,
    "tips": {},
    "datasetReason": "unchanged",
    "dataset": "errors",
}
NO_PROJECT = {"data": [], "meta": {"tips": {"query": "Need at least one valid project to query."}}}


def table(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"data": list(rows), "meta": META}


class Make(Protocol):
    def __call__(
        self,
        url: str,
        environment: str | None = ...,
        ca_file: str | None = ...,
    ) -> SentryEvents: ...


@pytest.fixture
def make() -> Make:
    """Builds a source that queries a URL."""

    def build(
        url: str,
        environment: str | None = "production",
        ca_file: str | None = None,
    ) -> SentryEvents:
        server = Sentry(url=url, organization="acme", token=SecretStr(TOKEN))
        server = server.model_copy(update={"ca_file": ca_file})
        errors = Errors(
            name=WEB.name,
            project="4711",
            query="dependency:auth0 level:error",
            environment=environment,
        )
        fetcher = Fetcher(SystemClock(), Direct(), LoopLag(NEVER_LATE))
        return SentryEvents(WEB, server, errors, fetcher)

    return build


@dataclass
class Double:
    """Answers the query for all events and the one by title, and records the requests."""

    url: str = ""
    all: web.Response | dict[str, Any] | None = None
    by_title: dict[str, Any] = field(default_factory=table)
    asked: list[dict[str, list[str]]] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        asked = {name: request.query.getall(name) for name in request.query}
        self.asked.append(asked)
        self.headers.append(request.headers["Authorization"])
        if self.all is None:
            await pass_time(60)
            await asyncio.sleep(3600)
        if isinstance(self.all, web.Response):
            return web.Response(
                status=self.all.status, body=self.all.body, headers=self.all.headers
            )
        return web.json_response(self.by_title if "title" in asked["field"] else self.all)


@pytest.fixture
async def double() -> AsyncIterator[Double]:
    made = Double()
    app = web.Application()
    app.router.add_get("/api/0/organizations/acme/events/", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


async def test_counted(double: Double, make: Make) -> None:
    """All events are counted; titles that match the same pattern are one group, the largest first.

    No part of a title is stored.
    """
    double.all = table({"count()": 900})
    double.by_title = table(
        {"title": "ReadTimeout: ada@example.com: timed out", "count()": 40},
        {"title": "TypeError: x is undefined", "count()": 30},
        {"title": "HTTPError: 429 Client Error: Too Many Requests", "count()": 25},
        {"title": "TimeoutError: The operation timed out", "count()": 20},
        {"title": "", "count()": 1},
    )
    seen = await make(double.url).measure()
    assert (seen.target, seen.no_data_reason, seen.span_s) == (WEB, "", 120)
    assert (seen.failed, seen.total) == (900, None)
    assert seen.groups == (
        Group("", 60, "timeout"),
        Group("", 31),
        Group("", 25, "rate_limit"),
    )
    assert "ada" not in repr(seen)


async def test_asked(double: Double, make: Make) -> None:
    """Both queries are for the same events in the window; the token is only in the header."""
    double.all = table({"count()": 0})
    source = make(double.url)
    await source.measure()
    every, titles = sorted(double.asked, key=len)
    same = {
        "project": ["4711"],
        "query": ["dependency:auth0 level:error"],
        "environment": ["production"],
        "dataset": ["errors"],
        "statsPeriod": ["120s"],
    }
    assert every == {**same, "field": ["count()"]}
    assert titles == {
        **same,
        "field": ["title", "count()"],
        "sort": ["-count()"],
        "per_page": ["100"],
    }
    assert double.headers == 2 * [f"Bearer {TOKEN}"]
    assert TOKEN not in repr(source)


async def test_no_environment(double: Double, make: Make) -> None:
    """Without an environment all are queried: an empty one would be Sentry's "(no name)"."""
    double.all = table({"count()": 0})
    await make(double.url, environment=None).measure()
    assert not any("environment" in asked for asked in double.asked)


@pytest.mark.parametrize("answer", [table({"count()": 0}), table()])
async def test_no_events(double: Double, make: Make, answer: dict[str, Any]) -> None:
    """A query that ran and found nothing counted 0."""
    double.all = answer
    seen = await make(double.url).measure()
    assert (seen.no_data_reason, seen.failed, seen.groups) == ("", 0, ())


async def test_no_project(double: Double, make: Make) -> None:
    """A token that sees no project gets an empty 200, which is not "no events"."""
    double.all = NO_PROJECT
    seen = await make(double.url).measure()
    assert seen == Measurement(WEB, seen.at, no_data_reason="no project is visible to the token")


@pytest.mark.parametrize(
    ("status", "text", "missing"),
    [
        (200, "<html>", "not JSON"),
        (200, '{"data": [{"count()": null}]}', "unexpected answer"),
        (200, json.dumps(table({"count()": -1})), "unexpected answer"),
        (200, json.dumps({**table(), "pad": "x" * 1_000_000}), "too large"),
        (302, "", "HTTP 302: it has moved, or wants a person to log in"),
        (400, '{"detail": "Parse error at canary"}', "HTTP 400: bad query"),
        (401, '{"detail": "Invalid token"}', "HTTP 401: check the token"),
        (
            403,
            '{"detail": "You do not have permission to perform this action."}',
            "HTTP 403: check the scopes and the project",
        ),
        (
            404,
            '{"detail": "The requested resource does not exist"}',
            "HTTP 404: check the organization and the environment",
        ),
        (
            429,
            '{"detail": "You are attempting to use this endpoint"}',
            "HTTP 429: too many requests",
        ),
        (500, '{"detail": "Internal Error", "errorId": "canary"}', "HTTP 500"),
        (504, "", "HTTP 504"),
    ],
)
async def test_useless_answer(
    double: Double, make: Make, status: int, text: str, missing: str
) -> None:
    """Each kind of failure has its text, without any words of the answer."""
    double.all = web.Response(status=status, text=text)
    seen = await make(double.url).measure()
    assert seen == Measurement(WEB, seen.at, no_data_reason=missing)


async def test_silence(double: Double, make: Make) -> None:
    """A server that does not answer is reported in time."""
    assert (await make(double.url).measure()).no_data_reason == "timeout read"


async def test_ca_file(double: Double, make: Make, tmp_path: Path) -> None:
    """A server of one's own may have its own authority; an unreadable file is our error."""
    events = make(double.url, ca_file=str(tmp_path / "none.pem"))
    assert (await events.measure()).no_data_reason == "the CA file cannot be read"


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://sentry.io", "https://acme.sentry.io/issues/?"),
        ("https://de.sentry.io", "https://acme.sentry.io/issues/?"),
        ("https://acme.sentry.io", "https://acme.sentry.io/issues/?"),
        ("https://evilsentry.io/at", "https://evilsentry.io/at/organizations/acme/issues/?"),
    ],
)
def test_link(make: Make, url: str, page: str) -> None:
    """The link leads people to the issues that the query finds."""
    assert make(url)._link == (
        f"{page}project=4711&query=dependency%3Aauth0%20level%3Aerror"
        "&environment=production&statsPeriod=1h"
    )


async def test_link_is_https(double: Double, make: Make) -> None:
    """A Sentry without TLS gets no link: only https links are shown."""
    double.all = table({"count()": 1})
    assert (await make(double.url).measure()).link == ""


def test_page() -> None:
    """The page explains each status that has a remedy."""
    page = (Path(__file__).parents[2] / "docs" / "sentry.md").read_text()
    assert [
        f"HTTP {status}: {told}"
        for status, told in REMEDIES.items()
        if f"`HTTP {status}: {told}`" not in page
    ] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
ROW = st.fixed_dictionaries({"count()": st.integers() | JSON}, optional={"title": JSON})
SHAPED = st.fixed_dictionaries({"data": st.lists(ROW | JSON) | JSON, "meta": st.just(META) | JSON})
REPLY = HttpResult(at=0, latency_s=0, timings=(), status=200)


@given(body=st.binary() | (JSON | SHAPED).map(lambda document: json.dumps(document).encode()))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_malformed(body: bytes) -> None:
    """Every answer gives counts or no data: never another exception."""
    with suppress(NoUsableAnswer):
        counts = count_by_pattern(replace(REPLY, body=body))
        assert float(counts.total()) >= 0
