"""What our own event loop does to a request, and what a server can do to our event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from bot.core.model.observation import Outcome, Target
from bot.http import Fetcher, HttpRequest, LoopLag
from bot.http.client import SMALLEST_CHUNK, HttpResult
from bot.http.loop_lag import StallFreeTimeout
from bot.http.network import READ_BYTES, UNPARSED_CAP
from tests.probes.conftest import NEVER_LATE, FastClock, LabPath, Server, answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bot.core.model.observation import Observation
    from bot.http.network import Address
    from tests.probes.conftest import Behaviour, Lab

LOGIN = Target("prod", "login")
KEYS_URL = "https://acme.us.auth0.test/.well-known/jwks.json"
LAG_LIMIT_S = 0.05
STALL_S = 0.25
TIMEOUT_S = 1.6
"""By a clock of speed 4: 0.4 s."""


def stall() -> None:
    """Block the event loop. Asleep it would not count: see tests.steady."""
    until = time.thread_time() + STALL_S
    while time.thread_time() < until:
        pass


async def probe_with_stalls(lab: Lab, behaviour: Behaviour, *stalls_at: float) -> Observation:
    """Probe a login that is answered like this, while our loop stands still now and then."""
    loop, lab.clock = asyncio.get_running_loop(), FastClock()
    lab.fetcher = Fetcher(lab.clock, lab.path, LoopLag(LAG_LIMIT_S))
    lab.fetcher.trust(lab.ca_file)
    async with lab.server_with(behaviour) as server:
        lab.path.port = server.port
        probes = lab.probes(timeout=TIMEOUT_S)
        for at in stalls_at:
            loop.call_later(at, stall)
        return await probes.probe(LOGIN)


def after(seconds: float, behaviour: Behaviour) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await behaviour(writer)

    return behave


async def hangs(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def resets(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def test_an_answer_counts_in_spite_of_a_stall(lab: Lab) -> None:
    """It is waited for by the stall longer, and is not late by the stall."""
    healthy = lab.routes()["/oauth/token"]
    seen = await probe_with_stalls(lab, after(0.3, healthy), 0.2)

    assert seen.outcome is Outcome.OK
    assert seen.latency_s
    assert seen.latency_s / lab.clock.speed < 0.2 + STALL_S
    assert all(timing.seconds >= 0 for timing in seen.timings)


async def test_short_stalls_do_not_hide_that_auth0_hangs(lab: Lab) -> None:
    """A time-out is a failure once the request had its full time outside the stalls."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    seen = await probe_with_stalls(lab, hangs, 0.1, 0.5)

    assert seen.outcome is Outcome.FAILED
    assert seen.fault
    assert (seen.fault.stage, seen.fault.reason) == ("timeout", "read")
    assert loop.time() - began >= TIMEOUT_S / lab.clock.speed + 2 * STALL_S


async def test_a_time_out_during_a_stall_is_prolonged() -> None:
    """Also if it is due before the tick that shows the stall."""
    lag, loop = LoopLag(LAG_LIMIT_S), asyncio.get_running_loop()
    lag.stalled_s()  # from now on it ticks every 0.1 s
    loop.call_later(0.02, stall)
    async with StallFreeTimeout(0.05, lag):
        for span_s in (0.04, 0.01, 0.01):
            await asyncio.sleep(span_s)


