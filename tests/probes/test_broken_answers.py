"""Every kind of broken answer gives its own fault, in time, and harms nothing that follows."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import ssl
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import trustme

from bot.core.model.observation import Outcome, Target
from bot.http import NoData
from tests.steady import pass_time

if TYPE_CHECKING:
    from tests.faults.drills import Repeats
    from tests.probes.conftest import Behaviour, Lab, Server

LOGIN = Target("prod", "login")
FOREVER_S, LIMIT_S = 120.0, 60.0
"""A span of the clock: 0.6 s of real time."""
HTML = b"<html><body>Sorry</body></html>"
LONG = b'{"a": "' + b"x" * 1_100_000 + b'"}'
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
PAST, FUTURE = datetime(2020, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC)


def http(status: int, body: bytes, *headers: str) -> bytes:
    """Write an answer down."""
    lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def sends(*parts: bytes) -> Behaviour:
    """Send bytes, then close."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return behave


def then_hangs(sent: bytes) -> Behaviour:
    """Send bytes, then nothing for ever."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await pass_time(FOREVER_S)
        await asyncio.sleep(3600)

    return behave


def trickles(sent: bytes, rest: bytes) -> Behaviour:
    """Send a byte at a time: no timeout between two bytes ever expires."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        for byte in rest:
            writer.write(bytes([byte]))
            await pass_time(0.5)

    return behave


