"""The Web API refuses what Slack refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.simulator.workspace.model import SCOPES, App, Channel

if TYPE_CHECKING:
    from tests.simulator.workspace.conftest import Bench


def channels() -> list[Channel]:
    return [
        Channel("C0ALERTS", "auth0-alerts"),
        Channel("C1", "public", is_member=False),
        Channel("C2", "old", is_archived=True),
        Channel("G1", "secret", is_private=True, is_member=False),
        Channel("G2", "private", is_private=True),
    ]


MESSAGE = {"channel": "C0ALERTS", "text": "hi"}
LONG = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2900}}] * 5

REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("chat.dance", {}, "unknown_method"),
    ("apps.connections.open", {}, "not_allowed_token_type"),
    ("chat.postMessage", {"text": "hi"}, "invalid_arguments"),
    ("chat.postMessage", {"channel": "C0ALERTS"}, "no_text"),
    ("chat.postMessage", {"channel": "C0ALERTS", "text": " "}, "no_text"),
    ("chat.postMessage", MESSAGE | {"channel": "C9"}, "channel_not_found"),
    ("chat.postMessage", MESSAGE | {"channel": "#nowhere"}, "channel_not_found"),
    ("chat.postMessage", MESSAGE | {"channel": "G1"}, "channel_not_found"),
    ("chat.postMessage", MESSAGE | {"channel": "C2"}, "is_archived"),
    ("chat.postMessage", MESSAGE | {"blocks": [{"type": "boom"}]}, "invalid_blocks"),
    ("chat.postMessage", MESSAGE | {"blocks": "[{"}, "invalid_blocks_format"),
    ("chat.postMessage", MESSAGE | {"blocks": LONG}, "msg_blocks_too_long"),
    ("chat.postMessage", MESSAGE | {"metadata": {"event_type": 1}}, "invalid_metadata_format"),
    ("chat.postMessage", MESSAGE | {"metadata": "{"}, "invalid_metadata_format"),
    (
        "chat.postMessage",
        MESSAGE | {"metadata": {"event_type": "a", "event_payload": {"k": "x" * 9000}}},
        "metadata_too_large",
    ),
    ("chat.postMessage", MESSAGE | {"thread_ts": "1.1"}, "cannot_reply_to_message"),
    ("chat.update", MESSAGE, "invalid_arguments"),
    ("chat.update", MESSAGE | {"ts": "1.1"}, "message_not_found"),
    ("chat.update", MESSAGE | {"ts": "1.1", "channel": "C2"}, "is_inactive"),
    ("chat.postEphemeral", MESSAGE | {"user": "U9"}, "user_not_in_channel"),
    ("chat.postEphemeral", MESSAGE | {"user": "U1", "text": "x" * 4001}, "msg_too_long"),
    ("chat.delete", {"channel": "C0ALERTS", "ts": "1.1"}, "message_not_found"),
    ("chat.getPermalink", {"channel": "C0ALERTS", "message_ts": "1.1"}, "message_not_found"),
    ("conversations.info", {"channel": "G1"}, "channel_not_found"),
    ("conversations.info", {"channel": "#auth0-alerts"}, "channel_not_found"),
    ("conversations.history", {"channel": "C1"}, "not_in_channel"),
    ("conversations.replies", {"channel": "C0ALERTS", "ts": "1.1"}, "thread_not_found"),
    ("conversations.open", {}, "users_list_not_supplied"),
    ("conversations.open", {"users": "U9"}, "user_not_found"),
    ("users.info", {"user": "U9"}, "user_not_found"),
    ("usergroups.users.list", {"usergroup": "S9"}, "no_such_subteam"),
    ("views.open", {"trigger_id": "x", "view": {}}, "invalid_arguments"),
    ("views.publish", {"user_id": "U1", "view": "{"}, "invalid_arguments"),
    ("api.test", {"error": "my_error"}, "my_error"),
]


@pytest.mark.parametrize(("method", "params", "error"), REFUSALS)
def test_refusals(furnish: type[Bench], method: str, params: dict[str, Any], error: str) -> None:
    """Each mistake gets `ok: false` with Slack's own error code, and nothing is posted."""
    bench = furnish(given={"channels": channels()})

    reply = bench.reply(method, **params)

    assert (reply.status, reply.body["ok"], reply.body["error"]) == (200, False, error)
    assert bench.workspace.messages("C0ALERTS") == []


