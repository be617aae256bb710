"""The table: which hooks there are, where, and how each sender proves who it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from bot.webhooks import alertmanager, auth0_log_stream, own, pingdom, sentry
from bot.webhooks.auth import Bearer, InPath, SentrySignature, Whole
from bot.webhooks.endpoint import Endpoint
from bot.webhooks.sender import Hook, Tenants

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from aiohttp import web

    from bot.ports import Clock, Inbox
    from bot.webhooks.auth import Key
    from bot.webhooks.counts import PushedCounts
    from bot.webhooks.sender import Guarded, HookConfig, Items, Message, Receipt

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Read(Protocol):
    """Finds out what a message tells. Raises Refusal."""

    def __call__(self, message: Message, *, tenants: Tenants) -> Items | Receipt:
        """Return what is to be committed, or what came of it already."""


def hook_routes(
    hooks: HookConfig,
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
        ("POST", path): Endpoint(hook, inbox=inbox, clock=clock, count=count).handle
        for path, hook in _table(hooks, counters)
    }


def _table(hooks: HookConfig, counters: PushedCounts) -> Iterator[tuple[str, Hook]]:
    kinds: tuple[tuple[str, Guarded | None, type[Key], Read], ...] = (
        ("sentry", hooks.sentry, SentrySignature, sentry.read),
        ("alertmanager", hooks.alertmanager, Bearer, alertmanager.read),
        ("pingdom", hooks.pingdom, InPath, pingdom.read),
        ("report", hooks.report, Bearer, partial(own.read_report, counts=counters)),
        ("change", hooks.change, Bearer, own.read_change),
    )
    for name, guarded, key, read in kinds:
        if guarded:
            tenants = Tenants(hooks.tenants, guarded.tenant)
            tail = "/{secret}" if key is InPath else ""
            hook = Hook(name, key(guarded.secret), partial(read, tenants=tenants))
            yield f"/hooks/{name}{tail}", hook
    for name, tenant in hooks.tenants.items():
        if tenant.stream_token is not None:
            reading = partial(auth0_log_stream.read, tenant=name, counts=counters)
            hook = Hook("auth0", Whole(tenant.stream_token), reading, cap=auth0_log_stream.CAP)
            yield f"/hooks/auth0/{name}", hook
