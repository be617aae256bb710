"""Pingdom's webhook: a check went down, or up again.

Nothing signs it, and the address of a hook leaks easily; so it is a hint to look ourselves.
Fields as public receivers and their samples have them (zulip, FireHydrant; read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.core.model.measurement import ExternalAlert
from bot.core.model.observation import Target
from bot.webhooks.json_reading import get_nested, parse_instant, parse_json_object, to_short_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.webhooks.sender import Items, TenantFinder, WebhookRequest

STATES = {"DOWN": True, "UP": False}
REMEDY = "check a host of a tenant's, or set hooks.pingdom.tenant"


def parse_check(message: WebhookRequest, tenants: TenantFinder) -> Items:
    """Return what a check says, of the tenant whose host it asks."""
    document = parse_json_object(message.text)
    id_, state = to_short_text(document.get("check_id")), document.get("current_state")
    if not id_ or not isinstance(state, str) or state not in STATES:
        return ()
    hosts = {*_hosts(document.get("check_params"))}
    fitting = [name for name, tenant in tenants.known.items() if hosts & {*tenant.domains}]
    tenant = tenants.pick(*fitting) or tenants.refuse_unnamed(REMEDY)
    at = parse_instant(document.get("state_changed_timestamp"), message.at)
    claim = ExternalAlert(
        target=Target(tenant, "pingdom"),
        id=id_,
        at=message.at if at is None else at,
        is_firing=STATES[state],
        title=to_short_text(document.get("check_name")),
        is_unauthenticated=True,
    )
    return (claim,)


def _hosts(params: object) -> Iterator[str]:
    for key in ("hostname", "full_url", "url"):
        value = get_nested(params, key)
        if isinstance(value, str):
            yield value.lower()
            try:
                yield urlsplit(value).hostname or ""
            except ValueError:
                continue
