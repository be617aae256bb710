"""The real `Prober`: probes and feeds over real sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.measurement import Measurement
from bot.core.model import Observation, Outcome
from bot.fetch import Call, Fetcher, LoopLag, SystemPath
from bot.fetch.lag import LIMIT_S
from bot.hooks.counts import PushedCounts
from bot.probes import Probes
from bot.sources.feed import StatusFeed
from bot.sources.shifts import ShiftCalendar
from bot.wiring.measuring import hooks_of, sources_of
from bot.wiring.rules import feed_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.config import Settings
    from bot.config.settings import Tenant
    from bot.core.model import FeedReading, Target
    from bot.core.oncall import Shifts
    from bot.fetch import Path
    from bot.ports import Clock

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
