from __future__ import annotations

from typing import Any

import pytest

from bot.core.model.access import Access
from bot.core.model.observation import Severity
from bot.core.oncall import DM, EscalationPolicy, EscalationStep
from bot.core.state.rules import Rules
from bot.slack.checks import (
    OPTIONAL_SCOPES,
    SCOPES,
    SlackProblem,
    SlackStatus,
    Workspace,
    check_app_token,
    check_bot_token,
    check_channel,
    list_missing_scopes,
)
from bot.slack.web_api import SlackWeb
from tests.ports import find_free_port

ALL = frozenset({*SCOPES, *OPTIONAL_SCOPES})
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


async def check(slack: Any, api: SlackWeb, name: str = "C0LOGINS", **answers: Any) -> str | None:
    """Check both tokens and the channel, whose id is returned."""
    slack.answers |= {"auth.test": ME, "conversations.info": IN_CHANNEL}
    slack.answers |= {key.replace("_", "."): answer for key, answer in answers.items()}
    workspace = await check_bot_token(api)
    await check_app_token(api, "xapp-canary")
    return await check_channel(api, name, "slack.channel / SLACK_CHANNEL", workspace)


async def test_who_the_bot_is(slack: Any, api: SlackWeb) -> None:
    """The workspace comes from Slack's answer."""
    slack.answers["auth.test"] = me_with(granted())

    assert await check_bot_token(api) == Workspace(
        team="Acme", team_id="T1", enterprise_id="", bot_id="", bot_user_id="U0BOT", bot_name="b"
    )


async def test_a_channel_is_found_by_its_name(slack: Any, api: SlackWeb) -> None:
    """All pages of channels are searched for the name; the result is the channel's id."""
    pages = [
        {"ok": True, "channels": [{"id": "C1", "name": "a"}], "response_metadata": MORE},
        {"ok": True, "channels": [{"id": "C2", "name": "logins", "is_member": True}]},
    ]
    slack.answers["conversations.list"] = pages

    assert await check(slack, api, "#logins") == "C2"


async def test_a_channel_that_no_page_has_is_unknown(slack: Any, api: SlackWeb) -> None:
    """One line says so."""
    slack.answers["conversations.list"] = {"ok": True, "channels": [{"id": "C1", "name": "a"}]}

    with pytest.raises(SlackProblem, match="#logins is unknown to the bot"):
        await check(slack, api, "#logins")


@pytest.mark.parametrize(
    ("answers", "parts"),
    [
        ({"auth_test": refused("invalid_auth")}, ["SLACK_BOT_TOKEN", "xoxb-", "OAuth & Permiss"]),
        ({"auth_test": refused("account_inactive")}, ["SLACK_BOT_TOKEN", "account_inactive"]),
        ({"auth_test": refused("token_revoked")}, ["SLACK_BOT_TOKEN", "token_revoked"]),
        ({"auth_test": {"ok": True}}, ["slack.api_url"]),
        ({"auth_test": me_with(granted("chat:write"))}, ["chat:write", "manifest.yml", "reinst"]),
        ({"apps_connections_open": refused("invalid_auth")}, ["SLACK_APP_TOKEN", "xapp-"]),
        ({"apps_connections_open": refused("missing_scope")}, ["connections:write", "App-Level"]),
        ({"conversations_info": refused("channel_not_found")}, ["C0LOGINS", "Acme", "/invite @"]),
        ({"conversations_info": channel(is_archived=True)}, ["C0LOGINS", "archived"]),
        ({"conversations_info": channel(is_member=False)}, ["/invite @auth0-check"]),
    ],
)
async def test_refusals(
    slack: Any, api: SlackWeb, answers: dict[str, Any], parts: list[str]
) -> None:
    """What a person has to mend is one line with the setting and the remedy."""
    with pytest.raises(SlackProblem) as caught:
        await check(slack, api, **answers)

    line = str(caught.value)
    assert caught.value.status is SlackStatus.REFUSED
    assert [part for part in parts if part not in line] == []
    assert "\n" not in line
    assert "canary" not in line


@pytest.mark.parametrize(
    ("answer", "part", "wait_s"),
    [
        ((503, {}, b""), "no usable answer to auth.test (http_503): see https://slack-status", 0),
        ((200, {}, b"<html>"), "no usable answer", 0),
        ((403, {}, b"blocked by the proxy"), "no usable answer to auth.test (http_403)", 0),
        (refused("internal_error"), "no usable answer", 0),
        (refused("service_unavailable"), "no usable answer", 0),
        ((429, {"Retry-After": "9"}, b""), "limits auth.test", 9),
    ],
)
async def test_what_passes_by_itself(
    slack: Any, api: SlackWeb, answer: Any, part: str, wait_s: float
) -> None:
    """An outage of Slack, and its limits, are no refusal."""
    with pytest.raises(SlackProblem) as caught:
        await check(slack, api, auth_test=answer)

    assert part in str(caught.value)
    assert caught.value.status is SlackStatus.CONNECTING
    assert caught.value.retry_after_s == wait_s


async def test_unreachable() -> None:
    """If Slack cannot be reached, the error names its address."""
    api = SlackWeb("xoxb-canary", f"http://127.0.0.1:{find_free_port()}/api/")

    with pytest.raises(SlackProblem, match=r"127\.0\.0\.1:\d+/api/ cannot be reached") as caught:
        await check_bot_token(api)

    await api.close()
    assert caught.value.status is SlackStatus.CONNECTING


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("C0LOGINS", {"conversations_info": refused("missing_scope")}),
        ("C0LOGINS", {"conversations_info": refused("unknown_method")}),
        ("#logins", {"conversations_list": refused("missing_scope")}),
    ],
)
async def test_a_channel_that_cannot_be_looked_up(
    slack: Any, api: SlackWeb, name: str, answers: dict[str, Any]
) -> None:
    """Without the scope for that nothing is known about it, and nothing is wrong."""
    assert await check(slack, api, name, **answers) is None


@pytest.mark.parametrize(
    ("rules", "scopes", "lost"),
    [
        (Rules({}), ALL, []),
        (Rules({}), ALL - {"users:read"}, ["users:read"]),
        (Rules({}), ALL - {"commands"}, ["commands"]),
        (Rules({}), ALL - {"usergroups:read", "im:write"}, []),
        (Rules({}), frozenset(), []),
        (Rules({}, access=Access(silence=("S1",))), ALL - {"usergroups:read"}, ["usergroups:read"]),
        (Rules({}, policies={Severity.CRITICAL: CALLS}), ALL - {"im:write"}, ["im:write"]),
    ],
)
def test_missing_scopes(rules: Rules, scopes: frozenset[str], lost: list[str]) -> None:
    """A missing scope is a warning if the configuration uses it and Slack named scopes."""
    warnings = list_missing_scopes(scopes, rules)

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
        await check(slack, api, auth_test=me_with(headers), conversations_info=there)
    except SlackProblem as error:
        message = str(error)

    assert message.endswith("type /invite @b in it") is not may
