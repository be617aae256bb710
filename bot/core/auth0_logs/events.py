"""Rows of a tenant's Auth0 log: what each counts as, and which settings were changed.

The log counts **logins of people, and tokens of machines**. Of the rows that one login writes,
one is counted:

- `s`, however the user came in. The `seacft` and `sede` that follow it are the same login, and so
  are the `scoa`, `ss` and `gd_auth_succeed` before it.
- A password, passkey or native exchange stands alone (`sepft`, `seotpft`, `sens` …), and so does
  the token of a machine (`seccft`).
- Renewals are no logins and many times as many, which would thin out a share: `ssa` and `sertft`
  do not count, nor does what usually ends them (`fsa`, `fertft` with an old refresh token).
- A login that an Action breaks leaves a row of the Action beside its own: see `tally`.
- Warnings and notices (`w`, `wn`, `depnote`) are no failed logins.

Codes: Log Type Codes and auth0/auth0-log-schemas, read 2026-11; which rows one login writes was
never tried on a live tenant.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from bot.core.auth0_logs.text_patterns import match_pattern
from bot.core.model.measurement import ChangeMade, Group, Measurement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.core.model.observation import Target

MAX_GROUPS = 30
MAX_CHANGES = 20
LINK = "https://manage.auth0.com/#/logs"


class RowKind(StrEnum):
    """Whom a log row speaks of. Grouped by event type code (Log Event Type Codes, read 2026-11)."""

    SUCCESS = "success"
    USER = "user"
    """An end user's mistake: wrong password, unknown user; normal."""
    FAILURE = "failure"
    """A failed login that is no user's mistake, and of which nothing else is known."""
    APP = "app"
    """Our application asked for something wrong: callback mismatch, unknown client, used code."""
    UPSTREAM = "upstream"
    """An identity provider behind a connection failed."""
    PROVIDER = "provider"
    """A provider of e-mail, SMS or push failed."""
    TENANT = "tenant"
    """The tenant's own code or settings: an Action that failed, a custom domain …"""
    PLATFORM = "platform"
    """Auth0 itself says that it failed."""
    QUOTA = "quota"
    """Requests were refused for a rate limit of the tenant."""
    QUOTA_WARNING = "quota_warning"
    """80 % of a limit are used."""
    PROTECTION = "protection"
    """Attack protection refused somebody."""
    OTHER = "other"
    """Tells nothing about logins."""


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
"""What counts as a failed login. A provider's failure does: the user waits for a code."""
ACTION_FAILED = "actions_execution_failed"
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
"""All others are OTHER. Those of FAILURE are judged by their description, too."""
KIND_OF = {code: kind for kind, codes in TYPES.items() for code in codes.split()}
EXCHANGES = frozenset({"feacft", "feccft", "fecte", "fertft", "ferrt", "fpar"})
"""What the application does by itself, without a user."""
KIND_BY_PATTERN = {
    "callback_mismatch": RowKind.APP,
    "unknown_client": RowKind.APP,
    "code_reused": RowKind.APP,
    "invalid_state": RowKind.APP,
    "access_denied": RowKind.TENANT,
    "rate_limit": RowKind.QUOTA,
    "refresh_token": RowKind.USER,
    "login_required": RowKind.USER,
    "cancelled": RowKind.USER,
    "user_blocked": RowKind.USER,
    "mfa": RowKind.USER,
    "wrong_password": RowKind.USER,
}
"""By pattern. What is denied (`access_denied`) was most often denied by an Action."""
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
"""What an identity provider behind a connection says or does: it does not know the tenant (any
more), or does not give back a state."""
CUSTOM_DATABASE_PATTERNS = frozenset({"unreachable", "certificate"})
"""What Auth0's own user store never says: the scripts of a custom database do."""
PLAIN_STRATEGIES = frozenset({"database", "passwordless"})
DEFAULT_DATABASE = "Username-Password-Authentication"
ACTION_ERRORS = {"platform_error": RowKind.PLATFORM, "rate_limited": RowKind.QUOTA}
CONNECTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
ENVIRONMENT = re.compile(r"prod-([a-z]{2})-([0-9]{1,2})")


