"""The real `Prober`: probes, sources and status feeds over real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.app.rules import feed_target, is_reported
from bot.config.settings_sources import PingdomWebhook, SentryWebhook, TokenWebhook
from bot.core.model.measurement import Measurement
from bot.core.model.observation import LOGS, Observation, Outcome, Target
from bot.http import Fetcher, HttpRequest, LoopLag, SystemNetwork
from bot.http.loop_lag import LIMIT_S
from bot.probes import Probes
from bot.sources.auth0_logs import TenantLog
from bot.sources.oncall_calendar import ShiftCalendar
from bot.sources.prometheus import PrometheusRate
from bot.sources.sentry import SentryEvents
from bot.sources.status_page import StatusFeed
from bot.webhooks.counts import PushedCounts
from bot.webhooks.sender import SenderConfig, WebhookConfig, WebhookTenant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import SecretStr

    from bot.config import Settings
    from bot.config.settings import Tenant
    from bot.config.settings_sources import Logs
    from bot.core.model.observation import FeedReading
    from bot.core.oncall.schedule import Shifts
    from bot.http import Network
    from bot.ports import Clock


class Source(Protocol):
    """Something that has figures."""

    async def measure(self) -> Measurement:
        """Ask for them. Never raises but on cancellation."""


def build_sources(
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
                yield target, _PushedCountsSource(target, fetcher, counts)
        for errors in tenant.errors:
            if settings.sentry:
                target = Target(tenant.name, errors.name)
                yield target, SentryEvents(target, settings.sentry, errors, fetcher)
        if tenant.logs:
            target = Target(tenant.name, LOGS)
            yield (
                target,
                _log_source(tenant, tenant.logs, fetcher)
                or _PushedCountsSource(target, fetcher, counts),
            )


def _log_source(tenant: Tenant, logs: Logs, fetcher: Fetcher) -> TenantLog | None:
    """Return what reads a tenant's log, if it is not sent."""
    if logs.client_id is None or logs.client_secret is None:
        return None
    secret = logs.client_secret.get_secret_value()
    return TenantLog(tenant, client_id=logs.client_id, client_secret=secret, fetcher=fetcher)


class _PushedCountsSource:
    """What hooks have collected of a signal since it was last asked for."""

    def __init__(self, target: Target, fetcher: Fetcher, counts: PushedCounts) -> None:
        self._target = target
        self._clock = fetcher.clock
        self._counts = counts

    async def measure(self) -> Measurement:
        """Take it."""
        return self._counts.drain(self._target, self._clock.now())


def webhook_config(settings: Settings) -> WebhookConfig:
    """Return which hooks there are."""
    hooks = settings.hooks
    return WebhookConfig(
        sentry=_sender_config(hooks.sentry),
        alertmanager=_sender_config(hooks.alertmanager),
        pingdom=_sender_config(hooks.pingdom),
        report=_sender_config(hooks.report),
        change=_sender_config(hooks.change),
        tenants={tenant.name: _webhook_tenant(tenant) for tenant in settings.tenants},
    )


def _sender_config(
    hook: SentryWebhook | PingdomWebhook | TokenWebhook | None,
) -> SenderConfig | None:
    match hook:
        case SentryWebhook():
            secret = hook.client_secret
        case PingdomWebhook():
            secret = hook.path_secret
        case TokenWebhook():
            secret = hook.token
        case None:
            return None
    return SenderConfig(_secret_text(secret), hook.tenant or "")


def _webhook_tenant(tenant: Tenant) -> WebhookTenant:
    token = tenant.logs.stream_token if tenant.logs else None
    return WebhookTenant(
        domains=tenant.domains,
        stream_token=_secret_text(token) or None,
        own_clients=tenant.own_clients,
        report_signals=tuple(m.name for m in tenant.metrics if is_reported(m)),
    )


def _secret_text(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""


FEED_URL = "https://status.auth0.com/feed?domain={domain}"
"""Atom, by the tenant's canonical domain (Check Auth0 Status, read 2026-11)."""
FEED_CAP = 2_000_000
FEED_TIMEOUT_S = 20.0
SHORTEST_LAG_S = 0.05
"""Shorter ones are the usual work of a demo, which serves all that it looks at."""
CLOCK_STEP_S = 60.0
"""A wall clock that was moved by more than this is wrong now, or was."""


class LiveProber:
    """The `Prober` port.

    Args:
        settings: what to look at.
        clock: the time.
        path: how hosts are reached; None: as the system does.
        counts: what hooks have collected; None: there are no hooks.
        stepped_s: by how many seconds the wall clock was moved since the start.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        path: Network | None = None,
        *,
        counts: PushedCounts | None = None,
        wall_clock_step_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        # At speed N time-outs are N times as short, and so is a standstill that spoils a look.
        lag = LoopLag(max(SHORTEST_LAG_S, LIMIT_S / clock.speed))
        self.fetcher = Fetcher(clock, path or SystemNetwork(settings.resolve), lag)
        self._probes = Probes(settings, self.fetcher)
        counts = counts or PushedCounts(webhook_config(settings).tenants, clock)
        self._sources = dict(build_sources(settings, self.fetcher, counts))
        self._calendar = _build_calendar(settings, self.fetcher)
        self._wall_clock_step_s = wall_clock_step_s
        self._feeds: dict[Target, StatusFeed] = {}
        for tenant in settings.tenants:
            target = feed_target(tenant)
            if target not in self._feeds:
                self._feeds[target] = StatusFeed(
                    target, _feed_call(tenant), self.fetcher.fetch, clock
                )

    async def probe(self, target: Target) -> Observation:
        """Probe a target."""
        return reject_if_clock_stepped(await self._probes.probe(target), self._wall_clock_step_s())

    async def measure(self, target: Target) -> Measurement:
        """Ask a source for its figures; with a wrong clock we do not know of which time."""
        seen = await self._sources[target].measure()
        blind = clock_step_reason(self._wall_clock_step_s())
        return Measurement(target, seen.at, no_data_reason=blind) if blind else seen

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll a status feed."""
        return await self._feeds[target].poll()

    async def poll_shifts(self) -> Shifts:
        """Read the calendar of shifts."""
        if self._calendar is None:
            raise TypeError("no calendar is configured")
        return await self._calendar.poll()


def _build_calendar(settings: Settings, fetcher: Fetcher) -> ShiftCalendar | None:
    oncall = settings.oncall
    if oncall is None or oncall.calendar is None:
        return None
    url = oncall.calendar.url.get_secret_value()
    return ShiftCalendar(url, oncall.calendar.people, oncall.zone, fetcher)


def reject_if_clock_stepped(seen: Observation, stepped_s: float) -> Observation:
    """Return what was seen; with a wall clock that was set anew we cannot trust it."""
    blind = clock_step_reason(stepped_s)
    return (
        Observation(seen.target, seen.at, Outcome.NO_DATA, no_data_reason=blind) if blind else seen
    )


def clock_step_reason(stepped_s: float) -> str:
    """Say why nothing can be believed on a host whose clock was moved so far; empty: it can."""
    if abs(stepped_s) < CLOCK_STEP_S:
        return ""
    return f"this host's clock was moved by {stepped_s:+.0f} s; if it is right, restart the bot"


def _feed_call(tenant: Tenant) -> HttpRequest:
    given = tenant.feed_url
    url = given.get_secret_value() if given else FEED_URL.format(domain=tenant.domain)
    return HttpRequest(url=url, timeout_s=FEED_TIMEOUT_S, cap=FEED_CAP, ca_file=tenant.ca_file)