def then_resets(sent: bytes = b"") -> Behaviour:
    """Send bytes, then an RST instead of an end."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(sent)
        await writer.drain()
        await asyncio.sleep(0.02)
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    return behave


def endless_chunks(chunk: bytes) -> Behaviour:
    """Send one chunk for ever."""
    framed = f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n"

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        while True:
            writer.write(framed)
            await writer.drain()

    return behave


def bomb() -> bytes:
    """Build 64 MB of zeros, 64 kB long."""
    return gzip.compress(bytes(1 << 26))


ANSWERS = {
    "html": (sends(http(200, HTML)), "http not_json"),
    "empty": (sends(http(200, b"")), "http not_json"),
    "no content": (sends(b"HTTP/1.1 204 No Content\r\n\r\n"), "http not_json"),
    "half JSON": (sends(http(200, b'{"access_token": "a')), "http not_json"),
    "JSON list": (sends(http(200, b"[1]")), "http not_json"),
    "JSON null": (sends(http(200, b"null")), "http not_json"),
    "deep JSON": (sends(http(200, b"[" * 100_000)), "http not_json"),
    "deep object": (sends(http(200, b'{"a":' * 20_000)), "http not_json"),
    "huge integer": (sends(http(200, b'{"a": ' + b"9" * 100_000 + b"}")), "http not_json"),
    "not UTF-8": (sends(http(200, b'{"a": "\xff\xfe"}')), "http not_json"),
    "wrong JSON": (sends(http(200, b'{"hello": "world"}')), "token malformed"),
    "tokens of another kind": (sends(http(200, b'{"access_token": {}}')), "token malformed"),
    "id token is a number": (
        sends(http(200, b'{"access_token": "a", "id_token": 7}')),
        "token malformed",
    ),
    "no id token": (sends(http(200, b'{"access_token": "a"}')), "token missing_id_token"),
    "huge": (sends(http(200, LONG)), "http too_large"),
    "endless": (endless_chunks(b"x" * 65536), "http too_large"),
    "gzip bomb": (sends(http(200, bomb(), "Content-Encoding: gzip")), "http too_large"),
    "gzip of nothing": (
        sends(http(200, b"not gzip", "Content-Encoding: gzip")),
        "http bad_encoding",
    ),
    "half gzip": (
        sends(http(200, gzip.compress(LONG[:999])[:-9], "Content-Encoding: gzip")),
        "http bad_encoding",
    ),
    "unknown encoding": (sends(http(200, b"{}", "Content-Encoding: br")), "http bad_encoding"),
    "gzip unasked": (
        sends(http(403, gzip.compress(b'{"error": "access_denied"}'), "Content-Encoding: gzip")),
        "oauth access_denied",
    ),
    "redirect": (
        sends(http(302, b"", "Location: https://elsewhere.test/login")),
        "http redirect",
    ),
    "503 HTML": (sends(http(503, HTML)), "http http_503"),
    "503 JSON": (sends(http(503, b'{"error": "temporarily_unavailable"}')), "http http_503"),
    "502, body breaks off": (then_resets(http(502, HTML)[:-9]), "http http_502"),
    "500 server_error": (sends(http(500, b'{"error": "server_error"}')), "oauth server_error"),
    "404": (sends(http(404, b"nothing here")), "http http_404"),
    "999": (sends(http(999, b"")), "http http_999"),
    "429 bare": (sends(http(429, b"")), "http http_429"),
    "429 JSON": (sends(http(429, b'{"error": "too_many_requests"}')), "oauth too_many_requests"),
    "not HTTP": (sends(b"220 smtp.test ESMTP\r\n"), "http protocol"),
    "endless head": (sends(HEAD, b"X: " + b"y" * 200_000), "http protocol"),
    "lying length": (sends(HEAD + b"Content-Length: 99\r\n\r\n{}"), "http protocol"),
    "two lengths": (
        sends(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        "http protocol",
    ),
    "bad chunk": (sends(CHUNKED + b"zz\r\n"), "http protocol"),
    "closed without a word": (sends(b""), "http protocol"),
    "reset before the answer": (then_resets(), "http reset"),
    "reset in the head": (then_resets(HEAD), "http reset"),
    "reset in the body": (then_resets(CHUNKED + b"2\r\n{"), "http reset"),
}
SLOW = {
    "hangs": (then_hangs(b""), "timeout read"),
    "head trickles": (trickles(HEAD, b"X: y\r\n" * 99), "timeout read"),
    "hangs in the body": (then_hangs(CHUNKED), "timeout total"),
    "body trickles": (trickles(CHUNKED, b"1\r\nx\r\n" * 99), "timeout total"),
}
RAW = {
    "reset in the handshake": (then_resets(), "tls failed"),
    "closed in the handshake": (sends(b""), "tls failed"),
    "no TLS": (sends(http(400, HTML)), "tls failed"),
    "hanging handshake": (then_hangs(b""), "timeout tls"),
}


async def check(lab: Lab, server: Server, expected: str) -> None:
    """Check a broken server within the limit, then the healthy one."""
    probes, is_slow = lab.probes(timeout=LIMIT_S), expected.startswith("timeout")
    async with server:
        lab.path.port = server.port
        began = asyncio.get_running_loop().time()
        seen = await probes.probe(LOGIN)
        took_s = asyncio.get_running_loop().time() - began
    lab.path.port = lab.server.port
    after = await probes.probe(LOGIN)

    assert seen.fault, seen
    assert f"{seen.fault.stage} {seen.fault.reason}" == expected
    assert not is_slow or took_s < LIMIT_S / lab.clock.speed + 5
    assert after.outcome is Outcome.OK, after


async def check_healthy(lab: Lab, repeats: Repeats) -> None:
    """Check the healthy server often: what was broken before has left nothing behind."""
    probes = lab.probes(timeout=LIMIT_S)
    for _ in range(100 if repeats.is_full else 1):
        assert (await probes.probe(LOGIN)).outcome is Outcome.OK


@pytest.mark.drill(few=1, full=90, is_lag_limited=True)
@pytest.mark.parametrize("name", [*ANSWERS, *SLOW])
async def test_broken_answers_to_a_login(lab: Lab, name: str, repeats: Repeats) -> None:
    """Each broken answer is named for what it is, and the next check of a healthy server works."""
    behaviour, expected = {**ANSWERS, **SLOW}[name]

    for _ in repeats:
        await check(lab, lab.server_with(behaviour), expected)
    await check_healthy(lab, repeats)


@pytest.mark.drill(few=1, full=90, is_lag_limited=True)
@pytest.mark.parametrize("name", RAW)
async def test_broken_handshakes_of_a_login(lab: Lab, name: str, repeats: Repeats) -> None:
    """A failure before TLS is complete is no answer; the next check of a healthy server works."""
    behaviour, expected = RAW[name]

    for _ in repeats:
        await check(lab, lab.server_with(behaviour, raw=behaviour, tls=None), expected)
    await check_healthy(lab, repeats)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda ca: ca.issue_cert("other.test"), "tls wrong_host"),
        (lambda ca: ca.issue_cert("127.0.0.1"), "tls wrong_host"),
        (lambda ca: ca.issue_cert("acme.us.auth0.test", not_after=PAST), "tls expired"),
        (lambda ca: ca.issue_cert("acme.us.auth0.test", not_before=FUTURE), "tls not_yet_valid"),
        (lambda _: trustme.CA().issue_cert("acme.us.auth0.test"), "tls untrusted"),
    ],
    ids=["other host", "the address itself", "expired", "not yet valid", "untrusted"],
)
@pytest.mark.drill(few=1, full=90, is_lag_limited=True)
async def test_wrong_certificates(lab: Lab, made: object, expected: str, repeats: Repeats) -> None:
    """Each kind is named; the name that is checked is the host's, not the address."""
    assert callable(made)
    context = lab.context(made(lab.authority))

    for _ in repeats:
        await check(lab, lab.server_with(sends(b""), tls=context), expected)
    await check_healthy(lab, repeats)


