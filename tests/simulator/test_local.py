from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from bot.config.settings import Login, Settings
from bot.core.model.measurement import Measurement
from bot.core.model.observation import FeedReading, FeedState, Observation, Outcome, Target
from bot.core.oncall import Shifts
from bot.http import Fetcher, HttpRequest, LoopLag, SystemNetwork
from bot.probes import Probes
from bot.simulator.local import LocalTenants
from bot.simulator.playing import FaultyPath, MarkingProber, find_unplayable, slack_fault
from bot.simulator.prober import VirtualProber
from bot.simulator.scenario import Scenario
from bot.simulator.workspace.model import Fault, FaultKind
from bot.simulator.world import World
from bot.sources.status_page import StatusFeed

Make = Callable[..., Scenario]
SPEED = 5.0
LOGIN = Target("prod", "login")
CUSTOM = Target("prod", "custom")
WELLKNOWN = Target("prod", "wellknown")
MACHINE = Target("eu", "m2m")
CONTROL = Target("control", "127.0.0.1")
FEED = Target("feed", "prod")
PLACES = {CONTROL: Target("control", "neutral")}
FORM = {
    "grant_type": "http://auth0.com/oauth/grant-type/password-realm",
    "client_id": "probe",
    "username": "robot",
    "password": "right",
    "realm": "users",
    "scope": "openid",
}
LOGIN_SETTINGS = Login.model_validate(
    {
        **{key: FORM[key] for key in ("client_id", "username", "password", "realm")},
        "proof_claim": "https://acme.example/at",
    }
)


class FastClock:
    """Begins ten minutes into the scenario and runs 20 times as fast."""

    speed = SPEED

    def __init__(self, start: float, elapsed: Callable[[], float] = time.monotonic) -> None:
        self._start = start + 600
        self._elapsed = elapsed
        self._zero = elapsed()
        self.ahead_s = 0.0

    def now(self) -> float:
        return self._start + self.ahead_s + (self._elapsed() - self._zero) * self.speed

    async def sleep(self, span_s: float) -> None:
        await asyncio.sleep(span_s / self.speed)


class Eyes:
    """The bot's own probes and feed reader; loop lag never makes them `no_data`."""

    def __init__(self, settings: Settings, clock: FastClock, path: FaultyPath) -> None:
        fetcher = Fetcher(clock, path, LoopLag(limit_s=60))
        self._probes = Probes(settings, fetcher)
        url = settings.tenants[0].feed_url
        assert url is not None
        call = HttpRequest(url=url.get_secret_value(), timeout_s=20)
        self._feed = StatusFeed(FEED, call, fetcher.fetch, clock)

    async def probe(self, target: Target) -> Observation:
        if target == CONTROL:  # named after its address, which has another port each time
            target = next(t for t in self._probes.targets if t.owner == CONTROL.owner)
        return await self._probes.probe(target)

    async def measure(self, target: Target) -> Measurement:
        raise NotImplementedError(str(target))

    async def poll_feed(self, target: Target) -> FeedReading:
        assert target == FEED
        return await self._feed.poll()

    async def poll_shifts(self) -> Shifts:
        raise NotImplementedError


@dataclass
class Town:
    """The local servers, and the real bot's probes of them."""

    clock: FastClock
    servers: LocalTenants
    prober: MarkingProber
    virtual: VirtualProber


def settings_for(servers: LocalTenants, scenario: Scenario, logins: Sequence[Login]) -> Settings:
    tenants: list[dict[str, Any]] = [
        {
            "name": tenant.name,
            "domain": tenant.domain,
            "ca_file": str(servers.ca_file),
            "feed_url": servers.feed_urls[tenant.name],
            "logins": logins,
            **({"custom_domain": tenant.custom_domain} if tenant.custom_domain else {}),
            **({"m2m": {"client_id": "probe", "client_secret": "x"}} if tenant.m2m else {}),
        }
        for tenant in scenario.tenants
    ]
    return Settings.model_validate(
        {
            "slack": {"bot_token": "xoxb-1", "app_token": "xapp-1", "channel": "#alerts"},
            "tenants": tenants,
            "resolve": servers.resolve,
            "controls": list(servers.control_urls.values()),
        }
    )


