"""The real `Prober`: probes, sources and status feeds over real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bot.app.rules import feed_target, is_reported
from bot.config.settings_sources import PingdomHook, SentryHook, TokenHook
from bot.core.model.measurement import Measurement
from bot.core.model.observation import LOGS, Observation, Outcome, Target
from bot.http import Call, Fetcher, LoopLag, SystemPath
from bot.http.loop_lag import LIMIT_S
from bot.probes import Probes
from bot.sources.auth0_logs import TenantLog
from bot.sources.oncall_calendar import ShiftCalendar
from bot.sources.prometheus import PrometheusRate
from bot.sources.sentry import SentryEvents
from bot.sources.status_page import StatusFeed
from bot.webhooks.counts import PushedCounts
from bot.webhooks.sender import Guarded, HookConfig, TenantHook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import SecretStr

    from bot.config import Settings
    from bot.config.settings import Tenant
    from bot.config.settings_sources import Logs
    from bot.core.model.observation import FeedReading
    from bot.core.oncall.schedule import Shifts
    from bot.http import Path
    from bot.ports import Clock


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


FEED_URL = "https://status.auth0.com/feed?domain={domain}"
"""Atom, by the tenant's canonical domain (Check Auth0 Status, read 2026-11)."""
FEED_CAP = 2_000_000
FEED_TIMEOUT_S = 20.0
SHORTEST_LAG_S = 0.05
"""Shorter ones are the usual work of a demo, which serves all that it looks at."""
CLOCK_STEP_S = 60.0
"""A wall clock that was moved by more than this is wrong now, or was."""


class Looking:
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
        path: Path | None = None,
        *,
        counts: PushedCounts | None = None,
        stepped_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        # At speed N time-outs are N times as short, and so is a standstill that spoils a look.
        lag = LoopLag(max(SHORTEST_LAG_S, LIMIT_S / clock.speed))
        self.fetcher = Fetcher(clock, path or SystemPath(settings.resolve), lag)
        self._probes = Probes(settings, self.fetcher)
        counts = counts or PushedCounts(hooks_of(settings).tenants, clock)
        self._sources = dict(sources_of(settings, self.fetcher, counts))
        self._calendar = _calendar(settings, self.fetcher)
        self._stepped_s = stepped_s
        self._feeds: dict[Target, StatusFeed] = {}
        for tenant in settings.tenants:
            target = feed_target(tenant)
            if target not in self._feeds:
                self._feeds[target] = StatusFeed(
                    target, _feed_call(tenant), self.fetcher.fetch, clock
                )

    async def look(self, target: Target) -> Observation:
        """Probe a target."""
        return distrusted(await self._probes.look(target), self._stepped_s())

    async def measure(self, target: Target) -> Measurement:
        """Ask a source for its figures; with a wrong clock we do not know of which time."""
        seen = await self._sources[target].measure()
        blind = distrust(self._stepped_s())
        return Measurement(target, seen.at, missing=blind) if blind else seen

    async def read(self, target: Target) -> FeedReading:
        """Poll a status feed."""
        return await self._feeds[target].read()

    async def read_shifts(self) -> Shifts:
        """Read the calendar of shifts."""
        if self._calendar is None:
            raise TypeError("no calendar is configured")
        return await self._calendar.read()


def _calendar(settings: Settings, fetcher: Fetcher) -> ShiftCalendar | None:
    oncall = settings.oncall
    if oncall is None or oncall.calendar is None:
        return None
    url = oncall.calendar.url.get_secret_value()
    return ShiftCalendar(url, oncall.calendar.people, oncall.zone, fetcher)


def distrusted(seen: Observation, stepped_s: float) -> Observation:
    """Return what was seen; with a wall clock that was set anew we cannot trust it."""
    blind = distrust(stepped_s)
    return Observation(seen.target, seen.at, Outcome.NO_DATA, blind=blind) if blind else seen


def distrust(stepped_s: float) -> str:
    """Say why nothing can be believed on a host whose clock was moved so far; empty: it can."""
    if abs(stepped_s) < CLOCK_STEP_S:
        return ""
    return f"this host's clock was moved by {stepped_s:+.0f} s; if it is right, restart the bot"


def _feed_call(tenant: Tenant) -> Call:
    given = tenant.feed_url
    url = given.get_secret_value() if given else FEED_URL.format(domain=tenant.domain)
    return Call(url=url, timeout_s=FEED_TIMEOUT_S, cap=FEED_CAP, ca_file=tenant.ca_file)
