"""What a hook is made of, and what it is set up with."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.core.model.measurement import ChangeMade, ExternalAlert
    from bot.webhooks.auth import RequestHead, SenderAuth

    Items = tuple[ExternalAlert | ChangeMade, ...]

BODY_CAP = 256 * 1024
"""Bytes. A group of Alertmanager's with 200 alerts stays below."""


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """A hook's secret, and the tenant of whatever names none."""

    secret: str = field(repr=False)
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class WebhookTenant:
    """What hooks need to know of one tenant."""

    domains: tuple[str, ...] = ()
    """In small letters."""
    stream_token: str | None = field(default=None, repr=False)
    """The `Authorization` value of its log stream; None: it has none."""
    own_clients: frozenset[str] = frozenset()
    """Client ids of our synthetic logins."""
    report_signals: tuple[str, ...] = ()
    """Names of the signals that applications report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """Which hooks there are. None: that one is off."""

    sentry: SenderConfig | None = None
    alertmanager: SenderConfig | None = None
    pingdom: SenderConfig | None = None
    report: SenderConfig | None = None
    change: SenderConfig | None = None
    tenants: Mapping[str, WebhookTenant]


class Receipt(StrEnum):
    """What came of a request."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    IGNORED = "ignored"
    """Genuine, and nothing that we need."""
    REFUSED = "refused"
    """Without the secret."""
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    UNSAVED = "unsaved"


class Refusal(Exception):  # noqa: N818 - says what happened
    """The request is answered with `status` and one line that holds nothing of it."""

    def __init__(self, status: int, text: str, receipt: Receipt = Receipt.MALFORMED) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.receipt = receipt


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """A request that is genuine."""

    id: str
    """The same for a repeated delivery."""
    head: RequestHead = field(repr=False)
    text: str = field(repr=False)

    @property
    def at(self) -> float:
        """When it came."""
        return self.head.at


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """One kind of sender."""

    name: str
    auth: SenderAuth
    parse: Callable[[WebhookRequest], Items | Receipt]
    """Find out what is told. Raises Refusal. What it returns as items is yet to be committed."""
    cap: int = BODY_CAP
    """Bytes of a body."""


class TenantFinder:
    """Finds the tenant that a sender speaks of."""

    def __init__(self, known: Mapping[str, WebhookTenant], default: str = "") -> None:
        self.known = known
        self._default = default

    def pick(self, *names: object) -> str:
        """Return the first of `names` that is a tenant, else the default, else the only tenant.

        Where that leaves several the name is empty.
        """
        for name in (*names, self._default):
            if isinstance(name, str) and name in self.known:
                return name
        return next(iter(self.known)) if len(self.known) == 1 else ""

    def require(self, name: object) -> str:
        """Return the tenant that must be named if there are several. Raises Refusal."""
        if name is not None and not (isinstance(name, str) and name in self.known):
            raise Refusal(422, f"no such tenant; there are: {self.names}")
        return self.pick(name) or self.refuse_unnamed('give "tenant"')

    def refuse_unnamed(self, remedy: str) -> NoReturn:
        """Refuse what names no tenant."""
        raise Refusal(422, f"which tenant? {remedy}, one of: {self.names}")

    @property
    def names(self) -> str:
        """All names, for people."""
        return ", ".join(self.known)
