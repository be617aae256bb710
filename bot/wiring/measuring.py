"""Settings -> what is asked for figures: sources that are polled, and what hooks have collected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.config.sources import PingdomHook, SentryHook, TokenHook
from bot.core.model import LOGS, Target
from bot.hooks.hook import Guarded, HookConfig, TenantHook
from bot.sources.prometheus import PrometheusRate, authorization, otel_expressions
from bot.sources.sentry import SentryEvents
from bot.sources.tenant_log import TenantLog
from bot.wiring.rules import is_reported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

    from bot.config import Settings
    from bot.config.settings import Tenant
    from bot.config.sources import Metric, Prometheus
    from bot.core.measurement import Measurement
    from bot.fetch import Fetcher
    from bot.hooks.counts import PushedCounts

SENTRY_TIMEOUT_S = 10.0


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
                yield target, _rate(target, settings.prometheus, tenant, metric, fetcher)
            else:
                yield target, _Drained(target, fetcher, counts)
        yield from _events(settings, tenant, fetcher)
        yield from _log(tenant, fetcher, counts)


def _rate(
    target: Target, server: Prometheus, tenant: Tenant, metric: Metric, fetcher: Fetcher
) -> PrometheusRate:
    hosts = [host for host in (tenant.domain, tenant.custom_domain) if host]
    failed, total = metric.failed, metric.all
    if failed is None or total is None:
        failed, total = otel_expressions(hosts, metric.match or "")
    return PrometheusRate(
        target,
        url=server.url,
        failed=failed,
        total=total,
        window_s=metric.window,
        headers=authorization(
            token=_plain(server.token),
            username=server.username or "",
            password=_plain(server.password),
        ),
        timeout_s=server.timeout,
        ca_file=server.ca_file,
        fetcher=fetcher,
    )


def _events(
    settings: Settings, tenant: Tenant, fetcher: Fetcher
) -> Iterator[tuple[Target, Source]]:
    sentry = settings.sentry
    for errors in tenant.errors if sentry else ():
        assert sentry  # noqa: S101 - for mypy: the loop runs only with it
        target = Target(tenant.name, errors.name)
        yield (
            target,
            SentryEvents(
                target,
                url=sentry.url,
                organization=sentry.organization,
                project=errors.project,
                query=errors.query,
                environment=errors.environment,
                window_s=errors.window,
                token=_plain(sentry.token),
                timeout_s=SENTRY_TIMEOUT_S,
                ca_file=None,
                fetcher=fetcher,
            ),
        )


def _log(tenant: Tenant, fetcher: Fetcher, counts: PushedCounts) -> Iterator[tuple[Target, Source]]:
    logs, target = tenant.logs, Target(tenant.name, LOGS)
    if logs and logs.client_id and logs.client_secret:
        yield (
            target,
            TenantLog(
                target,
                domain=tenant.domain,
                base_url=tenant.base_url or f"https://{tenant.domain}",
                client_id=logs.client_id,
                client_secret=_plain(logs.client_secret),
                own_clients=_own_clients(tenant),
                timeout_s=tenant.probe.timeout,
                ca_file=tenant.ca_file,
                fetcher=fetcher,
            ),
        )
    elif logs:
        yield target, _Drained(target, fetcher, counts)


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
        domains=tuple(domain for domain in (tenant.domain, tenant.custom_domain) if domain),
        stream_token=_plain(token) or None,
        own_clients=_own_clients(tenant),
        report_signals=tuple(m.name for m in tenant.metrics if is_reported(m)),
    )


def _own_clients(tenant: Tenant) -> frozenset[str]:
    """Return the applications whose rows in the log are our own doing."""
    machine = (tenant.m2m,) if tenant.m2m else ()
    return frozenset(each.client_id for each in (*tenant.logins, *machine))


def _plain(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
