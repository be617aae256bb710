from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.auth0_logs.text_patterns import PATTERNS, TEXT_LIMIT, match_pattern

NAMES = {name for name, _ in PATTERNS}
KNOWN = {
    # Log descriptions, from Auth0's support pages and community, and from public code
    "Callback URL mismatch. https://app.example/cb is not in the list of allowed callback URLs": (
        "callback_mismatch"
    ),
    "Unknown client: x3tAbC": "unknown_client",
    "Invalid authorization code": "code_reused",
    "Failed to verify code verifier": "code_reused",
    "Unknown or invalid refresh token.": "refresh_token",
    "Token could not be decoded or is missing in DB": "refresh_token",
    "Reused rotating refresh token detected, revoked the family": "refresh_token",
    "invalid_state": "invalid_state",
    "Unable to verify authorization request state.": "invalid_state",
    "Login required": "login_required",
    "consent_required": "login_required",
    "user is blocked": "user_blocked",
    "Wrong email or password.": "wrong_password",
    "Wrong phone number or verification code.": "wrong_password",
    "Multifactor authentication required": "mfa",
    "Failed to obtain access token": "provider_error",
    "Error fetching userinfo": "provider_error",
    "Unable to connect to the AD/LDAP connector": "provider_error",
    "Invalid thumbprint (configured: AA. calculated: BB)": "provider_error",
    "Unable to verify the signature": "provider_error",
    "The SAML assertion has expired": "provider_error",
    '{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys '
    'are expired"}': "provider_error",
    "getaddrinfo ENOTFOUND idp.example.com": "unreachable",
    "connect ETIMEDOUT 203.0.113.1:443": "unreachable",
    "Failed to obtain access token: socket hang up": "unreachable",
    "unable to verify the first certificate": "certificate",
    "Too Many Requests": "rate_limit",
    "Access denied by the rule for ada@example.com": "access_denied",
    "Unauthorized": "access_denied",
    "connect ECONNREFUSED 10.0.0.5:5432": "database",
    "Script terminated by timeout": "database",
    "the connection is not enabled": "connection_off",
    "no connections enabled for the client": "connection_off",
    # Titles of an error tracker
    "TypeError: Failed to fetch": "unreachable",
    "ConnectTimeout: HTTPSConnectionPool(host='acme.us.auth0.com', port=443)": "unreachable",
    "token exchange failed": "token_exchange",
    "ReadTimeout: timed out": "timeout",
    "AxiosError: timeout of 10000ms exceeded": "timeout",
    # Nothing of ours
    "TypeError: x is undefined": "",
    "": "",
}


@pytest.mark.parametrize("text", KNOWN)
def test_known_texts(text: str) -> None:
    """Each text from real systems matches its pattern, in any case."""
    assert match_pattern(text) == KNOWN[text]
    assert match_pattern(text.upper()) == KNOWN[text]


def test_names_of_patterns() -> None:
    """Every name can be reached, and has only letters and underscores."""
    assert {*KNOWN.values()} - {""} | {"cancelled"} == NAMES
    assert match_pattern("The user denied the request") == "cancelled"
    assert all(name.replace("_", "").isalpha() for name in NAMES)


def test_words_are_words() -> None:
    """Short words count only as words of their own."""
    assert match_pattern("camfast idpx") == ""


def test_only_the_beginning_counts() -> None:
    """Text after the limit is not searched."""
    assert match_pattern("x" * TEXT_LIMIT + " timeout") == ""


@given(st.text())
def test_only_names_are_returned(text: str) -> None:
    """For any text the result holds nothing of it."""
    assert match_pattern(text) in NAMES | {""}
