"""Asks Slack whether the tokens, the scopes and the channel are right."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.core.oncall import DM, NEXT
from bot.ports import CallFailed, Reason, Refused
from bot.slack.users import groups_with_rights
from bot.slack.web_api import PROXY_FAILURE, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.core.state.rules import Rules
    from bot.slack.web_api import SlackWeb

SCOPES = {
    "app_mentions:read": "@bot does not answer",
    "channels:read": "a public channel cannot be checked",
    "chat:write": "nothing can be posted",
    "commands": "/auth0-check does not answer",
    "groups:read": "a private channel cannot be checked",
    "im:history": "who writes to @bot alone gets no answer",
}
"""The scopes that manifest.yml requires, and what does not work without each."""
OPTIONAL_SCOPES = {
    "channels:history": "in a public channel, alerts may come twice if Slack's answer was lost",
    "chat:write.public": "the bot must be invited to each public channel",
    "dnd:read": "the bot does not notice that Do Not Disturb keeps a call from somebody",
    "groups:history": "the same as channels:history, in a private channel",
    "im:write": "nobody gets a direct message",
    "usergroups:read": "the user groups of `access` have no right",
    "users:read": "only people named in oncall or access may change anything, and clocks show UTC",
}
"""The scopes that manifest.yml offers, which only some configurations need."""

_APP_SETTINGS = "at https://api.slack.com/apps, your app,"


class SlackStatus(StrEnum):
    """Whether the bot can use Slack."""

    CONNECTING = "connecting"
    """Not yet, or not any more: Slack cannot be reached, or does not answer as it should."""
    CONNECTED = "connected"
    REFUSED = "refused"
    """Slack answers, and refuses what the bot cannot do without. A person has to mend that."""


class SlackProblem(Exception):  # noqa: N818 - says what it is
    """Slack cannot be used: one line that says what is wrong, where, and what to do.

    Args:
        line: the line, without a full stop.
        status: the status that follows from it.
        retry_after_s: how long Slack wants us to wait, in real seconds.
    """

    def __init__(
        self, line: str, status: SlackStatus = SlackStatus.REFUSED, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(line)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Workspace:
    """The workspace, and the bot's own account in it."""

    team: str
    team_id: str
    enterprise_id: str
    bot_id: str
    bot_user_id: str
    bot_name: str

    @property
    def workspaces(self) -> frozenset[str]:
        """The ids of the workspace and the organisation whose members the bot answers."""
        return frozenset({self.team_id, self.enterprise_id}) - {""}


def needed_scopes(rules: Rules) -> dict[str, str]:
    """Return the scopes that the configuration needs, with what does not work without each."""
    steps = {step.contact for policy in rules.policies.values() for step in policy.steps}
    is_used = {
        "dnd:read": bool(rules.mention or rules.on_call or rules.calendar_every_s),
        "im:write": bool(steps & {DM, NEXT}),
        "usergroups:read": bool(groups_with_rights(rules.access)),
        "users:read": True,
    }
    return SCOPES | {name: what for name, what in OPTIONAL_SCOPES.items() if is_used.get(name)}


def list_missing_scopes(granted: frozenset[str], rules: Rules) -> list[str]:
    """Return a warning for each scope that the configuration needs and the app lacks.

    None if Slack named no scopes at all.
    """
    wanted = needed_scopes(rules)
    missing = sorted(wanted.keys() - granted) if granted else []
    return [f"The bot lacks the scope {scope}: {wanted[scope]}" for scope in missing]


