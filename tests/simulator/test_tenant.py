from __future__ import annotations

from typing import Any

import jwt
import pytest

from bot.config.settings import Login
from bot.simulator.tenant import M2M_GRANT, REALM_GRANT, LocalTenant, Refused, Signer

ISSUER = "https://acme.us.auth0.com/"
NOW = 1_790_000_000.0
CLAIM = "https://acme.example/ran_at"
LOGINS = (
    Login.model_validate(
        {
            "client_id": "probe",
            "client_secret": "s3cret",
            "username": "robot@acme.example",
            "password": "right",
            "realm": "users",
            "audience": "https://api.acme.example",
            "proof_claim": CLAIM,
        }
    ),
    Login.model_validate({"client_id": "plain", "username": "robot", "password": "right"}),
)
GOOD = {
    "grant_type": REALM_GRANT,
    "client_id": "probe",
    "client_secret": "s3cret",
    "username": "robot@acme.example",
    "password": "right",
    "realm": "users",
    "audience": "https://api.acme.example",
    "scope": "openid",
}
PLAIN = {"grant_type": "password", "client_id": "plain", "username": "robot", "password": "right"}


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer()


@pytest.fixture
def tenant(signer: Signer) -> LocalTenant:
    return LocalTenant(LOGINS, m2m=False, signer=signer)


def claims_of(tenant: LocalTenant, token: str, audience: str) -> dict[str, Any]:
    """Return the claims of a token with a valid signature."""
    key = jwt.PyJWK(tenant.signer.key_set()["keys"][0])
    assert jwt.get_unverified_header(token)["kid"] == key.key_id
    options = {"verify_exp": False, "verify_iat": False, "verify_iss": False}
    claims: dict[str, Any] = jwt.decode(token, key, audience=audience, options=options)  # type: ignore[arg-type]
    return claims


def test_a_login_yields_both_tokens(tenant: LocalTenant) -> None:
    """Signed, for the right audiences, with the clock's times and the proof claim of the Action."""
    tokens = tenant.issue_token(GOOD, issuer=ISSUER, now=NOW)
    identity = claims_of(tenant, tokens["id_token"], "probe")
    access = claims_of(tenant, tokens["access_token"], "https://api.acme.example")
    assert identity["iss"] == access["iss"] == ISSUER
    assert (identity["iat"], identity["exp"]) == (NOW, NOW + 86400)
    assert identity[CLAIM] == NOW
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 86400)


def test_without_an_audience_the_access_token_is_opaque(tenant: LocalTenant) -> None:
    """And without `openid` there is no id token."""
    tokens = tenant.issue_token(PLAIN, issuer=ISSUER, now=NOW)
    assert "." not in tokens["access_token"]
    assert "id_token" not in tokens


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"grant_type": ""}, 400, "invalid_request"),
        ({"grant_type": "device"}, 501, "unsupported_grant_type"),
        ({"client_id": "other"}, 401, "access_denied"),
        ({"client_secret": "wrong"}, 401, "access_denied"),
        ({"password": ""}, 400, "invalid_request"),
        ({"realm": ""}, 400, "invalid_request"),
        ({"realm": "other"}, 400, "invalid_request"),
        ({"username": "other"}, 403, "invalid_grant"),
        ({"password": "wrong"}, 403, "invalid_grant"),
        ({"grant_type": "password"}, 500, "server_error"),
        ({"audience": "https://other"}, 403, "access_denied"),
        ({"grant_type": M2M_GRANT}, 403, "unauthorized_client"),
    ],
)
def test_wrong_requests_are_refused_as_auth0_does(
    tenant: LocalTenant, changed: dict[str, str], status: int, error: str
) -> None:
    """With Auth0's status and error."""
    with pytest.raises(Refused) as refused:
        tenant.issue_token({**GOOD, **changed}, issuer=ISSUER, now=NOW)
    assert (refused.value.status, refused.value.document["error"]) == (status, error)
    assert refused.value.document["error_description"]


def test_client_credentials_yield_an_access_token_only(signer: Signer) -> None:
    """Where the tenant says `m2m: true`."""
    tenant = LocalTenant(LOGINS, m2m=True, signer=signer)
    tokens = tenant.issue_token({**GOOD, "grant_type": M2M_GRANT}, issuer=ISSUER, now=NOW)
    access = claims_of(tenant, tokens["access_token"], "https://api.acme.example")
    assert access["sub"] == "probe@clients"
    assert "id_token" not in tokens


def test_every_tenant_has_a_management_api(signer: Signer) -> None:
    """Without any setting, as the audience of its own domain."""
    tenant = LocalTenant(LOGINS, m2m=True, signer=signer)
    audience = f"{ISSUER}api/v2/"
    form = {"grant_type": M2M_GRANT, "client_id": "plain", "audience": audience}
    tokens = tenant.issue_token(form, issuer=ISSUER, now=NOW)
    assert claims_of(tenant, tokens["access_token"], audience)["iss"] == ISSUER
