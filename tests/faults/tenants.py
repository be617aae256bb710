"""Auth0 tenants as their documentation describes them: discovery, signing keys, password grant.

https://auth0.com/docs/api/authentication (read 2026-11). All tenants share one address and one
signing key; a request's `Host` says which of them it is for.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
import trustme
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.faults.site import Site, answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

DOMAIN = "{name}.lab.test"
REALM_GRANT = "http://auth0.com/oauth/grant-type/password-realm"
CLIENT, CLIENT_SECRET, PASSWORD, REALM = "lab-client", "lab-client-secret", "lab-pass-word", "users"
KEY_ID = "lab-key"
TOKEN_LIFE_S = 86400
AUTH0_DOWN = answer(503, "<html><body>Service Unavailable</body></html>")


@dataclass(frozen=True)
class Login:
    """One login that reached a tenant."""

    at: float
    """By the loop's clock."""
    tenant: str
    is_answered: bool
    """It got a token."""


class Tenants:
    """All tenants. A fault of `site` is named like the tenant, and hits its logins alone."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.logins: list[Login] = []
        self.site = Site(self._handle, self._name_login, _tls_context())

    def configure(self, folder: Path) -> dict[str, Any]:
        """Write the certificate authority; return the settings that lead here."""
        ca_file = folder / "ca.pem"
        _authority().cert_pem.write_to_path(str(ca_file))
        domains = {name: DOMAIN.format(name=name) for name in self.names}
        login = {"client_id": CLIENT, "client_secret": CLIENT_SECRET, "realm": REALM}
        tenants = [
            {
                "name": name,
                "domain": domain,
                "environment": "US-1",
                "ca_file": str(ca_file),
                "logins": [{**login, "username": f"probe@{name}.test", "password": PASSWORD}],
            }
            for name, domain in domains.items()
        ]
        return {"tenants": tenants, "resolve": dict.fromkeys(domains.values(), self.site.address)}

    def count_tries(self, name: str, since: float = 0.0) -> int:
        """Return how many logins a tenant was asked for."""
        return sum(login.tenant == name and login.at >= since for login in self.logins)

    def succeeded(self, since: float = 0.0) -> Iterator[str]:
        """Yield the tenants that gave a token."""
        for login in self.logins:
            if login.is_answered and login.at >= since:
                yield login.tenant

    def _name_login(self, request: web.BaseRequest) -> str:
        """Record a login; everything else has no name of its own."""
        tenant = _tenant_of(request)
        if request.path != "/oauth/token":
            return ""
        is_answered = tenant not in self.site.faults and "*" not in self.site.faults
        self.logins.append(Login(asyncio.get_running_loop().time(), tenant, is_answered))
        return tenant

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        issuer = f"https://{DOMAIN.format(name=_tenant_of(request))}/"
        if request.path == "/oauth/token":
            return self._log_in(issuer, dict(await request.post()))
        if request.path == "/.well-known/openid-configuration":
            urls = {"jwks_uri": f"{issuer}.well-known/jwks.json"}
            return web.json_response({"issuer": issuer, **urls})
        if request.path == "/.well-known/jwks.json":
            return web.json_response({"keys": [_public_key()]})
        return web.json_response({"error": "Not Found"}, status=404)

    def _log_in(self, issuer: str, form: dict[str, Any]) -> web.StreamResponse:
        client = form.get("client_id"), form.get("client_secret")
        if (form.get("grant_type"), form.get("realm")) != (REALM_GRANT, REALM):
            return _refuse(403, "unauthorized_client", "Grant type not allowed for the client.")
        if client != (CLIENT, CLIENT_SECRET):
            return _refuse(401, "access_denied", "Unauthorized")
        if form.get("password") != PASSWORD:
            return _refuse(403, "invalid_grant", "Wrong email or password.")
        now = int(time.time())
        claims = {"iss": issuer, "sub": "auth0|lab", "aud": CLIENT, "iat": now}
        claims["exp"] = now + TOKEN_LIFE_S
        signed = jwt.encode(claims, _private_key(), algorithm="RS256", headers={"kid": KEY_ID})
        token = {"access_token": "opaque", "id_token": signed, "scope": "openid"}
        return web.json_response({**token, "expires_in": TOKEN_LIFE_S, "token_type": "Bearer"})


def _tenant_of(request: web.BaseRequest) -> str:
    return request.host.partition(".")[0]


def _refuse(status: int, error: str, description: str) -> web.StreamResponse:
    return web.json_response({"error": error, "error_description": description}, status=status)


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _authority().issue_cert(DOMAIN.format(name="*")).configure_cert(context)
    return context


@cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def _public_key() -> dict[str, str]:
    numbers = json.loads(RSAAlgorithm.to_jwk(_private_key().public_key()))
    return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID} | {
        name: numbers[name] for name in ("n", "e")
    }
