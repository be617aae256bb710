"""Foreign texts (log descriptions, error titles) put down to a name of a fixed list.

Such texts may hold mail addresses and tokens. They are looked at in memory, and only the name of
the pattern is kept. Auth0 says that they may change at any time: a text that matches nothing is
nothing worse than unknown.
"""

from __future__ import annotations

import re

TEXT_LIMIT = 1000
"""Characters of a text that are looked at."""
PATTERNS = (
    # What Azure AD and SAML say of a tenant's connection, in words that else blame a client.
    ("provider_error", (" aadsts", "invalid thumbprint", "unable to verify the signature")),
    (
        "callback_mismatch",
        (
            "callback url mismatch",
            "list of allowed callback",
            "redirect uri mismatch",
            "invalid redirect uri",
            "redirect uri is not allowed",
        ),
    ),
    (
        "unknown_client",
        (
            "unknown client",
            "invalid client",
            "unauthorized client",
            "client not found",
            "client authentication failed",
        ),
    ),
    ("refresh_token", ("refresh token", "refreshtoken", "token could not be decoded")),
    (
        "code_reused",
        (
            "invalid authorization code",
            "authorization code is",
            "authorization code has",
            "authorization code expired",
            "code verifier",
        ),
    ),
    (
        "invalid_state",
        (
            "invalid state",
            "state mismatch",
            "state does not match",
            "state is missing",
            "state missing",
            "missing state",
            "state cookie",
            "verify authorization request state",
        ),
    ),
    ("login_required", ("login required", "consent required", "interaction required")),
    (
        "cancelled",
        ("cancelled", "canceled", "user denied", "denied by the user", "did not consent"),
    ),
    (
        "user_blocked",
        (
            "user is blocked",
            "user was blocked",
            "user has been blocked",
            "blocked user",
            "account is blocked",
            "account has been blocked",
            "account is locked",
            "too many attempts",
        ),
    ),
    (
        "mfa",
        (
            " mfa ",
            "multifactor",
            "multi factor",
            "second factor",
            "invalid otp",
            "one time password",
        ),
    ),
    (
        "wrong_password",
        (
            "wrong email",
            "wrong username",
            "wrong phone",
            "wrong password",
            "invalid password",
            "incorrect password",
            "invalid credentials",
            "invalid user password",
            "invalid username or password",
            "password leaked",
            "password has been leaked",
        ),
    ),
    (
        "rate_limit",
        ("rate limit", "ratelimit", "too many requests", "too many logins", "global limit"),
    ),
    (
        "certificate",
        (
            "certificate",
            "self signed",
            "unable to get local issuer",
            "thumbprint",
            " err tls",
            "ssl routines",
            "sslerror",
        ),
    ),
    (
        "unreachable",
        (
            "enotfound",
            "econnrefused",
            "econnreset",
            "etimedout",
            "esockettimedout",
            "eai again",
            "ehostunreach",
            "enetunreach",
            "getaddrinfo",
            "socket hang up",
            "connect timeout",
            "connecttimeout",
            "connection timeout",
            "connection timed out",
            "connection refused",
            "connection reset",
            "connection aborted",
            "connection closed",
            "closed connection",
            "server disconnected",
            "connection error",
            "connectionerror",
            "connecterror",
            "name or service not known",
            "name resolution",
            "no route to host",
            "max retries exceeded",
            "network error",
            "networkerror",
            "network request failed",
            "failed to fetch",
            "load failed",
        ),
    ),
    (
        "provider_error",
        (
            "failed to obtain access token",
            "obtain request token",
            "fetching user",
            "fetch user",
            "userinfo",
            "user profile",
            " saml",
            "assertion",
            "identity provider",
            " idp ",
            " ldap ",
            " connector ",
            "wsfed",
            "issuer mismatch",
            "unexpected issuer",
            "upstream",
            "internaloautherror",
        ),
    ),
    ("unreachable", ("unable to connect", "could not connect", "cannot connect")),
    (
        "access_denied",
        ("access denied", "access is denied", "unauthorized", "not authorized", "forbidden"),
    ),
    (
        "token_exchange",
        (
            "token exchange",
            "exchange code",
            "exchange the authorization code",
            "exchanging",
            "invalid grant",
            "invalid token",
            "access token",
            "id token",
            " jwt ",
            " jwks ",
        ),
    ),
    ("timeout", ("timeout", "timed out", "time out", "deadline exceeded", "took too long")),
)
"""Names, each with the words that tell it. The first that matches wins: the narrower stand first.
Words are sought, not expressions matched: a thousand rows must not hold the event loop up."""


def match_pattern(text: str) -> str:
    """Return the name of the first pattern that a foreign text matches, or an empty string.

    Whatever is no letter or digit separates words: `invalid_state` reads like "Invalid state!".
    """
    words = f" {' '.join(re.findall('[a-z0-9]+', text[:TEXT_LIMIT].lower()))} "
    return next((name for name, told in PATTERNS if any(each in words for each in told)), "")