@asynccontextmanager
async def town(scenario: Scenario, logins: Sequence[Login] = ()) -> AsyncIterator[Town]:
    clock = FastClock(scenario.start_at, asyncio.get_running_loop().time)
    world = World(scenario)
    all_logins = (LOGIN_SETTINGS, *logins)
    let_in = {tenant.name: all_logins for tenant in scenario.tenants}
    async with LocalTenants(world, clock, let_in) as servers:
        settings = settings_for(servers, scenario, all_logins)
        path = FaultyPath(SystemNetwork(settings.resolve), world, clock, {})
        eyes = MarkingProber(Eyes(settings, clock, path), PLACES)
        yield Town(clock, servers, eyes, VirtualProber(World(scenario), clock))


def timeline(target: Target, happening: str) -> str:
    named = "feed" if target == FEED else PLACES.get(target, target)
    return f"timeline: [{{target: {named}, is: {happening}}}]"


async def test_a_healthy_world_is_healthy(make_scenario: Make) -> None:
    """Tokens, keys, issuers and proofs are right on every domain."""
    async with town(make_scenario()) as here:
        for target in (LOGIN, CUSTOM, WELLKNOWN, MACHINE, CONTROL):
            seen = await here.prober.probe(target)
            assert (seen.outcome, seen.fault, seen.no_data_reason) == (Outcome.OK, None, "")
            assert seen.latency_s is not None
            assert seen.latency_s >= 0.12
            assert seen.quota_remaining == (await here.virtual.probe(target)).quota_remaining


FAULTS = [
    "{dns: nxdomain}",
    "{dns: servfail}",
    "{dns: timeout}",
    "{connect: refused}",
    "{connect: reset}",
    "{connect: timeout}",
    "{tls: expired}",
    "{tls: wrong_host}",
    "{tls: untrusted}",
    "{http: 503, error: temporarily_unavailable}",
    "{http: 502, body: html}",
    "{http: 500, body: empty, latency: 2s}",
    "{latency: 15s}",
    "{hang: true}",
    "{http: 200}",
    "{http: 200, body: html}",
    "{http: 403, error: invalid_grant, description: Wrong email or password.}",
    "{http: 500, error: server_error}",
    "{http: 429, error: too_many_requests, headers: {x-ratelimit-remaining: 0}}",
    "{trickle: 10/s}",
    "{token: bad_signature}",
    "{token: expired}",
    "{token: wrong_issuer}",
    "{token: wrong_audience}",
    "{token: no_proof}",
    "{token: stale_proof}",
]


def telling(seen: Observation) -> tuple[object, ...]:
    """Return the parts of an observation that do not depend on time."""
    assert seen.fault is not None, seen
    fault = seen.fault
    return (
        fault.stage,
        fault.reason,
        fault.status,
        fault.error,
        fault.description,
        seen.no_data_reason,
    )


async def test_real_sockets_and_virtual_time_agree(make_scenario: Make) -> None:
    """Every fault is the same for the real probe as for the virtual one."""
    logins = [{"name": f"f{number}", "username": f"f{number}"} for number in range(len(FAULTS))]
    scenario = make_scenario(
        f"bot: {{tenants: [{{name: prod, logins: {logins}}}]}}",
        "timeline:",
        *(f"  - {{target: prod.f{n}, is: {happening}}}" for n, happening in enumerate(FAULTS)),
    )
    assert find_unplayable(scenario) == []
    further = [LOGIN_SETTINGS.model_copy(update=login) for login in logins]
    targets = [Target("prod", login.name) for login in further]
    async with town(scenario, further) as here:
        real = await asyncio.gather(*(here.prober.probe(target) for target in targets))
        virtual = await asyncio.gather(*(here.virtual.probe(target) for target in targets))
    assert [telling(seen) for seen in real] == [telling(seen) for seen in virtual]
    assert [seen.quota_remaining for seen in real] == [seen.quota_remaining for seen in virtual]


