from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.core.model.observation import FeedState, Outcome, OwnSide, Stage, Target
from bot.simulator.prober import VirtualProber
from bot.simulator.scenario import Scenario
from bot.simulator.world import World

Make = Callable[..., Scenario]
LOGIN = Target("prod", "login")
ENDPOINT = Target("prod", "token-endpoint")
WELLKNOWN = Target("prod", "wellknown")
CONTROL = Target("control", "neutral")
FEED = Target("feed", "US-1")
SERVER_ERROR = "{http: 500, error: server_error, description: No default.}"
LIMITED = (
    "{http: 429, error: too_many_requests, headers: {x-ratelimit-remaining: 0, retry-after: 9}}"
)


class SteppingClock:
    """A clock whose time passes only when somebody sleeps."""

    speed = 1.0

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    async def sleep(self, span_s: float) -> None:
        self._now += span_s


def prober_of(scenario: Scenario, **more: object) -> VirtualProber:
    clock = SteppingClock(scenario.start_at + 600)
    return VirtualProber(World(scenario), clock, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("target", "happening", "stage", "reason", "latency_s"),
    [
        (LOGIN, "{dns: nxdomain}", Stage.DNS, "nxdomain", None),
        (LOGIN, "{dns: servfail}", Stage.DNS, "servfail", None),
        (LOGIN, "{dns: timeout}", Stage.DNS, "timeout", 10),
        (LOGIN, "{connect: refused}", Stage.CONNECT, "refused", None),
        (LOGIN, "{connect: reset}", Stage.CONNECT, "reset", None),
        (LOGIN, "{connect: timeout}", Stage.TIMEOUT, "connect", 10),
        (LOGIN, "{tls: expired}", Stage.TLS, "expired", None),
        (LOGIN, "{tls: wrong_host}", Stage.TLS, "wrong_host", None),
        (LOGIN, "{tls: untrusted}", Stage.TLS, "untrusted", None),
        (LOGIN, "{hang: true}", Stage.TIMEOUT, "read", 10),
        (LOGIN, "{trickle: 1/s}", Stage.TIMEOUT, "total", 10),
        (LOGIN, "{latency: 10.1s}", Stage.TIMEOUT, "read", 10),
        (LOGIN, "{http: 503, latency: 20s}", Stage.TIMEOUT, "read", 10),
        (LOGIN, "{http: 503, latency: 2s}", Stage.HTTP, "http_503", 2),
        (LOGIN, "{http: 503, error: temporarily_unavailable}", Stage.HTTP, "http_503", None),
        (LOGIN, "{http: 403, error: invalid_grant}", Stage.OAUTH, "invalid_grant", None),
        (LOGIN, "{http: 403, error: invalid_grant, body: html}", Stage.HTTP, "http_403", None),
        (LOGIN, SERVER_ERROR, Stage.OAUTH, "server_error", None),
        (LOGIN, LIMITED, Stage.OAUTH, "too_many_requests", None),
        (LOGIN, "{http: 302}", Stage.HTTP, "redirect", None),
        (LOGIN, "{http: 200, body: html}", Stage.HTTP, "not_json", None),
        (LOGIN, "{http: 200}", Stage.TOKEN, "malformed", None),
        (LOGIN, "{token: bad_signature}", Stage.TOKEN, "bad_signature", None),
        (LOGIN, "{token: expired}", Stage.TOKEN, "expired", None),
        (LOGIN, "{token: wrong_issuer}", Stage.TOKEN, "wrong_issuer", None),
        (LOGIN, "{token: wrong_audience}", Stage.TOKEN, "wrong_audience", None),
        (LOGIN, "{token: no_proof}", Stage.PROOF, "no_proof", None),
        (LOGIN, "{token: stale_proof}", Stage.PROOF, "stale_proof", None),
        (WELLKNOWN, "{http: 502, body: html}", Stage.HTTP, "http_502", None),
        (WELLKNOWN, "{http: 200}", Stage.TOKEN, "wrong_issuer", None),
        (CONTROL, "{http: 500, error: server_error}", Stage.HTTP, "http_500", None),
    ],
)
async def test_each_fault_is_reported_as_it_is(
    make_scenario: Make,
    target: Target,
    happening: str,
    stage: Stage,
    reason: str,
    latency_s: float | None,
) -> None:
    """With the reasons of the real probes, and never later than the time-out."""
    prober = prober_of(make_scenario(f"timeline: [{{target: {target}, is: {happening}}}]"))
    seen = await prober.probe(target)
    assert seen.outcome is Outcome.FAILED
    assert seen.fault is not None
    assert (seen.fault.stage, seen.fault.reason) == (stage, reason)
    assert seen.latency_s is not None
    assert 0.12 <= seen.latency_s <= 10
    assert latency_s is None or seen.latency_s == latency_s


