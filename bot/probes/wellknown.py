"""The discovery document and the signing keys: they prove DNS, TLS and the edge.

Both are cached at the edge, so they stay green while logins fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.http import Stopwatch
from bot.probes.jwks import DISCOVERY_PATH, NO_SECRETS
from bot.probes.result import require_json, to_observation
from bot.probes.token import token_failure

if TYPE_CHECKING:
    from bot.core.model.observation import Observation, Target
    from bot.http import Fetcher, HttpResult
    from bot.probes.jwks import IssuerKeys


class WellknownProbe:
    """Reads both documents, and so keeps the key ring fresh for the logins."""

    def __init__(self, target: Target, ring: IssuerKeys, fetcher: Fetcher) -> None:
        """Look at the site of `ring`."""
        self._target = target
        self._issuer_keys = ring
        self._fetcher = fetcher

    async def check(self) -> Observation:
        """Read the discovery document, then the keys."""
        reply = await self._fetcher.fetch(
            self._issuer_keys.tenant_domain.build_request(DISCOVERY_PATH)
        )
        watch = Stopwatch(self._fetcher.clock, "keys")
        return await to_observation(self._target, reply, watch, self._verify)

    async def _verify(self, reply: HttpResult, _watch: Stopwatch) -> None:
        document, site = require_json(reply, NO_SECRETS), self._issuer_keys.tenant_domain
        if document.get("issuer") != site.issuer:
            raise token_failure("wrong_issuer")
        own = {site.domain.lower(), _host(site.base_url)}
        if _host(document.get("jwks_uri")) not in own:
            raise token_failure("no_keys", "jwks_uri is on another host")
        await self._issuer_keys.refresh(spent_s=reply.latency_s)


def _host(url: object) -> str:
    try:
        return urlsplit(str(url)).hostname or ""
    except ValueError:
        return ""
