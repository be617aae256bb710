"""The Web API methods: what each needs, and how often it may be called.

Scopes and tiers: github.com/slack-ruby/slack-api-ref (MIT), 2026-08-20. Tier 2 is 20 calls a
minute, 3 is 50, 4 is 100; posts have a tier of their own, about one a second and channel with
short bursts (docs.slack.dev/apis/web-api/rate-limits).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace import chat, lookups, views

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.simulator.workspace.state import State


@dataclass(frozen=True, slots=True)
class RateLimit:
    """How often a method may be called."""

    per_minute: int
    burst: int
    """How many may come at once."""


TIER_2, TIER_3, TIER_4 = RateLimit(20, 20), RateLimit(50, 50), RateLimit(100, 100)
POSTS = RateLimit(60, 5)
GENEROUS = RateLimit(600, 600)
"""Slack says: hundreds a minute."""


@dataclass(frozen=True, slots=True)
class Method:
    """One Web API method."""

    answer: Callable[[State, Mapping[str, Any]], dict[str, Any]]
    rate_limit: RateLimit
    scope: str = ""
    """Of the token; `*:history` means that of the kind of channel; empty: none."""
    is_app_level: bool = False
    """Takes the app's token (xapp-) instead of the bot's."""
    is_open: bool = False
    """Takes no token at all."""


METHODS = {
    "api.test": Method(lookups.api_test, TIER_4, is_open=True),
    "apps.connections.open": Method(lookups.connections_open, TIER_3, is_app_level=True),
    "auth.test": Method(lookups.auth_test, GENEROUS),
    "chat.delete": Method(chat.delete, TIER_3, "chat:write"),
    "chat.getPermalink": Method(chat.get_permalink, GENEROUS),
    "chat.postEphemeral": Method(chat.post_ephemeral, TIER_4, "chat:write"),
    "chat.postMessage": Method(chat.post_message, POSTS, "chat:write"),
    "chat.update": Method(chat.update, TIER_3, "chat:write"),
    "conversations.history": Method(lookups.conversations_history, TIER_3, "*:history"),
    "conversations.info": Method(lookups.conversations_info, TIER_3, "*:read"),
    "conversations.list": Method(lookups.conversations_list, TIER_2, "*:read"),
    "conversations.open": Method(lookups.conversations_open, TIER_3, "im:write"),
    "conversations.replies": Method(lookups.conversations_replies, TIER_3, "*:history"),
    "dnd.info": Method(lookups.dnd_info, TIER_3, "dnd:read"),
    "usergroups.list": Method(lookups.usergroups_list, TIER_2, "usergroups:read"),
    "usergroups.users.list": Method(lookups.usergroups_users_list, TIER_2, "usergroups:read"),
    "users.info": Method(lookups.users_info, TIER_4, "users:read"),
    "views.open": Method(views.open_view, TIER_4),
    "views.publish": Method(views.publish, TIER_4),
    "views.update": Method(views.update, TIER_4),
}