async def test_a_self_signed_certificate(lab: Lab) -> None:
    """A self-signed certificate is untrusted."""
    other = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pair = other.private_key_pem, other.cert_pem
    with contextlib.ExitStack() as stack:
        key, certificate = (stack.enter_context(pem.tempfile()) for pem in pair)
        context.load_cert_chain(certificate, key)

    await check(lab, lab.server_with(sends(b""), tls=context), "tls untrusted")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "dns nxdomain"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "dns servfail"),
        (socket.gaierror(socket.EAI_FAMILY, "x"), "dns failed"),
    ],
)
async def test_a_failing_look_up(lab: Lab, error: Exception, expected: str) -> None:
    """The resolver's answer is a stage of its own, with its own time."""
    lab.path.dns = error
    seen = await lab.probes().probe(LOGIN)

    assert seen.fault
    assert f"{seen.fault.stage} {seen.fault.reason}" == expected
    assert [timing.stage for timing in seen.timings] == ["dns"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(111, "x"), "connect refused"),
        (ConnectionResetError(104, "x"), "connect reset"),
        (OSError(113, "No route to host"), "connect unreachable"),
        (TimeoutError(110, "x"), "timeout connect"),
    ],
)
async def test_a_failing_connection(lab: Lab, error: Exception, expected: str) -> None:
    """An error before the first packet, as the simulator makes it."""
    lab.path.refusal = error
    seen = await lab.probes().probe(LOGIN)

    assert seen.fault
    assert f"{seen.fault.stage} {seen.fault.reason}" == expected


@pytest.mark.parametrize(
    ("dns", "refusal"),
    [
        (NoData("all look-ups hang"), None),
        (socket.gaierror(socket.EAI_SYSTEM, "x"), None),
        (OSError(24, "Too many open files"), None),
        (UnicodeError("label too long"), None),
        (None, OSError(99, "Cannot assign requested address")),
        (None, PermissionError(1, "Operation not permitted")),
        (None, ZeroDivisionError()),
        (None, ExceptionGroup("x", [OverflowError()])),
    ],
)
async def test_trouble_of_our_own(
    lab: Lab, dns: Exception | None, refusal: Exception | None
) -> None:
    """An error of this host, or an unknown one, is no_data: never evidence against the target."""
    lab.path.dns, lab.path.refusal = dns, refusal
    seen = await lab.probes().probe(LOGIN)

    assert seen.outcome is Outcome.NO_DATA
    assert seen.no_data_reason
    assert seen.fault is None


@pytest.mark.parametrize("port", [70_000, 0])
async def test_an_impossible_port(lab: Lab, port: int) -> None:
    """An impossible port is an error of our configuration, or nobody listens there."""
    lab.path.port = port
    seen = await lab.probes().probe(LOGIN)

    assert seen.outcome is (Outcome.NO_DATA if port else Outcome.FAILED)
