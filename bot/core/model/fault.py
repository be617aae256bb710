"""Why a request failed, in stable codes: the same from real sockets and from the simulator.

| stage | reasons |
| --- | --- |
| dns | nxdomain, servfail, timeout, failed |
| connect | refused, reset, unreachable |
| connect | proxy_unreachable; what the proxy said: proxy_login (407), proxy_refused (4xx), |
| | proxy_failed (5xx: it does not reach the host) |
| tls | expired, not_yet_valid, wrong_host, untrusted, failed |
| timeout | connect, tls, read (no complete response head), total (the body did not end) |
| http | http_STATUS, redirect, not_json, too_large, bad_encoding, reset, protocol |
| oauth | the response's own `error`, reduced to a code |
| token | missing_id_token, malformed, bad_algorithm, bad_signature, unknown_kid, no_keys |
| token | wrong_issuer, wrong_audience, expired, not_yet_valid |
| proof | no_proof, stale_proof |

Auth0 says that descriptions are for people and may change at any time (Set Up CORS, read 2026-08),
so nothing here depends on them.
"""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from dataclasses import replace
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING

from bot.core.model.observation import Fault, OwnSide, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

DESCRIPTION_LIMIT = 200
ERROR_LIMIT = 40
MILLISECONDS_FROM = 1e11
"""As seconds since 1970 this would be the year 5138."""
MAX_WAIT_S = 3600.0
"""The longest wait that we accept from a `Retry-After` or a rate-limit reset."""
NOT_IMPLEMENTED = 501
"""Up to this status an `error` tells the cause of a 5xx (500 `server_error`: perhaps a missing
default directory; 501: an unsupported grant). Above it the edge or the service itself failed."""
UNREACHED_STAGES = frozenset({Stage.DNS, Stage.CONNECT, Stage.TLS, Stage.TIMEOUT})
REFUSED = frozenset(
    {
        "invalid_grant",
        "invalid_user_password",
        "password_leaked",
        "requires_verification",
        "requires_validation",
    }
)
PROXY_STATUSES = frozenset({407, 511})
"""A proxy, or a network's portal, wants to know who we are (RFC 9110, 15.5.8; RFC 6585, 6)."""
PROXY_HEADERS = ("proxy-", "x-squid-", "x-bluecoat-", "x-zscaler-")
PROXY_NAMES = (
    "squid",
    "bluecoat",
    "blue coat",
    "zscaler",
    "websense",
    "forcepoint",
    "fortigate",
    "fortiproxy",
    "mcafee",
    "skyhigh",
    "barracuda",
    "sophos",
    "netskope",
    "mitmproxy",
)
"""What such programs call themselves in `Server` or `Via`."""
REFUSED_WITH_STATUS = frozenset({(401, "unauthorized"), (429, "too_many_attempts")})


def classify_answer(
    status: int,
    document: Mapping[str, object] | None,
    *,
    headers: Mapping[str, str],
    now: float,
) -> Fault | None:
    """Classify an HTTP response; None: it is a 2xx with a JSON object.

    `document` is the JSON object of the body, or None if the body is not one.
    """
    # Auth0 answers in JSON, and never sends us elsewhere; a portal or a filter does.
    if 200 <= status < 300:  # noqa: PLR2004 - HTTP's own classes
        is_page = _get_header(headers, "content-type").startswith("text/html")
        own_side = OwnSide.BETWEEN if is_page else OwnSide.UNKNOWN
        not_json = Fault(Stage.HTTP, "not_json", status, own_side=own_side)
        return not_json if document is None else None
    if 300 <= status < 400:  # noqa: PLR2004 - HTTP's own classes
        return Fault(Stage.HTTP, "redirect", status, own_side=OwnSide.BETWEEN)
    body = document or {}
    text = body.get("error")
    code = (
        re.sub(r"[^a-z0-9]+", "_", text[:DESCRIPTION_LIMIT].lower())
        if isinstance(text, str)
        else ""
    )
    error = code.strip("_")[:ERROR_LIMIT] or None
    is_oauth = error is not None and status <= NOT_IMPLEMENTED
    words = sanitize_text(body.get("error_description")).split()
    return Fault(
        Stage.OAUTH if is_oauth else Stage.HTTP,
        error if error and is_oauth else f"http_{status}",
        status=status,
        error=error,
        description=" ".join(word if _WORD.fullmatch(word) else "…" for word in words),
        retry_at=_parse_retry_at(headers, now) if status in {429, 503} else None,
        own_side=_who_answered(status, headers),
    )


NOT_ANSWERED_BY_OAUTH = frozenset({404, 410, 429})
"""What Auth0's token endpoint does not say of a grant type: somebody else does, or a rate limit."""