@pytest.mark.parametrize(
    ("target", "happening"),
    [
        (CUSTOM, "{token: expired}"),
        (MACHINE, "{token: expired}"),
        (MACHINE, "{http: 401, error: access_denied}"),
        (WELLKNOWN, "{http: 200}"),
        (WELLKNOWN, "{http: 404, body: html}"),
        (CONTROL, "{http: 500}"),
        (CONTROL, "{connect: timeout}"),
    ],
)
async def test_other_places_agree_too(make_scenario: Make, target: Target, happening: str) -> None:
    """A custom domain, the well-known documents, machine tokens and control endpoints."""
    async with town(make_scenario(timeline(target, happening))) as here:
        real = await here.prober.probe(target)
        virtual = await here.virtual.probe(PLACES.get(target, target))
    assert telling(real) == telling(virtual)


@pytest.mark.parametrize(
    ("happening", "state"),
    [
        ("ok", FeedState.OK),
        ("{feed: empty}", FeedState.EMPTY),
        ("{feed: html}", FeedState.UNREADABLE),
        ("{feed: truncated}", FeedState.UNREADABLE),
        ("{feed: old}", FeedState.STALE),
        ("{http: 503}", FeedState.UNREACHABLE),
        ("{connect: refused}", FeedState.UNREACHABLE),
    ],
)
async def test_the_real_reader_finds_the_state_of_the_feed(
    make_scenario: Make, happening: str, state: FeedState
) -> None:
    """After a healthy poll, which is what makes an old feed old."""
    entry = f"{{target: feed, from: 10.5m, is: {happening}}}"
    posts = "feed: [{at: 5m, incident: a1, title: A, status: Identified, environments: [US-1]}]"
    async with town(make_scenario(f"timeline: [{entry}]", posts)) as here:
        before = await here.prober.poll_feed(FEED)
        assert [notice.id for notice in before.status_incidents][:1] == ["a1"]
        here.clock.ahead_s = 60
        assert (await here.prober.poll_feed(FEED)).state is state


@asynccontextmanager
async def visitor(here: Town) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client that is not the bot's."""
    context = ssl.create_default_context(cafile=here.servers.ca_file)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session:
        yield session


