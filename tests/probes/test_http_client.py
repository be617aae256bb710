"""One request: its stages, its limits, and what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import threading
import time
from pathlib import Path as File
from typing import TYPE_CHECKING, Any

import pytest

from bot.app.prober import OwnSideFetcher
from bot.core.model.observation import Outcome, OwnSide, Target
from bot.http import Fetcher, HttpRequest, NoData, SystemNetwork
from bot.http.network import MAX_LOOKUPS, _mix_families
from tests.ports import find_free_port
from tests.probes.conftest import Server, answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.http.network import Address
    from tests.probes.conftest import Lab

LOGIN = Target("prod", "login")


def open_files() -> int:
    """Count this process's file descriptors."""
    return len(list(File("/proc/self/fd").iterdir()))


class Resolver:
    """A DNS lookup that hangs for some hosts until it is released."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def __call__(self, host: str, port: int, **_: Any) -> Sequence[Any]:
        if host.startswith("hang"):
            self.go.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 2


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver()
    yield made
    made.go.set()


class SeveralAddresses:
    """A host with a dead, a silent and a working address."""

    def __init__(self, *addresses: Address) -> None:
        self.addresses = addresses
        self.asked = 0

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        assert (host, port) == ("acme.us.auth0.test", 443)
        return self.addresses

    async def before_connect(self, host: str) -> None:
        """Hang at the second address."""
        assert host == "acme.us.auth0.test"
        self.asked += 1
        if self.asked == 2:
            await asyncio.sleep(3600)


async def test_each_stage_has_its_time(lab: Lab) -> None:
    """Times are by the clock port: at speed 4 a stage seems to take four times as long."""
    began = time.monotonic()
    seen = await lab.probes().probe(LOGIN)
    took_s = (time.monotonic() - began) * lab.clock.speed

    stages = ["dns", "connect", "tls", "http", "body", "oauth", "token"]
    assert [timing.stage for timing in seen.timings] == stages
    assert seen.latency_s
    assert 0 < seen.latency_s <= sum(timing.seconds for timing in seen.timings) <= took_s


async def test_the_server_sees_the_host_by_its_name(lab: Lab) -> None:
    """Though we connect to an address, the Host header and the certificate check use the name."""
    await lab.probes().probe(LOGIN)
    _, headers, _ = lab.server.seen[0]

    assert headers["host"] == "acme.us.auth0.test"
    assert headers["accept-encoding"] == "identity"


async def test_the_next_address_is_tried(lab: Lab) -> None:
    """One refuses, one stays silent, the third works at once: a dead family is no outage."""
    dead = find_free_port()
    path = SeveralAddresses(*(("127.0.0.1", port) for port in (dead, dead, lab.server.port)))
    fetcher = Fetcher(lab.clock, path, lab.lag)
    call = HttpRequest(
        url="https://acme.us.auth0.test/.well-known/jwks.json", timeout_s=60, ca_file=lab.ca_file
    )
    reply = await fetcher.fetch(call)

    assert reply.status == 200
    assert path.asked == 3
    assert reply.latency_s < 8.0


def test_the_address_families_come_in_turn() -> None:
    """However many addresses one of them has."""
    rows = [
        *((socket.AF_INET6, 1, 6, "", (f"2001:db8::{n}", 443, 0, 0)) for n in range(8)),
        *((socket.AF_INET, 1, 6, "", (f"192.0.2.{n}", 443)) for n in range(3)),
    ]

    assert [host for host, _ in _mix_families(rows)[:4]] == [
        "2001:db8::0",
        "192.0.2.0",
        "2001:db8::1",
        "192.0.2.1",
    ]


@pytest.mark.parametrize(
    ("answers", "is_found"),
    [
        ([socket.EAI_AGAIN] * 3, False),
        ([socket.EAI_AGAIN, socket.EAI_NONAME, socket.EAI_AGAIN], True),
        ([socket.EAI_NONAME] * 3, True),
        ([0, socket.EAI_AGAIN, socket.EAI_AGAIN], True),
    ],
)
async def test_one_answer_proves_the_resolver(answers: list[int], *, is_found: bool) -> None:
    """That a name does not exist is an answer; nobody has asked for any of them before."""
    asked: list[str] = []

    def look_up(host: str, *_args: object, **_more: object) -> list[object]:
        asked.append(host)
        if number := answers[len(asked) - 1]:
            raise socket.gaierror(number, "no")
        return []

    assert await SystemNetwork({}, look_up).are_names_found() is is_found
    assert len({host.split(".")[0] for host in asked}) == 1
    assert not any("auth0" in host for host in asked)


async def test_500_cancelled_requests_leave_nothing(lab: Lab) -> None:
    """Cancelled at every stage: no file stays open, no task alive, and the next check works."""
    probes = lab.probes()
    await probes.probe(LOGIN)
    files, tasks = open_files(), len(asyncio.all_tasks())
    for batch in range(10):
        looks = [asyncio.create_task(probes.probe(LOGIN)) for _ in range(50)]
        await asyncio.sleep(batch * 0.004)
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
    after = await probes.probe(LOGIN)
    for _ in range(100):
        if open_files() <= files and len(asyncio.all_tasks()) <= tasks:
            break
        await asyncio.sleep(0.02)

    assert after.outcome is Outcome.OK
    assert open_files() <= files
    assert len(asyncio.all_tasks()) <= tasks


@pytest.mark.parametrize(
    ("name", "family"),
    [("any", socket.AF_UNSPEC), ("ipv4", socket.AF_INET), ("ipv6", socket.AF_INET6)],
)
async def test_only_addresses_of_the_wanted_family(name: str, family: int) -> None:
    """The system is asked for these alone."""
    asked: list[dict[str, Any]] = []

    def look_up(_host: str, port: int, **how: Any) -> Sequence[Any]:
        asked.append(how)
        return [(family, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    await SystemNetwork({}, look_up, family=name).resolve("well.test", 443)

    assert [how["family"] for how in asked] == [family]


async def test_hanging_look_ups_hurt_nobody_else(lab: Lab, resolver: Resolver) -> None:
    """Thirty lookups hang, and another host is looked up at once."""
    path = SystemNetwork({}, resolver)
    fetcher = Fetcher(lab.clock, path, lab.lag)
    hanging = [HttpRequest(url=f"https://hang{n}.test/", timeout_s=8.0) for n in range(30)]
    replies = asyncio.gather(*(fetcher.fetch(call) for call in hanging))
    await asyncio.sleep(0)
    healthy = await path.resolve("well.test", 443)
    assert not replies.done()

    assert healthy == [("127.0.0.1", 443)]
    assert {(r.fault.stage, r.fault.reason) for r in await replies if r.fault} == {
        ("dns", "timeout")
    }


async def test_a_full_resolver_is_our_own_trouble(lab: Lab, resolver: Resolver) -> None:
    """With every thread hanging there is no data; once they end, lookups work again."""
    path = SystemNetwork({}, resolver)
    fetcher = Fetcher(lab.clock, path, lab.lag)
    call = HttpRequest(url="https://hang.test/", timeout_s=0.8)
    replies = await asyncio.gather(*(fetcher.fetch(call) for _ in range(MAX_LOOKUPS)))
    full = await fetcher.fetch(call)
    resolver.go.set()
    for _ in range(3000):
        try:
            again = await path.resolve("well.test", 443)
            break
        except NoData:
            await asyncio.sleep(0.01)

    assert all(reply.fault for reply in replies)
    assert full.no_data_reason
    assert full.fault is None
    assert again == [("127.0.0.1", 443)]


async def test_overrides_replace_the_resolver() -> None:
    """Overrides ignore the case of the host, and accept IPv6 in brackets."""
    path = SystemNetwork({"Acme.test": "127.0.0.1:8443", "six.test": "[::1]:443"})

    assert await path.resolve("ACME.test", 443) == [("127.0.0.1", 8443)]
    assert await path.resolve("six.test", 443) == [("::1", 443)]


async def test_the_real_resolver() -> None:
    """A literal needs no DNS; a name that cannot exist is nxdomain or, offline, servfail."""
    path = SystemNetwork({})

    assert await path.resolve("127.0.0.1", 80) == [("127.0.0.1", 80)]
    with pytest.raises(socket.gaierror):
        await path.resolve("nowhere.invalid", 80)


@pytest.mark.parametrize(
    "call",
    [
        HttpRequest(url="gopher://acme.test/", timeout_s=1),
        HttpRequest(url="acme.test", timeout_s=1),
        HttpRequest(url="https://[::1/", timeout_s=1),
        HttpRequest(url="http://acme.test/", timeout_s=1, headers={"X": "a\nb"}),
        HttpRequest(url="https://acme.test/", timeout_s=1, ca_file="/nowhere/ca.pem"),
        HttpRequest(url="https://acme.test/", timeout_s=1, ca_file=__file__),
    ],
)
async def test_calls_that_cannot_be_made(lab: Lab, call: HttpRequest) -> None:
    """A mistake in our configuration is no evidence against anybody."""
    reply = await lab.fetcher.fetch(call)

    assert reply.no_data_reason
    assert reply.fault is None


def test_a_call_tells_no_secrets() -> None:
    """Its URL may contain a token, its body a password."""
    canary = {"p": "canary"}
    call = HttpRequest(
        url="https://u:canary@x/", timeout_s=1, form=canary, headers=canary, json=canary
    )

    assert "canary" not in repr(call)


class Lost(SeveralAddresses):
    """A resolver that does not know a host."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        assert (host, port) == ("acme.us.auth0.test", 443)
        raise socket.gaierror(self.number, "lost")


