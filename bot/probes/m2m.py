"""A token for an application itself: the client credentials grant.

It needs neither the user store nor login Actions: if logins fail and this works, the platform is
hardly down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import Stage
from bot.probes.result import Probe, require_json
from bot.telemetry import Redactor

if TYPE_CHECKING:
    from bot.config.settings import M2m
    from bot.core.model.observation import Target
    from bot.http import Fetcher, HttpResult, Stopwatch
    from bot.probes.token import IssuerKeys


class M2mProbe(Probe):
    """Requests a token as an application, at one domain of a tenant."""

    stage = Stage.OAUTH

    def __init__(self, target: Target, m2m: M2m, keys: IssuerKeys, fetcher: Fetcher) -> None:
        """Request one for `m2m`, by default for the Management API, whose tokens are RS256."""
        secret = m2m.client_secret.get_secret_value()
        self._issuer_keys = keys
        self._audience = m2m.audience or f"https://{keys.tenant_domain.domain}/api/v2/"
        self._redact = Redactor([secret])
        form = {
            "grant_type": "client_credentials",
            "client_id": m2m.client_id,
            "client_secret": secret,
            "audience": self._audience,
        }
        request = keys.tenant_domain.build_request(m2m.token_path, form=form)
        super().__init__(target, request, fetcher)

    async def _verify(self, reply: HttpResult, watch: Stopwatch) -> None:
        token = require_json(reply, self._redact).get("access_token")
        watch.begin(Stage.TOKEN)
        await self._issuer_keys.verify(token, self._audience, spent_s=reply.latency_s)
