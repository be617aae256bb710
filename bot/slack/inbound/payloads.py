"""What Slack sends, read into Requests. Nothing here waits or asks anybody."""

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
"""Characters of a command or mention that are read: a note has up to 500."""
_VERBS = {ACKNOWLEDGE: Verb.ACK, RESOLVE: Verb.RESOLVE, SILENCE: Verb.SILENCE}


def parse_slash_command(body: Mapping[str, Any], at: float) -> Request:
    """Read a slash command."""
    return _parse_text(
        body["text"],
        id=f"command:{body['trigger_id']}",
        at=at,
        user=body["user_id"],
        channel=body["channel_id"],
        response_url=body["response_url"],
    )


def parse_mention(body: Mapping[str, Any], at: float) -> Request:
    """Read `@bot status`. It has no `response_url`."""
    return _parse_event(body, at, re.sub(r"<@[^>]*>", " ", body["event"]["text"], count=1))


def parse_direct_message(body: Mapping[str, Any], at: float) -> Request:
    """Read what is said to the bot alone; its name may go before it."""
    return _parse_event(
        body, at, re.sub(r"^\s*<@[^>]*>", "", body["event"]["text"]), is_direct=True
    )


def parse_click(body: Mapping[str, Any], at: float) -> Request:
    """Read a click. Raises ValueError where the button's value is not ours."""
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
    """Read the global shortcut: help is wanted, as long as the form does not say with what."""
    name = f"shortcut:{body['trigger_id']}"
    return Request(name, at, Verb.HELP, user=body["user"]["id"], **_answer_place(body))


def is_from_workspace(body: Mapping[str, Any], workspaces: frozenset[str]) -> bool:
    """Tell whether the person belongs to one of these workspaces or organisations.

    In a channel shared with another company the outer ids are ours and the person's are inside.
    Who does not say where they belong does not.
    """
    user, event = body.get("user"), body.get("event", {})
    inner = user.get("team_id") if isinstance(user, dict) else event.get("user_team")
    inner = inner or event.get("team") or (body.get("team") or {}).get("id")
    return not workspaces.isdisjoint(
        [inner] if inner else [body.get("team_id"), body.get("enterprise_id")]
    )


def _answer_place(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a click's answer belongs: what is clicked outside of a channel is private."""
    channel = (body.get("channel") or {}).get("id")
    is_direct = channel is None or channel.startswith("D")
    return {"channel": channel or body["user"]["id"], "is_direct": is_direct}


def _parse_action(action: Mapping[str, Any]) -> tuple[Verb, str]:
    """Read what a button stands for, as it would be typed."""
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


def _parse_event(
    body: Mapping[str, Any], at: float, text: str, *, is_direct: bool = False
) -> Request:
    said = body["event"]
    return _parse_text(
        text,
        id=f"event:{body['event_id']}",
        at=at,
        user=said["user"],
        channel=said["channel"],
        thread_ts=said.get("thread_ts", ""),
        is_direct=is_direct,
    )


def _parse_text(text: str, **who: Any) -> Request:
    """Slack escapes three signs of what people write; whoever shows it escapes it again."""
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, sign)
    verb, argument, nearest, share = parse_command(text[:MAX_TEXT])
    return Request(verb=verb, argument=argument, nearest=nearest, share=share, **who)
