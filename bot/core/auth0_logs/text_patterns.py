"""Maps foreign texts (log descriptions, error titles) to a pattern name from a fixed list.

Such texts may hold mail addresses and tokens, so we keep only the name of the pattern. Auth0 says
that they may change at any time: a text that matches nothing counts as unknown.
"""

from __future__ import annotations

import re

TEXT_LIMIT = 1000
"""Characters of a text that are searched."""
PHRASES = (
    # What Azure AD and SAML say of a tenant's connection, in words that otherwise mean a client.
    ("provider_error", " aadsts|invalid thumbprint|unable to verify the signature"),
    ("callback_mismatch", "callback url mismatch|list of allowed callback|redirect uri mismatch"),
    ("callback_mismatch", "invalid redirect uri|redirect uri is not allowed"),
    ("database", "script terminated|script execution|custom script|postgres|mysql|mongo|mssql"),
    ("database", "sqlstate| 5432 | 3306 | 1433 | 27017 | 1521 "),
    ("connection_off", "connection is not enabled|connection not enabled|connection is disabled"),
    ("connection_off", "connection was disabled|no connections enabled|connection does not exist"),
    ("unknown_client", "unknown client|invalid client|unauthorized client|client not found"),
    ("unknown_client", "client authentication failed"),
    ("refresh_token", "refresh token|refreshtoken|token could not be decoded"),
    ("code_reused", "invalid authorization code|authorization code is|authorization code has"),
    ("code_reused", "authorization code expired|code verifier"),
    ("invalid_state", "invalid state|state mismatch|state does not match|state is missing"),
    ("invalid_state", "state missing|missing state|state cookie"),
    ("invalid_state", "verify authorization request state"),
    ("login_required", "login required|consent required|interaction required"),
    ("cancelled", "cancelled|canceled|user denied|denied by the user|did not consent"),
    ("user_blocked", "user is blocked|user was blocked|user has been blocked|blocked user"),
    ("user_blocked", "account is blocked|account has been blocked|account is locked"),
    ("user_blocked", "too many attempts"),
    ("mfa", " mfa |multifactor|multi factor|second factor|invalid otp|one time password"),
    ("wrong_password", "wrong email|wrong username|wrong phone|wrong password|invalid password"),
    ("wrong_password", "incorrect password|invalid credentials|invalid user password"),
    ("wrong_password", "invalid username or password|password leaked|password has been leaked"),
    ("rate_limit", "rate limit|ratelimit|too many requests|too many logins|global limit"),
    ("certificate", "certificate|self signed|unable to get local issuer|thumbprint| err tls"),
    ("certificate", "ssl routines|sslerror"),
    ("unreachable", "enotfound|econnrefused|econnreset|etimedout|esockettimedout|eai again"),
    ("unreachable", "ehostunreach|enetunreach|getaddrinfo|socket hang up|connect timeout"),
    ("unreachable", "connecttimeout|connection timeout|connection timed out|connection refused"),
    ("unreachable", "connection reset|connection aborted|connection closed|closed connection"),
    ("unreachable", "server disconnected|connection error|connectionerror|connecterror"),
    ("unreachable", "name or service not known|name resolution|no route to host"),
    ("unreachable", "max retries exceeded|network error|networkerror|network request failed"),
    ("unreachable", "failed to fetch|load failed"),
    ("provider_error", "failed to obtain access token|obtain request token|fetching user"),
    ("provider_error", "fetch user|userinfo|user profile| saml|assertion|identity provider| idp "),
    ("provider_error", " ldap | connector |wsfed|issuer mismatch|unexpected issuer|upstream"),
    ("provider_error", "internaloautherror"),
    ("unreachable", "unable to connect|could not connect|cannot connect"),
    ("access_denied", "access denied|access is denied|unauthorized|not authorized|forbidden"),
    ("token_exchange", "token exchange|exchange code|exchange the authorization code|exchanging"),
    ("token_exchange", "invalid grant|invalid token|access token|id token| jwt | jwks "),
    ("timeout", "timeout|timed out|time out|deadline exceeded|took too long"),
)
"""Names, each with its phrases. The first match wins, so narrow patterns come first. Regular
expressions would be too slow: a thousand rows must not block the event loop."""
PATTERNS = tuple((name, tuple(phrases.split("|"))) for name, phrases in PHRASES)


def match_pattern(text: str) -> str:
    """Return the name of the first pattern that a foreign text matches, or an empty string.

    All but letters and digits separate words: `invalid_state` equals "Invalid state!".
    """
    words = f" {' '.join(re.findall('[a-z0-9]+', text[:TEXT_LIMIT].lower()))} "
    return next((name for name, phrases in PATTERNS if any(p in words for p in phrases)), "")
