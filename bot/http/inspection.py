"""Looks at how a host is reached: each address family, and the certificate."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model.observation import Fault, Stage
from bot.http.client import HttpRequest
from bot.http.errors import NoData, classify_error

if TYPE_CHECKING:
    from bot.http.client import Fetcher

LIMIT_S = 10.0
"""Real seconds for one address."""


@dataclass(frozen=True, slots=True)
class AddressInspection:
    """One address of a host."""

    family: str
    """`IPv4` or `IPv6`; of a host behind a proxy neither."""
    address: str
    fault: Fault | None = None
    expires_at: float = 0.0
    """When the certificate ends; 0 without TLS."""


async def inspect_host(
    fetcher: Fetcher, host: str, port: int = 443, ca_file: str | None = None
) -> list[AddressInspection]:
    """Connect once to an address of each family that DNS names, with TLS.

    Returns one inspection with the fault where there is no address, and one through a proxy, whose
    own addresses say nothing about the host. Raises `NoData`.
    """
    if fetcher.proxy:
        request = HttpRequest(
            url=f"https://{host}:{port}/", timeout_s=LIMIT_S, ca_file=ca_file, cap=0
        )
        result = await fetcher.fetch(request)
        if result.no_data_reason:
            raise NoData(result.no_data_reason)
        return [AddressInspection("proxy", "", result.fault, expires_at=result.certificate_ends_at)]
    context = fetcher.trust(ca_file)
    try:
        addresses = await fetcher.network.resolve(host, port)
    except Exception as error:  # noqa: BLE001 - classified, or our own
        return [AddressInspection("", "", classify_error(error, Stage.DNS))]
    first = {("IPv6" if ":" in ip else "IPv4"): (ip, port) for ip, port in reversed(addresses)}
    works = (_inspect(family, *first[family], host, context) for family in sorted(first))
    return list(await asyncio.gather(*works))


async def _inspect(
    family: str, ip: str, port: int, host: str, context: ssl.SSLContext
) -> AddressInspection:
    stage = Stage.CONNECT
    try:
        async with asyncio.timeout(LIMIT_S):
            _, plain = await asyncio.open_connection(ip, port)
            plain.close()
            stage = Stage.TLS
            _, writer = await asyncio.open_connection(ip, port, ssl=context, server_hostname=host)
    except Exception as error:  # noqa: BLE001 - classified
        with suppress(NoData):
            return AddressInspection(family, ip, classify_error(error, stage))
        return AddressInspection(family, ip, Fault(stage, "failed"))
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    ends = certificate.get("notAfter")
    return AddressInspection(family, ip, expires_at=ssl.cert_time_to_seconds(ends) if ends else 0.0)
