"""The Management API as its documentation describes it, on loopback, and what it may do to us."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.config.settings import Login, Tenant
from bot.core.model.measurement import Group
from bot.core.model.observation import Target
from bot.http import Fetcher, LoopLag, SystemNetwork
from bot.sources.auth0_logs import TenantLog
from tests.sources.conftest import FixedClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LOGS = Target("prod", "logs")
DOMAIN = "acme.us.auth0.test"
READER, SECRET, PROBE = "log-reader", "canary-secret", "probe-client"
START = datetime(2026, 4, 22, 20, 30, tzinfo=UTC).timestamp()
NEVER_LATE = 60.0
ADA = {"user_name": "ada@example.com", "ip": "198.51.100.77", "user_id": "auth0|5f7c8ec7c33c"}


@dataclass
class ManagementApi:
    """A tenant's token endpoint and its log."""

    clock: FixedClock
    url: str = ""
    rows: list[dict[str, Any]] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)
    """Valid tokens, and until when."""
    issued: int = 0
    lasts_s: float = 86400
    scope: str = "read:logs"
    secret: str = SECRET
    oldest: str = ""
    """Ids below are out of retention."""
    link: Callable[[str], str] = lambda following: f'<{following}>; rel="next"'
    refuse: Callable[[], web.Response | None] = lambda: None
    """Called before each answer of the log."""
    headers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def log(self, type_: str, description: str = "", **rest: Any) -> None:
        log_id = f"900{len(self.rows):020}"
        date = datetime.fromtimestamp(self.clock.at, UTC).isoformat()
        told = {"log_id": log_id, "date": date, "type": type_, "description": description}
        self.rows.append({**told, **ADA, **rest})

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        self.asked.append("token")
        assert form["grant_type"] == "client_credentials"
        assert form["audience"] == f"https://{DOMAIN}/api/v2/"
        if (form["client_id"], form["client_secret"]) != (READER, self.secret):
            return web.json_response({"error": "access_denied"}, status=401)
        self.issued += 1
        token = f"canary-token-{self.issued}.{self.scope}"
        self.tokens[token] = self.clock.at + self.lasts_s
        return web.json_response({"access_token": token, "expires_in": self.lasts_s})

    async def logs(self, request: web.Request) -> web.Response:
        self.asked.append(request.query_string)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if self.tokens.get(token, 0.0) <= self.clock.at:
            return web.json_response({"error": "Unauthorized"}, status=401)
        if not token.endswith("read:logs"):
            return web.json_response({"errorCode": "insufficient_scope"}, status=403)
        if refused := self.refuse():
            return refused
        if "from" not in request.query:
            newest = sorted(self.rows, key=lambda row: str(row["date"]))[::-1]
            return web.json_response(newest[: int(request.query["per_page"])])
        return self._after(request.query["from"], int(request.query["take"]))

    def _after(self, checkpoint: str, take: int) -> web.Response:
        if checkpoint < self.oldest:
            return web.json_response({"message": "log_id is not known"}, status=404)
        found = [row for row in self.rows if row.get("log_id", "") > checkpoint][:take]
        last = found[-1]["log_id"] if found else checkpoint
        link = self.link(f"{self.url}/api/v2/logs?from={last}&take={take}")
        return web.json_response(found, headers={"Link": link, **self.headers})


@pytest.fixture
def ticker() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
async def api(ticker: FixedClock) -> AsyncIterator[ManagementApi]:
    made = ManagementApi(ticker)
    app = web.Application()
    app.router.add_post("/oauth/token", made.token)
    app.router.add_get("/api/v2/logs", made.logs)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made.log("s")
    yield made
    await runner.cleanup()


class Make(Protocol):
    def __call__(self, base_url: str = ...) -> TenantLog: ...


@pytest.fixture
def make(api: ManagementApi) -> Make:
    """Builds a source that polls the double."""
    fetcher = Fetcher(api.clock, SystemNetwork({}), LoopLag(NEVER_LATE))

    def build(base_url: str = api.url) -> TenantLog:
        login = Login(client_id=PROBE, username="probe", password=SecretStr("pw"))
        tenant = Tenant(name="prod", domain=DOMAIN, base_url=base_url, logins=(login,))
        return TenantLog(tenant, client_id=READER, client_secret=SECRET, fetcher=fetcher)

    return build


