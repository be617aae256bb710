"""`chat.*` and answers by `response_url`: everything that posts to a channel."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace.blocks import MAX_WEIGHT, Surface, check, weight
from bot.simulator.workspace.model import Channel, Message, MessageKind, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.simulator.workspace.grants import ResponseUrl
    from bot.simulator.workspace.state import State

MAX_TEXT = 40_000
"""Longer text is cut when posted."""
MAX_EDITED_TEXT = 4_000
"""Longer text is refused by chat.update and chat.postEphemeral."""
PERMALINKS = "https://local.slack.com/"
"""Links are https, as Slack's are; the page opens what is meant."""
MAX_METADATA = 8_000
"""Our guess: Slack has `metadata_too_large` but does not document the limit."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a message."""

    text: str
    blocks: list[dict[str, Any]]


def is_true(params: Mapping[str, Any], key: str) -> bool:
    """Read a boolean of JSON or a form."""
    return str(params.get(key, "")).lower() in ("1", "true")


def require(params: Mapping[str, Any], *keys: str) -> list[str]:
    """Return required arguments. Raises `Refused`."""
    missing = [key for key in keys if not params.get(key)]
    if missing:
        problems = [f"missing required field: {key} [json-pointer:/{key}]" for key in missing]
        raise Refused("invalid_arguments", *problems)
    return [str(params[key]) for key in keys]


def decode_json(params: Mapping[str, Any], key: str, error: str) -> Any:
    """Read an argument that is JSON, or JSON in a string; None if it is not there."""
    value = params.get(key)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise Refused(error) from None


def compose(params: Mapping[str, Any]) -> Content:
    """Read and check `text` and `blocks`. Raises `Refused`."""
    blocks = decode_json(params, "blocks", "invalid_blocks_format") or []
    problems = check(blocks, Surface.MESSAGE)
    if problems:
        raise Refused("invalid_blocks", *problems)
    content = Content(str(params.get("text") or "")[:MAX_TEXT], blocks)
    if not (content.text.strip() or blocks):
        raise Refused("no_text")
    return content


