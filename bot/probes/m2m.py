"""A machine's token: the client credentials grant.

It passes neither the user store nor login Actions: where logins fail and this works, it is hardly
the platform that is down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import Stage
from bot.http import Stopwatch
from bot.probes.result import document_of, judged
from bot.telemetry import Redactor

if TYPE_CHECKING:
    from bot.config.settings import M2m
    from bot.core.model.observation import Observation, Target
    from bot.http import Fetcher, Reply
    from bot.probes.jwks import KeyRing


class M2mProbe:
    """Asks for a token as an application, at the site of the key ring."""

    def __init__(self, target: Target, m2m: M2m, ring: KeyRing, fetcher: Fetcher) -> None:
        """Ask as `m2m`, by default for the tenant's Management API, whose tokens are RS256."""
        secret = m2m.client_secret.get_secret_value()
        self._target = target
        self._ring = ring
        self._fetcher = fetcher
        self._audience = m2m.audience or f"https://{ring.site.domain}/api/v2/"
        self._redact = Redactor([secret])
        form = {
            "grant_type": "client_credentials",
            "client_id": m2m.client_id,
            "client_secret": secret,
            "audience": self._audience,
        }
        self._call = ring.site.call(m2m.token_path, form=form)

    async def look(self) -> Observation:
        """Ask once."""
        reply = await self._fetcher.fetch(self._call)
        watch = Stopwatch(self._fetcher.clock, Stage.OAUTH)
        return await judged(self._target, reply, watch, self._judge)

    async def _judge(self, reply: Reply, watch: Stopwatch) -> None:
        token = document_of(reply, self._redact).get("access_token")
        watch.begin(Stage.TOKEN)
        await self._ring.verified(token, self._audience, spent_s=reply.latency_s)