async def test_the_feed_is_conditional_and_wants_a_domain(make_scenario: Make) -> None:
    """304 for a known ETag, and an error message for a missing or unknown domain."""
    async with town(make_scenario()) as here, visitor(here) as session:
        url = here.servers.feed_urls["prod"]
        async with session.get(url) as answer:
            etag = answer.headers["etag"]
            assert answer.content_type == "application/atom+xml"
        async with session.get(url, headers={"if-none-match": etag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
        for wrong in (url.partition("?")[0], f"{url}x"):
            async with session.get(wrong) as answer:
                assert (answer.status, (await answer.text())[:6]) == (400, "Domain")


async def test_a_tenant_accepts_forms_and_json_and_refuses_the_rest(make_scenario: Make) -> None:
    """With Auth0's rate-limit headers on every answer of the token endpoint."""
    async with town(make_scenario()) as here, visitor(here) as session:
        url = f"https://{here.servers.resolve['acme.us.auth0.com']}/oauth/token"
        more: dict[str, Any] = {
            "headers": {"host": "acme.us.auth0.com"},
            "server_hostname": "acme.us.auth0.com",
        }
        async with session.post(url, data=FORM, **more) as answer:
            assert answer.status == 200
            assert answer.headers["x-ratelimit-remaining"] == "299"
        async with session.post(url, json={**FORM, "password": "wrong"}, **more) as answer:
            assert (answer.status, (await answer.json())["error"]) == (403, "invalid_grant")
            assert "x-ratelimit-reset" in answer.headers
        more["headers"]["content-type"] = "application/json"
        for junk in ("[1]", "{", '{"grant_type": 1}'):
            async with session.post(url, data=junk, **more) as answer:
                assert (answer.status, (await answer.json())["error"]) == (400, "invalid_request")
        async with session.get(url, **more) as answer:
            assert answer.status == 404


async def test_web_pages_and_other_hosts_are_refused(make_scenario: Make) -> None:
    """Requests by DNS rebinding or from another origin get nothing."""
    async with town(make_scenario()) as here, visitor(here) as session:
        url = here.servers.control_urls["neutral"]
        for headers in ({"host": "evil.example"}, {"origin": "https://evil.example"}):
            async with session.get(url, headers=headers) as answer:
                assert answer.status == 403


async def test_closing_stops_servers_that_hang(make_scenario: Make) -> None:
    """Hanging connections are closed at once."""
    async with asyncio.timeout(5):
        async with town(make_scenario(timeline(LOGIN, "{hang: true}"))) as here:
            hanging = asyncio.create_task(here.prober.probe(LOGIN))
            await asyncio.sleep(0.1)
        hanging.cancel()


async def test_a_contact_point_is_known_by_its_address(make_scenario: Make) -> None:
    """Nobody says that it is being reached; its faults of the network are played all the same."""
    scenario = make_scenario(
        "timeline: [{target: notify.pager, is: {dns: nxdomain}}]",
        "bot:",
        "  notify: [{name: pager, pagerduty: {routing_key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}}]",
    )
    clock, places = FastClock(scenario.start_at), {("127.0.0.1", 8001): Target("notify", "pager")}
    path = FaultyPath(SystemNetwork({}), World(scenario), clock, places)

    assert await path.resolve("127.0.0.1", 8002)
    with pytest.raises(socket.gaierror):
        await path.resolve("127.0.0.1", 8001)


def test_what_cannot_be_played_is_named(make_scenario: Make) -> None:
    """With file, line, kind and target."""
    scenario = make_scenario(
        "timeline:",
        "  - {target: prod.login, is: {tls: expired}}",
        "  - {target: [bot], is: {paused: true}}",
        "  - {target: slack, is: {http: 500}}",
        "  - {target: slack, is: {http: 403, error: x}}",
        "  - {target: notify.pager, is: {connect: refused}}",
        "bot:",
        "  notify:",
        "    - {name: pager, pagerduty: {routing_key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}}",
        "    - {name: mail, apprise: 'mailto://user:secret@example.com'}",
    )
    problems = find_unplayable(scenario)
    assert [problem.partition("case.yml:")[2] for problem in problems] == [
        "14: timeline[1]: paused of bot cannot be played in real time",
        "16: timeline[3]: http of slack cannot be played in real time",
        "19: bot.notify: mail: an Apprise address cannot be played in real time",
    ]


@pytest.mark.parametrize(
    ("happening", "kind"),
    [
        ("{connect: refused}", FaultKind.CUT),
        ("{hang: true}", FaultKind.SLOW),
        ("{http: 429, headers: {Retry-After: '10'}}", FaultKind.RATE_LIMITED),
        ("{http: 503}", FaultKind.SERVER_ERROR),
        ("{latency: 2s}", FaultKind.SLOW),
        ("ok", None),
    ],
)
def test_slacks_faults_are_played_by_the_local_workspace(
    make_scenario: Make, happening: str, kind: FaultKind | None
) -> None:
    """Each with the workspace's own errors."""
    scenario = make_scenario(f"timeline: [{{target: slack, is: {happening}}}]")
    fault = slack_fault(World(scenario), FastClock(scenario.start_at), "chat.postMessage")

    assert (fault and fault.kind) == kind
    if kind is FaultKind.RATE_LIMITED:
        assert fault == Fault(FaultKind.RATE_LIMITED, 10)
