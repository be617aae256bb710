"""The discovery document and the signing keys: they prove that DNS, TLS and the edge work.

Both are cached at the edge, so they stay available while logins fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.config.value_types import host_of
from bot.probes.result import Probe, require_json
from bot.probes.token import DISCOVERY_PATH, NO_SECRETS, token_failure

if TYPE_CHECKING:
    from bot.core.model.observation import Target
    from bot.http import Fetcher, HttpResult, Stopwatch
    from bot.probes.token import IssuerKeys


class WellknownProbe(Probe):
    """Fetches both documents, and so keeps the keys fresh for the logins."""

    stage = "keys"

    def __init__(self, target: Target, keys: IssuerKeys, fetcher: Fetcher) -> None:
        """Check the domain of `keys`."""
        super().__init__(target, keys.tenant_domain.build_request(DISCOVERY_PATH), fetcher)
        self._issuer_keys = keys

    async def _verify(self, reply: HttpResult, _watch: Stopwatch) -> None:
        document, ours = require_json(reply, NO_SECRETS), self._issuer_keys.tenant_domain
        if document.get("issuer") != ours.issuer:
            raise token_failure("wrong_issuer")
        if host_of(str(document.get("jwks_uri"))) not in {ours.domain, host_of(ours.base_url)}:
            raise token_failure("no_keys", "jwks_uri is on another host")
        await self._issuer_keys.refresh(spent_s=reply.latency_s)
