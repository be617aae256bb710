"""The types of setting values: what each accepts, and the advice in its error message.

No message repeats the value: it may be a secret that was pasted into the wrong place.
"""

from __future__ import annotations

import re
import ssl
from contextlib import suppress
from datetime import time
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)

from bot.core.model.measurement import MONITORS
from bot.core.model.observation import (
    CONTROL,
    CUSTOM,
    FEED,
    LOGS,
    M2M,
    TOKEN_ENDPOINT,
    WELLKNOWN,
)
from bot.core.model.wall_clock import UNITS_S

if TYPE_CHECKING:
    from collections.abc import Callable

ALL_UNITS_S = {"ms": 0.001, "s": 1.0, **UNITS_S}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%", re.ASCII)
_SPAN = re.compile(r"(-?\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_MENTION = r"(?:@here|[UWS][A-Z0-9]+)"
_OTHER_TOKENS = {
    "xapp-": "the app-level token (app_token)",
    "xoxb-": "the bot token (bot_token)",
    "xoxp-": "a user's token",
    "xoxe": "a token that expires after 12 hours, and this bot does not renew it. Slack cannot "
    "switch token rotation off again: make a new app from manifest.yml",
}
FILE_SUFFIX = "_file"
_PATH = re.compile(
    r"/[a-z0-9_.-]{1,30}(?:/[A-Za-z0-9_.-]{1,60})+"
    r"|(?:\.{1,2}/)?[a-z0-9_-]{1,30}(?:/[a-z0-9_.-]{1,30}){1,5}"
    r"|[a-z0-9_-]{1,30}\.(?:env|key|pem|secret|token|txt)"
)
"""What nobody takes for a secret, and no generator makes: parts in small letters, or a root."""
RESERVED_SOURCES = (WELLKNOWN, CUSTOM, M2M, LOGS, TOKEN_ENDPOINT)
BOT_ADVICE = (
    "must be the Bot User OAuth Token, which begins with xoxb-: "
    "api.slack.com/apps > your app > OAuth & Permissions"
)
APP_ADVICE = (
    "must be an app-level token, which begins with xapp-: api.slack.com/apps > your app > "
    "Basic Information > App-Level Tokens, with the scope connections:write"
)

AnyText = TypeVar("AnyText", str, SecretStr)


class Section(BaseModel):
    """A section of the configuration. Unknown keys are errors; values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


def parse_span(value: object) -> float:
    """Parse a duration such as `90s`, `12m`, `1.5h`, `-10m` or `900ms` into seconds.

    Raises ValueError for anything else, also for a bare number, which has no unit.
    """
    match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            "is no span of time: write a number and its unit (ms, s, m, h or d), such as 60s"
        )
    return float(match[1]) * ALL_UNITS_S[match[2]]


def host_of(url: str) -> str:
    """Return the host of a URL in lower case; empty if it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def name_file(path: str, named_by: str = f"its {FILE_SUFFIX} key") -> str:
    """Name a secret's file in a problem; without its path if that may be the secret itself."""
    return f"the file {path}" if _PATH.fullmatch(path) else f"the file named by {named_by}"


def _reveal(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def parse_share(value: object) -> float:
    """Parse a share such as `5%` into 0.05. Raises ValueError for anything else."""
    match = _PERCENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError("is no share: write a number and %, such as 5%")
    return float(match[1]) / 100


def _parse_unless_number(parse: Callable[[object], float]) -> BeforeValidator:
    """Accept a bare number from Python code; a value from a file is always text."""

    def check(value: object) -> object:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return value if is_number else parse(value)

    return BeforeValidator(check)


def format_setting(value: object, metadata: tuple[object, ...] = ()) -> str:
    """Write a value as in a file, with the unit that its type's `metadata` shows."""
    schemas = [each.json_schema for each in metadata if isinstance(each, WithJsonSchema)]
    if isinstance(value, float) and SHARE_SCHEMA in schemas:
        return f"{value * 100:g}%"
    if isinstance(value, float):
        return f"{value:g}s"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(format_setting, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k}: {format_setting(v)}" for k, v in value.items()) + "}"
    return f"{value:%H:%M}" if isinstance(value, time) else str(value)


def _must_be_within(low: float, high: float, words: str) -> AfterValidator:
    def check(value: float) -> float:
        if not low <= value <= high:
            raise ValueError(f"must be from {words}")
        return value

    return AfterValidator(check)


def must_match(pattern: str, advice: str) -> AfterValidator:
    """Accept text, or a secret, if the whole of it matches the pattern."""
    expression = re.compile(pattern)

    def check(value: AnyText) -> AnyText:
        if not expression.fullmatch(_reveal(value)):
            raise ValueError(advice)
        return value

    return AfterValidator(check)


def _check_host_name(value: str) -> str:
    if "/" in value:
        raise ValueError(
            "is an address: write the host name alone, such as acme.us.auth0.com, "
            "without https:// and without a path"
        )
    if not _HOST_NAME.fullmatch(value) or len(value) > 253:  # noqa: PLR2004 - RFC 1035, 2.3.4
        raise ValueError("must be a host name without port or blanks, such as acme.us.auth0.com")
    return value.lower()


def _must_be_token(prefix: str, advice: str) -> AfterValidator:
    def check(secret: SecretStr) -> SecretStr:
        text = secret.get_secret_value()
        if not text.startswith(prefix):
            given = [kind for start, kind in _OTHER_TOKENS.items() if text.startswith(start)]
            raise ValueError(f"is {given[0]}. It {advice}" if given else advice)
        if not re.fullmatch(r"[!-~]+", text):
            raise ValueError("holds blanks or letters that no token has: copy it again")
        return secret

    return AfterValidator(check)


def _check_https(value: AnyText, *, loopback: bool) -> AnyText:
    text = _reveal(value)
    try:
        parts = urlsplit(text)
        is_valid = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        is_valid = False
    if not is_valid or " " in text or not text.isprintable():
        raise ValueError("must be an address such as https://example.com/, without user:password@")
    is_here = parts.hostname == "localhost"
    with suppress(ValueError):
        is_here = is_here or ip_address(parts.hostname or "").is_loopback
    if parts.scheme == "https" or (parts.scheme == "http" and loopback and is_here):
        return value
    raise ValueError("must begin with https://" + (" (http:// only on loopback)" * loopback))


def _check_proxy(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        is_whole = bool(parts.hostname and parts.port) and parts.path in {"", "/"}
    except ValueError:
        is_whole = False
    if not is_whole or parts.scheme != "http" or parts.query or parts.fragment:
        raise ValueError(
            "must be a proxy's address with its port, such as http://proxy.example:3128 or "
            "http://user:password@proxy.example:3128 (%40 for @ in a password)"
        )
    return value


def _check_database(value: str | SecretStr) -> str | SecretStr:
    """Hide the address of a server: it may have a password."""
    text = _reveal(value)
    scheme, is_address, rest = text.partition("://")
    if not is_address or scheme == "sqlite":
        return value
    try:
        parts = urlsplit(text)
        is_whole = parts.port != 0 and bool(parts.path.strip("/") or parts.query)
    except ValueError:
        is_whole = False
    if scheme not in {"postgresql", "postgres"} or not is_whole or rest.count("@") > 1:
        raise ValueError(
            "must be a file's path, or postgresql://USER@HOST/NAME (%40 for @ in a password)"
        )
    return SecretStr(text)


def _check_host_port(value: str) -> str:
    match = _HOST_PORT.fullmatch(value)
    if match is None or int(match[1]) > 65535:  # noqa: PLR2004 - the highest port
        raise ValueError("must be host:port, such as 127.0.0.1:8080 or [::1]:8080")
    return value


def _check_address_port(value: str) -> str:
    try:
        ip_address(_check_host_port(value).rpartition(":")[0].strip("[]"))
    except ValueError:
        raise ValueError("must be address:port, such as 127.0.0.1:8443 or [::1]:8443") from None
    return value


def _must_not_be(*reserved: str) -> AfterValidator:
    """Reserve the names that `Target` uses itself."""

    def check(name: str) -> str:
        if name.lower() in reserved:
            raise ValueError(f"is reserved ({', '.join(reserved)}): choose another name")
        return name

    return AfterValidator(check)


@cache
def _load_certificates(file: Path) -> None:
    """Load a file, once: it mostly serves all tenants, and 500 times would delay the start."""
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)


def _check_certificates(value: str, info: ValidationInfo) -> str:
    file = Path((info.context or {}).get("folder", ""), value)
    try:
        _load_certificates(file)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path"
        named = name_file(value, "this key")
        raise ValueError(f"{named} must hold PEM certificates ({reason})") from None
    return str(file)


SPAN_SCHEMA = {"type": "string", "pattern": rf"^ *{_SPAN.pattern} *$|\$\{{"}
SHARE_SCHEMA = {"type": "string", "pattern": rf"^ *{_PERCENT.pattern} *$|\$\{{"}
"""As they are written in a file, for editors; `${NAME}` may stand for any value."""
Span = Annotated[
    float,
    _parse_unless_number(parse_span),
    _must_be_within(0, 366 * 86400, "0s to 366d"),
    WithJsonSchema(SPAN_SCHEMA),
]
"""Seconds; written `60s`, `10m`, … in YAML."""
Interval = Annotated[
    float,
    _parse_unless_number(parse_span),
    _must_be_within(1, 86400, "1s to 24h"),
    WithJsonSchema(SPAN_SCHEMA),
]
Percent = Annotated[
    float,
    _parse_unless_number(parse_share),
    _must_be_within(0.001, 1, "0.1% to 100%"),
    WithJsonSchema(SHARE_SCHEMA),
]
"""A share, at most 1; written `5%` in YAML."""
_IS_TEXT = must_match(
    r"[^\x00-\x1f\x7f\ud800-\udfff]+",
    "must be UTF-8 text, not empty, without line breaks and control characters",
)
Text = Annotated[str, _IS_TEXT]
Database = Annotated[
    str | SecretStr,
    _IS_TEXT,
    AfterValidator(_check_database),
    WithJsonSchema({"type": "string"}),
]
"""A file's path as text; a server's address as a secret."""
NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"
Name = Annotated[
    str,
    must_match(
        NAME_PATTERN,
        "must be 1 to 40 letters, digits, - or _, the first one a letter or digit",
    ),
]
TenantName = Annotated[Name, _must_not_be(CONTROL, FEED)]
SignalName = Annotated[Name, _must_not_be(*RESERVED_SOURCES, *MONITORS, CONTROL, FEED)]
Slug = Annotated[str, must_match(r"[A-Za-z0-9_-]+", "must be letters, digits, - and _ only")]
ProjectId = Annotated[str, must_match(r"[0-9]{1,20}", "must be the project's number")]
Expression = Annotated[
    str,
    must_match(
        r"(?:[^$\x00\ud800-\udfff]|\$window\b|\$(?![A-Za-z_]))+",
        "must be PromQL, with $window as its only variable",
    ),
]
HostName = Annotated[str, AfterValidator(_check_host_name)]
"""Stored in lower case, as issuers write it."""
Domain = Annotated[
    HostName,
    must_match(
        r".*\..*",
        "must be the whole domain, such as acme.us.auth0.com: Auth0 Dashboard > Applications > "
        "your application > Settings > Domain",
    ),
]
UrlPath = Annotated[str, must_match(r"/[^\s?#]*", "must be a path that begins with /")]
Link = Annotated[str, AfterValidator(lambda value: _check_https(value, loopback=False))]
"""An https URL that people open."""
Address = Annotated[str, AfterValidator(lambda value: _check_https(value, loopback=True))]
"""A URL that the bot calls: https, or http on loopback."""
Proxy = Annotated[SecretStr, AfterValidator(_check_proxy)]
"""An HTTP proxy; its password makes the whole address a secret."""
BaseAddress = Annotated[Address, AfterValidator(lambda url: url.rstrip("/"))]
"""A URL to which paths are added: it ends without `/`."""
FolderAddress = Annotated[Address, AfterValidator(lambda url: url.rstrip("/") + "/")]
SecretAddress = Annotated[
    SecretStr, AfterValidator(lambda value: _check_https(value, loopback=True))
]
AddressPort = Annotated[str, AfterValidator(_check_address_port)]
Listen = Annotated[str, AfterValidator(_check_host_port)]
Secret = Annotated[SecretStr, must_match(r"[^\ud800-\udfff]+", "must be UTF-8 text, not empty")]
Token = Annotated[
    SecretStr, must_match(r"[!-~]+", "must be letters, digits and signs without blanks")
]
WebhookSecret = Annotated[
    SecretStr,
    must_match(r"[!-~][ -~]{6,}[!-~]", "must be at least 8 letters, digits and signs of ASCII"),
]
PathSecret = Annotated[
    SecretStr, must_match(r"[A-Za-z0-9_-]{16,}", "must be at least 16 letters, digits, - or _")
]
HeaderName = Annotated[
    str, must_match(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", "must be the name of an HTTP header")
]
CaFile = Annotated[str, AfterValidator(_check_certificates)]
"""A file of trusted certificate authorities, relative to the configuration file."""
BotToken = Annotated[SecretStr, _must_be_token("xoxb-", BOT_ADVICE)]
AppToken = Annotated[SecretStr, _must_be_token("xapp-", APP_ADVICE)]
Channel = Annotated[
    str,
    must_match(
        r"[CG][A-Z0-9]+|#\S{1,80}",
        "must be a channel's id (C…, at the foot of its details) or '#name', in quotes",
    ),
]
Mention = Annotated[
    str,
    must_match(
        rf"{_MENTION}(?:\s*,\s*{_MENTION})*",
        "must be '@here', a member's id (U…) or a user group's id (S…); several with commas",
    ),
]
