"""What the settings name, and what each kind of probe asks for."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.fault import is_refusal
from bot.core.model.observation import Outcome, Stage, Target

if TYPE_CHECKING:
    from tests.probes.conftest import Behaviour, Lab

LOGIN, WELLKNOWN = Target("prod", "login"), Target("prod", "wellknown")
CUSTOM, CONTROL = Target("prod", "custom"), Target("control", "localhost")
ENDPOINT = Target("prod", "token-endpoint")
DISCOVERY = "/.well-known/openid-configuration"
PASSWORD = "canary-password"


def answers(status: int, body: bytes, *headers: str) -> Behaviour:
    """Answer with a body."""
    lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", "")

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return behave


def test_targets_follow_from_the_settings(lab: Lab) -> None:
    """Every login, wellknown, the custom domain if there is one, every control endpoint."""
    plain, full = lab.probes(), lab.probes(tenant={"custom_domain": "login.acme.test"})

    assert set(plain.targets) == {LOGIN, WELLKNOWN, ENDPOINT, CONTROL}
    assert set(full.targets) == {LOGIN, WELLKNOWN, ENDPOINT, CONTROL, CUSTOM}


async def test_an_unknown_target(lab: Lab) -> None:
    """Checking a target that is not in the settings is the caller's mistake."""
    with pytest.raises(KeyError):
        await lab.probes().probe(Target("prod", "nothing"))


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        (
            {"realm": "users", "client_secret": "s3cret", "audience": "https://api"},
            {
                "grant_type": "http://auth0.com/oauth/grant-type/password-realm",
                "realm": "users",
                "client_secret": "s3cret",
                "audience": "https://api",
            },
        ),
        ({"realm": None}, {"grant_type": "password"}),
        (
            {"realm": None, "organization": "org_1"},
            {"grant_type": "password", "organization": "org_1"},
        ),
    ],
)
async def test_the_form(lab: Lab, login: dict[str, Any], expected: dict[str, str]) -> None:
    """A realm uses the password-realm grant; settings without a value are not sent."""
    await lab.probes(login=login).probe(LOGIN)
    path, headers, form = lab.server.seen[0]

    user = {"client_id": "probe-client", "username": "u", "password": PASSWORD, "scope": "openid"}
    assert path == "/oauth/token"
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert form == user | expected


async def test_wellknown_keeps_the_keys_fresh(lab: Lab) -> None:
    """It verifies issuer and keys, and the login need not fetch them again."""
    probes = lab.probes()
    seen = await probes.probe(WELLKNOWN)
    await probes.probe(LOGIN)

    assert seen.outcome is Outcome.OK
    assert lab.server.paths() == [DISCOVERY, "/.well-known/jwks.json", "/oauth/token"]


async def test_wellknown_fetches_the_keys_when_they_are_due(lab: Lab) -> None:
    """Every tenth minute, before a login finds them too old; the document is read each time."""
    probes = lab.probes()
    for minutes in range(1, 21):
        await probes.probe(WELLKNOWN)
        lab.clock.ahead_s = minutes * 60

    assert lab.server.paths().count(DISCOVERY) == 20
    assert lab.server.paths().count("/.well-known/jwks.json") == 2


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (501, b'{"error":"unsupported_grant_type"}', "ok"),
        (403, b'{"error":"access_denied"}', "ok"),
        (503, b"<html>", "http http_503"),
        (403, b"<html>", "no data"),
        (429, b'{"error":"too_many_requests"}', "no data"),
    ],
)
async def test_the_token_endpoint_is_asked_for_what_it_must_refuse(
    lab: Lab, status: int, body: bytes, expected: str
) -> None:
    """Neither a user nor a client is in it, so it can cost neither."""
    lab.server.routes["/oauth/token"] = answers(status, body)
    seen = await lab.probes().probe(ENDPOINT)
    [(path, headers, form)] = lab.server.seen

    outcome = "ok" if seen.outcome is Outcome.OK else "no data"
    assert (f"{seen.fault.stage} {seen.fault.reason}" if seen.fault else outcome) == expected
    assert (path, form) == ("/oauth/token", {"grant_type": "urn:auth0-check:no-such-grant"})
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"issuer": "https://other.test/"}, "token wrong_issuer"),
        ({}, "token wrong_issuer"),
        ({"issuer": "https://acme.us.auth0.test/"}, "token no_keys"),
        (
            {"issuer": "https://acme.us.auth0.test/", "jwks_uri": "https://evil.test/keys"},
            "token no_keys",
        ),
        (
            {"issuer": "https://acme.us.auth0.test/", "jwks_uri": "https://[evil/"},
            "token no_keys",
        ),
    ],
)
async def test_a_wrong_discovery_document(
    lab: Lab, document: dict[str, Any], expected: str
) -> None:
    """Another issuer, or keys from another host, are a failure."""
    lab.server.routes[DISCOVERY] = answers(200, json.dumps(document).encode())
    seen = await lab.probes().probe(WELLKNOWN)

    assert seen.fault
    assert f"{seen.fault.stage} {seen.fault.reason}" == expected


