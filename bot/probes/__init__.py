"""What the bot looks at by itself: one file a kind, joined in `KINDS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from bot.config.settings import ProbeSettings
from bot.core.model.observation import CONTROL, CUSTOM, LOGIN, M2M, WELLKNOWN, Target
from bot.probes.control import ControlProbe
from bot.probes.jwks import KeyRing, Site
from bot.probes.login import LoginProbe
from bot.probes.m2m import M2mProbe
from bot.probes.wellknown import WellknownProbe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bot.config.settings import Settings, Tenant
    from bot.core.model.observation import Observation
    from bot.http import Fetcher


class Probe(Protocol):
    """Something that looks at one target."""

    async def look(self) -> Observation:
        """Look once. Raises nothing but on cancellation."""


class Probes:
    """The `look` half of the `Prober` port."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        """Build every probe that the settings name."""
        workshop = _Workshop(settings, fetcher)
        self._probes = {
            target: probe for build in KINDS.values() for target, probe in build(workshop)
        }

    @property
    def targets(self) -> tuple[Target, ...]:
        """All that can be looked at."""
        return tuple(self._probes)

    async def look(self, target: Target) -> Observation:
        """Look at a target once. Raises KeyError for one that the settings do not name."""
        return await self._probes[target].look()


class _Workshop:
    """What the builders share: the settings, and one key ring for each site."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        self.settings = settings
        self.fetcher = fetcher
        self._rings: dict[Site, KeyRing] = {}

    def canonical(self, tenant: Tenant, issuer: str | None) -> KeyRing:
        """Return the ring of a tenant's own domain; a lab may have an issuer of its own."""
        return self._ring(tenant, tenant.domain, base_url=tenant.base_url, issuer=issuer)

    def custom(self, tenant: Tenant, domain: str) -> KeyRing:
        """Return the ring of a tenant's custom domain, which is also its issuer there."""
        return self._ring(tenant, domain, base_url=None, issuer=None)

    def _ring(
        self, tenant: Tenant, domain: str, *, base_url: str | None, issuer: str | None
    ) -> KeyRing:
        site = Site(
            domain=domain,
            base_url=(base_url or f"https://{domain}").rstrip("/"),
            issuer=issuer or f"https://{domain}/",
            timeout_s=tenant.probe.timeout,
            ca_file=tenant.ca_file,
        )
        return self._rings.setdefault(site, KeyRing(site, self.fetcher))


def _logins(workshop: _Workshop) -> Iterator[tuple[Target, Probe]]:
    for tenant in workshop.settings.tenants:
        for login in tenant.logins:
            target = Target(tenant.name, login.name)
            ring = workshop.canonical(tenant, login.issuer)
            yield target, LoginProbe(target, login, ring, workshop.fetcher)


def _wellknowns(workshop: _Workshop) -> Iterator[tuple[Target, Probe]]:
    for tenant in workshop.settings.tenants:
        target = Target(tenant.name, WELLKNOWN)
        ring = workshop.canonical(tenant, tenant.logins[0].issuer)
        yield target, WellknownProbe(target, ring, workshop.fetcher)


def _customs(workshop: _Workshop) -> Iterator[tuple[Target, Probe]]:
    for tenant in workshop.settings.tenants:
        if tenant.custom_domain:
            target = Target(tenant.name, CUSTOM)
            ring = workshop.custom(tenant, tenant.custom_domain)
            yield target, LoginProbe(target, tenant.logins[0], ring, workshop.fetcher)


def _m2ms(workshop: _Workshop) -> Iterator[tuple[Target, Probe]]:
    for tenant in workshop.settings.tenants:
        if tenant.m2m:
            target = Target(tenant.name, M2M)
            ring = workshop.canonical(tenant, tenant.logins[0].issuer)
            yield target, M2mProbe(target, tenant.m2m, ring, workshop.fetcher)


def _controls(workshop: _Workshop) -> Iterator[tuple[Target, Probe]]:
    timeout_s = ProbeSettings().timeout
    for url in workshop.settings.controls:
        target = Target(CONTROL, urlsplit(url).netloc)
        yield target, ControlProbe(target, url, timeout_s, workshop.fetcher)


KINDS: Mapping[str, Callable[[_Workshop], Iterator[tuple[Target, Probe]]]] = {
    LOGIN: _logins,
    WELLKNOWN: _wellknowns,
    CUSTOM: _customs,
    M2M: _m2ms,
    CONTROL: _controls,
}
"""Each kind of probe and what finds its targets in the settings."""
