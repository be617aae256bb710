"""Is it the token that we asked for? HTTP 200 with a wrong token is not a working login."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import jwt

from bot.core.model.observation import Fault, Stage
from bot.probes.result import ProbeFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

ALGORITHMS = ("RS256", "PS256")
"""Pinned: with the header's word alone, a public key would pass as an HS256 secret."""
LEEWAY_S = 60.0
"""For clocks that are not quite alike; one that is further off than that should be told."""
MILLISECONDS_FROM = 1e11
"""`Date.now()` in an Action counts milliseconds; as seconds this would be the year 5138."""
REASONS = (
    (jwt.InvalidSignatureError, "bad_signature"),
    (jwt.InvalidAlgorithmError, "bad_algorithm"),
    (jwt.InvalidIssuerError, "wrong_issuer"),
    (jwt.InvalidAudienceError, "wrong_audience"),
)


def token_failure(reason: str, description: str = "") -> ProbeFailed:
    """Make the failure of a token that came with HTTP 200."""
    return ProbeFailed(Fault(Stage.TOKEN, reason, status=200, description=description))


def read_key_id(token: str) -> str:
    """Read which key a token says it was signed with. Raises `Failed`."""
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
    """Return the claims of a token that is right in every way. Raises `Failed`."""
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            issuer=issuer,
            audience=audience,
            # The times are held against the clock port, below.
            options={
                "require": ["exp", "iat", "iss", "aud"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise token_failure(_failure_reason(error)) from error
    _check_times(claims, now)
    return claims


def check_proof(claims: Mapping[str, Any], claim: str, *, max_age_s: float, now: float) -> None:
    """See that the tenant's Action ran just now. Raises `Failed`.

    The claim holds the time in seconds, in milliseconds or as ISO 8601.
    """
    at = _parse_instant(claims.get(claim))
    if at is None:
        raise ProbeFailed(Fault(Stage.PROOF, "no_proof", status=200))
    if not abs(now - at) <= max_age_s:  # also for NaN
        raise ProbeFailed(Fault(Stage.PROOF, "stale_proof", status=200))


def _failure_reason(error: Exception) -> str:
    return next((reason for kind, reason in REASONS if isinstance(error, kind)), "malformed")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    times = {name: claims.get(name, now) for name in ("exp", "iat", "nbf")}
    if not all(_is_number(at) for at in times.values()):
        raise token_failure("malformed")
    if times["exp"] < now - LEEWAY_S:
        raise token_failure("expired")
    if max(times["iat"], times["nbf"]) > now + LEEWAY_S:
        raise token_failure("not_yet_valid")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parse_instant(value: object) -> float | None:
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
            return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
        if isinstance(value, int | float) and not isinstance(value, bool):
            return value / 1000 if value > MILLISECONDS_FROM else value
    except (ValueError, OverflowError):
        pass
    return None
