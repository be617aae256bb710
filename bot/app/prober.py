"""The real `Prober`: probes, sources and status feeds over real sockets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.app.rules import feed_target, is_reported
from bot.config.settings import secrets_in
from bot.core.model.measurement import Measurement
from bot.core.model.observation import (
    LOGS,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    OwnSide,
    Stage,
    Target,
)
from bot.http import Fetcher, HttpRequest, LoopLag, NoData, SystemNetwork
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
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from bot.app.clock import ClockWatch
    from bot.config import Settings
    from bot.core.oncall import Shifts
    from bot.http import HttpResult, Network
    from bot.ports import Clock, Prober


def build_sources(
    settings: Settings, fetchers: Mapping[str, Fetcher]
) -> Iterator[tuple[Target, Callable[[], Awaitable[Measurement]]]]:
    """Yield what measures each signal that is polled; webhooks count the others."""
    for tenant in settings.tenants:
        fetcher = fetchers["prometheus"]
        for metric in tenant.metrics:
            if settings.prometheus and not is_reported(metric):
                target = Target(tenant.name, metric.name)
                server, hosts = settings.prometheus, tenant.domains
                yield target, PrometheusRate(target, server, metric, hosts, fetcher=fetcher).measure
        fetcher = fetchers["sources"]
        for errors in tenant.errors:
            if settings.sentry:
                target = Target(tenant.name, errors.name)
                yield target, SentryEvents(target, settings.sentry, errors, fetcher).measure
        logs = tenant.logs
        if logs and logs.client_id and logs.client_secret:  # else a log stream pushes it
            secret = logs.client_secret.get_secret_value()
            log = TenantLog(tenant, client_id=logs.client_id, client_secret=secret, fetcher=fetcher)
            yield Target(tenant.name, LOGS), log.measure


def webhook_config(settings: Settings) -> WebhookConfig:
    """Return which webhooks are configured."""
    return WebhookConfig(
        senders={
            name: SenderConfig(next(secrets_in(hook)), hook.tenant or "")
            for name, hook in settings.hooks
            if hook
        },
        tenants={
            tenant.name: WebhookTenant(
                domains=tenant.domains,
                stream_token=tenant.logs.stream_token.get_secret_value()
                if tenant.logs and tenant.logs.stream_token
                else None,
                own_clients=tenant.own_clients,
                report_signals=tuple(m.name for m in tenant.metrics if is_reported(m)),
            )
            for tenant in settings.tenants
        },
    )


FEED_URL = "https://status.auth0.com/feed?domain={domain}"
"""Atom, by the tenant's canonical domain (Check Auth0 Status, read 2026-11)."""
FEED_CAP = 2_000_000
FEED_TIMEOUT_S = 20.0
SHORTEST_LAG_S = 0.05
"""Shorter ones are normal in a demo, whose process also serves all that it probes."""


class LiveProber:
    """The `Prober` port.

    Args:
        settings: what to probe, and how.
        clock: the time.
        network: how to reach hosts; None: as the system does.
        counts: what webhooks have counted; None: there are no webhooks.
        clock_watch: compares the clock with the `Date` of answers; None: nothing does.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        network: Network | None = None,
        *,
        counts: PushedCounts | None = None,
        clock_watch: ClockWatch | None = None,
    ) -> None:
        # At speed N time-outs are N times as short, and so is a loop lag that spoils a probe.
        lag = LoopLag(max(SHORTEST_LAG_S, LIMIT_S / clock.speed))
        own = SystemNetwork(settings.resolve, family=settings.address_family)
        direct = OwnSideFetcher(clock, network or own, lag)
        direct.are_names_found = None if network else own.are_names_found
        direct.clock_watch = clock_watch
        self.fetchers = {
            kind: direct.through(proxy.get_secret_value() if proxy else None)
            for kind, proxy in settings.proxy
        }
        """By the kind of request: a key of the setting `proxy`."""
        self.fetcher = self.fetchers["probes"]
        self._settings = settings
        sources = [each.ca_file for each in (settings.prometheus, settings.sentry) if each]
        for ca_file in {None, *sources, *(tenant.ca_file for tenant in settings.tenants)}:
            with suppress(NoData):  # each check with it has no data, and says why
                self.fetcher.trust(ca_file)
        self._counts = counts or PushedCounts(webhook_config(settings).tenants, clock)
        self.forget()

    def forget(self) -> None:
        """Start afresh, as after a restart: what was remembered has the time of a wrong clock."""
        settings, fetcher = self._settings, self.fetchers["sources"]
        self._probes = Probes(settings, self.fetcher)
        self._sources = dict(build_sources(settings, self.fetchers))
        self._counts.forget()
        self._calendar: ShiftCalendar | None = None
        if settings.oncall and (calendar := settings.oncall.calendar):
            url, zone = calendar.url.get_secret_value(), settings.oncall.zone
            self._calendar = ShiftCalendar(url, calendar.people, zone, fetcher)
        self._feeds: dict[Target, StatusFeed] = {}
        for tenant in settings.tenants:
            target = feed_target(tenant)
            if target not in self._feeds:
                given = tenant.feed_url
                request = HttpRequest(
                    url=given.get_secret_value()
                    if given
                    else FEED_URL.format(domain=tenant.domain),
                    timeout_s=FEED_TIMEOUT_S,
                    cap=FEED_CAP,
                    ca_file=tenant.ca_file,
                )
                self._feeds[target] = StatusFeed(target, request, fetcher.fetch, fetcher.clock)

    async def probe(self, target: Target) -> Observation:
        """Probe a target."""
        return await self._probes.probe(target)

    async def measure(self, target: Target) -> Measurement:
        """Query a source."""
        measure = self._sources.get(target)
        now = self.fetcher.clock.now()
        return await measure() if measure else self._counts.drain(target, now)

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll a status feed."""
        return await self._feeds[target].poll()

    async def poll_shifts(self) -> Shifts:
        """Read the on-call calendar."""
        if self._calendar is None:
            raise TypeError("no calendar is configured")
        return await self._calendar.poll()


