"""The table: which hooks there are, where, and how each sender proves who it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from bot.webhooks import alertmanager, auth0_log_stream, own, pingdom, sentry
from bot.webhooks.auth import BearerAuth, HeaderAuth, PathAuth, SentrySignature
from bot.webhooks.endpoint import WebhookEndpoint
from bot.webhooks.sender import TenantFinder, WebhookSender

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from aiohttp import web

    from bot.ports import Clock, Inbox
    from bot.webhooks.auth import SenderAuth
    from bot.webhooks.counts import PushedCounts
    from bot.webhooks.sender import Items, Receipt, SenderConfig, WebhookConfig, WebhookRequest

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebhookParser(Protocol):
    """Finds out what a message tells. Raises Refusal."""

    def __call__(self, message: WebhookRequest, *, tenants: TenantFinder) -> Items | Receipt:
        """Return what is to be committed, or what came of it already."""


def webhook_routes(
    hooks: WebhookConfig,
    *,
    inbox: Inbox,
    counters: PushedCounts,
    clock: Clock,
    count: Callable[[str, str], None],
) -> Mapping[tuple[str, str], Handler]:
    """Return a handler for each hook that is configured, by method and path.

    Args:
        hooks: what is configured. An empty secret is a ValueError.
        inbox: where pushed states and changes are committed before they are answered.
        counters: where pushed counts and log rows are collected.
        clock: the time.
        count: is called with the hook's name and a `Receipt` for each request.
    """
    return {
        ("POST", path): WebhookEndpoint(hook, inbox=inbox, clock=clock, count=count).handle
        for path, hook in _senders(hooks, counters)
    }


def _senders(hooks: WebhookConfig, counters: PushedCounts) -> Iterator[tuple[str, WebhookSender]]:
    kinds: tuple[tuple[str, SenderConfig | None, type[SenderAuth], WebhookParser], ...] = (
        ("sentry", hooks.sentry, SentrySignature, sentry.parse_alert),
        ("alertmanager", hooks.alertmanager, BearerAuth, alertmanager.parse_alerts),
        ("pingdom", hooks.pingdom, PathAuth, pingdom.parse_check),
        ("report", hooks.report, BearerAuth, partial(own.count_report, counts=counters)),
        ("change", hooks.change, BearerAuth, own.parse_change),
    )
    for name, guarded, key, read in kinds:
        if guarded:
            tenants = TenantFinder(hooks.tenants, guarded.tenant)
            tail = "/{secret}" if key is PathAuth else ""
            hook = WebhookSender(name, key(guarded.secret), partial(read, tenants=tenants))
            yield f"/hooks/{name}{tail}", hook
    for name, tenant in hooks.tenants.items():
        if tenant.stream_token is not None:
            reading = partial(auth0_log_stream.count_rows, tenant=name, counts=counters)
            hook = WebhookSender(
                "auth0", HeaderAuth(tenant.stream_token), reading, cap=auth0_log_stream.BODY_CAP
            )
            yield f"/hooks/auth0/{name}", hook
