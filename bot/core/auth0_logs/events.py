"""Rows of a tenant's Auth0 log: what each counts as, and which settings were changed.

We count **logins of people, and tokens of machines**. One login may write several rows, of which we
count one:

- `s`, however the user logged in. The `seacft` and `sede` that follow it belong to the same login,
  and so do the `scoa`, `ss` and `gd_auth_succeed` before it.
- A password, passkey or native exchange has one row (`sepft`, `seotpft`, `sens` …), and so has the
  token of a machine (`seccft`).
- Renewals are not logins, and so frequent that they would hide a share of failed logins: `ssa` and
  `sertft` do not count, nor does what usually ends them (`fsa`, `fertft` with an old token).
- A login that an Action breaks has a row of the Action beside its own: see `_classify_unpaired`.
- Warnings and notices (`w`, `wn`, `depnote`) are no failed logins.

Codes: Log Type Codes and auth0/auth0-log-schemas, read 2026-11. Which rows one login writes was
never tried on a live tenant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import repeat
from typing import TYPE_CHECKING

from bot.core.auth0_logs.text_patterns import match_pattern
from bot.core.model.measurement import ChangeMade, Group, Measurement, merge_groups
from bot.core.model.wall_clock import parse_iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.core.model.observation import Target

LATE_S = 600.0
"""Rows that are older are about the past, and say nothing about now: after an interruption Auth0
delivers all that has waited."""
ROWS_LATE = "rows come late"
MAX_CHANGES = 20
LINK = "https://manage.auth0.com/#/logs"


class RowKind(StrEnum):
    """Who caused a log row. By event type code (Log Event Type Codes, read 2026-11)."""

    SUCCESS = "success"
    USER = "user"
    """An end user's mistake: wrong password, unknown user; normal."""
    FAILURE = "failure"
    """A failed login that is no user's mistake; nothing else is known about it."""
    APP = "app"
    """Our application sent a wrong request: callback mismatch, unknown client, used code."""
    UPSTREAM = "upstream"
    """An identity provider behind a connection failed."""
    PROVIDER = "provider"
    """A provider of e-mail, SMS or push failed."""
    TENANT = "tenant"
    """The tenant's own code or settings: an Action that failed, a custom domain …"""
    PLATFORM = "platform"
    """Auth0 itself says that it failed."""
    QUOTA = "quota"
    """A rate limit of the tenant refused requests."""
    QUOTA_WARNING = "quota_warning"
    """80 % of a limit are used."""
    PROTECTION = "protection"
    """Attack protection refused somebody."""
    OTHER = "other"
    """Says nothing about logins."""


