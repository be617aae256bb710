"""A tenant under one of its domains, and the keys that it signs with there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from bot.http import Blind, Call
from bot.probes.result import Failed, document_of
from bot.probes.token import bad, key_id, verify
from bot.telemetry import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.http import Fetcher

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/.well-known/jwks.json"
MAX_AGE_S = 600.0
"""Auth0 asks to keep keys 5 to 10 minutes (JSON Web Key Sets, read 2026-08)."""
PAUSE_S = 60.0
"""Between two fetches, whatever key ids the tokens name; Auth0's free limit is 20/s for all."""
MOST_KEYS = 100
NO_SECRETS = Redactor(())


@dataclass(frozen=True, slots=True)
class Site:
    """One domain of a tenant."""

    domain: str
    base_url: str
    """Where requests go, without a slash at the end: `https://` + domain, or a lab's address."""
    issuer: str
    """What tokens and the discovery document call the tenant there."""
    timeout_s: float
    ca_file: str | None = None

    def call(self, path: str, *, spent_s: float = 0, **more: Any) -> Call:
        """Make a call to `path` with what is left of the time for one look, at least a second."""
        left_s = max(1.0, self.timeout_s - spent_s)
        return Call(url=self.base_url + path, timeout_s=left_s, ca_file=self.ca_file, **more)


class KeyRing:
    """The public keys of a site, fetched when they are missing or old."""

    def __init__(self, site: Site, fetcher: Fetcher) -> None:
        """Start without any."""
        self.site = site
        self._fetcher = fetcher
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._learnt_at = self._tried_at = float("-inf")
        self._turn = asyncio.Lock()

    async def find(self, key_id: str, *, spent_s: float) -> RSAPublicKey:
        """Return a key; one unknown is fetched once. Raises `Failed` or `Blind`.

        Old keys are good enough while new ones cannot be had: the wellknown probe tells of that.
        """
        asked_at = self._fetcher.clock.now()
        async with self._turn:
            if self._should_fetch(key_id, asked_at):
                await self._refetch(spent_s)
        if key_id not in self._keys:
            raise bad("unknown_kid" if self._keys else "no_keys")
        return self._keys[key_id]

    async def verified(self, token: object, audience: str, *, spent_s: float) -> Mapping[str, Any]:
        """Return the claims of a token for `audience`. Raises `Failed` or `Blind`."""
        if not isinstance(token, str):
            raise bad("malformed")
        key = await self.find(key_id(token), spent_s=spent_s)
        now = self._fetcher.clock.now()
        return verify(token, key, issuer=self.site.issuer, audience=audience, now=now)

    async def refresh(self, *, spent_s: float) -> None:
        """Fetch the keys. Raises `Failed` or `Blind`."""
        try:
            reply = await self._fetcher.fetch(self.site.call(KEYS, spent_s=spent_s))
        finally:
            self._tried_at = self._fetcher.clock.now()
        if reply.blind:
            raise Blind(reply.blind)
        if reply.fault:
            raise Failed(reply.fault)
        self._keys = _usable(document_of(reply, NO_SECRETS))
        self._learnt_at = self._tried_at

    def _should_fetch(self, key_id: str, asked_at: float) -> bool:
        """Without any key every look tries, but for those that waited while another tried."""
        if not self._keys:
            return self._tried_at < asked_at
        now = self._fetcher.clock.now()
        is_wanted = key_id not in self._keys or now - self._learnt_at > MAX_AGE_S
        return is_wanted and now - self._tried_at > PAUSE_S

    async def _refetch(self, spent_s: float) -> None:
        try:
            await self.refresh(spent_s=spent_s)
        except Failed as failed:
            if not self._keys:
                why = f"{failed.fault.stage} {failed.fault.reason}"
                raise bad("no_keys", f"signing keys: {why}") from failed
        except Blind:
            if not self._keys:
                raise


def _usable(document: Mapping[str, Any]) -> Mapping[str, RSAPublicKey]:
    """Return a key set's RSA keys for signing, by id. Raises `Failed` where there is none."""
    listed = document.get("keys")
    rows = listed[:MOST_KEYS] if isinstance(listed, list) else []
    keys = {str(row["kid"]): key for row in rows if (key := _key(row)) is not None}
    if not keys:
        raise bad("no_keys")
    return keys


def _key(row: object) -> RSAPublicKey | None:
    if not isinstance(row, dict) or "kid" not in row or row.get("use", "sig") != "sig":
        return None
    try:
        # Only the public half: with a `d` in the row PyJWT would search for prime factors.
        key = RSAAlgorithm.from_jwk({name: row[name] for name in ("kty", "n", "e")})
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, RSAPublicKey) else None