async def check_bot_token(web: SlackWeb) -> Workspace:
    """Return as whom Slack accepts the bot token. Raises `SlackProblem`."""
    try:
        me = await _call_slack(web, "auth.test", {})
    except Refused as refused:
        if refused.code == "token_expired":
            raise SlackProblem(
                "slack.bot_token / SLACK_BOT_TOKEN has expired (token rotation), and this bot does"
                " not renew it: make a new app from manifest.yml, as rotation cannot be switched"
                " off again"
            ) from None
        raise SlackProblem(
            f"Slack refuses slack.bot_token / SLACK_BOT_TOKEN ({refused.code}): copy the"
            f" Bot User OAuth Token (xoxb-…) {_APP_SETTINGS} OAuth & Permissions"
        ) from None
    if "team_id" not in me or "user_id" not in me:
        raise SlackProblem(f"{web.api_url} does not answer as Slack does: check slack.api_url")
    if web.granted_scopes and "chat:write" not in web.granted_scopes:
        missing = ", ".join(sorted(SCOPES.keys() - web.granted_scopes))
        raise SlackProblem(
            f"The bot lacks the scopes {missing}: paste manifest.yml {_APP_SETTINGS}"
            " App Manifest, then reinstall the app to the workspace"
        )
    return Workspace(
        team=str(me.get("team", "")),
        team_id=str(me["team_id"]),
        enterprise_id=str(me.get("enterprise_id") or ""),
        bot_id=str(me.get("bot_id", "")),
        bot_user_id=str(me["user_id"]),
        bot_name=str(me.get("user", "")),
    )


async def check_app_token(web: SlackWeb, app_token: str) -> None:
    """Check the token of Socket Mode, whose client would retry a refused one for ever.

    Raises `SlackProblem`.
    """
    try:
        await _call_slack(web, "apps.connections.open", {"token": app_token})
    except Refused as refused:
        if refused.code == "missing_scope":
            problem = "lacks the scope connections:write: make a new one with it"
        else:
            problem = f"is refused by Slack ({refused.code}): copy the one that starts with xapp-"
        raise SlackProblem(
            f"slack.app_token / SLACK_APP_TOKEN {problem} {_APP_SETTINGS} Basic Information,"
            " App-Level Tokens"
        ) from None


async def check_channel(web: SlackWeb, channel: str, setting: str, me: Workspace) -> str | None:
    """Return a channel's id, or None where it cannot be looked up. Raises `SlackProblem`.

    Args:
        web: asks Slack.
        channel: an id or a #name.
        setting: what names the channel in the configuration.
        me: the bot itself.
    """
    try:
        if channel.startswith("#"):
            found = await _find_channel_by_name(web, channel)
        else:
            found = (await _call_slack(web, "conversations.info", {"channel": channel}))["channel"]
    except Refused as refused:
        if refused.code != "channel_not_found":
            return None
        raise SlackProblem(
            f"{setting} {channel} is unknown to the bot in the workspace"
            f" {me.team}: copy the id from the channel's details, and if it is private"
            f" type /invite @{me.bot_name} in it"
        ) from None
    if found.get("is_archived"):
        raise SlackProblem(f"{setting} {channel} is archived: choose another")
    uninvited = not found.get("is_member", True)
    if uninvited and (found.get("is_private") or "chat:write.public" not in web.granted_scopes):
        raise SlackProblem(
            f"The bot is not in {setting} {channel}: type /invite @{me.bot_name} in it"
        )
    return str(found.get("id", channel))


async def _call_slack(web: SlackWeb, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Call `method`. `Refused` is raised only for a refusal that is about this very call."""
    retry_after_s = 0.0
    try:
        return await web.call(method, params)
    except CallFailed as failure:
        problem = f"gives no usable answer to {method} ({failure}): see https://slack-status.com"
        if isinstance(failure, Refused):
            retry_after_s = failure.retry_after_s or 0.0
            if failure.code.startswith(PROXY_FAILURE):
                said = failure.code.removeprefix(PROXY_FAILURE).replace("_", " ")
                problem = f"cannot be reached, the proxy {said}: check proxy.slack"
            elif failure.reason is Reason.UNREACHABLE:
                problem = "cannot be reached: check this machine's network, DNS and firewall"
            elif failure.reason is Reason.RATE_LIMITED:
                problem = f"limits {method}"
            elif failure.reason is Reason.REJECTED and not failure.code.startswith("http_"):
                raise
    line = f"Slack at {web.api_url} {problem}"
    raise SlackProblem(line, SlackStatus.CONNECTING, retry_after_s)


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
