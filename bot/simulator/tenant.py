"""A local Auth0 tenant: its answers, without the sockets.

Statuses and errors of `/oauth/token` as public reports have observed them (2026-10), which differ
from the documentation: a wrong client is 401 `access_denied`, a wrong password 403 `invalid_grant`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from jwt.algorithms import RSAAlgorithm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import SecretStr

    from bot.config.settings import Login

M2M_GRANT = "client_credentials"
REALM_GRANT = "http://auth0.com/oauth/grant-type/password-realm"
GRANTS = ("password", REALM_GRANT, M2M_GRANT)
DAY_S = 86400
"""Seconds. Auth0's default lifetime of a token as well."""
OTHER_ISSUER = "https://another-tenant.us.auth0.com/"


class Refused(Exception):  # noqa: N818 - says what happened
    """The tenant gives no token."""

    def __init__(self, status: int, error: str, description: str) -> None:
        """Keep Auth0's status, error and description."""
        super().__init__(description)
        self.status = status
        self.document = {"error": error, "error_description": description}


class Signer:
    """One RSA signing key of a tenant."""

    def __init__(self) -> None:
        """Make the key, which takes some 100 ms."""
        self._key = generate_private_key(public_exponent=65537, key_size=2048)
        self._id = secrets.token_urlsafe(15)

    def key_set(self) -> dict[str, Any]:
        """Return the key set."""
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return {"keys": [{**public, "use": "sig", "alg": "RS256", "kid": self._id}]}

    def sign(self, claims: Mapping[str, Any], wrong: str = "") -> str:
        """Return a token; with `bad_signature`, one with the signature of another token."""
        token = jwt.encode(dict(claims), self._key, "RS256", headers={"kid": self._id})
        if wrong != "bad_signature":
            return token
        other = self.sign({})
        return token[: token.rindex(".")] + other[other.rindex(".") :]


@dataclass(frozen=True, slots=True)
class LocalTenant:
    """Who may log in at a tenant, and what they get."""

    logins: Sequence[Login]
    m2m: bool
    """Whether the applications may use the client credentials grant."""
    signer: Signer

    def discovery(self, issuer: str) -> dict[str, Any]:
        """Return the discovery document of one of the tenant's domains."""
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}authorize",
            "token_endpoint": f"{issuer}oauth/token",
            "userinfo_endpoint": f"{issuer}userinfo",
            "jwks_uri": f"{issuer}.well-known/jwks.json",
            "id_token_signing_alg_values_supported": ["HS256", "RS256", "PS256"],
        }

    def find_login(self, form: Mapping[str, str]) -> Login | None:
        """Find the login that a token request is for."""
        ours = [login for login in self.logins if login.client_id == form.get("client_id")]
        named = [login for login in ours if login.username == form.get("username")]
        return next(iter(named or ours), None)

    def issue_token(
        self, form: Mapping[str, str], *, issuer: str, now: float, wrong: str = ""
    ) -> dict[str, Any]:
        """Answer a token request, with the scenario's token fault. Raises `Refused`."""
        login = self._authenticate(form)
        is_m2m = form["grant_type"] == M2M_GRANT
        if not is_m2m:
            _check_user(form, login)
        audience = form.get("audience")
        if audience and audience not in {login.audience, f"{issuer}api/v2/"}:
            raise Refused(403, "access_denied", f"Service not found: {audience}")
        claims = _claims(issuer, now, wrong)
        claims["sub"] = f"{login.client_id}@clients" if is_m2m else "auth0|synthetic"
        if login.proof_claim and wrong != "no_proof":
            claims[login.proof_claim] = int(now) - DAY_S * (wrong == "stale_proof")
        tokens = {"token_type": "Bearer", "expires_in": DAY_S}
        tokens["access_token"] = self._sign(claims, audience, wrong) or secrets.token_urlsafe(24)
        if not is_m2m and "openid" in form.get("scope", "").split():
            tokens["id_token"] = self._sign(claims, login.client_id, wrong)
        return tokens

    def _authenticate(self, form: Mapping[str, str]) -> Login:
        grant, login = form.get("grant_type"), self.find_login(form)
        if not grant:
            raise Refused(400, "invalid_request", "Missing required parameter: grant_type")
        if grant not in GRANTS:
            raise Refused(501, "unsupported_grant_type", f"Unsupported grant type: {grant}")
        if login is None or not _is_same(login.client_secret, form.get("client_secret")):
            raise Refused(401, "access_denied", "Unauthorized")
        if grant == M2M_GRANT and not self.m2m:
            text = f"Grant type '{grant}' not allowed for the client."
            raise Refused(403, "unauthorized_client", text)
        return login

    def _sign(self, claims: Mapping[str, Any], audience: str | None, wrong: str) -> str:
        if not audience:
            return ""
        aud = OTHER_ISSUER if wrong == "wrong_audience" else audience
        return self.signer.sign({**claims, "aud": aud}, wrong)


def _claims(issuer: str, now: float, wrong: str) -> dict[str, Any]:
    issued = int(now) - 2 * DAY_S * (wrong == "expired")
    iss = OTHER_ISSUER if wrong == "wrong_issuer" else issuer
    return {"iss": iss, "iat": issued, "exp": issued + DAY_S}


def _check_user(form: Mapping[str, str], login: Login) -> None:
    is_realm = form["grant_type"] == REALM_GRANT
    for name in ("username", "password", *(["realm"] if is_realm else [])):
        if not form.get(name):
            raise Refused(400, "invalid_request", f"Missing required parameter: {name}")
    if is_realm and form["realm"] != login.realm:
        raise Refused(400, "invalid_request", "The connection was not found")
    if not is_realm and login.realm:
        text = "Authorization server not configured with default connection."
        raise Refused(500, "server_error", text)
    if form["username"] != login.username or not _is_same(login.password, form["password"]):
        raise Refused(403, "invalid_grant", "Wrong email or password.")


def _is_same(secret: SecretStr | None, given: str | None) -> bool:
    return secret is None or secret.get_secret_value() == given
