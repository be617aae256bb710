"""Sentry's integration platform: issue alerts and metric alerts.

https://docs.sentry.io/organization/integrations/integration-platform/webhooks/ (read 2026-11)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.measurement import Claim
from bot.core.model.observation import Target
from bot.webhooks.json_reading import inside, instant, json_object, link, words
from bot.webhooks.sender import Receipt

if TYPE_CHECKING:
    from bot.webhooks.sender import Items, Message, Tenants

EVENT_S = 900.0
"""An issue alert tells of one event and never that it is over, so it holds for so long."""
ACTIONS = {"critical": True, "warning": True, "resolved": False}
"""Of metric alerts; whether it fires."""
REMEDY = "set hooks.sentry.tenant"


def read(message: Message, tenants: Tenants) -> Items | Receipt:
    """Return what an alert says; other resources (installation, issue, comment) are ignored.

    The alert's rule names it: the title of an event may hold personal data.
    """
    find = READERS.get(message.head.headers.get("Sentry-Hook-Resource", ""))
    if find is None:
        return Receipt.IGNORED
    document = json_object(message.text)
    target = Target(tenants.pick() or tenants.unnamed(REMEDY), "sentry")
    claim = find(document, target, message.at)
    return (claim,) if claim else ()


def _event_alert(document: object, target: Target, now: float) -> Claim | None:
    rule = words(inside(document, "data", "triggered_rule"))
    event = inside(document, "data", "event")
    at = instant(inside(event, "received"), now) or instant(inside(event, "datetime"), now) or now
    # A copy of an old request has the right signature, and the old time of the event in it.
    if not rule or now - at >= EVENT_S:
        return None
    return Claim(
        target,
        id=f"rule {rule}",
        at=at,
        is_firing=True,
        title=rule,
        link=link(inside(event, "web_url")),
        lasts_s=EVENT_S,
    )


def _metric_alert(document: object, target: Target, now: float) -> Claim | None:
    alert, action = inside(document, "data", "metric_alert"), inside(document, "action")
    id_ = words(inside(alert, "id")) or words(inside(alert, "identifier"))
    if not id_ or not isinstance(action, str) or action not in ACTIONS:
        return None
    is_firing = ACTIONS[action]
    when = instant(inside(alert, "date_started" if is_firing else "date_closed"), now)
    return Claim(
        target,
        id=f"alert {id_}",
        at=now if when is None else when,
        is_firing=is_firing,
        title=words(inside(alert, "alert_rule", "name")) or words(inside(alert, "title")),
        link=link(inside(document, "data", "web_url")),
    )


READERS = {"event_alert": _event_alert, "metric_alert": _metric_alert}
"""By `Sentry-Hook-Resource`."""