@pytest.fixture
async def source(make: Make) -> TenantLog:
    """A source that has set its checkpoint."""
    made = make()
    assert (await made.measure()).no_data_reason == "reading begins now"
    return made


async def test_only_what_is_new_counts(api: ManagementApi, make: Make) -> None:
    """The first poll sets the checkpoint; the next ones count the rows since then."""
    source = make()
    first = await source.measure()
    assert (first.target, first.no_data_reason, first.total) == (LOGS, "reading begins now", None)

    api.clock.at += 30
    api.log("s", environment_name="prod-us-3")
    api.log("f", "Callback URL mismatch for ada@example.com")
    api.log("sepft", client_id=PROBE)
    api.log("seccft", client_id=READER)
    seen = await source.measure()
    assert (seen.no_data_reason, seen.at, seen.span_s) == ("", START + 30, 30)
    assert (seen.failed, seen.total, seen.own_rows, seen.environment) == (1, 2, 1, "US-3")
    assert set(seen.groups) == {Group("app", 1, "callback_mismatch"), Group("success", 1)}

    api.clock.at += 60
    assert (await source.measure()).span_s == 60
    assert api.issued == 1


async def test_nothing_new(api: ManagementApi, source: TenantLog) -> None:
    """No new rows are data, too: 0. It takes one request."""
    del api.asked[:]
    seen = await source.measure()
    assert (seen.no_data_reason, seen.failed, seen.total) == ("", 0, 0)
    assert len(api.asked) == 1


async def test_an_empty_log(api: ManagementApi, make: Make) -> None:
    """An empty log has no row for a checkpoint, and the reason says so until it has one."""
    api.rows.clear()
    source = make()
    assert [(await source.measure()).no_data_reason for _ in range(2)] == ["the log is empty"] * 2

    api.log("s")
    assert (await source.measure()).no_data_reason == "reading begins now"


async def test_many_pages(api: ManagementApi, source: TenantLog) -> None:
    """Pages are followed to the end."""
    for _ in range(250):
        api.log("s")
    assert (await source.measure()).total == 250
    assert (await source.measure()).total == 0


async def test_more_than_a_poll_takes(api: ManagementApi, source: TenantLog) -> None:
    """After 10 pages the time span ends with the last row; the next poll continues from there."""
    for _ in range(120):
        api.clock.at += 1
        for _ in range(10):
            api.log("s")
    spans = [(seen.total, seen.span_s) for seen in [await source.measure() for _ in range(3)]]
    assert spans == [(1000, 100), (200, 20), (0, 1)]


async def test_too_far_behind(api: ManagementApi, source: TenantLog) -> None:
    """Rows older than ten minutes are skipped: they say nothing about now."""
    for _ in range(1100):
        api.log("s")
    api.clock.at += 700
    assert (
        await source.measure()
    ).no_data_reason == "too many rows to keep up: reading begins anew"
    api.log("s")
    assert (await source.measure()).total == 1


async def test_old_rows_are_not_counted(api: ManagementApi, source: TenantLog) -> None:
    """After 25 minutes without an answer, and if Auth0's log lags: what failed then is past."""
    for _ in range(50):
        api.log("f", "server error")
    api.log("sapi", details={"request": {"method": "patch", "path": "/api/v2/clients/abc"}})
    api.clock.at += 1500
    lagging = await source.measure()
    assert (lagging.no_data_reason, lagging.failed, len(lagging.changes)) == (
        "rows come late",
        0,
        1,
    )
    api.log("f", "server error")
    api.clock.at += 1500
    api.log("s")
    back = await source.measure()
    assert (back.no_data_reason, back.failed, back.total, back.span_s) == ("", 0, 1, 600)


