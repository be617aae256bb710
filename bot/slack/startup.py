"""Checks at the start: are the tokens, the scopes and the channel right?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.core.oncall import DM, NEXT
from bot.ports import Doubt, Reason, Refused
from bot.slack.users import groups_with_rights
from bot.slack.web_api import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.core.state.rules import Rules
    from bot.slack.web_api import SlackWeb

SCOPES = {
    "app_mentions:read": "@bot does not answer",
    "channels:read": "a public channel cannot be checked at the start",
    "chat:write": "nothing can be posted",
    "commands": "/auth0-check does not answer",
    "groups:read": "a private channel cannot be checked at the start",
    "im:history": "who writes to @bot alone gets no answer",
}
"""The scopes that manifest.yml requires, and what does not work without each."""
OPTIONAL_SCOPES = {
    "im:write": "nobody gets a direct message",
    "usergroups:read": "the user groups of `access` have no right",
    "users:read": "guests cannot be told from members, and their clocks show UTC",
}
"""The scopes that only some configurations need."""

_APP_SETTINGS = "at https://api.slack.com/apps, your app,"


class StartupError(Exception):
    """The bot cannot work like this: one line that says what is wrong, where, and what to do."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace, the bot's own account in it, and the channel."""

    team: str
    team_id: str
    enterprise_id: str
    bot_id: str
    bot_user_id: str
    bot_name: str
    channel: str
    """The channel's id if it could be looked up, else the configured value."""
    warnings: tuple[str, ...] = ()
    """What does not work as it could; for the log."""

    @property
    def workspaces(self) -> frozenset[str]:
        """The ids of the workspace and the organisation whose members the bot answers."""
        return frozenset({self.team_id, self.enterprise_id}) - {""}


def list_missing_scopes(granted: frozenset[str], rules: Rules) -> list[str]:
    """Return a warning for each optional scope that the configuration needs and the app lacks."""
    steps = {step.contact for policy in rules.policies.values() for step in policy.steps}
    is_used = {
        "im:write": bool(steps & {DM, NEXT}),
        "usergroups:read": bool(groups_with_rights(rules.access)),
        "users:read": True,
    }
    return _missing_scopes(
        granted, {scope: OPTIONAL_SCOPES[scope] for scope in OPTIONAL_SCOPES if is_used[scope]}
    )


async def check_workspace(web: SlackWeb, *, channel: str, app_token: str | None) -> Workspace:
    """Check tokens, scopes and channel with Slack. Socket Mode alone has an app token.

    Raises `StartupError`.
    """
    me = await _check_bot_token(web)
    if app_token is not None:
        await _check_app_token(web, app_token)
    missing = _missing_scopes(web.granted_scopes, SCOPES)
    channel, warnings = await _check_channel(web, channel, me)
    return Workspace(
        team=str(me.get("team", "")),
        team_id=str(me["team_id"]),
        enterprise_id=str(me.get("enterprise_id") or ""),
        bot_id=str(me.get("bot_id", "")),
        bot_user_id=str(me["user_id"]),
        bot_name=str(me.get("user", "")),
        channel=channel,
        warnings=(*missing, *warnings),
    )


async def _call_slack(web: SlackWeb, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Call `method`. `Refused` is raised only for a refusal that is about this very call."""
    try:
        return await web.call(method, params)
    except Doubt as doubt:
        problem = f"gave no usable answer to {method} ({doubt}): see https://slack-status.com"
    except Refused as refused:
        if refused.reason is Reason.UNREACHABLE:
            problem = "cannot be reached: check this machine's network, DNS and firewall"
        elif refused.reason is Reason.RATE_LIMITED:
            problem = f"limits {method}: start again in {refused.retry_after_s or 60:.0f} seconds"
        else:
            raise
    raise StartupError(f"Slack at {web.api_url} {problem}")


async def _check_bot_token(web: SlackWeb) -> Mapping[str, Any]:
    try:
        me = await _call_slack(web, "auth.test", {})
    except Refused as refused:
        raise StartupError(
            f"Slack refuses slack.bot_token / SLACK_BOT_TOKEN ({refused.code}): copy the"
            f" Bot User OAuth Token (xoxb-…) {_APP_SETTINGS} OAuth & Permissions"
        ) from None
    if "team_id" not in me or "user_id" not in me:
        raise StartupError(f"{web.api_url} does not answer as Slack does: check slack.api_url")
    return me


async def _check_app_token(web: SlackWeb, app_token: str) -> None:
    """Check the app token first: Slack's client would retry a refused one silently for ever."""
    try:
        await _call_slack(web, "apps.connections.open", {"token": app_token})
    except Refused as refused:
        if refused.code == "missing_scope":
            problem = "lacks the scope connections:write: make a new one with it"
        else:
            problem = f"is refused by Slack ({refused.code}): copy the one that starts with xapp-"
        raise StartupError(
            f"slack.app_token / SLACK_APP_TOKEN {problem} {_APP_SETTINGS} Basic Information,"
            " App-Level Tokens"
        ) from None


def _missing_scopes(granted: frozenset[str], wanted: dict[str, str]) -> list[str]:
    """Return a warning for each missing scope; none if Slack named no scopes at all.

    Raises `StartupError` if `chat:write` is missing.
    """
    missing = sorted(wanted.keys() - granted) if granted else []
    if "chat:write" in missing:
        raise StartupError(
            f"The bot lacks the scopes {', '.join(missing)}: paste manifest.yml {_APP_SETTINGS}"
            " App Manifest, then reinstall the app to the workspace"
        )
    return [f"The bot lacks the scope {scope}: {wanted[scope]}" for scope in missing]


async def _check_channel(
    web: SlackWeb, channel: str, me: Mapping[str, Any]
) -> tuple[str, list[str]]:
    """Return the channel's id, or `channel` where it cannot be looked up, and warnings."""
    try:
        if channel.startswith("#"):
            found = await _find_channel_by_name(web, channel)
        else:
            answer = await _call_slack(web, "conversations.info", {"channel": channel})
            found = answer["channel"]
    except Refused as refused:
        if refused.code != "channel_not_found":
            return channel, [f"slack.channel {channel} cannot be checked ({refused.code})"]
        raise StartupError(
            f"slack.channel / SLACK_CHANNEL {channel} is unknown to the bot in the workspace"
            f" {me.get('team')}: copy the id from the channel's details, and if it is private"
            f" type /invite @{me.get('user')} in it"
        ) from None
    if found.get("is_archived"):
        raise StartupError(f"slack.channel {channel} is archived: choose another")
    uninvited = not found.get("is_member", True)
    if uninvited and (found.get("is_private") or "chat:write.public" not in web.granted_scopes):
        raise StartupError(
            f"The bot is not in slack.channel {channel}: type /invite @{me.get('user')} in it"
        )
    return str(found.get("id", channel)), []


async def _find_channel_by_name(web: SlackWeb, channel: str) -> Mapping[str, Any]:
    """Search all channels that the bot can see, page by page."""
    cursor, name = "", channel.removeprefix("#").lower()
    while True:
        params = {"types": "public_channel,private_channel", "limit": 999, "cursor": cursor or None}
        page = await _call_slack(web, "conversations.list", params)
        for found in page.get("channels", []):
            if str(found.get("name", "")).lower() == name:
                return dict(found)
        cursor = str(page.get("response_metadata", {}).get("next_cursor", ""))
        if not cursor:
            raise refusal("channel_not_found")