@pytest.mark.parametrize(
    ("number", "is_found", "own_side", "times"),
    [
        (socket.EAI_AGAIN, True, OwnSide.NAMES_FOUND, 1),
        (socket.EAI_AGAIN, False, OwnSide.NAMES_LOST, 1),
        (socket.EAI_NONAME, False, OwnSide.UNKNOWN, 0),
    ],
)
async def test_the_first_look_up_that_fails_asks_for_other_names(
    lab: Lab, number: int, own_side: OwnSide, times: int, *, is_found: bool
) -> None:
    """Once for many that fail together; that a name does not exist is no fault of the resolver."""
    asked = []

    async def are_names_found() -> bool:
        asked.append(1)
        return is_found

    fetcher = OwnSideFetcher(lab.clock, Lost(number), lab.lag)
    fetcher.are_names_found = are_names_found
    call = HttpRequest(url="https://acme.us.auth0.test/", timeout_s=2.0)
    replies = [await fetcher.fetch(call) for _ in range(3)]

    assert [reply.fault and reply.fault.own_side for reply in replies] == [own_side] * 3
    assert len(asked) == times


class Searches:
    """Notes what Python searches for in order to import it, and finds nothing."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, *_: object) -> None:
        self.names.append(name)


async def test_a_request_searches_for_no_module(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries that try an optional import for each request cost a tenth of a login."""
    probes = lab.probes()
    await probes.probe(LOGIN)  # the first of all loads what it needs
    searches = Searches()
    monkeypatch.setattr(sys, "meta_path", [searches, *sys.meta_path])

    await probes.probe(LOGIN)

    assert searches.names == []


