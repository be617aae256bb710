"""Verifies tokens with the keys that a tenant signs with under one of its domains.

HTTP 200 with a wrong token is not a working login.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from bot.core.model.observation import Fault, Stage
from bot.core.model.wall_clock import parse_iso
from bot.http import HttpRequest, NoData
from bot.probes.result import ProbeFailed, require_json
from bot.telemetry import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.http import Fetcher

ALGORITHMS = ("RS256", "PS256")
"""Pinned: if the token's header decided, a public key would pass as an HS256 secret."""
LEEWAY_S = 60.0
"""For small differences between clocks; a larger one should be reported."""
MILLISECONDS_FROM = 1e11
"""`Date.now()` in an Action counts milliseconds; as seconds this would be the year 5138."""
REASONS = (
    (jwt.InvalidSignatureError, "bad_signature"),
    (jwt.InvalidAlgorithmError, "bad_algorithm"),
    (jwt.InvalidIssuerError, "wrong_issuer"),
    (jwt.InvalidAudienceError, "wrong_audience"),
)


def token_failure(reason: str, description: str = "") -> ProbeFailed:
    """Build the failure of a token that came with HTTP 200."""
    return ProbeFailed(Fault(Stage.TOKEN, reason, status=200, description=description))


def read_key_id(token: str) -> str:
    """Return the id of the key that a token names. Raises `ProbeFailed`."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise token_failure("malformed") from error
    if header.get("alg") not in ALGORITHMS:
        raise token_failure("bad_algorithm")
    return str(header.get("kid", ""))


def verify_token(
    token: str, key: RSAPublicKey, *, issuer: str, audience: str, now: float
) -> Mapping[str, Any]:
    """Return the claims of a token if all of it is right. Raises `ProbeFailed`."""
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            issuer=issuer,
            audience=audience,
            # The times are compared with the clock port, below.
            options={
                "require": ["exp", "iat", "iss", "aud"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        reasons = (reason for kind, reason in REASONS if isinstance(error, kind))
        raise token_failure(next(reasons, "malformed")) from error
    check_times(claims, now)
    return claims


def check_times(claims: Mapping[str, Any], now: float) -> None:
    """Check that a token is valid now. Raises `ProbeFailed`."""
    times = {name: claims.get(name, now) for name in ("exp", "iat", "nbf")}
    if not all(isinstance(at, int | float) and not isinstance(at, bool) for at in times.values()):
        raise token_failure("malformed")
    if times["exp"] < now - LEEWAY_S:
        raise token_failure("expired")
    if max(times["iat"], times["nbf"]) > now + LEEWAY_S:
        raise token_failure("not_yet_valid")


def check_proof(claims: Mapping[str, Any], claim: str, *, max_age_s: float, now: float) -> None:
    """Check that the tenant's Action ran just now. Raises `ProbeFailed`.

    The claim is the time in seconds, in milliseconds or as ISO 8601.
    """
    at = _parse_instant(claims.get(claim))
    if at is None:
        raise ProbeFailed(Fault(Stage.PROOF, "no_proof", status=200))
    if not abs(now - at) <= max_age_s:  # also for NaN
        raise ProbeFailed(Fault(Stage.PROOF, "stale_proof", status=200))


def _parse_instant(value: object) -> float | None:
    if isinstance(value, str):
        return parse_iso(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return value / 1000 if value > MILLISECONDS_FROM else value
    except OverflowError:  # an integer of more than 308 digits
        return None


DISCOVERY_PATH = "/.well-known/openid-configuration"
JWKS_PATH = "/.well-known/jwks.json"
MAX_AGE_S = 600.0
"""Auth0 advises to cache keys for 5 to 10 minutes (JSON Web Key Sets, read 2026-08)."""
DUE_AFTER_S = 570.0
"""The check of the documents, once a minute, fetches them then: no login finds them old."""
MIN_REFETCH_S = 60.0
"""Between two fetches, whatever key ids the tokens name; Auth0's free limit is 20/s in all."""
MAX_KEYS = 100
NO_SECRETS = Redactor(())