def test_invalid_blocks_say_where(bench: Bench) -> None:
    """The problems come as `response_metadata.messages` with JSON pointers."""
    body = bench.call("chat.postMessage", **MESSAGE, blocks=[{"type": "boom"}])

    line = "[ERROR] unsupported type: boom [json-pointer:/blocks/0/type]"
    assert body["response_metadata"]["messages"] == [line]


@pytest.mark.parametrize(
    ("token", "error"),
    [("", "not_authed"), ("xoxb-other", "invalid_auth"), ("xapp-", "invalid_auth")],
)
def test_bad_tokens(bench: Bench, token: str, error: str) -> None:
    """A call without a token, or with one that is unknown, is refused."""
    assert bench.workspace.call("auth.test", token, {}).body["error"] == error


def test_the_app_token_opens_sockets_only(bench: Bench) -> None:
    """The token for sockets is refused everywhere else."""
    token = bench.app.app_token

    assert bench.workspace.call("apps.connections.open", token, {}).body["url"].startswith("ws")
    refused = bench.workspace.call("chat.postMessage", token, MESSAGE)
    assert refused.body["error"] == "not_allowed_token_type"


@pytest.mark.parametrize(
    ("method", "params", "needed"),
    [
        ("chat.postMessage", MESSAGE, "chat:write"),
        ("conversations.history", {"channel": "C0ALERTS"}, "channels:history"),
        ("conversations.history", {"channel": "G2"}, "groups:history"),
        ("conversations.info", {"channel": "G2"}, "groups:read"),
        ("conversations.open", {"users": "U1"}, "im:write"),
        ("users.info", {"user": "U1"}, "users:read"),
        ("dnd.info", {"user": "U1"}, "dnd:read"),
        ("usergroups.list", {}, "usergroups:read"),
    ],
)
def test_a_missing_scope_is_named(
    furnish: type[Bench], method: str, params: dict[str, Any], needed: str
) -> None:
    """The answer names the needed and the given scopes."""
    app = App(scopes=frozenset({"commands"}))

    body = furnish(given={"app": app, "channels": channels()}).call(method, **params)

    assert (body["error"], body["needed"], body["provided"]) == (
        "missing_scope",
        needed,
        "commands",
    )


def test_public_channels_need_an_invitation_or_a_scope(furnish: type[Bench]) -> None:
    """`chat:write.public` lets a bot post uninvited, in public channels only."""
    without = App(scopes=SCOPES - {"chat:write.public"})
    post = MESSAGE | {"channel": "#general"}

    assert furnish().call("chat.postMessage", **post)["ok"]
    assert (
        furnish(given={"app": without}).call("chat.postMessage", **post)["error"]
        == "not_in_channel"
    )


def test_posts_are_one_a_second_with_a_short_burst(bench: Bench) -> None:
    """The sixth post at once waits a second; another channel does not."""
    for _ in range(5):
        bench.post()

    refused = bench.reply("chat.postMessage", **MESSAGE)

    assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert refused.body == {"ok": False, "error": "ratelimited"}
    bench.post(channel="C0GENERAL")
    bench.at += 1
    bench.post()
    assert bench.reply("chat.postMessage", **MESSAGE).status == 429


def test_a_channels_name_does_not_evade_its_limit(bench: Bench) -> None:
    """Posts by id and by name count together."""
    for name in ("C0ALERTS", "#auth0-alerts", "auth0-alerts", "C0ALERTS", "#auth0-alerts"):
        bench.post(channel=name)

    assert bench.reply("chat.postMessage", **MESSAGE).status == 429


def test_updates_are_limited_to_tier_3(bench: Bench) -> None:
    """Fifty edits a minute, then 429."""
    ts = bench.post()
    statuses = [bench.reply("chat.update", **MESSAGE, ts=ts).status for _ in range(51)]

    assert statuses == [200] * 50 + [429]
