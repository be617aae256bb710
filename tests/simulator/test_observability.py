from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr
from yarl import URL

from bot.config.settings import Login, Tenant
from bot.config.settings_sources import Errors, Metric, Prometheus, Sentry
from bot.core.auth0_logs.events import tally_rows
from bot.core.model.measurement import Measurement, MetricKind
from bot.core.model.observation import FeedReading, Observation, Target
from bot.core.oncall import Shifts
from bot.http import Fetcher, LoopLag, SystemNetwork
from bot.simulator.local import LocalTenants
from bot.simulator.log_api import LOG_READER
from bot.simulator.measurements import MeasuredSignal
from bot.simulator.observability import ORGANIZATION, metric_expressions, sentry_query
from bot.simulator.playing import FaultyPath, MarkingProber
from bot.simulator.prober import VirtualProber
from bot.simulator.scenario import Scenario
from bot.simulator.world import World
from bot.sources.auth0_logs import TenantLog
from bot.sources.prometheus import PrometheusRate
from bot.sources.sentry import SentryEvents

Make = Callable[..., Scenario]
CHECKOUT = Target("prod", "checkout")
WEB = Target("prod", "web")
LOGS = Target("prod", "logs")
GAUGES = {
    CHECKOUT: MeasuredSignal(MetricKind.METRICS, "checkout"),
    WEB: MeasuredSignal(MetricKind.ERRORS, "web"),
    LOGS: MeasuredSignal(MetricKind.LOGS),
}
PLACES = {CHECKOUT: "prometheus", WEB: "sentry", LOGS: "prod.logs"}
LOGIN = Login.model_validate({"client_id": "robot", "username": "robot", "password": "right"})
HOST = "acme.us.auth0.com"
STORY = (
    "metrics: [{signal: checkout, tenant: prod, requests: 200/min, errors: 30%}]",
    "errors: [{signal: web, tenant: prod, events: 60/min, title: token exchange failed}]",
    "logs: [{tenant: prod, rows: {s: 20/min, f: {rate: 3/min, connection: saml}}}]",
    "changes: [{at: -60s, tenant: prod, what: client updated}]",
)


class FastClock:
    """A clock that the test moves; sleeps take a fifth of their time."""

    speed = 5.0

    def __init__(self, now: float) -> None:
        self.instant = now

    def now(self) -> float:
        return self.instant

    async def sleep(self, span_s: float) -> None:
        await asyncio.sleep(span_s / self.speed)


class Sources:
    """The bot's own sources; loop lag never makes them `no_data`."""

    def __init__(self, servers: LocalTenants, world: World, clock: FastClock) -> None:
        path = FaultyPath(SystemNetwork(servers.resolve), world, clock, {})
        fetcher = Fetcher(clock, path, LoopLag(limit_s=60))
        secret = SecretStr(servers.secret)
        prometheus = Prometheus(url=servers.prometheus_url, token=secret)
        metric = Metric.model_validate(
            {"name": "checkout", **metric_expressions("prod", "checkout")}
        )
        sentry = Sentry(url=servers.sentry_url, organization=ORGANIZATION, token=secret)
        errors = Errors(name="web", project="1", query=sentry_query("prod", "web"))
        tenant = Tenant(name="prod", domain=HOST, ca_file=str(servers.ca_file), logins=(LOGIN,))
        self._sources: dict[Target, PrometheusRate | SentryEvents | TenantLog] = {
            CHECKOUT: PrometheusRate(CHECKOUT, prometheus, metric, (HOST,), fetcher=fetcher),
            WEB: SentryEvents(WEB, sentry, errors, fetcher),
            LOGS: TenantLog(
                tenant, client_id=LOG_READER, client_secret=servers.secret, fetcher=fetcher
            ),
        }

    async def measure(self, target: Target) -> Measurement:
        return await self._sources[target].measure()

    async def probe(self, target: Target) -> Observation:
        raise NotImplementedError(str(target))

    async def poll_feed(self, target: Target) -> FeedReading:
        raise NotImplementedError(str(target))

    async def poll_shifts(self) -> Shifts:
        raise NotImplementedError


