"""Which settings of a tenant were changed, by the rows of its log, in fixed words of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

from bot.core.measurement import ChangeMade

Json = Mapping[str, object]
MANAGEMENT = "/api/v2/"
CHANGED = "sapi"
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
DONE = {"post": "created", "patch": "updated", "put": "updated", "delete": "deleted"}
DEEP = {"action": 1}
"""How many parts of a path come before a thing's collection, where any do."""
ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def change_of(row: Json, tenant: str) -> ChangeMade | None:
    """Return the change of a setting that a row tells of; None: it tells of none.

    Its `what` never holds anything of the row. Survives any JSON object.
    """
    log_id, at = text(row, "log_id"), instant(row)
    if text(row, "type") != CHANGED or not ID.fullmatch(log_id) or at is None:
        return None
    request = part(part(row, "details"), "request")
    done = DONE.get(text(request, "method").lower())
    what = _setting(text(request, "path"), done) if done else ""
    return ChangeMade(id=log_id, at=at, what=what, tenant=tenant) if what else None


def _setting(path: str, done: str) -> str:
    told = path[:300].removeprefix(MANAGEMENT).rstrip("/")
    thing = next((words for known, words in SETTINGS if re.fullmatch(known, told)), "")
    if not thing or thing.endswith("ed"):
        return thing
    # What is posted or deleted below a thing changes that thing: /clients/ID/credentials.
    below = told.count("/") - DEEP.get(thing, 0)
    is_itself = below == {"created": 0, "deleted": 1}.get(done)
    return f"{thing} {done if is_itself else 'updated'}"


def instant(row: Json) -> float | None:
    """Return when a row says that it happened; None where it does not say."""
    try:
        moment = datetime.fromisoformat(text(row, "date"))
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def text(of: Json, key: str) -> str:
    """Return a text of a JSON object; empty where there is none."""
    value = of.get(key)
    return value if isinstance(value, str) else ""


def part(of: Json, key: str) -> Json:
    """Return an object of a JSON object; empty where there is none."""
    value = of.get(key)
    return value if isinstance(value, Mapping) else {}
