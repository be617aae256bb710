"""Turns a value into JSON and back again: into the same value, or a `StoreError`.

Unknown keys are refused, so that this version does not drop what a newer one wrote. Therefore a
field that is renamed or removed needs a migration of the bodies, and a new one needs a default.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident
from bot.core.state.outbox import Body, Delivery
from bot.core.state.tenant import TenantState
from bot.ports import InboxItem, StoreError

T = TypeVar("T")

TENANT = TypeAdapter(TenantState)
DESK = TypeAdapter(DeskState)
INCIDENT = TypeAdapter(Incident)
INBOX_ITEM: TypeAdapter[InboxItem] = TypeAdapter(InboxItem)
_DELIVERY = TypeAdapter(Delivery)
BODIES = {kind.__name__.lower(): kind for kind in get_args(Body)}
"""By the tag that names a body's kind in a delivery's JSON."""
_BODY_ADAPTERS = {tag: TypeAdapter[Body](kind) for tag, kind in BODIES.items()}


def encode(value: object) -> str:
    """Return a value's JSON, with `Infinity` and `NaN` as Python writes them.

    A lone surrogate, which no database accepts, becomes a question mark.
    """
    return _to_json(to_jsonable_python(value))


def decode(kind: TypeAdapter[T], text: str, name: str) -> T:
    """Read what `encode` wrote. A `StoreError` says by `name` which row cannot be read."""
    try:
        return kind.validate_json(text, extra="forbid")
    except ValidationError as error:
        raise _unreadable_error(name, error) from None


def encode_delivery(delivery: Delivery) -> str:
    """Return a delivery's JSON, with a tag: bodies of several kinds have the same fields."""
    value = to_jsonable_python(delivery)
    value["body"] = {type(delivery.body).__name__.lower(): value["body"]}
    return _to_json(value)


def decode_delivery(text: str, name: str) -> Delivery:
    """Read what `encode_delivery` wrote."""
    try:
        value = json.loads(text)
        ((tag, body),) = value["body"].items()
        value["body"] = _BODY_ADAPTERS[tag].validate_python(body, extra="forbid")
        return _DELIVERY.validate_python(value, extra="forbid")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise _unreadable_error(name, error) from None


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()


def _unreadable_error(name: str, error: Exception) -> StoreError:
    """Say which field does not fit, without its value: some are secret."""
    place = "its JSON"
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or place
    return StoreError(
        f"{name} in the database was written by another version of auth0-check ({place} does not"
        " fit): start that version, or move the database aside to begin afresh"
    )
