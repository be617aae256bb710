from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import unused_port

from bot.core.model.access import Access
from bot.core.model.observation import Severity
from bot.core.oncall import DM, EscalationPolicy, EscalationStep
from bot.core.state.rules import Rules
from bot.slack.startup import SCOPES, StartupError, Workspace, check_workspace, list_missing_scopes
from bot.slack.web_api import SlackWeb

CALLS = EscalationPolicy((EscalationStep(300.0, DM),))
ME = {
    "ok": True,
    "team": "Acme",
    "team_id": "T1",
    "user": "auth0-check",
    "user_id": "U0BOT",
    "bot_id": "B1",
}
IN_CHANNEL = {"ok": True, "channel": {"id": "C0LOGINS", "is_member": True, "is_archived": False}}


def refused(error: str) -> dict[str, Any]:
    return {"ok": False, "error": error}


def granted(*missing: str, more: str = "") -> dict[str, str]:
    scopes = ",".join([*sorted(SCOPES.keys() - set(missing)), more])
    return {"Content-Type": "application/json", "X-OAuth-Scopes": scopes}


def me_with(headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
    return 200, headers, b'{"ok":true,"team":"Acme","team_id":"T1","user":"b","user_id":"U0BOT"}'


MORE = {"next_cursor": "page-2"}


def channel(**facts: bool) -> dict[str, Any]:
    return {"ok": True, "channel": {"id": "C0LOGINS", **facts}}


async def start(slack: Any, api: SlackWeb, name: str = "C0LOGINS", **answers: Any) -> Workspace:
    slack.answers |= {"auth.test": ME, "conversations.info": IN_CHANNEL}
    slack.answers |= {key.replace("_", "."): answer for key, answer in answers.items()}
    return await check_workspace(api, channel=name, app_token="xapp-canary")


async def test_all_well(slack: Any, api: SlackWeb) -> None:
    """The workspace comes from Slack's answer, without any warning."""
    assert await start(slack, api, auth_test=me_with(granted())) == Workspace(
        team="Acme",
        team_id="T1",
        enterprise_id="",
        bot_id="",
        bot_user_id="U0BOT",
        bot_name="b",
        channel="C0LOGINS",
    )


async def test_a_channel_is_found_by_its_name(slack: Any, api: SlackWeb) -> None:
    """All pages of channels are searched for the name; the result is the channel's id."""
    pages = [
        {"ok": True, "channels": [{"id": "C1", "name": "a"}], "response_metadata": MORE},
        {"ok": True, "channels": [{"id": "C2", "name": "logins", "is_member": True}]},
    ]
    slack.answers["conversations.list"] = pages

    assert (await start(slack, api, "#logins")).channel == "C2"


async def test_a_channel_that_no_page_has_is_unknown(slack: Any, api: SlackWeb) -> None:
    """The start fails with one line that says so."""
    slack.answers["conversations.list"] = {"ok": True, "channels": [{"id": "C1", "name": "a"}]}

    with pytest.raises(StartupError, match="#logins is unknown to the bot"):
        await start(slack, api, "#logins")


async def test_http_mode(slack: Any, api: SlackWeb) -> None:
    """Without an app token the start does not ask for a Socket Mode connection."""
    slack.answers |= {"auth.test": ME, "conversations.info": IN_CHANNEL}

    await check_workspace(api, channel="C0LOGINS", app_token=None)

    assert [method for method, _, _ in slack.calls] == ["auth.test", "conversations.info"]


@pytest.mark.parametrize(
    ("answers", "parts"),
    [
        ({"auth_test": refused("invalid_auth")}, ["SLACK_BOT_TOKEN", "xoxb-", "OAuth & Permiss"]),
        ({"auth_test": refused("account_inactive")}, ["SLACK_BOT_TOKEN", "account_inactive"]),
        ({"auth_test": (503, {}, b"")}, ["no usable answer", "slack-status.com", "http_503"]),
        ({"auth_test": (200, {}, b"<html>")}, ["no usable answer"]),
        ({"auth_test": {"ok": True}}, ["slack.api_url"]),
        ({"auth_test": (429, {"Retry-After": "9"}, b"")}, ["again in 9 seconds"]),
        ({"auth_test": me_with(granted("chat:write"))}, ["chat:write", "manifest.yml", "reinst"]),
        ({"apps_connections_open": refused("invalid_auth")}, ["SLACK_APP_TOKEN", "xapp-"]),
        ({"apps_connections_open": refused("missing_scope")}, ["connections:write", "App-Level"]),
        ({"conversations_info": refused("channel_not_found")}, ["C0LOGINS", "Acme", "/invite @"]),
        ({"conversations_info": channel(is_archived=True)}, ["C0LOGINS", "archived"]),
        ({"conversations_info": channel(is_member=False)}, ["/invite @auth0-check"]),
    ],
)
async def test_errors(slack: Any, api: SlackWeb, answers: dict[str, Any], parts: list[str]) -> None:
    """An error at the start is one line with the setting and the remedy."""
    with pytest.raises(StartupError) as caught:
        await start(slack, api, **answers)

    line = str(caught.value)
    assert [part for part in parts if part not in line] == []
    assert "\n" not in line
    assert "canary" not in line


async def test_unreachable() -> None:
    """If Slack cannot be reached, the error names its address."""
    api = SlackWeb("xoxb-canary", f"http://127.0.0.1:{unused_port()}/api/")

    with pytest.raises(StartupError, match=r"http://127\.0\.0\.1:\d+/api/ cannot be reached"):
        await check_workspace(api, channel="C0LOGINS", app_token=None)

    await api.close()


@pytest.mark.parametrize(
    ("name", "answers", "warning"),
    [
        ("C0LOGINS", {"conversations_info": refused("missing_scope")}, "missing_scope"),
        ("C0LOGINS", {"conversations_info": refused("unknown_method")}, "unknown_method"),
        ("#logins", {"conversations_list": refused("missing_scope")}, "#logins cannot be checked"),
        ("C0LOGINS", {"auth_test": me_with(granted("commands"))}, "/auth0-check does not answer"),
    ],
)
async def test_warned(
    slack: Any, api: SlackWeb, name: str, answers: dict[str, Any], warning: str
) -> None:
    """If something cannot be checked, or alerts do not need it, there is only a warning."""
    (message,) = (await start(slack, api, name, **answers)).warnings

    assert warning in message


@pytest.mark.parametrize(
    ("rules", "scopes", "lost"),
    [
        (Rules({}), ["users:read"], []),
        (Rules({}), ["commands"], ["users:read"]),
        (Rules({}), [], []),
        (Rules({}, access=Access(silence=("S1",))), ["users:read"], ["usergroups:read"]),
        (Rules({}, policies={Severity.CRITICAL: CALLS}), ["users:read"], ["im:write"]),
    ],
)
def test_missing_optional_scopes(rules: Rules, scopes: list[str], lost: list[str]) -> None:
    """A missing optional scope is a warning if the configuration uses it and Slack named scopes."""
    warnings = list_missing_scopes(frozenset(scopes), rules)

    assert [line.split(": ")[0] for line in warnings] == [
        f"The bot lacks the scope {scope}" for scope in lost
    ]


@pytest.mark.parametrize(("is_private", "may"), [(False, True), (True, False)])
async def test_uninvited(slack: Any, api: SlackWeb, *, is_private: bool, may: bool) -> None:
    """With chat:write.public the bot may post uninvited, but not in a private channel."""
    headers = granted(more="chat:write.public")
    there = channel(is_member=False, is_private=is_private)
    message = ""

    try:
        await start(slack, api, auth_test=me_with(headers), conversations_info=there)
    except StartupError as error:
        message = str(error)

    assert message.endswith("type /invite @b in it") is not may
