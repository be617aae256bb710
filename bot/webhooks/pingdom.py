"""Pingdom's webhook: a check went down, or up again.

Nothing signs it, and the address of a hook leaks easily; so it is a hint to look ourselves.
Fields as public receivers and their samples have them (zulip, FireHydrant; read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.core.model.measurement import Claim
from bot.core.model.observation import Target
from bot.webhooks.json_reading import inside, instant, json_object, words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.webhooks.sender import Items, Message, Tenants

STATES = {"DOWN": True, "UP": False}
REMEDY = "check a host of a tenant's, or set hooks.pingdom.tenant"


def read(message: Message, tenants: Tenants) -> Items:
    """Return what a check says, of the tenant whose host it asks."""
    document = json_object(message.text)
    id_, state = words(document.get("check_id")), document.get("current_state")
    if not id_ or not isinstance(state, str) or state not in STATES:
        return ()
    hosts = {*_hosts(document.get("check_params"))}
    fitting = [name for name, tenant in tenants.known.items() if hosts & {*tenant.domains}]
    tenant = tenants.pick(*fitting) or tenants.unnamed(REMEDY)
    at = instant(document.get("state_changed_timestamp"), message.at)
    claim = Claim(
        target=Target(tenant, "pingdom"),
        id=id_,
        at=message.at if at is None else at,
        is_firing=STATES[state],
        title=words(document.get("check_name")),
        is_hint=True,
    )
    return (claim,)


def _hosts(params: object) -> Iterator[str]:
    for key in ("hostname", "full_url", "url"):
        value = inside(params, key)
        if isinstance(value, str):
            yield value.lower()
            try:
                yield urlsplit(value).hostname or ""
            except ValueError:
                continue
