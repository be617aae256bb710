"""Verifies tokens: HTTP 200 with a wrong token is not a working login."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from bot.core.model.observation import Fault, Stage
from bot.core.model.wall_clock import parse_iso
from bot.probes.result import ProbeFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

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
