"""The parts of a webhook, and its configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, NoReturn

from bot.core.model.measurement import ALERTMANAGER, SENTRY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.core.model.measurement import ChangeMade, ExternalAlert
    from bot.webhooks.auth import RequestHead, SenderAuth

    Items = tuple[ExternalAlert | ChangeMade, ...]

DEDUP_WINDOW_S = 600.0
"""The same body twice within one such period is one message that was delivered twice. Later it is a
new message: each deploy may be called "deploy"."""
DEDUP_WINDOWS_S = {SENTRY: inf, ALERTMANAGER: 60.0}
"""Of other senders. Each alert of Sentry contains ids and times, so the same bytes are a
repetition, however late. An alert that Alertmanager resolved and fires again has its old start."""
BODY_CAP = 256 * 1024
"""Bytes. An Alertmanager group of 200 alerts is smaller."""


@dataclass(frozen=True, slots=True)
class SenderConfig:
    """A webhook's secret, and the tenant of messages that name none."""

    secret: str = field(repr=False)
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class WebhookTenant:
    """What webhooks need to know about one tenant."""

    domains: tuple[str, ...] = ()
    """In lower case."""
    stream_token: str | None = field(default=None, repr=False)
    """The `Authorization` value of its log stream; None: no log stream."""
    own_clients: frozenset[str] = frozenset()
    """Client ids of the bot's synthetic logins."""
    report_signals: tuple[str, ...] = ()
    """Names of the metrics that applications report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookConfig:
    """The webhooks that are on."""

    senders: Mapping[str, SenderConfig] = field(default_factory=dict)
    """By the webhook's name: one of `MONITORS`, `report` or `change`."""
    tenants: Mapping[str, WebhookTenant]


class Receipt(StrEnum):
    """The result of a request."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    IGNORED = "ignored"
    """Authentic, but nothing that the bot needs."""
    REFUSED = "refused"
    """Without the right secret."""
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    UNSAVED = "unsaved"


class Refusal(Exception):  # noqa: N818 - says what happened
    """The request gets `status` and one line of text, with nothing of its content."""

    def __init__(self, status: int, text: str, receipt: Receipt = Receipt.MALFORMED) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.receipt = receipt


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """An authentic request."""

    id: str
    """The same for a repeated delivery."""
    head: RequestHead = field(repr=False)
    text: str = field(repr=False)

    @property
    def at(self) -> float:
        """When it arrived."""
        return self.head.at


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """A kind of sender."""

    name: str
    auth: SenderAuth
    parse: Callable[[WebhookRequest], Items | Receipt]
    """Raises Refusal. The items that it returns must still be committed."""
    cap: int = BODY_CAP
    """Bytes of a body."""

    @property
    def dedup_window_s(self) -> float:
        """How long the same body is a repetition."""
        return DEDUP_WINDOWS_S.get(self.name, DEDUP_WINDOW_S)


class TenantFinder:
    """Finds the tenant that a message is about."""

    def __init__(self, known: Mapping[str, WebhookTenant], default: str = "") -> None:
        self.known = known
        self._default = default

    def pick(self, *names: object) -> str:
        """Return the first of `names` that is a tenant, else the default, else the only tenant.

        Empty if there are several tenants.
        """
        for name in (*names, self._default):
            if isinstance(name, str) and name in self.known:
                return name
        return next(iter(self.known)) if len(self.known) == 1 else ""

    def require(self, name: object) -> str:
        """Return the named tenant, or the only one. Raises Refusal for a wrong or missing name."""
        if name is not None and not (isinstance(name, str) and name in self.known):
            raise Refusal(422, f"no such tenant; there are: {self.names}")
        return self.pick(name) or self.refuse_unnamed('give "tenant"')

    def refuse_unnamed(self, remedy: str) -> NoReturn:
        """Refuse a message that names no tenant."""
        raise Refusal(422, f"which tenant? {remedy}, one of: {self.names}")

    @property
    def names(self) -> str:
        """All names, for people."""
        return ", ".join(self.known)
