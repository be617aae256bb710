"""The network up to a host: DNS lookups, and what may fail before the first packet."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol

from bot.http.errors import NoData

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Address = tuple[str, int]
"""An IP address and a port."""
MAX_LOOKUPS = 64
"""At once. The loop's own executor has 6 threads on 2 cores: 6 hanging lookups stop all others."""
FAMILIES = {"any": socket.AF_UNSPEC, "ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
MAX_ADDRESSES = 4
"""Tried for one request."""


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
        return list(dict.fromkeys((row[4][0], row[4][1]) for row in rows))[:MAX_ADDRESSES]

    async def before_connect(self, host: str) -> None:
        """Allow every connection."""

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
