"""What a place can answer, as the `is` of a scenario's timeline: texts that Auth0 really gives."""

from __future__ import annotations

BROKEN = (
    "{http: 503, body: html}",
    "{http: 502, body: html}",
    "{http: 504, body: html}",
    "{http: 500, body: html}",
    "{http: 503, body: json}",
    "{http: 520, body: html}",
)
SERVER_ERROR = "{http: 500, error: server_error, description: Internal server error}"
UNREACHABLE = (
    "{connect: timeout}",
    "{hang: true}",
    "{connect: refused}",
    "{connect: reset}",
)
NAMES_FAIL = ("{dns: servfail}", "{dns: timeout}")
NAME_GONE = "{dns: nxdomain}"
CERTIFICATE = ("{tls: expired}", "{tls: wrong_host}", "{tls: untrusted}")
SLOW = ("{latency: 2500ms}", "{latency: 1500ms}", "{latency: 4s}", "{latency: 6s}")
BLOCKED = "{http: 403, body: html}"
GONE = "{http: 404, body: html}"
DENIED = "{http: 403, error: access_denied, description: Access denied.}"
ACTION_DENIED = (
    '{http: 403, error: access_denied, description: "Cannot read properties of undefined"}',
    DENIED,
    "{http: 403, error: access_denied, description: entitlements unavailable}",
)
ACTION_TIMED_OUT = "{http: 403, error: access_denied, description: Script execution timed out}"
NO_PROOF = "{token: no_proof}"
DATABASE_BROKEN = (
    '{http: 500, error: server_error, description: "connect ETIMEDOUT 10.0.0.7:5432"}',
    '{http: 500, error: access_denied, description: "connect ECONNREFUSED 10.0.0.7:5432"}',
    "{http: 500, error: server_error, description: The script of the connection failed}",
)
WRONG_PASSWORD = "{http: 403, error: invalid_grant, description: Wrong email or password.}"
BLOCKED_USER = "{http: 401, error: unauthorized, description: user is blocked}"
USER_LIMIT = (
    (
        "{http: 429, error: too_many_attempts, "
        "description: Your account has been blocked after multiple consecutive login attempts.}"
    ),
    "{http: 429, error: too_many_logins}",
)
LEAKED = "{http: 401, error: password_leaked}"
NOT_VERIFIED = (
    "{http: 401, error: requires_verification, "
    "description: Suspicious request requires verification}"
)
SECOND_FACTOR = "{http: 403, error: mfa_required, description: Multifactor authentication required}"
WRONG_SECRET = (
    "{http: 401, error: access_denied, description: Unauthorized}",
    "{http: 401, error: invalid_client}",
)
GRANT_OFF = (
    (
        "{http: 403, error: unauthorized_client, "
        "description: \"Grant type 'password' not allowed for the client.\"}"
    ),
    "{http: 501, error: unsupported_grant_type}",
)
API_RESTRICTED = (
    (
        "{http: 403, error: access_denied, "
        "description: Client is not authorized to access this resource server.}"
    ),
    '{http: 403, error: access_denied, description: "Service not found: https://api.example/"}',
    "{http: 400, error: invalid_scope}",
)
NOT_ENABLED = "{http: 400, error: invalid_request, description: the connection is not enabled}"
NO_DIRECTORY = (
    "{http: 500, error: server_error, "
    "description: Authorization server not configured with default connection.}"
)
WRONG_TOKEN = ("{token: wrong_audience}", "{token: wrong_issuer}")
LIMITED = (
    (
        "{http: 429, error: too_many_requests, "
        'headers: {x-ratelimit-limit: "300", x-ratelimit-remaining: "0"}}'
    ),
    "{http: 429, error: too_many_requests, description: Global limit has been reached}",
)
MACHINE_LIMITED = (
    "{http: 429, error: too_many_requests, description: M2M token quota exceeded}",
    LIMITED[0],
)
REFUSED_IN_AN_OUTAGE = (
    "{http: 401, error: access_denied, description: Unauthorized}",
    GONE,
    "{http: 404, error: not_found}",
    WRONG_PASSWORD,
)
PROXY = ("{http: 503, body: html}", "{http: 502, body: html}", "{http: 407, body: html}")
