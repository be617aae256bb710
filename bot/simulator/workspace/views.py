"""`views.*`: modals and the Home tab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.simulator.workspace import blocks
from bot.simulator.workspace.blocks import Surface
from bot.simulator.workspace.chat import decoded, required
from bot.simulator.workspace.model import Refused
from bot.simulator.workspace.shapes import anything, boolean, one_of, record, string, typed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.simulator.workspace.state import State

_TITLE = typed({"plain_text": record({"type": anything, "text": string(24)}, {"emoji": boolean})})
_COMMON = {"private_metadata": string(3000, 0), "callback_id": string(255), "external_id": anything}
_MODAL = {"submit": _TITLE, "close": _TITLE, "clear_on_close": boolean, "notify_on_close": boolean}
_SHAPES = {
    Surface.MODAL: record(
        {"type": one_of("modal"), "title": _TITLE, "blocks": anything}, _COMMON | _MODAL
    ),
    Surface.HOME: record({"type": one_of("home"), "blocks": anything}, _COMMON),
}


def open_view(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`views.open`: within 3 seconds of what the person did, once."""
    (trigger_id,) = required(params, "trigger_id")
    view = _checked(params, Surface.MODAL)
    state.grants.spend_trigger(trigger_id)
    state.views.append(_stored(state, view))
    return {"view": state.views[-1]}


def publish(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`views.publish`: one person's Home tab."""
    (user_id,) = required(params, "user_id")
    state.user(user_id)
    view = _checked(params, Surface.HOME)
    current = state.homes.get(user_id, {}).get("hash")
    if params.get("hash") and params["hash"] != current:
        raise Refused("hash_conflict")
    state.homes[user_id] = _stored(state, view)
    return {"view": state.homes[user_id]}


def _checked(params: Mapping[str, Any], surface: Surface) -> dict[str, Any]:
    view = decoded(params, "view", "invalid_arguments")
    problems = list(_SHAPES[surface](view, "/view"))
    problems = problems or blocks.check(view["blocks"], surface, "/view/blocks")
    if problems:
        raise Refused("invalid_arguments", *problems)
    checked: dict[str, Any] = view
    return checked


def _stored(state: State, view: dict[str, Any]) -> dict[str, Any]:
    identity = {"team_id": state.team_id, "app_id": state.app.id, "bot_id": state.app.bot_id}
    return view | identity | {"id": state.name("V"), "hash": state.name("h")}
