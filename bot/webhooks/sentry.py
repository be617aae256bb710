"""Sentry's integration platform: issue alerts and metric alerts.

https://docs.sentry.io/organization/integrations/integration-platform/webhooks/ (read 2026-11)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.measurement import SENTRY, ExternalAlert
from bot.core.model.observation import Target
from bot.webhooks.json_reading import (
    get_nested,
    parse_instant,
    parse_json_object,
    to_https_link,
    to_short_text,
)
from bot.webhooks.sender import Receipt

if TYPE_CHECKING:
    from bot.webhooks.sender import Items, TenantFinder, WebhookRequest

EVENT_ALERT_LASTS_S = 900.0
"""An issue alert is about one event and is never resolved, so it fires for this long."""
ACTIONS = {"critical": True, "warning": True, "resolved": False}
"""Of metric alerts, and whether the alert fires."""
REMEDY = "set hooks.sentry.tenant"


def parse_alert(message: WebhookRequest, tenants: TenantFinder) -> Items | Receipt:
    """Return an alert; other resources (installation, issue, comment) are ignored.

    The alert gets the name of its rule: the title of an event may contain personal data.
    """
    parse = PARSERS.get(message.head.headers.get("Sentry-Hook-Resource", ""))
    if parse is None:
        return Receipt.IGNORED
    document = parse_json_object(message.text)
    target = Target(tenants.pick() or tenants.refuse_unnamed(REMEDY), SENTRY)
    alert = parse(document, target, message.at)
    return (alert,) if alert else ()


def _parse_event_alert(document: object, target: Target, now: float) -> ExternalAlert | None:
    rule = to_short_text(get_nested(document, "data", "triggered_rule"))
    event = get_nested(document, "data", "event")
    at = (
        parse_instant(get_nested(event, "received"), now)
        or parse_instant(get_nested(event, "datetime"), now)
        or now
    )
    # A copy of an old request has a valid signature, and the event's old time in it.
    if not rule or now - at >= EVENT_ALERT_LASTS_S:
        return None
    return ExternalAlert(
        target,
        id=f"rule {rule}",
        at=at,
        is_firing=True,
        title=rule,
        link=to_https_link(get_nested(event, "web_url")),
        lasts_s=EVENT_ALERT_LASTS_S,
    )


def _parse_metric_alert(document: object, target: Target, now: float) -> ExternalAlert | None:
    alert, action = get_nested(document, "data", "metric_alert"), get_nested(document, "action")
    id_ = to_short_text(get_nested(alert, "id")) or to_short_text(get_nested(alert, "identifier"))
    if not id_ or not isinstance(action, str) or action not in ACTIONS:
        return None
    is_firing = ACTIONS[action]
    at = parse_instant(get_nested(alert, "date_started" if is_firing else "date_closed"), now)
    return ExternalAlert(
        target,
        id=f"alert {id_}",
        at=now if at is None else at,
        is_firing=is_firing,
        title=to_short_text(get_nested(alert, "alert_rule", "name"))
        or to_short_text(get_nested(alert, "title")),
        link=to_https_link(get_nested(document, "data", "web_url")),
    )


PARSERS = {"event_alert": _parse_event_alert, "metric_alert": _parse_metric_alert}
"""By `Sentry-Hook-Resource`."""
