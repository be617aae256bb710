"""Alertmanager's webhook, version 4: alerts that fire, and alerts that are over.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config (read 2026-11)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.model.measurement import Claim
from bot.core.model.observation import Target
from bot.webhooks.json_reading import inside, instant, json_object, link, words

if TYPE_CHECKING:
    from bot.webhooks.sender import Items, Message, Tenants

LABELS = ("auth0_tenant", "tenant")
"""Which name a tenant of ours; the first that does counts."""
REMEDY = "give the alerts a label auth0_tenant, or set hooks.alertmanager.tenant"


def read(message: Message, tenants: Tenants) -> Items:
    """Return a claim for each alert whose tenant is known. Raises Refusal where none is."""
    told = inside(json_object(message.text), "alerts")
    alerts = [alert for alert in told if _is_alert(alert)] if isinstance(told, list) else []
    picked = [tenants.pick(*(alert["labels"].get(key) for key in LABELS)) for alert in alerts]
    if alerts and not any(picked):
        tenants.unnamed(REMEDY)
    pairs = zip(picked, alerts, strict=True)
    return tuple(_claim(tenant, alert, message.at) for tenant, alert in pairs if tenant)


def _is_alert(alert: object) -> bool:
    return (
        isinstance(inside(alert, "labels"), dict)
        and bool(words(inside(alert, "fingerprint")))
        and inside(alert, "status") in ("firing", "resolved")
    )


def _claim(tenant: str, alert: dict[str, Any], now: float) -> Claim:
    is_firing = alert["status"] == "firing"
    began = instant(alert.get("startsAt"), now)
    ended = None if is_firing else instant(alert.get("endsAt"), now)
    name, summary = alert["labels"].get("alertname"), inside(alert, "annotations", "summary")
    return Claim(
        target=Target(tenant, "alertmanager"),
        id=words(alert["fingerprint"]),
        at=max((at for at in (began, ended) if at is not None), default=now),
        is_firing=is_firing,
        title=words(": ".join(filter(None, (words(name), words(summary))))),
        link=link(alert.get("generatorURL")),
    )