@dataclass(frozen=True, slots=True)
class LogRow:
    """What is kept of a row."""

    kind: RowKind
    pattern: str = ""
    """The name of the pattern that its description matched, if one did."""
    connection: str = ""
    type: str = ""
    """Its event type code, if it is one that we know."""


GroupKey = tuple[RowKind, str, str]
"""Kind, pattern and connection: rows that have these in common are a group."""


def classify_row(row: Json) -> LogRow:
    """Tell whom a row speaks of. Survives any JSON object."""
    code = get_text(row, "type")
    kind = KIND_OF.get(code, RowKind.OTHER)
    if kind is RowKind.OTHER or (code == API_LIMIT and _is_management(row)):
        return LogRow(RowKind.OTHER)
    connection = _connection_name(get_text(row, "connection"))
    if kind is RowKind.SUCCESS:
        return LogRow(kind, connection=connection, type=code)
    pattern = match_pattern(_failure_text(row))
    if kind is RowKind.FAILURE:
        kind = _classify_failure(row, code, pattern)
    if code == ACTION_FAILED:
        kind = ACTION_ERRORS.get(get_text(get_object(row, "details"), "error_class"), kind)
    return LogRow(kind, pattern, connection, code)


def _classify_failure(row: Json, code: str, pattern: str) -> RowKind:
    """Judge a failed login by its pattern and its connection."""
    if code == "ferrt" or (code in EXCHANGES and pattern == "access_denied"):
        return RowKind.APP  # two renewals with one token; a wrong secret is told as "Unauthorized"
    if get_object(row, "details").get("client_authentoication_error"):  # the schema spells it so
        return RowKind.APP
    if pattern in UPSTREAM_PATTERNS and _is_external(row):
        return RowKind.UPSTREAM
    if pattern in CUSTOM_DATABASE_PATTERNS and get_text(row, "strategy_type") == "database":
        return RowKind.TENANT
    return KIND_BY_PATTERN.get(pattern, RowKind.FAILURE)


def _is_external(row: Json) -> bool:
    """Tell whether a row's connection leads to an identity provider of others."""
    connection, strategy = get_text(row, "connection"), get_text(row, "strategy_type")
    if strategy:
        return strategy not in PLAIN_STRATEGIES
    return connection not in {"", DEFAULT_DATABASE}


def _is_management(row: Json) -> bool:
    """Tell a limit of the Management API, which refuses no login."""
    request = get_object(get_object(row, "details"), "request")
    return get_text(request, "path").startswith(MANAGEMENT_PATH)


def _failure_text(row: Json) -> str:
    """Return the texts that say why; they may hold personal data."""
    error = get_object(get_object(row, "details"), "error")
    return " ".join((get_text(row, "description"), get_text(error, "message")))


def environment_of(row: Json) -> str:
    """Return the environment as the status page names it, `US-1` for `prod-us-1`, or empty."""
    found = ENVIRONMENT.fullmatch(get_text(row, "environment_name"))
    return f"{found[1].upper()}-{found[2]}" if found else ""


def tally_rows(
    target: Target,
    rows: Iterable[Json],
    *,
    own_clients: frozenset[str],
    at: float,
    span_s: float,
) -> Measurement:
    """Count rows of a log into figures.

    Rows of `own_clients`, the applications of our synthetic logins, are counted apart. Rows of
    kind OTHER are in no group. Beyond `GROUPS`, groups of a kind become one without names.
    """
    everything = list(rows)
    theirs = [row for row in everything if get_text(row, "client_id") not in own_clients]
    counts = Counter(
        _group_key(each) for each in _classify_unpaired(theirs) if each.kind is not RowKind.OTHER
    )
    failed = _sum_kinds(counts, FAILED_KINDS)
    return Measurement(
        target=target,
        at=at,
        span_s=span_s,
        failed=failed,
        total=failed + _sum_kinds(counts, frozenset({RowKind.SUCCESS})),
        groups=_build_groups(counts),
        own_rows=len(everything) - len(theirs),
        link=LINK,
        environment=next(filter(None, map(environment_of, reversed(everything))), ""),
        changes=_collect_changes(everything, target.owner, at),
    )


def _group_key(row: LogRow) -> GroupKey:
    return row.kind, row.pattern, row.connection


def _sum_kinds(counts: Counter[GroupKey], kinds: frozenset[RowKind]) -> int:
    return sum(count for (kind, _, _), count in counts.items() if kind in kinds)


