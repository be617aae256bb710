"""The table of webhooks: their paths, and how each sender proves who it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bot.core.model.measurement import ALERTMANAGER, PINGDOM, SENTRY
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
    from bot.webhooks.sender import Items, Receipt, WebhookConfig

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def webhook_routes(
    hooks: WebhookConfig,
    *,
    inbox: Inbox,
    counters: PushedCounts,
    clock: Clock,
    count: Callable[[str, str], None],
) -> Mapping[tuple[str, str], Handler]:
    """Return a handler for each configured webhook, by method and path.

    Args:
        hooks: the configured webhooks. An empty secret is a ValueError.
        inbox: where alerts and changes are committed before they are answered.
        counters: where pushed counts and log rows are collected.
        clock: the time.
        count: is called with the webhook's name and a `Receipt` for each request.
    """
    return {
        ("POST", path): WebhookEndpoint(sender, inbox=inbox, clock=clock, count=count).handle
        for path, sender in _senders(hooks, counters)
    }


def _senders(hooks: WebhookConfig, counters: PushedCounts) -> Iterator[tuple[str, WebhookSender]]:
    kinds: dict[str, tuple[type[SenderAuth], Callable[..., Items | Receipt]]] = {
        SENTRY: (SentrySignature, sentry.parse_alert),
        ALERTMANAGER: (BearerAuth, alertmanager.parse_alerts),
        PINGDOM: (PathAuth, pingdom.parse_check),
        "report": (BearerAuth, partial(own.count_report, counts=counters)),
        "change": (BearerAuth, own.parse_change),
    }
    for name, config in hooks.senders.items():
        auth, parse = kinds[name]
        tenants = TenantFinder(hooks.tenants, config.tenant)
        tail = "/{secret}" if auth is PathAuth else ""
        sender = WebhookSender(name, auth(config.secret), partial(parse, tenants=tenants))
        yield f"/hooks/{name}{tail}", sender
    for name, tenant in hooks.tenants.items():
        if tenant.stream_token is not None:
            count_rows = partial(auth0_log_stream.count_rows, tenant=name, counts=counters)
            sender = WebhookSender(
                "auth0", HeaderAuth(tenant.stream_token), count_rows, cap=auth0_log_stream.BODY_CAP
            )
            yield f"/hooks/auth0/{name}", sender
