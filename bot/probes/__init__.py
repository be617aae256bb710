"""What the bot checks by itself: one file for each kind of probe, put together here."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.config.settings import ProbeSettings
from bot.core.model.observation import CONTROL, CUSTOM, M2M, WELLKNOWN, Target
from bot.probes.control import ControlProbe
from bot.probes.login import LoginProbe
from bot.probes.m2m import M2mProbe
from bot.probes.token import IssuerKeys, TenantDomain
from bot.probes.wellknown import WellknownProbe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bot.config.settings import Settings, Tenant
    from bot.core.model.observation import Observation
    from bot.http import Fetcher
    from bot.probes.result import Probe


class Probes:
    """The `probe` part of the `Prober` port."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        """Build every probe of the settings."""
        self._fetcher = fetcher
        self._issuer_keys: dict[TenantDomain, IssuerKeys] = {}
        timeout_s = ProbeSettings().timeout
        controls = {Target(CONTROL, urlsplit(url).netloc): url for url in settings.controls}
        self._probes: dict[Target, Probe | ControlProbe] = {
            **dict(self._tenant_probes(settings.tenants)),
            **{key: ControlProbe(key, url, timeout_s, fetcher) for key, url in controls.items()},
        }

    @property
    def targets(self) -> tuple[Target, ...]:
        """All that can be checked."""
        return tuple(self._probes)

    async def probe(self, target: Target) -> Observation:
        """Check a target once. Raises KeyError if it is not in the settings."""
        return await self._probes[target].check()

    def _tenant_probes(self, tenants: Sequence[Tenant]) -> Iterator[tuple[Target, Probe]]:
        """Yield all probes of tenants, kind by kind: a new kind is one more loop."""
        fetcher = self._fetcher
        for tenant in tenants:
            for login in tenant.logins:
                target = Target(tenant.name, login.name)
                keys = self._canonical_keys(tenant, login.issuer)
                yield target, LoginProbe(target, login, keys, fetcher)
        for tenant in tenants:
            target = Target(tenant.name, WELLKNOWN)
            keys = self._canonical_keys(tenant, tenant.logins[0].issuer)
            yield target, WellknownProbe(target, keys, fetcher)
        for tenant in tenants:
            if tenant.custom_domain:
                target = Target(tenant.name, CUSTOM)
                keys = self._keys_of(tenant, tenant.custom_domain)
                yield target, LoginProbe(target, tenant.logins[0], keys, fetcher)
        for tenant in tenants:
            if tenant.m2m:
                target = Target(tenant.name, M2M)
                keys = self._canonical_keys(tenant, tenant.logins[0].issuer)
                yield target, M2mProbe(target, tenant.m2m, keys, fetcher)

    def _canonical_keys(self, tenant: Tenant, issuer: str | None) -> IssuerKeys:
        """Return the keys of a tenant's own domain; a lab may have an issuer of its own."""
        return self._keys_of(tenant, tenant.domain, base_url=tenant.base_url, issuer=issuer)

    def _keys_of(
        self, tenant: Tenant, domain: str, *, base_url: str | None = None, issuer: str | None = None
    ) -> IssuerKeys:
        """Return the keys of one domain, the same object for all its probes.

        A custom domain is also the issuer of its tokens.
        """
        tenant_domain = TenantDomain(
            domain=domain,
            base_url=(base_url or f"https://{domain}").rstrip("/"),
            issuer=issuer or f"https://{domain}/",
            timeout_s=tenant.probe.timeout,
            ca_file=tenant.ca_file,
        )
        keys = IssuerKeys(tenant_domain, self._fetcher)
        return self._issuer_keys.setdefault(tenant_domain, keys)
