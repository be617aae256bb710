"""The discovery document and the signing keys: they prove DNS, TLS and the edge.

Both are cached at the edge, so they stay green while logins fail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.http import Stopwatch
from bot.probes.jwks import DISCOVERY, NO_SECRETS
from bot.probes.result import document_of, judged
from bot.probes.token import bad

if TYPE_CHECKING:
    from bot.core.model.observation import Observation, Target
    from bot.http import Fetcher, Reply
    from bot.probes.jwks import KeyRing


class WellknownProbe:
    """Reads both documents, and so keeps the key ring fresh for the logins."""

    def __init__(self, target: Target, ring: KeyRing, fetcher: Fetcher) -> None:
        """Look at the site of `ring`."""
        self._target = target
        self._ring = ring
        self._fetcher = fetcher

    async def look(self) -> Observation:
        """Read the discovery document, then the keys."""
        reply = await self._fetcher.fetch(self._ring.site.call(DISCOVERY))
        watch = Stopwatch(self._fetcher.clock, "keys")
        return await judged(self._target, reply, watch, self._judge)

    async def _judge(self, reply: Reply, _watch: Stopwatch) -> None:
        document, site = document_of(reply, NO_SECRETS), self._ring.site
        if document.get("issuer") != site.issuer:
            raise bad("wrong_issuer")
        own = {site.domain.lower(), _host(site.base_url)}
        if _host(document.get("jwks_uri")) not in own:
            raise bad("no_keys", "jwks_uri is on another host")
        await self._ring.refresh(spent_s=reply.latency_s)


def _host(url: object) -> str:
    try:
        return urlsplit(str(url)).hostname or ""
    except ValueError:
        return ""