def post_message(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`chat.postMessage`."""
    (ref,) = require(params, "channel")
    channel = _find_postable_channel(state, ref)
    content = _check_weight(compose(params))
    thread_ts = _find_thread_parent(channel, str(params.get("thread_ts") or ""))
    broadcast = bool(thread_ts) and is_true(params, "reply_broadcast")
    message = state.put(
        channel,
        channel.kind_of_post(thread_ts),
        Message(
            state.next_ts(),
            state.app.user_id,
            content.text,
            content.blocks,
            thread_ts,
            broadcast,
            _read_metadata(params),
        ),
    )
    return _post_result(state, channel, message)


def update(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`chat.update`. What is not sent stays."""
    ref, ts = require(params, "channel", "ts")
    channel = state.channel(ref)
    if channel.is_archived:
        raise Refused("is_inactive")
    old = state.message(channel, ts)
    if old.user != state.app.user_id:
        raise Refused("cant_update_message")
    unchanged = {"text": old.text, "blocks": old.blocks}
    content = _check_length(
        _check_weight(compose(unchanged | {k: v for k, v in params.items() if v is not None}))
    )
    new = replace(old, text=content.text, blocks=content.blocks, edited_at=state.next_ts())
    if params.get("metadata") is not None:
        new = replace(new, metadata=_read_metadata(params))
    message = state.put(channel, MessageKind.UPDATE, new)
    return {**_post_result(state, channel, message), "text": message.text}


def post_ephemeral(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`chat.postEphemeral`."""
    ref, user = require(params, "channel", "user")
    channel = _find_postable_channel(state, ref)
    if all(person.id != user for person in state.people):
        raise Refused("user_not_in_channel")
    content = _check_length(compose(params))
    thread_ts = _find_thread_parent(channel, str(params.get("thread_ts") or ""))
    return {"message_ts": show_ephemeral(state, channel, content, user, thread_ts).ts}


def delete(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`chat.delete`."""
    ref, ts = require(params, "channel", "ts")
    channel = state.channel(ref)
    message = state.message(channel, ts)
    if message.user != state.app.user_id:
        raise Refused("cant_delete_message")
    state.put(channel, MessageKind.DELETE, message)
    return {"channel": channel.id, "ts": ts}


def get_permalink(state: State, params: Mapping[str, Any]) -> dict[str, Any]:
    """`chat.getPermalink`."""
    ref, ts = require(params, "channel", "message_ts")
    channel = state.channel(ref)
    state.message(channel, ts)
    path = f"archives/{channel.id}/p{ts.replace('.', '')}"
    return {"channel": channel.id, "permalink": f"{PERMALINKS}{path}"}


def respond(state: State, url: ResponseUrl, params: Mapping[str, Any]) -> None:
    """Answer a command or a click. Raises `Refused`."""
    channel = state.channel(url.channel)
    original = channel.messages.get(url.ts)
    if original and is_true(params, "delete_original"):
        state.put(channel, MessageKind.DELETE, original)
        return
    content = compose(params)
    if original and is_true(params, "replace_original"):
        new = replace(original, text=content.text, blocks=content.blocks, edited_at=state.next_ts())
        state.put(channel, MessageKind.UPDATE, new)
    elif params.get("response_type") == "in_channel":
        message = Message(state.next_ts(), state.app.user_id, content.text, content.blocks)
        state.put(channel, channel.kind_of_post(), message)
    else:
        show_ephemeral(state, channel, content, url.user, str(params.get("thread_ts") or ""))


def show_ephemeral(
    state: State,
    channel: Channel,
    content: Content,
    user: str,
    thread_ts: str = "",
    *,
    sender: str = "",
) -> Message:
    """Post a message that only one person sees, from the bot or another sender."""
    message = Message(
        state.next_ts(),
        sender or state.app.user_id,
        content.text,
        content.blocks,
        thread_ts,
        only_for=user,
    )
    return state.put(channel, MessageKind.EPHEMERAL, message)


def _find_postable_channel(state: State, ref: str) -> Channel:
    is_person = any(person.id == ref for person in state.people)
    channel = state.direct(ref) if is_person else state.channel(ref)
    if channel.is_private and not channel.is_member:
        raise Refused("channel_not_found")
    if channel.is_archived:
        raise Refused("is_archived")
    if not channel.is_member and "chat:write.public" not in state.app.scopes:
        raise Refused("not_in_channel")
    return channel


def _find_thread_parent(channel: Channel, ts: str) -> str:
    """Find the first message of the thread; a reply's own `ts` leads to it too."""
    if not ts:
        return ""
    parent = channel.messages.get(ts)
    if parent is None or parent.only_for:
        raise Refused("cannot_reply_to_message")
    return parent.thread_ts or ts


def _read_metadata(params: Mapping[str, Any]) -> dict[str, Any] | None:
    value = decode_json(params, "metadata", "invalid_metadata_format")
    if not value:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("event_type"), str):
        raise Refused("invalid_metadata_format")
    if not isinstance(value.get("event_payload"), dict):
        raise Refused("invalid_metadata_format")
    if len(json.dumps(value)) > MAX_METADATA:
        raise Refused("metadata_too_large")
    return value


def _check_weight(content: Content) -> Content:
    if weight(content.blocks) > MAX_WEIGHT:
        raise Refused("msg_blocks_too_long")
    return content


def _check_length(content: Content) -> Content:
    if len(content.text) > MAX_EDITED_TEXT:
        raise Refused("msg_too_long")
    return content


def _post_result(state: State, channel: Channel, message: Message) -> dict[str, Any]:
    body = state.as_json(channel, message, metadata=True)
    return {"channel": channel.id, "ts": message.ts, "message": body}
