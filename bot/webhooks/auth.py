"""How senders prove who they are. All comparisons take constant time."""

from __future__ import annotations

import hashlib
import hmac
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SKEW_S = 300.0
"""How far Sentry's timestamp may be behind or ahead of our clock."""


class RequestHead(NamedTuple):
    """A request before its body is read."""

    at: float
    headers: Mapping[str, str]
    """Names in any case."""
    path_secret: str = ""
    """The end of the path, if that is the secret."""


@dataclass(frozen=True, slots=True)
class SenderAuth(ABC):
    """A secret, and how a sender proves that it knows it. Raises ValueError for an empty secret."""

    secret: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.secret.strip():
            raise ValueError("without a secret everybody could push")

    @abstractmethod
    def is_admitted(self, head: RequestHead) -> bool:
        """Return whether to read the body."""

    def has_valid_signature(self, head: RequestHead, body: bytes) -> bool:  # noqa: ARG002 - for senders that sign
        """Return whether the body is the sender's own; without signatures, always."""
        return True


class BearerAuth(SenderAuth):
    """`Authorization: Bearer SECRET`."""

    __slots__ = ()

    def is_admitted(self, head: RequestHead) -> bool:
        """See `SenderAuth`."""
        scheme, _, token = head.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and _is_equal(token.strip(), self.secret)


class HeaderAuth(SenderAuth):
    """`Authorization: SECRET` without a scheme, as Auth0's log streams send it."""

    __slots__ = ()

    def is_admitted(self, head: RequestHead) -> bool:
        """See `SenderAuth`."""
        return _is_equal(head.headers.get("Authorization", "").strip(), self.secret.strip())


class PathAuth(SenderAuth):
    """The secret at the end of the path, for a sender that can do nothing else."""

    __slots__ = ()

    def is_admitted(self, head: RequestHead) -> bool:
        """See `SenderAuth`."""
        return _is_equal(head.path_secret, self.secret)


class SentrySignature(SenderAuth):
    """HMAC-SHA256 of the body, in hexadecimal digits.

    The timestamp is not signed (`AppPlatformEvent` and `SentryApp.build_signature` in
    getsentry/sentry, read 2026-11): whoever has a copy of a request can give it a new one.
    """

    __slots__ = ()

    def is_admitted(self, head: RequestHead) -> bool:
        """See `SenderAuth`."""
        stamp = head.headers.get("Sentry-Hook-Timestamp", "")
        return bool(re.fullmatch(r"[0-9]{1,12}", stamp)) and abs(head.at - int(stamp)) <= MAX_SKEW_S

    def has_valid_signature(self, head: RequestHead, body: bytes) -> bool:
        """See `SenderAuth`."""
        digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        return _is_equal(head.headers.get("Sentry-Hook-Signature", ""), digest)


def _is_equal(sent: str, expected: str) -> bool:
    # A header's undecodable bytes become halves of surrogate pairs.
    return hmac.compare_digest(sent.encode(errors="surrogatepass"), expected.encode())
