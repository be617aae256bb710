"""Settings -> what is asked for figures: sources that are polled, and what hooks have collected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.config.sources import PingdomHook, SentryHook, TokenHook
from bot.core.model import LOGS, Target
from bot.hooks.hook import Guarded, HookConfig, TenantHook
from bot.sources.prometheus import PrometheusRate
from bot.sources.sentry import SentryEvents
from bot.sources.tenant_log import TenantLog
from bot.wiring.rules import is_reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from bot.config import Settings
    from bot.config.settings import Tenant
    from bot.config.sources import Logs
    from bot.core.measurement import Measurement
    from bot.fetch import Fetcher
    from bot.hooks.counts import PushedCounts


class Source(Protocol):
    """Something that has figures."""

    async def measure(self) -> Measurement:
        """Ask for them. Never raises but on cancellation."""


def sources_of(
    settings: Settings, fetcher: Fetcher, counts: PushedCounts
) -> Iterator[tuple[Target, Source]]:
    """Yield a source for each measured signal of each tenant."""
    for tenant in settings.tenants:
        for metric in tenant.metrics:
            target = Target(tenant.name, metric.name)
            if settings.prometheus and not is_reported(metric):
                rate = PrometheusRate(
                    target, settings.prometheus, metric, tenant.domains, fetcher=fetcher
                )
                yield target, rate
            else:
                yield target, _Drained(target, fetcher, counts)
        for errors in tenant.errors:
            if settings.sentry:
                target = Target(tenant.name, errors.name)
                yield target, SentryEvents(target, settings.sentry, errors, fetcher)
        if tenant.logs:
            target = Target(tenant.name, LOGS)
            yield target, _log(tenant, tenant.logs, fetcher) or _Drained(target, fetcher, counts)


def _log(tenant: Tenant, logs: Logs, fetcher: Fetcher) -> TenantLog | None:
    """Return what reads a tenant's log, if it is not sent."""
    if logs.client_id is None or logs.client_secret is None:
        return None
    secret = logs.client_secret.get_secret_value()
    return TenantLog(tenant, client_id=logs.client_id, client_secret=secret, fetcher=fetcher)


class _Drained:
    """What hooks have collected of a signal since it was last asked for."""

    def __init__(self, target: Target, fetcher: Fetcher, counts: PushedCounts) -> None:
        self._target = target
        self._clock = fetcher.clock
        self._counts = counts

    async def measure(self) -> Measurement:
        """Take it."""
        return self._counts.drain(self._target, self._clock.now())


def hooks_of(settings: Settings) -> HookConfig:
    """Return which hooks there are."""
    hooks = settings.hooks
    return HookConfig(
        sentry=_guarded(hooks.sentry),
        alertmanager=_guarded(hooks.alertmanager),
        pingdom=_guarded(hooks.pingdom),
        report=_guarded(hooks.report),
        change=_guarded(hooks.change),
        tenants={tenant.name: _tenant_hook(tenant) for tenant in settings.tenants},
    )


def _guarded(hook: SentryHook | PingdomHook | TokenHook | None) -> Guarded | None:
    match hook:
        case SentryHook():
            secret = hook.client_secret
        case PingdomHook():
            secret = hook.path_secret
        case TokenHook():
            secret = hook.token
        case None:
            return None
    return Guarded(_plain(secret), hook.tenant or "")


def _tenant_hook(tenant: Tenant) -> TenantHook:
    token = tenant.logs.stream_token if tenant.logs else None
    return TenantHook(
        domains=tenant.domains,
        stream_token=_plain(token) or None,
        own_clients=tenant.own_clients,
        report_signals=tuple(m.name for m in tenant.metrics if is_reported(m)),
    )


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
