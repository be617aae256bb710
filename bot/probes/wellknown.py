"""The discovery document and the signing keys: they prove that DNS, TLS and the edge work.

Both are cached at the edge, so they stay available while logins fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.config.value_types import host_of
from bot.http import Stopwatch
from bot.probes.jwks import DISCOVERY_PATH, NO_SECRETS
from bot.probes.result import require_json, to_observation
from bot.probes.token import token_failure

if TYPE_CHECKING:
    from bot.core.model.observation import Observation, Target
    from bot.http import Fetcher, HttpResult
    from bot.probes.jwks import IssuerKeys


class WellknownProbe:
    """Fetches both documents, and so keeps the keys fresh for the logins."""

    def __init__(self, target: Target, keys: IssuerKeys, fetcher: Fetcher) -> None:
        """Check the domain of `keys`."""
        self._target = target
        self._issuer_keys = keys
        self._fetcher = fetcher

    async def check(self) -> Observation:
        """Fetch the discovery document, then the keys."""
        reply = await self._fetcher.fetch(
            self._issuer_keys.tenant_domain.build_request(DISCOVERY_PATH)
        )
        watch = Stopwatch(self._fetcher.clock, "keys")
        return await to_observation(self._target, reply, watch, self._verify)

    async def _verify(self, reply: HttpResult, _watch: Stopwatch) -> None:
        document, ours = require_json(reply, NO_SECRETS), self._issuer_keys.tenant_domain
        if document.get("issuer") != ours.issuer:
            raise token_failure("wrong_issuer")
        if host_of(str(document.get("jwks_uri"))) not in {ours.domain, host_of(ours.base_url)}:
            raise token_failure("no_keys", "jwks_uri is on another host")
        await self._issuer_keys.refresh(spent_s=reply.latency_s)
