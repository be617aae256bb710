"""The network up to a host: DNS lookups, and what may fail before the first packet."""

from __future__ import annotations

import asyncio
import importlib.util
import secrets
import socket
import sys
import threading
from concurrent.futures import Future
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Protocol

import httpcore

from bot.http.errors import NoData

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

# httpcore 1.0.9 imports sniffio for each lock, to ask which event loop runs. Where it is not
# installed, Python searched the whole path seven times a request: 19 % of a login's processor time
# (measured 2026-11). With None, Python knows that it is absent, and httpcore takes asyncio.
if importlib.util.find_spec("sniffio") is None:
    sys.modules["sniffio"] = None  # type: ignore[assignment]

Address = tuple[str, int]
"""An IP address and a port."""
MAX_LOOKUPS = 64
"""At once. The loop's own executor has 6 threads on 2 cores: 6 hanging lookups stop all others."""
FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
MAX_ADDRESSES = 4
"""Tried for one request."""
OUTSIDE_DOMAINS = ("example.com", "iana.org", "wikipedia.org")
"""Three operators of name servers, none of them Auth0's."""
OUTSIDE_LIMIT_S = 4.0
HTTPS_PORT = 443
HEAD_START_S = 0.25
"""Real seconds after which the next address is tried as well (RFC 8305, section 5)."""


class Network(Protocol):
    """The operating system's network, or the simulator's with faults in it."""

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Return at least one address, the best first. Raises `socket.gaierror` or `NoData`."""

    async def before_connect(self, host: str) -> None:
        """Return at once to allow the next connection.

        Otherwise raise the OSError that the socket would, or wait as for a lost packet.
        """


class SystemNetwork:
    """The operating system's resolver, in our own threads, with overrides for labs."""

    def __init__(
        self,
        overrides: Mapping[str, str],
        look_up: Callable[..., Sequence[Any]] = socket.getaddrinfo,
        *,
        family: str = "any",
    ) -> None:
        """Resolve the hosts of `{host: "address:port"}` without `look_up`."""
        self._family = FAMILIES[family]
        self._overrides = {host.lower(): target for host, target in overrides.items()}
        self._look_up = look_up
        self._free = threading.BoundedSemaphore(MAX_LOOKUPS)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """Look up a host in a thread; a cancelled caller does not wait for it."""
        if (target := self._overrides.get(host.lower())) is not None:
            address, _, number = target.rpartition(":")
            return [(address.strip("[]"), int(number))]
        rows = await asyncio.wrap_future(self._start_lookup(host, port))
        return _mix_families(rows)[:MAX_ADDRESSES]

    async def before_connect(self, host: str) -> None:
        """Allow every connection."""

    async def are_names_found(self) -> bool:
        """Tell whether our resolver answers for names that have nothing to do with Auth0.

        Nobody has asked for them before, so no cache answers; that they do not exist is an answer.
        """
        label = secrets.token_hex(8)
        asked = [self._is_answered(f"{label}.{domain}") for domain in OUTSIDE_DOMAINS]
        return any(await asyncio.gather(*asked))

    async def _is_answered(self, host: str) -> bool:
        try:
            async with asyncio.timeout(OUTSIDE_LIMIT_S):
                await asyncio.wrap_future(self._start_lookup(host, HTTPS_PORT))
        except socket.gaierror as error:
            return error.errno in {socket.EAI_NONAME, socket.EAI_NODATA}
        except (OSError, NoData):
            return False
        return True

    def _start_lookup(self, host: str, port: int) -> Future[Sequence[Any]]:
        """Start a daemon thread: an executor's threads would delay the end of the process."""
        if not self._free.acquire(blocking=False):
            raise NoData(f"all {MAX_LOOKUPS} DNS look-ups hang")
        found: Future[Sequence[Any]] = Future()
        found.set_running_or_notify_cancel()  # from here a cancelled caller changes nothing

        def run() -> None:
            try:
                found.set_result(
                    self._look_up(host, port, family=self._family, type=socket.SOCK_STREAM)
                )
            except Exception as error:  # noqa: BLE001 - handed to the caller
                found.set_exception(error)
            finally:
                self._free.release()

        try:
            threading.Thread(target=run, name=f"look-up {host}", daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise NoData("no thread for a DNS look-up") from error
        return found


def _mix_families(rows: Sequence[Any]) -> list[Address]:
    """Return the addresses of a look-up, the families in turn: one of them may be dead here."""
    families: dict[object, dict[Address, None]] = {}
    for row in rows:
        families.setdefault(row[0], {})[row[4][0], row[4][1]] = None
    turns = zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


async def race_connections(
    connects: Sequence[Callable[[], Coroutine[Any, Any, httpcore.AsyncNetworkStream]]],
) -> httpcore.AsyncNetworkStream:
    """Return the first connection that stands. Raises the error of the best address."""
    if not connects:
        raise NoData("no address")
    tasks: list[asyncio.Task[httpcore.AsyncNetworkStream]] = []
    won: httpcore.AsyncNetworkStream | None = None
    try:
        while won is None:
            if len(tasks) < len(connects):
                tasks.append(asyncio.create_task(connects[len(tasks)]()))
            elif all(task.done() for task in tasks):
                return tasks[0].result()
            head_start_s = HEAD_START_S if len(tasks) < len(connects) else None
            running = [task for task in tasks if not task.done()] or tasks
            await asyncio.wait(running, timeout=head_start_s, return_when="FIRST_COMPLETED")
            done = (task for task in tasks if task.done() and not task.exception())
            won = next((task.result() for task in done), None)
        return won
    finally:
        await _drop_losers(tasks, won)


async def _drop_losers(
    tasks: Sequence[asyncio.Task[httpcore.AsyncNetworkStream]],
    won: httpcore.AsyncNetworkStream | None,
) -> None:
    for task in tasks:
        task.cancel()
    for late in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(late, httpcore.AsyncNetworkStream) and late is not won:
            await late.aclose()