LONG = {"text": "x" * 5_000_000}
"""More than the buffers of both sockets take."""


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_long_request_arrives_whole(lab: Lab, scheme: str) -> None:
    """Though it takes many records of TLS, and a socket does not take it at once."""
    read = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = re.findall(rb"(?i)content-length: (\d+)", head)
        read.append(json.loads(await reader.readexactly(int(length))))
        await answer(200)(writer)
        writer.close()

    tls = lab.server.tls if scheme == "https" else None
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        lab.path.port = server.sockets[0].getsockname()[1]
        url = f"{scheme}://acme.us.auth0.test/"
        call = HttpRequest(url=url, timeout_s=60.0, ca_file=lab.ca_file, json=LONG)
        reply = await lab.fetcher.fetch(call)

    assert reply.status == 200
    assert read == [LONG]


async def test_an_answer_counts_though_the_request_was_not_read(lab: Lab) -> None:
    """A server may refuse a request, and close the connection, before it has read all of it."""

    async def refuse(writer: asyncio.StreamWriter) -> None:
        await answer(413)(writer)
        writer.transport.abort()

    async with Server(raw=refuse) as server:
        lab.path.port = server.port
        call = HttpRequest(url="http://acme.us.auth0.test/", timeout_s=60.0, json=LONG)
        reply = await lab.fetcher.fetch(call)

    assert (reply.status, reply.fault) == (413, None)
