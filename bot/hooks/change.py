"""A deploy or another change of ours: `{"what": "deploy 4711", "app": "checkout"}`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.measurement import ChangeMade
from bot.hooks.hook import Refusal
from bot.hooks.reading import instant, json_object, words

if TYPE_CHECKING:
    from bot.hooks.hook import Items, Message, Tenants

WHAT_LIMIT = 80
NAME_LIMIT = 60


def read(message: Message, tenants: Tenants) -> Items:
    """Return what was changed. Raises Refusal."""
    document = json_object(message.text)
    what = words(document.get("what"), WHAT_LIMIT)
    if not what:
        raise Refusal(422, '"what" must say what was changed, such as "deploy 4711"')
    app = words(document.get("app"), NAME_LIMIT)
    tenant = "" if app and "tenant" not in document else tenants.named(document.get("tenant"))
    at = instant(document.get("at", message.at), message.at)
    if at is None:
        raise Refusal(
            422, '"at" must be seconds since 1970, or a date such as 2026-11-23T09:00:00Z'
        )
    given = words(document.get("id"))
    id_ = f"{tenant}/{app}/{given}" if given else message.id
    return (ChangeMade(id=id_, at=at, what=what, tenant=tenant, app=app),)