@pytest.mark.parametrize(
    "link",
    ["", "<http://evil.test/api/v2/logs?from=0&take=100>; rel=next", "<>; rel=next", "x" * 5000],
)
async def test_links_elsewhere(api: ManagementApi, source: TenantLog, link: str) -> None:
    """A link that is missing, or leads to another host, is not followed; the last id is used."""
    api.link = lambda _: link
    for _ in range(150):
        api.log("s")
    assert (await source.measure()).total == 150


async def test_rows_told_twice(api: ManagementApi, source: TenantLog) -> None:
    """A row counts once, on whatever pages and polls it comes."""
    for _ in range(3):
        api.log("s")
    again = f"<{api.url}/api/v2/logs?from=0&take=100>; rel=next"
    api.link = lambda _: again
    api.rows.append(api.rows[-1])
    totals = [(await source.measure()).total for _ in range(2)]
    api.log("s")
    assert [*totals, (await source.measure()).total] == [4, 0, 1]


async def test_a_token_that_ends(api: ManagementApi, make: Make) -> None:
    """A minute before its end a token is replaced, and no answer is a 401."""
    api.lasts_s = 600
    source = make()
    for _ in range(4):
        await source.measure()
        api.clock.at += 180
    assert api.issued == 2


async def test_a_revoked_token(api: ManagementApi, source: TenantLog) -> None:
    """A token that is refused early is replaced within the same poll."""
    api.tokens.clear()
    api.log("s")
    assert (await source.measure()).total == 1
    assert api.issued == 2


async def test_a_wrong_secret(api: ManagementApi, make: Make) -> None:
    """A refused secret is reported with its remedy, and not tried again for five minutes."""
    api.secret = "rotated"
    source = make()
    told = "HTTP 401: check client_id and client_secret"
    assert [(await source.measure()).no_data_reason for _ in range(3)] == [told] * 3
    assert api.asked == ["token"]

    api.secret = SECRET
    api.clock.at += 301
    assert (await source.measure()).no_data_reason == "reading begins now"


async def test_a_missing_permission(api: ManagementApi, make: Make) -> None:
    """The permission is named; once granted, a new token is requested: the old one lacks it."""
    api.scope = "read:clients"
    source = make()
    assert (await source.measure()).no_data_reason == (
        "HTTP 403: the application needs the permission read:logs"
    )
    api.scope = "read:logs"
    api.clock.at += 301
    assert (await source.measure()).no_data_reason == "reading begins now"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "7"}, 7),
        ({"x-ratelimit-reset": str(round(START) + 12)}, 12),
        ({}, 60),
        ({"x-ratelimit-reset": "4102444800"}, 3600),
    ],
    ids=str,
)
async def test_rate_limit(
    api: ManagementApi, source: TenantLog, headers: dict[str, str], wait_s: float
) -> None:
    """Nothing is requested until the time that a 429 names; no recent row is lost by the wait."""
    api.refuse = lambda: web.json_response({}, status=429, headers=headers)
    assert (await source.measure()).no_data_reason == "HTTP 429: rate limit"
    api.refuse = lambda: None
    asked = len(api.asked)
    api.clock.at = START + wait_s - 1
    assert (await source.measure()).no_data_reason == "HTTP 429: rate limit"
    assert len(api.asked) == asked

    api.log("s")
    api.clock.at += 1
    seen = await source.measure()
    assert (seen.total, seen.span_s) == (1, min(wait_s, 600))


async def test_an_empty_bucket(api: ManagementApi, source: TenantLog) -> None:
    """With the last request of the rate limit a poll ends, to leave others theirs."""
    for _ in range(150):
        api.log("s")
    api.headers = {"x-ratelimit-remaining": "0"}
    assert [(await source.measure()).total for _ in range(3)] == [100, 50, 0]


async def test_trouble_after_the_first_page(api: ManagementApi, source: TenantLog) -> None:
    """Rows read before a failure count; the failure is reported if no row could be read."""
    for _ in range(150):
        api.clock.at += 1
        api.log("s")
    answers = [None, web.json_response({}, status=503), web.json_response({}, status=503)]
    api.refuse = lambda: answers.pop(0) if answers else None
    seen = [await source.measure() for _ in range(3)]
    assert [(each.total, each.span_s, each.no_data_reason) for each in seen] == [
        (100, 100, ""),
        (None, 0, "HTTP 503"),
        (50, 50, ""),
    ]


