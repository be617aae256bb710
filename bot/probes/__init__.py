"""What the bot looks at by itself: one file a kind, joined in `KINDS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from bot.config.settings import ProbeSettings
from bot.core.model.observation import CONTROL, CUSTOM, LOGIN, M2M, WELLKNOWN, Target
from bot.probes.control import ControlProbe
from bot.probes.jwks import IssuerKeys, TenantDomain
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

    async def check(self) -> Observation:
        """Look once. Raises nothing but on cancellation."""


class Probes:
    """The `look` half of the `Prober` port."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        """Build every probe that the settings name."""
        workshop = _ProbeFactory(settings, fetcher)
        self._probes = {
            target: probe for build in PROBE_BUILDERS.values() for target, probe in build(workshop)
        }

    @property
    def targets(self) -> tuple[Target, ...]:
        """All that can be looked at."""
        return tuple(self._probes)

    async def probe(self, target: Target) -> Observation:
        """Look at a target once. Raises KeyError for one that the settings do not name."""
        return await self._probes[target].check()


class _ProbeFactory:
    """What the builders share: the settings, and one key ring for each site."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        self.settings = settings
        self.fetcher = fetcher
        self._issuer_keys: dict[TenantDomain, IssuerKeys] = {}

    def canonical_keys(self, tenant: Tenant, issuer: str | None) -> IssuerKeys:
        """Return the ring of a tenant's own domain; a lab may have an issuer of its own."""
        return self._keys_of(tenant, tenant.domain, base_url=tenant.base_url, issuer=issuer)

    def custom_domain_keys(self, tenant: Tenant, domain: str) -> IssuerKeys:
        """Return the ring of a tenant's custom domain, which is also its issuer there."""
        return self._keys_of(tenant, domain, base_url=None, issuer=None)

    def _keys_of(
        self, tenant: Tenant, domain: str, *, base_url: str | None, issuer: str | None
    ) -> IssuerKeys:
        site = TenantDomain(
            domain=domain,
            base_url=(base_url or f"https://{domain}").rstrip("/"),
            issuer=issuer or f"https://{domain}/",
            timeout_s=tenant.probe.timeout,
            ca_file=tenant.ca_file,
        )
        return self._issuer_keys.setdefault(site, IssuerKeys(site, self.fetcher))


def _login_probes(workshop: _ProbeFactory) -> Iterator[tuple[Target, Probe]]:
    for tenant in workshop.settings.tenants:
        for login in tenant.logins:
            target = Target(tenant.name, login.name)
            ring = workshop.canonical_keys(tenant, login.issuer)
            yield target, LoginProbe(target, login, ring, workshop.fetcher)


def _wellknown_probes(workshop: _ProbeFactory) -> Iterator[tuple[Target, Probe]]:
    for tenant in workshop.settings.tenants:
        target = Target(tenant.name, WELLKNOWN)
        ring = workshop.canonical_keys(tenant, tenant.logins[0].issuer)
        yield target, WellknownProbe(target, ring, workshop.fetcher)


def _custom_domain_probes(workshop: _ProbeFactory) -> Iterator[tuple[Target, Probe]]:
    for tenant in workshop.settings.tenants:
        if tenant.custom_domain:
            target = Target(tenant.name, CUSTOM)
            ring = workshop.custom_domain_keys(tenant, tenant.custom_domain)
            yield target, LoginProbe(target, tenant.logins[0], ring, workshop.fetcher)


def _m2m_probes(workshop: _ProbeFactory) -> Iterator[tuple[Target, Probe]]:
    for tenant in workshop.settings.tenants:
        if tenant.m2m:
            target = Target(tenant.name, M2M)
            ring = workshop.canonical_keys(tenant, tenant.logins[0].issuer)
            yield target, M2mProbe(target, tenant.m2m, ring, workshop.fetcher)


def _control_probes(workshop: _ProbeFactory) -> Iterator[tuple[Target, Probe]]:
    timeout_s = ProbeSettings().timeout
    for url in workshop.settings.controls:
        target = Target(CONTROL, urlsplit(url).netloc)
        yield target, ControlProbe(target, url, timeout_s, workshop.fetcher)


PROBE_BUILDERS: Mapping[str, Callable[[_ProbeFactory], Iterator[tuple[Target, Probe]]]] = {
    LOGIN: _login_probes,
    WELLKNOWN: _wellknown_probes,
    CUSTOM: _custom_domain_probes,
    M2M: _m2m_probes,
    CONTROL: _control_probes,
}
"""Each kind of probe and what finds its targets in the settings."""