NAMES_KEPT_S = 15.0
"""So long it counts whether other names are found."""


class OwnSideFetcher(Fetcher):
    """A `Fetcher` that finds out what is our own side's: the clock, and the resolver."""

    clock_watch: ClockWatch | None = None
    """Gets the `Date` of each answer."""
    are_names_found: Callable[[], Awaitable[bool]] | None = None
    """Asks for names that have nothing to do with what was not found."""
    _own_side = OwnSide.UNKNOWN
    _asked_at = float("-inf")

    async def fetch(self, request: HttpRequest) -> HttpResult:
        """Send one request; see `Fetcher`."""
        result = await super().fetch(request)
        if self.clock_watch and not result.no_data_reason:
            self.clock_watch.note_answer(urlsplit(request.url).hostname or "", result)
        fault = result.fault
        if fault and fault.stage is Stage.DNS and fault.reason != "nxdomain":
            now = self.clock.now()
            if self.are_names_found and now - self._asked_at >= NAMES_KEPT_S:
                self._asked_at = now
                is_found = await self.are_names_found()
                self._own_side = OwnSide.NAMES_FOUND if is_found else OwnSide.NAMES_LOST
            return replace(result, fault=replace(fault, own_side=self._own_side))
        return result


class ClockCheckedProber:
    """A `Prober` on a host whose clock may be wrong: then its results do not count.

    Args:
        prober: probes.
        clock: the bot's, which the watch may correct.
        watch: judges it.
    """

    def __init__(self, prober: Prober, clock: Clock, watch: ClockWatch) -> None:
        self._prober = prober
        self._clock = clock
        self._watch = watch

    async def probe(self, target: Target) -> Observation:
        """Probe a target; see the port."""
        before = self._watch.corrections
        observation = await self._prober.probe(target)
        if not (reason := self._find_doubt(before)):
            return observation
        now = self._clock.now()
        return Observation(target, now, Outcome.NO_DATA, no_data_reason=reason)

    async def measure(self, target: Target) -> Measurement:
        """Query a source; with a wrong clock we do not know for which time it answers."""
        before = self._watch.corrections
        measurement = await self._prober.measure(target)
        if not (reason := self._find_doubt(before)):
            return measurement
        return Measurement(target, self._clock.now(), no_data_reason=reason)

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll a status feed; see the port."""
        before = self._watch.corrections
        reading = await self._prober.poll_feed(target)
        if not (reason := self._find_doubt(before)):
            return reading
        now = self._clock.now()
        return FeedReading(target, now, FeedState.UNREACHABLE, no_data_reason=reason)

    async def poll_shifts(self) -> Shifts:
        """Read the on-call calendar; see the port."""
        return await self._prober.poll_shifts()

    def _find_doubt(self, before: int) -> str:
        """Return why a result does not count, of a check before which there were so many."""
        doubt = self._watch.find_doubt()
        is_moved = self._watch.corrections != before
        return doubt or ("the bot's time was corrected during the check" if is_moved else "")