async def test_a_place_that_is_lost(api: ManagementApi, source: TenantLog) -> None:
    """A checkpoint out of retention is replaced by the newest row, and the reason says so."""
    api.log("s")
    api.oldest = api.rows[-1]["log_id"]
    assert (
        await source.measure()
    ).no_data_reason == "the place in the log is lost: reading begins anew"
    api.log("s")
    assert (await source.measure()).total == 1


async def test_a_place_that_is_lost_in_an_outage(api: ManagementApi, source: TenantLog) -> None:
    """If the newest row cannot be read either, the next poll tries again."""
    answers = [web.json_response({}, status=status) for status in (400, 500)]
    api.refuse = lambda: answers.pop(0) if answers else None
    told = [(await source.measure()).no_data_reason for _ in range(2)]
    assert told == ["HTTP 500", "reading begins now"]


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[] }, {", "not JSON"),
        (b"{}", "unexpected answer"),
        (b"null", "unexpected answer"),
    ],
)
async def test_broken_answers(
    api: ManagementApi, source: TenantLog, body: bytes, missing: str
) -> None:
    """An answer that is no list of rows is no data, and the checkpoint stays."""
    api.refuse = lambda: web.Response(body=body)
    assert (await source.measure()).no_data_reason == missing
    api.refuse = lambda: None
    api.log("s")
    assert (await source.measure()).total == 1


@pytest.mark.parametrize("told", [{}, {"access_token": 7}, {"access_token": "a b\r\n"}])
async def test_broken_tokens(api: ManagementApi, make: Make, told: dict[str, Any]) -> None:
    """A malformed token is not used."""
    other = web.Application()

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"expires_in": 600, **told})

    other.router.add_post("/oauth/token", answer)
    runner = web.AppRunner(other, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    source = make(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}")
    assert (await source.measure()).no_data_reason == "unexpected answer"
    assert api.asked == []
    await runner.cleanup()


async def test_unreachable(make: Make) -> None:
    """An API that cannot be reached is no data."""
    assert (await make(base_url="http://127.0.0.1:1").measure()).no_data_reason == "connect refused"


async def test_two_at_once(api: ManagementApi, source: TenantLog) -> None:
    """Two polls at once count no row twice."""
    for _ in range(150):
        api.log("s")
    both = await asyncio.gather(source.measure(), source.measure())
    assert sorted(seen.total or 0 for seen in both) == [0, 150]


async def test_a_cancelled_poll_loses_nothing(api: ManagementApi, source: TenantLog) -> None:
    """The rows of a cancelled poll are read again."""
    for _ in range(150):
        api.log("s")
    pages: list[str] = []
    is_at_the_second = asyncio.Event()

    def link(following: str) -> str:
        pages.append(following)
        if len(pages) == 2:
            is_at_the_second.set()
        return f'<{following}>; rel="next"'

    api.link = link
    poll = asyncio.create_task(source.measure())
    await is_at_the_second.wait()
    poll.cancel()
    await asyncio.gather(poll, return_exceptions=True)
    assert (await source.measure()).total == 150


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.none()
        | st.text()
        | st.fixed_dictionaries(
            {"log_id": st.just("\uffff") | st.integers()},
            optional={"type": st.sampled_from(["s", "f", "sapi"]) | st.integers()},
        )
    ),
    words=st.text(max_size=40),
)
async def test_any_rows(api: ManagementApi, source: TenantLog, rows: list[Any], words: str) -> None:
    """Whatever comes as rows, nothing is raised, and nobody's data or secret is shown."""
    told = [row | ADA | {"description": words} if isinstance(row, dict) else row for row in rows]
    api.refuse = lambda: web.Response(body=json.dumps(told).encode())
    shown = repr(await source.measure()) + repr(source) + repr(vars(source))
    assert all(text not in shown for text in (*ADA.values(), SECRET, "canary"))
