"""What Slack sends, read into Requests. Nothing here waits or asks anybody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.core.request import Request, Verb, parse
from bot.slack.actions import CheckAgain

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_TEXT = 300
"""Characters of a command or mention that are read; ours need a dozen."""


def from_command(body: Mapping[str, Any], at: float) -> Request:
    """Read a slash command."""
    return _spoken(
        body["text"],
        id=f"command:{body['trigger_id']}",
        at=at,
        user=body["user_id"],
        channel=body["channel_id"],
        response_url=body["response_url"],
    )


def from_mention(body: Mapping[str, Any], at: float) -> Request:
    """Read `@bot status`. It has no `response_url`."""
    said = body["event"]
    return _spoken(
        re.sub(r"<@[^>]*>", " ", said["text"], count=1),
        id=f"event:{body['event_id']}",
        at=at,
        user=said["user"],
        channel=said["channel"],
    )


def from_click(body: Mapping[str, Any], at: float) -> Request:
    """Read a click on Check again. Raises ValueError where the button's value is not ours."""
    action, user = body["actions"][0], body["user"]["id"]
    return Request(
        id=f"click:{action['action_ts']}:{user}:{action['action_id']}",
        at=at,
        verb=Verb.RUN,
        argument=CheckAgain.model_validate_json(action["value"]).tenant,
        user=user,
        channel=body["channel"]["id"],
        response_url=body["response_url"],
    )


def is_from(body: Mapping[str, Any], homes: frozenset[str]) -> bool:
    """Tell whether the person belongs to one of these workspaces or organisations.

    In a channel shared with another company the outer ids are ours and the person's are inside.
    Who does not say where they belong does not.
    """
    user, event = body.get("user"), body.get("event", {})
    inner = user.get("team_id") if isinstance(user, dict) else event.get("user_team")
    inner = inner or event.get("team") or (body.get("team") or {}).get("id")
    return not homes.isdisjoint(
        [inner] if inner else [body.get("team_id"), body.get("enterprise_id")]
    )


def _spoken(text: str, **who: Any) -> Request:
    verb, argument, nearest, share = parse(text[:MAX_TEXT])
    return Request(verb=verb, argument=argument, nearest=nearest, share=share, **who)
