"""Pingdom's webhook: a check went down, or up again.

Nothing signs it, and its URL leaks easily, so the alert is unauthenticated: it only makes the bot
check. The fields are as in public receivers and their samples (zulip, FireHydrant; read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.config.value_types import host_of
from bot.core.model.measurement import PINGDOM, ExternalAlert
from bot.core.model.observation import Target
from bot.webhooks.json_reading import get_nested, parse_instant, parse_json_object, to_short_text

if TYPE_CHECKING:
    from bot.webhooks.sender import Items, TenantFinder, WebhookRequest

STATES = {"DOWN": True, "UP": False, "FAILING": True, "SUCCESS": False}
"""And whether the check fails; the last two are those of transaction checks, which may log in
(pingdom.com/resources/webhooks, read 2026-11)."""
REMEDY = "check a host of a tenant's, or set hooks.pingdom.tenant"


def parse_check(message: WebhookRequest, tenants: TenantFinder) -> Items:
    """Return the state of a check, for the tenant whose host it checks."""
    document = parse_json_object(message.text)
    id_, state = to_short_text(document.get("check_id")), document.get("current_state")
    is_firing = STATES.get(state.upper()) if isinstance(state, str) else None
    if not id_ or is_firing is None:
        return ()
    params = document.get("check_params")
    urls = [get_nested(params, key) for key in ("hostname", "full_url", "url")]
    texts = [url for url in urls if isinstance(url, str)]
    hosts = {*map(str.lower, texts), *map(host_of, texts)}
    matching = [name for name, tenant in tenants.known.items() if hosts & {*tenant.domains}]
    tenant = tenants.pick(*matching) or tenants.refuse_unnamed(REMEDY)
    at = parse_instant(document.get("state_changed_timestamp"), message.at)
    alert = ExternalAlert(
        target=Target(tenant, PINGDOM),
        id=id_,
        at=message.at if at is None else at,
        is_firing=is_firing,
        title=to_short_text(document.get("check_name")),
        is_unauthenticated=True,
    )
    return (alert,)
