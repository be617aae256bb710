"""Alertmanager's webhook, version 4, and what has its shape: firing and resolved alerts.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config (read 2026-11). Grafana's
contact points send the same; its alerts of before version 9 have one rule in a body.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from bot.core.model.measurement import ALERTMANAGER, ExternalAlert
from bot.core.model.observation import Target
from bot.webhooks.json_reading import (
    get_nested,
    parse_instant,
    parse_json_object,
    to_https_link,
    to_short_text,
)

if TYPE_CHECKING:
    from bot.webhooks.sender import Items, TenantFinder, WebhookRequest

TENANT_LABELS = ("auth0_tenant", "tenant")
"""Labels that may name a configured tenant; the first that does counts."""
LEGACY_STATES = {"alerting": "firing", "ok": "resolved"}
REMEDY = "give the alerts a label auth0_tenant, or set hooks.alertmanager.tenant"


def parse_alerts(message: WebhookRequest, tenants: TenantFinder) -> Items:
    """Return each alert whose tenant is known. Raises Refusal if there is none."""
    document = parse_json_object(message.text)
    listed = [_from_legacy_rule(document)] if "ruleId" in document else document.get("alerts")
    alerts = [
        alert
        for alert in (listed if isinstance(listed, list) else [])
        if isinstance(get_nested(alert, "labels"), dict)
        and alert.get("status") in ("firing", "resolved")
    ]
    picked = [
        tenants.pick(*(alert["labels"].get(key) for key in TENANT_LABELS)) for alert in alerts
    ]
    if alerts and not any(picked):
        tenants.refuse_unnamed(REMEDY)
    pairs = zip(picked, alerts, strict=True)
    return tuple(_to_external_alert(tenant, alert, message.at) for tenant, alert in pairs if tenant)


def _to_external_alert(tenant: str, alert: dict[str, Any], now: float) -> ExternalAlert:
    is_firing = alert["status"] == "firing"
    began = parse_instant(alert.get("startsAt"), now)
    ended = None if is_firing else parse_instant(alert.get("endsAt"), now)
    name, summary = alert["labels"].get("alertname"), get_nested(alert, "annotations", "summary")
    labels = json.dumps(alert["labels"], sort_keys=True).encode()
    return ExternalAlert(
        target=Target(tenant, ALERTMANAGER),
        # As Alertmanager does: labels alone make it the same one.
        id=to_short_text(alert.get("fingerprint")) or hashlib.sha256(labels).hexdigest()[:16],
        at=max((at for at in (began, ended) if at is not None), default=now),
        is_firing=is_firing,
        title=to_short_text(": ".join(filter(None, (to_short_text(name), to_short_text(summary))))),
        link=to_https_link(alert.get("generatorURL")),
    )


def _from_legacy_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the alert of a legacy Grafana rule; its tags may name the tenant.

    It has no times. A rule that is paused, pending or without data neither fires nor ends.
    """
    tags = rule.get("tags")
    return {
        "status": LEGACY_STATES.get(str(rule.get("state"))),
        "labels": {**(tags if isinstance(tags, dict) else {}), "alertname": rule.get("ruleName")},
        "annotations": {"summary": rule.get("message")},
        "fingerprint": f"rule {to_short_text(rule['ruleId'])}",
        "generatorURL": rule.get("ruleUrl"),
    }