@pytest.mark.parametrize(
    ("target", "happening"),
    [
        (LOGIN, "ok"),
        (LOGIN, "{latency: 9.9s}"),
        (LOGIN, "{trickle: 1000/s}"),
        (CONTROL, "{http: 404}"),
        (CONTROL, "{http: 429, body: html}"),
    ],
)
async def test_what_is_no_fault_is_ok(make_scenario: Make, target: Target, happening: str) -> None:
    """A slow answer is an answer, and a control endpoint may refuse us."""
    prober = prober_of(make_scenario(f"timeline: [{{target: {target}, is: {happening}}}]"))
    seen = await prober.probe(target)
    assert (seen.outcome, seen.fault) == (Outcome.OK, None)


@pytest.mark.parametrize(
    ("happening", "expected"),
    [
        ("ok", "ok"),
        ("{dns: servfail}", "dns servfail"),
        ("{connect: refused}", "connect refused"),
        ("{tls: expired}", "tls expired"),
        ("{hang: true}", "timeout read"),
        ("{http: 503, latency: 20s}", "timeout read"),
        ("{http: 502, body: html}", "http http_502"),
        ("{http: 503, error: temporarily_unavailable}", "http http_503"),
        ("{http: 403, error: access_denied, body: html}", "no data"),
        (LIMITED, "no data"),
        (SERVER_ERROR, "ok"),
        ("{http: 403, error: access_denied}", "ok"),
        ("{http: 429, error: too_many_logins}", "ok"),
        ("{token: no_proof}", "ok"),
        ("{latency: 9s}", "ok"),
    ],
)
async def test_the_token_endpoint_fails_as_a_login_that_has_not_passed_it(
    make_scenario: Make, happening: str, expected: str
) -> None:
    """An error of OAuth's own, a wrong token or a slow Action lies behind it."""
    prober = prober_of(make_scenario(f"timeline: [{{target: prod.login, is: {happening}}}]"))
    seen = await prober.probe(ENDPOINT)

    outcome = "ok" if seen.outcome is Outcome.OK else "no data"
    assert (f"{seen.fault.stage} {seen.fault.reason}" if seen.fault else outcome) == expected
    assert bool(seen.no_data_reason) is (seen.outcome is Outcome.NO_DATA)


@pytest.mark.parametrize(
    ("machine", "outcome"),
    [
        ("ok", Outcome.OK),
        ("{http: 403, error: access_denied}", Outcome.OK),
        ("{http: 502, body: html}", Outcome.FAILED),
    ],
)
async def test_a_machine_token_shows_whether_the_token_endpoint_is_well(
    make_scenario: Make, machine: str, outcome: Outcome
) -> None:
    """Where the world says how it does, that decides: it passes the same endpoint."""
    timeline = "  - {target: eu.login, is: {hang: true}}", f"  - {{target: eu.m2m, is: {machine}}}"
    prober = prober_of(make_scenario("timeline:", *timeline))

    assert (await prober.probe(Target("eu", "token-endpoint"))).outcome is outcome


