"""The team's own webhooks.

`change`, a deploy or another change: `{"what": "deploy 4711", "app": "checkout"}`. `report`, an
application's own counts: `{"app": "checkout", "failed": 12, "total": 200}`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.model.measurement import ChangeMade
from bot.webhooks.json_reading import parse_instant, parse_json_object, to_short_text
from bot.webhooks.sender import Receipt, Refusal

if TYPE_CHECKING:
    from bot.webhooks.counts import PushedCounts
    from bot.webhooks.sender import Items, TenantFinder, WebhookRequest

WHAT_LIMIT = 80
NAME_LIMIT = 60


def parse_change(message: WebhookRequest, tenants: TenantFinder) -> Items:
    """Return the change. Raises Refusal."""
    document = parse_json_object(message.text)
    what = to_short_text(document.get("what"), WHAT_LIMIT)
    if not what:
        raise Refusal(422, '"what" must say what was changed, such as "deploy 4711"')
    app = to_short_text(document.get("app"), NAME_LIMIT)
    tenant = "" if app and "tenant" not in document else tenants.require(document.get("tenant"))
    at = parse_instant(document.get("at", message.at), message.at)
    if at is None:
        raise Refusal(
            422, '"at" must be seconds since 1970, or a date such as 2026-11-23T09:00:00Z'
        )
    given = to_short_text(document.get("id"))
    id_ = f"{tenant}/{app}/{given}" if given else message.id
    return (ChangeMade(id=id_, at=at, what=what, tenant=tenant, app=app),)


MAX_CALLS = 1_000_000_000
"""Calls in one report."""


def count_report(message: WebhookRequest, tenants: TenantFinder, counts: PushedCounts) -> Receipt:
    """Count an application's report. Raises Refusal."""
    document = parse_json_object(message.text)
    tenant = tenants.require(document.get("tenant"))
    app, known = document.get("app"), tenants.known[tenant].report_signals
    if app not in known:
        names = ", ".join(known) or "none in this tenant"
        raise Refusal(422, f'"app" must be one of the metrics that wait for reports: {names}')
    failed = _parse_count(document, "failed")
    total = None if document.get("total") is None else _parse_count(document, "total")
    if total is not None and total < failed:
        raise Refusal(422, '"total" must hold the failed ones, too')
    counts.add_report(tenant, app, failed, total)
    return Receipt.ACCEPTED


def _parse_count(document: dict[str, Any], key: str) -> int:
    value = document.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_CALLS:
        return value
    raise Refusal(422, f'"{key}" must be a whole number from 0 to {MAX_CALLS}')