@dataclass
class Town:
    clock: FastClock
    servers: LocalTenants
    real: MarkingProber
    virtual: VirtualProber
    session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **more: Any) -> aiohttp.ClientResponse:
        """Send a request to the tenant, under its own name."""
        url = f"https://{self.servers.resolve[HOST]}{path}"
        headers = {"host": HOST, **more.pop("headers", {})}
        answer = await self.session.request(
            method, url, server_hostname=HOST, headers=headers, **more
        )
        await answer.read()
        return answer

    async def log(self, query: str) -> aiohttp.ClientResponse:
        """Read the log, with a token of its own."""
        form = {
            "grant_type": "client_credentials",
            "client_id": LOG_READER,
            "client_secret": self.servers.secret,
            "audience": f"https://{HOST}/api/v2/",
        }
        token = await (await self.ask("POST", "/oauth/token", data=form)).json()
        assert (token["token_type"], token["scope"]) == ("Bearer", "read:logs")
        headers = {"authorization": f"Bearer {token['access_token']}"}
        return await self.ask("GET", f"/api/v2/logs?{query}", headers=headers)


@asynccontextmanager
async def town(scenario: Scenario) -> AsyncIterator[Town]:
    clock, world = FastClock(scenario.start_at + 600), World(scenario)
    logins = {tenant.name: (LOGIN,) for tenant in scenario.tenants}
    async with LocalTenants(world, clock, logins) as servers:
        context = ssl.create_default_context(cafile=servers.ca_file)
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(connector=connector) as session:
            real = MarkingProber(Sources(servers, world, clock), PLACES)
            virtual = VirtualProber(World(scenario), clock, measured_signals=GAUGES)
            yield Town(clock, servers, real, virtual, session)


@pytest.mark.parametrize("target", [CHECKOUT, WEB])
async def test_real_sources_count_what_virtual_ones_do(make_scenario: Make, target: Target) -> None:
    """Exactly, for calls and events."""
    async with town(make_scenario(*STORY)) as here:
        real, virtual = await here.real.measure(target), await here.virtual.measure(target)
    assert real == virtual
    assert real.failed > 50


async def test_the_real_reader_of_logs_counts_what_the_virtual_one_does(
    make_scenario: Make,
) -> None:
    """Row by row, from the end that the first read found."""
    async with town(make_scenario(*STORY)) as here:
        begun = [
            (await prober.measure(LOGS)).no_data_reason for prober in (here.real, here.virtual)
        ]
        assert begun == ["reading begins now"] * 2
        here.clock.instant += 60
        real, virtual = await here.real.measure(LOGS), await here.virtual.measure(LOGS)
    assert (real.groups, real.total, real.span_s) == (virtual.groups, virtual.total, 60)
    assert replace(real, link="") == replace(virtual, link="")


@pytest.mark.parametrize(
    "happening",
    [
        "{http: 503}",
        "{http: 200, body: html}",
        "{http: 200}",
        "{hang: true}",
        "{connect: refused}",
        "{dns: servfail}",
    ],
)
@pytest.mark.parametrize("target", [*PLACES])
async def test_real_sources_fail_as_virtual_ones_do(
    make_scenario: Make, target: Target, happening: str
) -> None:
    """With the same reason, whether the network or the API fails."""
    fault = f"timeline: [{{target: {PLACES[target]}, is: {happening}}}]"
    async with town(make_scenario(*STORY, fault)) as here:
        real, virtual = await here.real.measure(target), await here.virtual.measure(target)
    assert real.no_data_reason == virtual.no_data_reason != ""


async def test_prometheus_answers_as_documented(make_scenario: Make) -> None:
    """Strings as values, an empty vector for an unknown counter, and its own errors."""
    async with town(make_scenario(*STORY)) as here:
        url = f"{here.servers.prometheus_url}/api/v1/query"
        headers = {"authorization": f"Bearer {here.servers.secret}"}
        known = metric_expressions("prod", "checkout")["all"].replace("$window", "60s")
        unknown = known.replace("checkout", "other")

        async def ask(query: str, time: str = f"{here.clock.now()}") -> dict[str, Any]:
            asked = {"query": query, "time": time}
            async with here.session.post(url, data=asked, headers=headers) as answer:
                return {"http": answer.status, **await answer.json()}

        one, none = await ask(known), await ask(unknown)
        assert (one["http"], one["status"], one["data"]["resultType"]) == (200, "success", "vector")
        at, text = one["data"]["result"][0]["value"]
        assert (at, one["data"]["result"][0]["metric"]) == (here.clock.now(), {})
        assert 150 < int(text) < 260
        assert none["data"]["result"] == []
        for wrong in (await ask("up"), await ask(known, "noon")):
            assert (wrong["http"], wrong["status"], wrong["errorType"]) == (
                400,
                "error",
                "bad_data",
            )
        async with here.session.get(url) as answer:
            assert answer.status == 401