async def test_a_rate_limit_has_its_headers(make_scenario: Make) -> None:
    """What is left, and when to retry: the headers of a scenario count like real ones."""
    prober = prober_of(make_scenario(f"timeline: [{{target: prod.login, is: {LIMITED}}}]"))
    seen = await prober.probe(LOGIN)
    assert seen.quota_remaining == 0
    assert seen.fault is not None
    assert seen.latency_s is not None
    assert seen.fault.retry_at == pytest.approx(seen.at + seen.latency_s + 9)


async def test_a_shorter_timeout_is_kept(make_scenario: Make) -> None:
    """With a time-out of two seconds the fault comes after two seconds."""
    scenario = make_scenario("timeline: [{target: prod.login, is: {latency: 3s}}]")
    seen = await prober_of(scenario, timeout_s=2.0).probe(LOGIN)
    assert seen.latency_s == 2.0


@pytest.mark.parametrize(
    ("happening", "state", "reason"),
    [
        ("ok", FeedState.OK, None),
        ("{latency: 2s}", FeedState.OK, None),
        ("{feed: empty}", FeedState.EMPTY, None),
        ("{feed: html}", FeedState.UNREADABLE, "not_well_formed"),
        ("{feed: truncated}", FeedState.UNREADABLE, "not_well_formed"),
        ("{feed: old}", FeedState.STALE, None),
        ("{http: 200, body: html}", FeedState.UNREADABLE, "not_well_formed"),
        ("{http: 503, error: x}", FeedState.UNREACHABLE, "http_503"),
        ("{dns: nxdomain}", FeedState.UNREACHABLE, "nxdomain"),
        ("{hang: true}", FeedState.UNREACHABLE, "read"),
    ],
)
async def test_a_feed_is_read_in_its_state(
    make_scenario: Make, happening: str, state: FeedState, reason: str | None
) -> None:
    """Only a feed that is `ok` shows anything."""
    scenario = make_scenario(
        f"timeline: [{{target: feed, is: {happening}}}]",
        "feed: [{at: 5m, incident: a1, title: A, status: Investigating, environments: [US-1]}]",
    )
    reading = await prober_of(scenario).poll_feed(FEED)
    assert (reading.state, reading.fault and reading.fault.reason) == (state, reason)
    assert [notice.id for notice in reading.status_incidents][:1] == ["a1"] * (
        state is FeedState.OK
    )


async def test_requests_are_counted_and_reported(make_scenario: Make, start_at: float) -> None:
    """By place, with their beginning, result and duration."""
    told: list[tuple[str, float, str, float]] = []
    scenario = make_scenario("timeline: [{target: prod.login, is: {http: 503, latency: 2s}}]")
    prober = prober_of(
        scenario,
        on_request=lambda *request: told.append(request),
    )
    await prober.probe(LOGIN)
    await prober.probe(CONTROL)
    await prober.poll_feed(FEED)
    assert dict(prober.requests) == {"prod.login": 1, "control.neutral": 1, "feed": 1}
    assert [(place, result) for place, _, result, _ in told] == [
        ("prod.login", "http http_503"),
        ("control.neutral", "ok"),
        ("feed", "ok"),
    ]
    assert told[0][1::2] == (start_at + 600, 2000)


@pytest.mark.parametrize(
    ("places", "happening", "own_side"),
    [
        ('["prod.login", "control.*"]', "servfail", OwnSide.NAMES_LOST),
        ('["prod.login"]', "servfail", OwnSide.NAMES_FOUND),
        ('["prod.login"]', "timeout", OwnSide.NAMES_FOUND),
        ('["prod.login", "control.*"]', "nxdomain", OwnSide.UNKNOWN),
    ],
)
async def test_names_outside_auth0_are_looked_up_with_the_first_that_is_lost(
    make_scenario: Make, places: str, happening: str, own_side: OwnSide
) -> None:
    """They are as the neutral hosts' are; that one name does not exist is an answer."""
    timeline = f"timeline: [{{target: {places}, is: {{dns: {happening}}}}}]"
    fault = (await prober_of(make_scenario(timeline)).probe(LOGIN)).fault

    assert fault
    assert fault.own_side is own_side
