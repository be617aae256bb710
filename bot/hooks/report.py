"""An application's own counts: `{"app": "checkout", "failed": 12, "total": 200}`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.hooks.hook import Receipt, Refusal
from bot.hooks.reading import json_object

if TYPE_CHECKING:
    from bot.hooks.counts import PushedCounts
    from bot.hooks.hook import Message, Tenants

MOST = 1_000_000_000
"""Calls in one report."""


def read(message: Message, tenants: Tenants, counts: PushedCounts) -> Receipt:
    """Count what an application reports. Raises Refusal."""
    document = json_object(message.text)
    tenant = tenants.named(document.get("tenant"))
    app, known = document.get("app"), tenants.known[tenant].report_signals
    if app not in known:
        names = ", ".join(known) or "none in this tenant"
        raise Refusal(422, f'"app" must be one of the metrics that wait for reports: {names}')
    failed = _count(document, "failed")
    total = None if document.get("total") is None else _count(document, "total")
    if total is not None and total < failed:
        raise Refusal(422, '"total" must hold the failed ones, too')
    counts.add_report(tenant, app, failed, total)
    return Receipt.ACCEPTED


def _count(document: dict[str, Any], key: str) -> int:
    value = document.get(key)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST:
        return value
    raise Refusal(422, f'"{key}" must be a whole number from 0 to {MOST}')