async def test_sentry_answers_as_documented(make_scenario: Make) -> None:
    """Rows with the requested fields, and refusals as `detail`."""
    async with town(make_scenario(*STORY)) as here:
        url = f"{here.servers.sentry_url}/api/0/organizations/{ORGANIZATION}/events/"
        token = {"authorization": f"Bearer {here.servers.secret}"}
        asked = [
            ("dataset", "errors"),
            ("field", "title"),
            ("field", "count()"),
            ("query", sentry_query("prod", "web")),
            ("project", "1"),
            ("statsPeriod", "120s"),
        ]
        async with here.session.get(url, params=asked, headers=token) as answer:
            found = await answer.json()
        assert found["meta"]["fields"] == {"title": "string", "count()": "integer"}
        assert [row.keys() for row in found["data"]] == [{"title", "count()"}]
        assert 60 < found["data"][0]["count()"] < 200
        wrong = [(url, {}, 401), (url, token, 400), (f"{url}x", token, 404)]
        for address, headers, status in wrong:
            async with here.session.get(address, headers=headers) as answer:
                assert (answer.status, [*await answer.json()]) == (status, ["detail"])


async def test_a_log_is_read_by_checkpoint(make_scenario: Make) -> None:
    """In the order of ids; each page names the next, and the last one repeats without new rows."""
    async with town(make_scenario(*STORY)) as here:
        newest = await (await here.log("per_page=1&page=0&sort=date:-1")).json()
        assert [row["date"] > "2026-03-02T10:09:5" for row in newest] == [True]
        begin = newest[0]["log_id"]
        nothing = await here.log(f"from={begin}&take=20")
        assert await nothing.json() == []
        assert f"from={begin}" in nothing.headers["link"]
        here.clock.instant += 120
        first = await here.log(f"from={begin}&take=20")
        rows = await first.json()
        assert len(rows) == 20
        following = URL(str(first.links["next"]["url"])).query["from"]
        assert following == rows[-1]["log_id"] > begin
        rows += await (await here.log(f"from={following}&take=100")).json()
        ids = [row["log_id"] for row in rows]
        assert ids == sorted(set(ids))


async def test_rows_are_auth0s_with_persons_in_them(make_scenario: Make) -> None:
    """The product counts them as in the virtual world, and keeps no personal data."""
    async with town(make_scenario(*STORY)) as here:
        pages = [await here.log(f"per_page=100&page={page}") for page in range(11)]
        rows = [row for page in pages for row in await page.json()]
        login = {"grant_type": "password", "client_id": "robot", "password": "right"}
        await here.ask("POST", "/oauth/token", data={**login, "username": "robot"})
        rows += await (await here.log(f"from={max(row['log_id'] for row in rows)}")).json()
        persons = {str(row[key]) for row in rows for key in ("user_name", "ip", "user_id")}
        at = here.clock.now() - 1800  # as if no row came late
        seen = tally_rows(LOGS, rows, own_clients=frozenset({"robot"}), at=at, span_s=2400)
        assert not [person for person in persons if person in repr(seen)]
        assert {"acme.example", "203.0.113.7"} <= {p.partition("@")[2] or p for p in persons}
        assert (seen.own_rows, seen.environment) == (1, "US-1")
        assert [change.what for change in seen.changes] == ["client updated"]
        assert {group.connection for group in seen.groups} == {"", "saml"}
        assert seen.total == pytest.approx(23 * 40, abs=150)


async def test_the_log_api_refuses_as_auth0_does(make_scenario: Make) -> None:
    """Without its token, with a wrong secret, and beyond 100 rows a page."""
    async with town(make_scenario(*STORY)) as here:
        bare = await here.ask("GET", "/api/v2/logs")
        assert (bare.status, (await bare.json())["message"]) == (401, "Invalid token")
        many = await here.log("from=9&take=101")
        assert (many.status, (await many.json())["error"]) == (400, "Bad Request")
        form = {"grant_type": "client_credentials", "audience": f"https://{HOST}/api/v2/"}
        refused = await here.ask("POST", "/oauth/token", data={**form, "client_id": LOG_READER})
        assert (refused.status, (await refused.json())["error"]) == (401, "access_denied")


async def test_a_fault_of_the_log_leaves_logins_alone(make_scenario: Make) -> None:
    """They are two places at one domain."""
    fault = "timeline: [{target: prod.logs, is: {http: 500}}]"
    async with town(make_scenario(*STORY, fault)) as here:
        assert (await here.ask("GET", "/api/v2/logs")).status == 500
        login = {"grant_type": "password", "client_id": "robot", "password": "right"}
        answer = await here.ask("POST", "/oauth/token", data={**login, "username": "robot"})
        assert answer.status == 200
