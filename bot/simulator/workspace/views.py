"""`views.*`: modals and the Home tab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace import blocks
from bot.simulator.workspace.blocks import Surface
from bot.simulator.workspace.chat import decode_json, require
from bot.simulator.workspace.model import Refused
from bot.simulator.workspace.shapes import anything, boolean, one_of, record, string, typed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.simulator.workspace.state import State

MAX_VIEW = 250_000
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
    """`views.open`: within 3 seconds of the person's action, once."""
    (trigger_id,) = require(params, "trigger_id")
    view = _check_view(params, Surface.MODAL)
    user_id = state.grants.spend_trigger(trigger_id)
    state.show_modal(user_id, _with_identity(state, view))
    return {"view": state.modals[user_id]}


def update(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`views.update`, by the view's id."""
    (view_id,) = require(params, "view_id")
    view = _check_view(params, Surface.MODAL)
    for user_id, old in state.modals.items():
        if old["id"] == view_id:
            _check_hash(params, old)
            state.show_modal(user_id, _with_identity(state, view, view_id))
            return {"view": state.modals[user_id]}
    raise Refused("not_found")


def publish(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`views.publish`: one person's Home tab."""
    (user_id,) = require(params, "user_id")
    state.user(user_id)
    view = _check_view(params, Surface.HOME)
    old = state.home_tabs.get(user_id, {})
    _check_hash(params, old)
    state.show_home(user_id, _with_identity(state, view, old.get("id", "")))
    return {"view": state.home_tabs[user_id]}


def replace_modal(state: State, user_id: str, view: object) -> None:
    """Change a modal by the response to its submission. Raises `Refused`."""
    old = state.modals[user_id]
    checked = _check_view({"view": view}, Surface.MODAL)
    state.show_modal(user_id, _with_identity(state, checked, old["id"]))


def _check_hash(params: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    if params.get("hash") and params["hash"] != old.get("hash"):
        raise Refused("hash_conflict")


def _check_view(params: Mapping[str, Any], surface: Surface) -> dict[str, Any]:
    view = decode_json(params, "view", "invalid_arguments")
    problems = list(_SHAPES[surface](view, "/view"))
    problems = problems or blocks.check(view["blocks"], surface, "/view/blocks")
    if problems or len(json.dumps(view)) > MAX_VIEW:
        raise Refused("invalid_arguments", *problems)
    checked: dict[str, Any] = view
    return checked


def _with_identity(state: State, view: dict[str, Any], view_id: str = "") -> dict[str, Any]:
    identity = {"team_id": state.team_id, "app_id": state.app.id, "bot_id": state.app.bot_id}
    names = {"id": view_id or state.new_id("V"), "hash": state.new_id("h")}
    empty = {"callback_id": "", "private_metadata": "", "state": {"values": {}}}
    return (
        view
        | {key: empty[key] for key in empty if key not in view}
        | identity
        | names
        | {"blocks": state.with_ids(view["blocks"])}
    )
