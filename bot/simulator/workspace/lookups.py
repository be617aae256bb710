"""What the bot may read: channels, their history, people, user groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.simulator.workspace.chat import is_true, require
from bot.simulator.workspace.model import Channel, Message, Refused, User

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bot.simulator.workspace.state import State

DEFAULT_LIMIT, MAX_LIMIT = 100, 999
DND_S = 4 * 3600
"""Whoever is in Do Not Disturb has been so long, and will be."""


def auth_test(state: State, _params: Mapping[str, Any]) -> dict[str, Any]:
    """`auth.test`."""
    return {
        "url": f"{state.base_url}/",
        "team": state.team,
        "team_id": state.team_id,
        "user": state.app.name,
        "user_id": state.app.user_id,
        "bot_id": state.app.bot_id,
        "is_enterprise_install": False,
    }


def api_test(_state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`api.test`, with the error that the caller names."""
    if params.get("error"):
        raise Refused(str(params["error"]))
    return {"args": dict(params)}


def connections_open(state: State, _params: Mapping[str, Any]) -> dict[str, Any]:
    """`apps.connections.open`: the address of one socket, with a ticket for one use."""
    base = state.base_url.replace("http", "ws", 1)
    return {"url": f"{base}/socket?ticket={state.grants.issue_ticket()}&app_id={state.app.id}"}


def conversations_info(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`conversations.info`."""
    return {"channel": _channel(find_visible_channel(state, params))}


def conversations_list(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`conversations.list`: the public channels, and the private ones that the bot is in."""
    types = str(params.get("types") or "public_channel").split(",")
    kinds = {LISTED[name] for name in types if name in LISTED}
    for kind in sorted(kinds):
        if f"{kind}:read" not in state.app.scopes:
            provided = ",".join(sorted(state.app.scopes))
            raise Refused("missing_scope", needed=f"{kind}:read", provided=provided)
    found = [c for c in state.channels if c.kind in kinds and (c.is_member or not c.is_private)]
    start = int(params.get("cursor") or 0)
    limit = min(int(params.get("limit") or DEFAULT_LIMIT), MAX_LIMIT)
    rest = start + limit < len(found)
    body: dict[str, Any] = {"channels": [_channel(c) for c in found[start : start + limit]]}
    return body | {"response_metadata": {"next_cursor": str(start + limit) if rest else ""}}


LISTED = {"public_channel": "channels", "private_channel": "groups", "im": "im"}


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": channel.kind == "channels",
        "is_group": channel.kind == "groups",
        "is_im": channel.kind == "im",
        "is_private": channel.is_private,
        "is_archived": channel.is_archived,
        "is_member": channel.is_member,
    }


def conversations_open(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`conversations.open`, for one person."""
    user = str(params.get("users") or "")
    if not user:
        raise Refused("users_list_not_supplied")
    is_open = any(channel.partner == user for channel in state.channels)
    channel = state.direct(user)
    return {"channel": {"id": channel.id}, "no_op": is_open, "already_open": is_open}


def conversations_history(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`conversations.history`: newest first, without replies that were not broadcast."""
    channel = _find_readable_channel(state, params)
    messages = [m for m in channel.messages.values() if not m.thread_ts or m.broadcast]
    return _page(state, channel, params, reversed(messages))


def conversations_replies(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`conversations.replies`: the parent, then its replies, oldest first."""
    channel = _find_readable_channel(state, params)
    (ts,) = require(params, "ts")
    parent = channel.messages.get(ts)
    if parent is None or parent.only_for:
        raise Refused("thread_not_found")
    return _page(state, channel, params, [parent, *channel.thread(ts)])


def users_info(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`users.info`."""
    (user_id,) = require(params, "user")
    return {"user": _profile(state, state.user(user_id))}


def dnd_info(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`dnd.info`: the next or current span; the `snooze_*` keys are for the person only.

    https://docs.slack.dev/reference/methods/dnd.info (read 2026-11)
    """
    user = state.user(str(params.get("user") or state.app.user_id))
    now = int(state.now())
    start, end = (now - DND_S, now + DND_S) if user.is_in_dnd else (1, 1)
    return {
        "dnd_enabled": user.is_in_dnd,
        "next_dnd_start_ts": start,
        "next_dnd_end_ts": end,
    }


def usergroups_list(state: State, _params: Mapping[str, Any]) -> dict[str, Any]:
    """`usergroups.list`."""
    return {
        "usergroups": [
            {"id": g.id, "handle": g.handle, "name": g.handle, "user_count": len(g.users)}
            for g in state.groups
        ]
    }


def usergroups_users_list(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`usergroups.users.list`."""
    (group_id,) = require(params, "usergroup")
    for group in state.groups:
        if group.id == group_id:
            return {"users": list(group.users)}
    raise Refused("no_such_subteam")


def find_visible_channel(state: State, params: Mapping[str, Any]) -> Channel:
    """Find the channel with an id: names are not accepted here. Raises `Refused`."""
    (ref,) = require(params, "channel")
    channel = state.channel(ref)
    if channel.id != ref or (channel.is_private and not channel.is_member):
        raise Refused("channel_not_found")
    return channel


def _find_readable_channel(state: State, params: Mapping[str, Any]) -> Channel:
    channel = find_visible_channel(state, params)
    if not channel.is_member:
        raise Refused("not_in_channel")
    return channel


def _page(
    state: State, channel: Channel, params: Mapping[str, Any], messages: Iterable[Message]
) -> dict[str, Any]:
    limit = min(int(params.get("limit") or DEFAULT_LIMIT), MAX_LIMIT)
    start = int(params.get("cursor") or 0)
    found = [m for m in messages if not m.only_for and _is_between(m.ts, params)]
    shown = found[start : start + limit]
    metadata = is_true(params, "include_all_metadata")
    more = start + limit < len(found)
    body = {
        "messages": [state.as_json(channel, m, metadata=metadata) for m in shown],
        "has_more": more,
    }
    return body | ({"response_metadata": {"next_cursor": str(start + limit)}} if more else {})


def _is_between(ts: str, params: Mapping[str, Any]) -> bool:
    oldest = float(params.get("oldest") or 0)
    latest = float(params.get("latest") or "inf")
    at = float(ts)
    if is_true(params, "inclusive"):
        return oldest <= at <= latest
    return oldest < at < latest


def _profile(state: State, user: User) -> dict[str, Any]:
    return {
        "id": user.id,
        "team_id": state.team_id,
        "name": user.name,
        "real_name": user.real_name,
        "deleted": False,
        "tz": user.zone,
        "is_restricted": user.is_guest,
        "is_ultra_restricted": False,
        "is_bot": user.id == state.app.user_id,
        "profile": {"real_name": user.real_name, "display_name": user.name},
    }
