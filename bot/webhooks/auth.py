"""How senders prove who they are. All comparisons take the same time, whatever is sent."""

from __future__ import annotations

import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

DEDUP_WINDOW_S = 600.0
"""The same words within one such period are one message that was delivered twice. Later they are
said anew: Alertmanager repeats an alert that goes on, and "deploy" is said of each one."""
MAX_SKEW_S = 300.0
"""How old, or how far ahead of our clock, Sentry's timestamp may be."""


class RequestHead(NamedTuple):
    """What is known of a request before its body is read."""

    at: float
    headers: Mapping[str, str]
    """Names in any case."""
    path_secret: str = ""
    """The end of the path, where that is the secret."""


@dataclass(frozen=True, slots=True)
class SenderAuth(ABC):
    """A secret (an empty one is a ValueError), and how a sender shows that it knows it."""

    secret: str = field(repr=False)
    dedup_window_s: ClassVar[float] = DEDUP_WINDOW_S

    def __post_init__(self) -> None:
        if not self.secret.strip():
            raise ValueError("without a secret everybody could push")

    @abstractmethod
    def is_admitted(self, head: RequestHead) -> bool:
        """Whether the body is worth reading."""

    def has_valid_signature(self, head: RequestHead, body: bytes) -> bool:  # noqa: ARG002 - for those who sign
        """Whether a body that was let in is the sender's own. Without signatures it is."""
        return True


class BearerAuth(SenderAuth):
    """`Authorization: Bearer SECRET`."""

    __slots__ = ()

    def is_admitted(self, head: RequestHead) -> bool:
        """See `Key`."""
        scheme, _, token = head.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and _is_equal(token.strip(), self.secret)


class HeaderAuth(SenderAuth):
    """`Authorization: SECRET`, without any scheme, as Auth0's log streams send it."""

    __slots__ = ()

    def is_admitted(self, head: RequestHead) -> bool:
        """See `Key`."""
        return _is_equal(head.headers.get("Authorization", "").strip(), self.secret.strip())


class PathAuth(SenderAuth):
    """The end of the path, for a sender that can do nothing else."""

    __slots__ = ()

    def is_admitted(self, head: RequestHead) -> bool:
        """See `Key`."""
        return _is_equal(head.path_secret, self.secret)


class SentrySignature(SenderAuth):
    """HMAC-SHA256 over the body, in hexadecimal digits.

    The timestamp is not signed (`AppPlatformEvent` and `SentryApp.build_signature` in
    getsentry/sentry, read 2026-11): whoever has a copy of a request can give it a fresh one. But
    each alert has ids and times in it, so the same bytes are a repetition however late they come.
    """

    __slots__ = ()
    dedup_window_s = inf

    def is_admitted(self, head: RequestHead) -> bool:
        """See `Key`."""
        stamp = head.headers.get("Sentry-Hook-Timestamp", "")
        return bool(re.fullmatch(r"[0-9]{1,12}", stamp)) and abs(head.at - int(stamp)) <= MAX_SKEW_S

    def has_valid_signature(self, head: RequestHead, body: bytes) -> bool:
        """See `Key`."""
        digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        return _is_equal(head.headers.get("Sentry-Hook-Signature", ""), digest)


def _is_equal(told: str, known: str) -> bool:
    # What is told may hold halves of surrogate pairs: undecodable bytes of a header.
    return hmac.compare_digest(told.encode(errors="surrogatepass"), known.encode())