def classify_refusal(
    status: int,
    document: Mapping[str, object] | None,
    *,
    headers: Mapping[str, str],
    now: float,
) -> tuple[Fault | None, str]:
    """Classify the answer to a token request that Auth0 must refuse: the fault, or why no data.

    It is well if the token endpoint itself answers, in JSON, whatever it says: which error and
    which status Auth0 has for an unknown grant type was never told (401, 403 and 501 were seen). Of
    all else only a server's own fault shows that a login would fail as well.
    """
    if status >= 500 and (document or {}).get("error") != "unsupported_grant_type":  # noqa: PLR2004 - HTTP
        return classify_answer(status, document, headers=headers, now=now), ""
    if document is None or status in NOT_ANSWERED_BY_OAUTH:
        return None, f"HTTP {status} is no answer of the token endpoint to an unknown grant type"
    return None, ""


def _who_answered(status: int, headers: Mapping[str, str]) -> OwnSide:
    """Tell whether a proxy, a portal or a filter on our way has answered, if it says so itself."""
    names = {name.lower() for name in headers}
    server = f"{_get_header(headers, 'server')} {_get_header(headers, 'via')}".lower()
    is_between = (
        status in PROXY_STATUSES
        or any(name.startswith(PROXY_HEADERS) for name in names)
        or any(word in server for word in PROXY_NAMES)
    )
    return OwnSide.BETWEEN if is_between else OwnSide.UNKNOWN


def is_refusal(fault: Fault) -> bool:
    """Tell whether the credentials were refused: then every further login attempt does harm."""
    return fault.stage is Stage.OAUTH and (
        fault.error in REFUSED or (fault.status, fault.error) in REFUSED_WITH_STATUS
    )


def is_from_outage(fault: Fault) -> bool:
    """Tell whether it looks like an outage: no answer, or one that admits a fault of its own."""
    return fault.stage in UNREACHED_STAGES or (fault.status or 0) >= 500  # noqa: PLR2004 - HTTP


def is_rate_limited(fault: Fault) -> bool:
    """Tell whether this is a 429 about load, not about the credentials."""
    return fault.status == 429 and not is_refusal(fault)  # noqa: PLR2004 - Too Many Requests


def parse_quota_remaining(headers: Mapping[str, str]) -> int | None:
    """Return how many requests the tenant's rate limit still allows, if a header says so."""
    text = _get_header(headers, "x-ratelimit-remaining")
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def sanitize_text(text: object) -> str:
    """Make foreign text safe to show: no control or invisible characters, and short."""
    if not isinstance(text, str):
        return ""
    visible = (
        " " if unicodedata.category(char).startswith("C") else char
        for char in text[: 4 * DESCRIPTION_LIMIT]
    )
    return " ".join("".join(visible).split())[:DESCRIPTION_LIMIT]


_PART = r"(?:[^\W\d_]{1,20}\d{0,3}|[A-Z]{1,12}\d{1,8}|\d{1,5})"
_WORD = re.compile(rf"[\"'(\[{{<]*{_PART}(?:[-_'.:/]{{1,3}}{_PART})*[\"')\]}}>.,;:!?/]*|[-:;,|/]")
"""A word, a small number, an error's name or code, an address without a query.

All else is left out of a description: a tenant's own code may say a password, an address or a
session. Known secrets were removed before. A part of one, or an encoding of one's own, is found by
this.
"""


def _parse_retry_at(headers: Mapping[str, str], now: float) -> float | None:
    """Parse Retry-After (seconds or a date), else x-ratelimit-reset (seconds since the epoch)."""
    after = _get_header(headers, "retry-after")
    wait_s, at = parse_wait_s(after), None
    if wait_s is not None:
        at = now + wait_s
    else:
        with suppress(ValueError, OverflowError):
            at = mktime_tz(date) if (date := parsedate_tz(after)) else None
    if at is None:
        at = parse_wait_s(_get_header(headers, "x-ratelimit-reset"))
        at = at / 1000 if at and at > MILLISECONDS_FROM else at
    return None if at is None else min(max(at, now + 1), now + MAX_WAIT_S)


def parse_wait_s(text: str) -> float | None:
    """Parse seconds, also with decimals, which HTTP does not allow and servers send."""
    return float(text) if re.fullmatch(r"[0-9]{1,15}(?:\.[0-9]{1,9})?", text) else None


def _get_header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "").strip()


def keep_codes(fault: Fault) -> Fault:
    """Return what evidence keeps of a fault: its codes, without foreign text."""
    return replace(fault, description="", retry_at=None)


def describe_fault(fault: Fault) -> str:
    """Describe a fault by its codes, without foreign text."""
    if fault.stage in {Stage.HTTP, Stage.OAUTH}:
        parts = (f"HTTP {fault.status}" if fault.status else "", fault.error or fault.reason)
        return " ".join(p for p in parts if p and p != f"http_{fault.status}")
    return f"{fault.stage} {fault.reason.replace('_', ' ')}"