@dataclass(frozen=True, slots=True)
class TenantDomain:
    """One domain of a tenant."""

    domain: str
    base_url: str
    """Where requests go, without a slash at the end: `https://` + domain, or a lab's address."""
    issuer: str
    """`iss` in the tokens and in the discovery document of this domain."""
    timeout_s: float
    ca_file: str | None = None

    def build_request(self, path: str, *, spent_s: float = 0, **more: Any) -> HttpRequest:
        """Build a request to `path` with the rest of one check's timeout, at least a second."""
        left_s = max(1.0, self.timeout_s - spent_s)
        return HttpRequest(url=self.base_url + path, timeout_s=left_s, ca_file=self.ca_file, **more)


class IssuerKeys:
    """The public keys of one domain, fetched when they are missing or old."""

    def __init__(self, tenant_domain: TenantDomain, fetcher: Fetcher) -> None:
        """Start without any keys."""
        self.tenant_domain = tenant_domain
        self._fetcher = fetcher
        self._keys: Mapping[str, RSAPublicKey] = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def are_due(self) -> bool:
        """Whether they are to be fetched before a login finds them too old."""
        return self._fetcher.clock.now() - self._fetched_at >= DUE_AFTER_S

    async def find_key(self, key_id: str, *, spent_s: float) -> RSAPublicKey:
        """Return a key; an unknown one is fetched once. Raises `ProbeFailed` or `NoData`.

        If the fetch fails, old keys are good enough: the wellknown probe reports the failure.
        """
        asked_at = self._fetcher.clock.now()
        async with self._lock:
            if self._should_fetch(key_id, asked_at):
                await self._refetch(spent_s)
        if key_id not in self._keys:
            raise token_failure("unknown_kid" if self._keys else "no_keys")
        return self._keys[key_id]

    async def verify(self, token: object, audience: str, *, spent_s: float) -> Mapping[str, Any]:
        """Return the claims of a token for `audience`. Raises `ProbeFailed` or `NoData`."""
        if not isinstance(token, str):
            raise token_failure("malformed")
        key = await self.find_key(read_key_id(token), spent_s=spent_s)
        now = self._fetcher.clock.now()
        return verify_token(
            token, key, issuer=self.tenant_domain.issuer, audience=audience, now=now
        )

    async def refresh(self, *, spent_s: float) -> None:
        """Fetch the keys. Raises `ProbeFailed` or `NoData`."""
        try:
            reply = await self._fetcher.fetch(
                self.tenant_domain.build_request(JWKS_PATH, spent_s=spent_s)
            )
        finally:
            self._tried_at = self._fetcher.clock.now()
        if reply.no_data_reason:
            raise NoData(reply.no_data_reason)
        if reply.fault:
            raise ProbeFailed(reply.fault)
        listed = require_json(reply, NO_SECRETS).get("keys")
        rows = listed[:MAX_KEYS] if isinstance(listed, list) else []
        keys = {str(row["kid"]): key for row in rows if (key := _parse_key(row)) is not None}
        if not keys:
            raise token_failure("no_keys")
        self._keys, self._fetched_at = keys, self._tried_at

    def _should_fetch(self, key_id: str, asked_at: float) -> bool:
        """Without keys every check fetches, except one that waited while another check did."""
        if not self._keys:
            return self._tried_at < asked_at
        now = self._fetcher.clock.now()
        is_needed = key_id not in self._keys or now - self._fetched_at > MAX_AGE_S
        return is_needed and now - self._tried_at > MIN_REFETCH_S

    async def _refetch(self, spent_s: float) -> None:
        try:
            await self.refresh(spent_s=spent_s)
        except ProbeFailed as failed:
            if not self._keys:
                reason = f"{failed.fault.stage} {failed.fault.reason}"
                raise token_failure("no_keys", f"signing keys: {reason}") from failed
        except NoData:
            if not self._keys:
                raise


def _parse_key(row: object) -> RSAPublicKey | None:
    """Return an RSA key for signing; None for any other key."""
    if not isinstance(row, dict) or "kid" not in row or row.get("use", "sig") != "sig":
        return None
    try:
        # Only the public half: with a `d` in the row PyJWT would compute prime factors.
        key = RSAAlgorithm.from_jwk({name: row[name] for name in ("kty", "n", "e")})
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    return key if isinstance(key, RSAPublicKey) else None