def _classify_unpaired(rows: list[Json]) -> Iterator[LogRow]:
    """Classify rows, leaving out failed logins beside which an Action of theirs has a row.

    They are paired by application: a row that says more stands for the one that says less.
    """
    classified = [(classify_row(row), get_text(row, "client_id")) for row in rows]
    spare = Counter(client for each, client in classified if each.type == ACTION_FAILED)
    for each, client in classified:
        is_vague = each.kind in {RowKind.FAILURE, RowKind.TENANT} and each.type in {"f", "fepft"}
        if is_vague and spare[client] > 0:
            spare[client] -= 1
        else:
            yield each


def _build_groups(counts: Counter[GroupKey]) -> tuple[Group, ...]:
    ranked = _rank_counts(counts)
    if len(ranked) > MAX_GROUPS:
        kept = MAX_GROUPS - len(RowKind)
        folded = Counter(dict(ranked[:kept]))
        for (kind, _, _), count in ranked[kept:]:
            folded[kind, "", ""] += count
        ranked = _rank_counts(folded)
    return tuple(
        Group(kind, count, pattern, connection) for (kind, pattern, connection), count in ranked
    )


def _rank_counts(counts: Counter[GroupKey]) -> list[tuple[GroupKey, int]]:
    """Return what is counted with its counts, the most frequent first."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _collect_changes(rows: list[Json], tenant: str, at: float) -> tuple[ChangeMade, ...]:
    """Return the newest changes, oldest first, none in the future."""
    told = {change.id: change for row in rows if (change := parse_change(row, tenant))}
    newest = sorted(told.values(), key=lambda change: change.at)[-MAX_CHANGES:]
    return tuple(replace(change, at=min(change.at, at)) for change in newest)


def _connection_name(told: str) -> str:
    """Return a connection's name; empty if it is none by Auth0's rules, as a mail address is."""
    return told[:60] if CONNECTION_NAME.fullmatch(told[:60]) else ""


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
"""Paths of the Management API and what they change; empty: nothing. All others (users, a user's
grants, jobs, tickets, roles, members …) are administration of users, not of the login."""
CHANGE_BY_METHOD = {"post": "created", "patch": "updated", "put": "updated", "delete": "deleted"}
COLLECTION_DEPTH = {"action": 1}
"""How many parts of a path come before a thing's collection, where any do."""
LOG_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def parse_change(row: Json, tenant: str) -> ChangeMade | None:
    """Return the change of a setting that a row tells of; None: it tells of none.

    Its `what` never holds anything of the row. Survives any JSON object.
    """
    log_id, at = get_text(row, "log_id"), parse_instant(row)
    if get_text(row, "type") != MANAGEMENT_WRITE or not LOG_ID.fullmatch(log_id) or at is None:
        return None
    request = get_object(get_object(row, "details"), "request")
    done = CHANGE_BY_METHOD.get(get_text(request, "method").lower())
    what = _describe_change(get_text(request, "path"), done) if done else ""
    return ChangeMade(id=log_id, at=at, what=what, tenant=tenant) if what else None


def _describe_change(path: str, done: str) -> str:
    told = path[:300].removeprefix(MANAGEMENT_PATH).rstrip("/")
    thing = next((words for known, words in SETTINGS if re.fullmatch(known, told)), "")
    if not thing or thing.endswith("ed"):
        return thing
    # What is posted or deleted below a thing changes that thing: /clients/ID/credentials.
    below = told.count("/") - COLLECTION_DEPTH.get(thing, 0)
    is_itself = below == {"created": 0, "deleted": 1}.get(done)
    return f"{thing} {done if is_itself else 'updated'}"


def parse_instant(row: Json) -> float | None:
    """Return when a row says that it happened; None where it does not say."""
    try:
        moment = datetime.fromisoformat(get_text(row, "date"))
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def get_text(of: Json, key: str) -> str:
    """Return a text of a JSON object; empty where there is none."""
    value = of.get(key)
    return value if isinstance(value, str) else ""


def get_object(of: Json, key: str) -> Json:
    """Return an object of a JSON object; empty where there is none."""
    value = of.get(key)
    return value if isinstance(value, Mapping) else {}