async def test_the_custom_domain_is_its_own_issuer(lab: Lab) -> None:
    """A login through the custom domain must have a token of that issuer."""
    probes = lab.probes(tenant={"custom_domain": "login.acme.test"})
    of_the_canonical = await probes.probe(CUSTOM)
    lab.server.routes = lab.routes("login.acme.test")
    of_the_custom = await probes.probe(CUSTOM)

    assert of_the_canonical.fault
    assert of_the_canonical.fault.reason == "wrong_issuer"
    assert of_the_custom.outcome is Outcome.OK
    assert lab.server.seen[0][1]["host"] == "login.acme.test"


async def test_a_base_url_moves_the_requests_only(lab: Lab) -> None:
    """It is called without TLS on loopback; the issuer stays the domain's, unless one is set."""
    async with lab.server_with(lab.server.routes["/oauth/token"], tls=None) as bare:
        lab.path.port = bare.port
        tenant = {"base_url": f"http://127.0.0.1:{bare.port}/"}
        probes = lab.probes(tenant=tenant)
        seen = [await probes.probe(target) for target in (LOGIN, WELLKNOWN)]
        other = await lab.probes(login={"issuer": "https://x/"}, tenant=tenant).probe(LOGIN)

    assert [each.fault for each in seen] == [None, None]
    assert "tls" not in [timing.stage for timing in seen[0].timings]
    assert other.fault
    assert other.fault.reason == "wrong_issuer"


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b"<html>", Outcome.OK),
        (302, b"", Outcome.OK),
        (404, b"no", Outcome.OK),
        (429, b"", Outcome.OK),
        (500, b"", Outcome.FAILED),
        (503, b"", Outcome.FAILED),
    ],
)
async def test_the_control(lab: Lab, status: int, body: bytes, outcome: Outcome) -> None:
    """Any status below 500 proves that our network works."""
    behaviour = answers(status, body)
    async with lab.server_with(behaviour, tls=None) as other:
        other.routes["/any"] = behaviour
        lab.path.port = other.port
        seen = await lab.probes().probe(CONTROL)

    assert seen.outcome is outcome


async def test_the_time_limit_of_the_control(lab: Lab) -> None:
    """A control endpoint that hangs has failed by the time the quickest login would have."""

    async def hang(_: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    probes = lab.probes(timeout=2.0)
    async with lab.server_with(hang, tls=None) as other:
        other.routes["/any"] = hang
        lab.path.port = other.port
        began = lab.clock.now()
        seen = await probes.probe(CONTROL)

    assert seen.fault
    assert seen.fault.stage is Stage.TIMEOUT
    assert 2.0 <= lab.clock.now() - began < 8.0


async def test_the_quota_comes_along(lab: Lab) -> None:
    """A 429 says when to retry, and any answer how much quota is left."""
    now = lab.clock.now()
    lab.server.routes["/oauth/token"] = answers(
        429,
        b'{"error": "too_many_requests"}',
        "x-ratelimit-remaining: 0",
        f"x-ratelimit-reset: {now + 90:.0f}",
    )
    seen = await lab.probes().probe(LOGIN)

    assert seen.quota_remaining == 0
    assert seen.fault
    assert seen.fault.retry_at == round(now + 90)


HALVED = (
    f"{''.join(f'&#x{ord(char):x};' for char in 'canary-password') * 45}{' ' * 38}canary-password"
)
"""Long enough that a cut at 4,096 characters would leave the half of a password."""


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b'{"error": "invalid_grant", "error_description": "bad canary-password"}'),
        (403, b'{"error": "canary-password", "error_description": "Bearer canary-password"}'),
        (200, b'{"access_token": "canary-password", "id_token": "canary-password"}'),
        (200, b"canary-password"),
        (400, json.dumps({"error": "invalid_grant", "error_description": HALVED}).encode()),
    ],
)
async def test_no_secret_comes_back(
    lab: Lab, caplog: pytest.LogCaptureFixture, status: int, body: bytes
) -> None:
    """A tenant's own code may echo the password: neither observation nor log repeats it."""
    caplog.set_level(logging.WARNING)
    lab.server.routes["/oauth/token"] = answers(status, body)
    seen = await lab.probes().probe(LOGIN)

    assert seen.fault
    assert is_refusal(seen.fault) == (status == 400)
    assert "canary" not in repr(seen)
    assert "canary" not in caplog.text