FAILED_KINDS = frozenset(
    {
        RowKind.FAILURE,
        RowKind.APP,
        RowKind.UPSTREAM,
        RowKind.PROVIDER,
        RowKind.TENANT,
        RowKind.PLATFORM,
        RowKind.QUOTA,
    }
)
"""What counts as a failed login. A provider's failure counts: the user waits for a code."""
ACTION_FAILED = "actions_execution_failed"
PUSH_FAILED, PUSH = "gd_send_pn_failure", "push"
"""Auth0 sends the push messages of a second factor itself, unless a tenant has its own service."""
API_LIMIT = "api_limit"
TYPES = {
    RowKind.SUCCESS: "s sens seccft secte sepft seotpft seoobft sercft "
    "sepkoobft sepkotpft sepkrcft",
    RowKind.USER: "fp fu fs fsa fcp fcpr fce fcu fcpn fi fv fvr fdecc gd_auth_failed "
    "gd_auth_rejected gd_recovery_failed gd_webauthn_challenge_failed",
    RowKind.FAILURE: "f fc fcoa fdeaz feacft feccft fecte fede fens fepft feotpft feoobft fepotpft "
    "fercft ferrt fertft fpar",
    RowKind.APP: "fco",
    RowKind.PROVIDER: "fn gd_send_sms_failure gd_send_voice_failure gd_send_pn_failure "
    "gd_send_email_verification_failure",
    RowKind.TENANT: f"{ACTION_FAILED} flows_execution_failed custom_domain_verification_failed "
    "fcpro",
    RowKind.PLATFORM: "kms_key_management_failure",
    RowKind.QUOTA: f"{API_LIMIT} limit_delegation",
    RowKind.QUOTA_WARNING: "api_limit_warning",
    RowKind.PROTECTION: "limit_wc limit_mu limit_sul pwd_leak signup_pwd_leak reset_pwd_leak "
    "gd_otp_rate_limit_exceed gd_recovery_rate_limit_exceed",
}
"""All other codes are OTHER. FAILURE is refined by the row's description."""
KIND_OF = {code: kind for kind, codes in TYPES.items() for code in codes.split()}
EXCHANGES = frozenset({"feacft", "feccft", "fecte", "fertft", "ferrt", "fpar"})
"""Exchanges that the application makes by itself, without a user."""
KIND_BY_PATTERN = {
    "callback_mismatch": RowKind.APP,
    "unknown_client": RowKind.APP,
    "code_reused": RowKind.APP,
    "invalid_state": RowKind.APP,
    "access_denied": RowKind.TENANT,
    "connection_off": RowKind.TENANT,
    "database": RowKind.TENANT,
    "rate_limit": RowKind.QUOTA,
    "refresh_token": RowKind.USER,
    "login_required": RowKind.USER,
    "cancelled": RowKind.USER,
    "user_blocked": RowKind.USER,
    "mfa": RowKind.USER,
    "wrong_password": RowKind.USER,
}
"""The kind of a failure by its pattern. An Action causes most of `access_denied`."""
UPSTREAM_PATTERNS = frozenset(
    {
        "provider_error",
        "unreachable",
        "certificate",
        "timeout",
        "rate_limit",
        "unknown_client",
        "invalid_state",
    }
)
"""Failures of an identity provider behind a connection. It may also not know the tenant (any more),
or not return the state."""
CUSTOM_DATABASE_PATTERNS = frozenset({"unreachable", "certificate"})
"""Failures of a custom database's scripts; Auth0's own user store never reports them."""
PLAIN_STRATEGIES = frozenset({"database", "passwordless"})
DEFAULT_DATABASE = "Username-Password-Authentication"
ACTION_ERRORS = {"platform_error": RowKind.PLATFORM, "rate_limited": RowKind.QUOTA}
CONNECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
ENVIRONMENT = re.compile(r"prod-([a-z]{2})-([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class LogRow:
    """What we keep of a row."""

    kind: RowKind
    pattern: str = ""
    """The name of the pattern that its description matches, if any."""
    connection: str = ""
    type: str = ""
    """Its event type code, if we know it."""


def classify_row(row: Json) -> LogRow:
    """Tell what a row counts as. Accepts any JSON object."""
    code, details = get_text(row, "type"), get_object(row, "details")
    kind = KIND_OF.get(code, RowKind.OTHER)
    path = get_text(get_object(details, "request"), "path")
    if kind is RowKind.OTHER or (code == API_LIMIT and path.startswith(MANAGEMENT_PATH)):
        return LogRow(RowKind.OTHER)  # a limit of the Management API refuses no login
    connection = get_text(row, "connection")[:60]
    if not CONNECTION_NAME.fullmatch(connection):
        connection = ""  # not a name by Auth0's rules: perhaps a mail address
    if kind is RowKind.SUCCESS:
        return LogRow(kind, connection=connection, type=code)
    message = get_text(get_object(details, "error"), "message")
    text = f"{get_text(row, 'description')} {message}"
    pattern = PUSH if code == PUSH_FAILED else match_pattern(text)
    if kind is RowKind.FAILURE:
        kind = _classify_failure(row, code, pattern)
    if code == ACTION_FAILED:
        kind = ACTION_ERRORS.get(get_text(details, "error_class"), kind)
    return LogRow(kind, pattern, connection, code)


def _classify_failure(row: Json, code: str, pattern: str) -> RowKind:
    """Classify a failed login by its pattern and its connection."""
    if code == "ferrt" or (code in EXCHANGES and pattern == "access_denied"):
        return RowKind.APP  # two renewals with one token; a wrong secret is "Unauthorized" here
    if get_object(row, "details").get("client_authentoication_error"):  # the schema spells it so
        return RowKind.APP
    connection, strategy = get_text(row, "connection"), get_text(row, "strategy_type")
    has_identity_provider = (
        strategy not in PLAIN_STRATEGIES if strategy else connection not in {"", DEFAULT_DATABASE}
    )
    if pattern in UPSTREAM_PATTERNS and has_identity_provider:
        return RowKind.UPSTREAM
    if pattern in CUSTOM_DATABASE_PATTERNS and strategy == "database":
        return RowKind.TENANT
    return KIND_BY_PATTERN.get(pattern, RowKind.FAILURE)


def environment_of(row: Json) -> str:
    """Return the environment as the status page names it, `US-1` for `prod-us-1`, or empty."""
    found = ENVIRONMENT.fullmatch(get_text(row, "environment_name"))
    return f"{found[1].upper()}-{found[2]}" if found else ""


def tally_rows(
    target: Target,
    rows: Iterable[Json],
    *,
    times: Iterable[int] | None = None,
    own_clients: frozenset[str],
    at: float,
    span_s: float,
) -> Measurement:
    """Count log rows into a measurement. Of late rows only changes of settings are kept.

    Rows of `own_clients`, the applications of our synthetic logins, are counted separately. Rows of
    kind OTHER are in no group. `times` says how often each row came, if not once. Beyond
    `MAX_GROUPS`, groups of a kind become one without names. Of the changes the newest `MAX_CHANGES`
    remain, oldest first, none in the future.
    """
    all_rows = list(rows)
    counted = list(zip(all_rows, repeat(1) if times is None else times, strict=False))
    fresh = [each for each in counted if at - (parse_instant(each[0]) or at) <= LATE_S]
    own = [count for row, count in fresh if get_text(row, "client_id") in own_clients]
    users = (each for each in fresh if get_text(each[0], "client_id") not in own_clients)
    groups = merge_groups(
        Group(row.kind, count, row.pattern, row.connection)
        for row, count in _classify_unpaired(users)
        if row.kind is not RowKind.OTHER
    )
    changes = {change.id: change for row in all_rows if (change := parse_change(row, target.owner))}
    newest = sorted(changes.values(), key=lambda change: change.at)[-MAX_CHANGES:]
    failed = _sum_kinds(groups, FAILED_KINDS)
    return Measurement(
        target=target,
        at=at,
        span_s=span_s,
        failed=failed,
        total=failed + _sum_kinds(groups, frozenset({RowKind.SUCCESS})),
        groups=groups,
        own_rows=sum(own),
        no_data_reason=ROWS_LATE if all_rows and not fresh else "",
        link=LINK,
        environment=next(filter(None, map(environment_of, reversed(all_rows))), ""),
        changes=tuple(replace(change, at=min(change.at, at)) for change in newest),
    )


def _sum_kinds(groups: tuple[Group, ...], kinds: frozenset[RowKind]) -> int:
    return sum(group.count for group in groups if group.kind in kinds)


def _classify_unpaired(rows: Iterable[tuple[Json, int]]) -> Iterator[tuple[LogRow, int]]:
    """Classify rows and their counts, without failed logins for which an Action has a row as well.

    The two are paired by application; the Action's row says more, so it counts.
    """
    classified = [(classify_row(row), get_text(row, "client_id"), count) for row, count in rows]
    unpaired: Counter[str] = Counter()
    for row, client, count in classified:
        if row.type == ACTION_FAILED:
            unpaired[client] += count
    for row, client, count in classified:
        is_vague = row.kind in {RowKind.FAILURE, RowKind.TENANT} and row.type in {"f", "fepft"}
        paired = min(count, unpaired[client]) if is_vague else 0
        unpaired[client] -= paired
        if paired < count:
            yield row, count - paired


Json = Mapping[str, object]
MANAGEMENT_PATH = "/api/v2/"
MANAGEMENT_WRITE = "sapi"
"""A successful call of the Management API that writes (Log Type Codes, read 2026-11)."""
SETTINGS = (
    (r"clients/[^/]+/rotate-secret", "client secret rotated"),
    (r"clients(/.*)?", "client"),
    (r"client-grants(/.*)?", "client grant"),
    (r"connections/[^/]+/(?:users|directory-provisioning/.*)", ""),
    (r"connections(/.*)?", "connection"),
    (r"actions/actions/[^/]+/(?:versions/[^/]+/)?deploy", "action deployed"),
    (r"actions/actions/[^/]+/test", ""),
    (r"actions/triggers/[^/]+/bindings", "action bindings"),
    (r"actions/actions(/.*)?", "action"),
    (r"rules(/.*)?", "rule"),
    (r"tenants/settings", "tenant settings"),
    (r"resource-servers(/.*)?", "API"),
    (r"prompts(/.*)?", "login prompt"),
    (r"branding(/.*)?", "branding"),
    (r"custom-domains(/.*)?", "custom domain"),
    (r"attack-protection/.*", "attack protection"),
    (r"network-acls(/.*)?", "network access list"),
    (r"guardian/(?:factors|policies)(/.*)?", "multi-factor settings"),
    (r"emails/provider", "email provider"),
    (r"email-templates(/.*)?", "email template"),
    (r"keys/(?:signing|encryption|custom-signing)(/.*)?", "keys"),
    (r"organizations/[^/]+/enabled_connections(/.*)?", "organization connections"),
    (r"forms(/.*)?", "form"),
    (r"flows(/.*)?", "flow"),
)
"""Paths of the Management API and what they change; empty: nothing. All others (users, grants of a
user, jobs, tickets, roles, members …) administer users, not the login."""
CHANGE_BY_METHOD = {"post": "created", "patch": "updated", "put": "updated", "delete": "deleted"}
COLLECTION_DEPTH = {"action": 1}
"""How many parts of a path come before the collection, if any."""
LOG_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def parse_change(row: Json, tenant: str) -> ChangeMade | None:
    """Return the change of a setting that a row reports; None: it reports none.

    Its `what` never holds text of the row. Accepts any JSON object.
    """
    log_id, at = get_text(row, "log_id"), parse_instant(row)
    if get_text(row, "type") != MANAGEMENT_WRITE or not LOG_ID.fullmatch(log_id) or at is None:
        return None
    request = get_object(get_object(row, "details"), "request")
    verb = CHANGE_BY_METHOD.get(get_text(request, "method").lower())
    what = _describe_change(get_text(request, "path"), verb) if verb else ""
    return ChangeMade(id=log_id, at=at, what=what, tenant=tenant) if what else None


def _describe_change(path: str, verb: str) -> str:
    resource = path[:300].removeprefix(MANAGEMENT_PATH).rstrip("/")
    setting = next((words for known, words in SETTINGS if re.fullmatch(known, resource)), "")
    if not setting or setting.endswith("ed"):
        return setting
    # What is posted or deleted below a setting updates that setting: /clients/ID/credentials.
    depth = resource.count("/") - COLLECTION_DEPTH.get(setting, 0)
    is_itself = depth == {"created": 0, "deleted": 1}.get(verb)
    return f"{setting} {verb if is_itself else 'updated'}"


def parse_instant(row: Json) -> float | None:
    """Return the time of a row; None if it has none."""
    return parse_iso(get_text(row, "date"))


def get_text(of: Json, key: str) -> str:
    """Return a text of a JSON object; empty if there is none."""
    value = of.get(key)
    return value if isinstance(value, str) else ""


def get_object(of: Json, key: str) -> Json:
    """Return an object within a JSON object; empty if there is none."""
    value = of.get(key)
    return value if isinstance(value, Mapping) else {}