class SlowPath:
    """The network to an address, whose first packet comes late, and to one where nobody is."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        assert host
        return [("127.0.0.1", self._port), ("127.0.0.1", port)]

    async def before_connect(self, host: str) -> None:
        assert host
        await asyncio.sleep(0.15)


async def test_an_address_has_its_time_outside_the_stalls(lab: Lab) -> None:
    """The next one is not tried because we were late."""
    path = SlowPath(lab.server.port)
    fetcher = Fetcher(FastClock(), path, LoopLag(LAG_LIMIT_S))
    fetcher.trust(lab.ca_file)
    asyncio.get_running_loop().call_later(0.05, stall)
    reply = await fetcher.fetch(HttpRequest(url=KEYS_URL, timeout_s=TIMEOUT_S, ca_file=lab.ca_file))

    assert reply.status == 200


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (answer(503), Outcome.FAILED),
        (answer(408), Outcome.NO_DATA),
        (resets, Outcome.NO_DATA),
    ],
    ids=["HTTP 503", "HTTP 408", "reset"],
)
async def test_what_else_comes_of_a_stall(lab: Lab, behaviour: Behaviour, outcome: Outcome) -> None:
    """What the server answered counts. It may have given up because we were slow: no data."""
    seen = await probe_with_stalls(lab, after(0.3, behaviour), 0.1)

    assert seen.outcome is outcome
    if outcome is Outcome.NO_DATA:
        assert seen.no_data_reason == "our event loop was blocked"
        assert seen.fault is None
        assert seen.latency_s is None


async def test_a_large_ca_file_is_no_stage_of_the_target(lab: Lab, tmp_path: Path) -> None:
    """What a first request costs us before it is sent is neither a stall nor in any stage."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(lab.authority.cert_pem.bytes() * 1500)  # some 0.3 s
    fetcher, began = Fetcher(FastClock(), lab.path, LoopLag(LAG_LIMIT_S)), time.thread_time()
    reply = await fetcher.fetch(HttpRequest(url=KEYS_URL, timeout_s=60.0, ca_file=str(bundle)))
    took_s = time.thread_time() - began

    assert reply.status == 200
    assert reply.no_data_reason == ""
    assert reply.latency_s / FastClock.speed < took_s / 2


FIRST_REQUEST = """
import asyncio, sys
from bot.app.clock import SystemClock
from bot.http import Fetcher, HttpRequest, LoopLag

class Path:
    async def resolve(self, host, port):
        self.loaded = set(sys.modules)
        return [("127.0.0.1", port)]
    async def before_connect(self, host):
        pass

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
    writer.close()

async def main():
    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        path, port = Path(), server.sockets[0].getsockname()[1]
        fetcher = Fetcher(SystemClock(), path, LoopLag())
        reply = await fetcher.fetch(HttpRequest(url=f"http://target.test:{port}/", timeout_s=60.0))
    assert reply.status == 200, reply
    print(*sorted(set(sys.modules) - path.loaded))

asyncio.run(main())
"""


def test_the_first_request_loads_nothing_on_its_way() -> None:
    """With a tenth of a core that would add a quarter of a second to a stage of the target."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", FIRST_REQUEST], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == []


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
CAP = 3_000_000


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("first", "piece", "reason"),
    [
        (CHUNKED, b"1\r\nx\r\n", "too_large"),
        (CHUNKED, b"1;a=b\r\nx\r\n", "too_large"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n", "protocol"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "protocol"),
        (HEAD, b"a:\r\n", "protocol"),
        (CHUNKED + b"0\r\n", b"a:\r\n", "protocol"),
    ],
    ids=["chunks of one byte", "with extensions", "100", "103", "headers", "trailers"],
)
async def test_no_answer_holds_the_event_loop(
    lab: Lab, first: bytes, piece: bytes, reason: str, scheme: str
) -> None:
    """However small the pieces, the loop turns after each small read, and a flood is given up."""
    tls = lab.server.tls if scheme == "https" else None
    request = HttpRequest(
        url=f"{scheme}://acme.us.auth0.test/", timeout_s=60.0, ca_file=lab.ca_file, cap=CAP
    )
    loop, turns = asyncio.get_running_loop(), 0

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    async def count_turns(sent: bytes) -> tuple[HttpResult, int]:
        async def send(writer: asyncio.StreamWriter) -> None:
            writer.write(sent)

        async with Server(raw=send, tls=tls) as server:
            fetcher = Fetcher(FastClock(), LabPath(server.port), LoopLag(NEVER_LATE))
            fetcher.trust(lab.ca_file)
            before = turns
            return await fetcher.fetch(request), turns - before

    turn()
    _, calm_turns = await count_turns(CHUNKED + b"0\r\n\r\n")
    reply, flooded_turns = await count_turns(first + piece * 20_000)
    parsed = UNPARSED_CAP if reason == "protocol" else CAP // SMALLEST_CHUNK * len(piece)

    assert reply.fault
    assert reply.fault.reason == reason
    assert flooded_turns - calm_turns >= parsed // READ_BYTES
