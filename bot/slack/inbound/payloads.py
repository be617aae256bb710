"""Parses what Slack sends into Requests. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.core.model.request import Request, Verb, parse_command
from bot.slack.actions import (
    ACKNOWLEDGE,
    CHECK_AGAIN,
    END_SILENCE,
    MORE,
    RESOLVE,
    SILENCE,
    CheckAgainValue,
    IncidentValue,
    MenuValue,
    SilenceValue,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT = 700
"""Characters of a command or mention that are parsed: a note has up to 500."""
_VERBS = {ACKNOWLEDGE: Verb.ACK, RESOLVE: Verb.RESOLVE, SILENCE: Verb.SILENCE}


def parse_slash_command(body: Mapping[str, Any], at: float) -> Request:
    """Parse a slash command."""
    return _parse_text(
        body["text"],
        id=f"command:{body['trigger_id']}",
        at=at,
        user=body["user_id"],
        channel=body["channel_id"],
        response_url=body["response_url"],
    )


def parse_event(body: Mapping[str, Any], at: float) -> Request:
    """Parse a mention (`@bot status`), or a direct message, which may begin with the bot's name.

    Neither has a `response_url`.
    """
    event = body["event"]
    is_direct = event["type"] == "message"
    bot_name, gap = (r"^\s*<@[^>]*>", "") if is_direct else (r"<@[^>]*>", " ")
    return _parse_text(
        re.sub(bot_name, gap, event["text"], count=1),
        id=f"event:{body['event_id']}",
        at=at,
        user=event["user"],
        channel=event["channel"],
        thread_ts=event.get("thread_ts", ""),
        is_direct=is_direct,
    )


def parse_click(body: Mapping[str, Any], at: float) -> Request:
    """Parse a click. Raises ValueError if the button's value is not of this version."""
    action, user = body["actions"][0], body["user"]["id"]
    verb, argument = _parse_action(action)
    return Request(
        id=f"click:{action['action_ts']}:{user}:{action['action_id']}",
        at=at,
        verb=verb,
        argument=argument,
        user=user,
        response_url=body.get("response_url", ""),
        **_answer_place(body),
    )


def parse_shortcut(body: Mapping[str, Any], at: float) -> Request:
    """Parse the global shortcut. It counts as `help` until its form says what is asked."""
    name = f"shortcut:{body['trigger_id']}"
    return Request(name, at, Verb.HELP, user=body["user"]["id"], **_answer_place(body))


def is_from_workspace(body: Mapping[str, Any], workspaces: frozenset[str]) -> bool:
    """Tell whether the person belongs to one of these workspaces or organisations.

    In a channel that is shared with another company the outer ids are ours; the person's own ids
    are further in. A person without any id belongs to none.
    """
    user, event = body.get("user"), body.get("event", {})
    inner = user.get("team_id") if isinstance(user, dict) else event.get("user_team")
    inner = inner or event.get("team") or (body.get("team") or {}).get("id")
    return not workspaces.isdisjoint(
        [inner] if inner else [body.get("team_id"), body.get("enterprise_id")]
    )


def _answer_place(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return where to answer a click; outside of a channel the answer is private."""
    channel = (body.get("channel") or {}).get("id")
    is_direct = channel is None or channel.startswith("D")
    return {"channel": channel or body["user"]["id"], "is_direct": is_direct}


def _parse_action(action: Mapping[str, Any]) -> tuple[Verb, str]:
    """Return the verb of a button and its argument, as they would be typed."""
    name = action["action_id"]
    value = action.get("selected_option", action).get("value", "")
    if name == CHECK_AGAIN:
        return Verb.RUN, CheckAgainValue.model_validate_json(value).tenant
    if name == END_SILENCE:
        return Verb.UNSILENCE, str(SilenceValue.model_validate_json(value).silence)
    if name == MORE:
        choice = MenuValue.model_validate_json(value)
        return choice.verb, choice.tenant or (f"#{choice.incident}" if choice.incident else "")
    return _VERBS[name], f"#{IncidentValue.model_validate_json(value).incident}"


def _parse_text(text: str, **origin: Any) -> Request:
    """Parse typed text. Slack escapes three characters; `render` escapes them again."""
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, sign)
    verb, argument, nearest, share = parse_command(text[:MAX_TEXT])
    return Request(verb=verb, argument=argument, nearest=nearest, share=share, **origin)
