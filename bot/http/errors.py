"""What an exception of a request means: a fault of the target, or no data (an error of our own).

What no rule knows is our own error: it is never evidence against the target.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from bot.core.model.fault import describe_fault
from bot.core.model.observation import Fault, OwnSide, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

DNS_REASONS = {
    socket.EAI_NONAME: "nxdomain",
    socket.EAI_NODATA: "nxdomain",
    socket.EAI_AGAIN: "servfail",
    socket.EAI_FAIL: "servfail",
}
CERTIFICATE_REASONS = {
    9: "not_yet_valid",
    10: "expired",
    18: "untrusted",
    19: "untrusted",
    20: "untrusted",
    21: "untrusted",
    62: "wrong_host",
    64: "wrong_host",
}
"""By X509_V_ERR_* of OpenSSL's x509_vfy.h."""
CONNECT_REASONS = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
}
OUR_ERRNOS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.EACCES,
        errno.EPERM,
    }
)
"""This host has run out of a resource, or forbids the connection."""
TIMEOUT_REASONS: dict[str, str] = {Stage.CONNECT: "connect", Stage.TLS: "tls", Stage.HTTP: "read"}


class BadBody(Exception):  # noqa: N818 - says what it is
    """The body cannot be read: `too_large` or `bad_encoding`."""


class NoData(Exception):  # noqa: N818 - says what happened
    """The bot could not check, by an error of its own: no evidence against anybody."""


def classify_error(error: Exception, stage: str) -> Fault:
    """Return the fault that an exception at `stage` shows. Raises `NoData` for our own errors."""
    for kind, classify in CLASSIFIERS:
        if isinstance(error, kind):
            return classify(error, stage)
    if isinstance(error, MemoryError):
        raise NoData("this machine has no memory left")
    raise NoData(f"our own error: {type(error).__name__}")


def _reraise_no_data(error: BaseException, _stage: str) -> Fault:
    raise NoData(str(error))


def _dns_fault(error: BaseException, _stage: str) -> Fault:
    number = getattr(error, "errno", None)
    if number in {socket.EAI_MEMORY, socket.EAI_SYSTEM}:
        raise NoData("the resolver failed")
    return Fault(Stage.DNS, DNS_REASONS.get(number or 0, "failed"))


def _timeout_fault(_error: BaseException, stage: str) -> Fault:
    if stage == Stage.DNS:
        return Fault(Stage.DNS, "timeout")
    return Fault(Stage.TIMEOUT, TIMEOUT_REASONS.get(stage, "total"))


def _socket_fault(error: BaseException, stage: str) -> Fault:
    number = getattr(error, "errno", None)
    if number in OUR_ERRNOS:
        raise NoData(f"{os.strerror(number)}, {errno.errorcode[number]}")
    if stage == Stage.CONNECT:
        return Fault(Stage.CONNECT, CONNECT_REASONS.get(number or 0, "unreachable"))
    return Fault(Stage.TLS, "failed") if stage == Stage.TLS else Fault(Stage.HTTP, "reset")


def _proxy_fault(error: BaseException, _stage: str) -> Fault:
    """Classify what a proxy answers instead of connecting us: `407 Proxy Authentication Required`.

    With a 5xx it says that it cannot reach the host: that may well be the host's fault.
    """
    said = str(error)
    if said.startswith("5"):
        return Fault(Stage.CONNECT, "proxy_failed", description=said)
    reason = "proxy_login" if said.startswith("407") else "proxy_refused"
    return Fault(Stage.CONNECT, reason, description=said, own_side=OwnSide.BETWEEN)


def name_proxy(fault: Fault, address: str, *, is_connected: bool) -> Fault:
    """Say which proxy it was, if a fault is one of the proxy or of the way to it."""
    if not is_connected:
        said = f"{address} ({describe_fault(fault)})"
        return Fault(Stage.CONNECT, "proxy_unreachable", description=said)
    if fault.reason.startswith("proxy_"):
        return replace(fault, description=f"{address} answers {fault.description}")
    return fault


CLASSIFIERS: tuple[tuple[type[BaseException], Callable[[Any, str], Fault]], ...] = (
    (NoData, _reraise_no_data),
    (socket.gaierror, _dns_fault),
    (
        ssl.SSLCertVerificationError,
        lambda error, _: Fault(
            Stage.TLS, CERTIFICATE_REASONS.get(getattr(error, "verify_code", 0), "failed")
        ),
    ),
    (ssl.SSLError, lambda *_: Fault(Stage.TLS, "failed")),
    (TimeoutError, _timeout_fault),
    (httpx.ProxyError, _proxy_fault),
    (OSError, _socket_fault),
    (httpx.RemoteProtocolError, lambda *_: Fault(Stage.HTTP, "protocol")),
    (BadBody, lambda error, _: Fault(Stage.HTTP, str(error))),
    (zlib.error, lambda *_: Fault(Stage.HTTP, "bad_encoding")),
)
"""The first that fits decides: the specific before the general."""
