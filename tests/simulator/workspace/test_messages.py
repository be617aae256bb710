"""The Web API does what Slack does, and shows what Slack shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.simulator.workspace.model import Fate, Fault, FaultKind, Message, MessageKind

if TYPE_CHECKING:
    from tests.simulator.workspace.conftest import Bench

MESSAGE = {"channel": "C0ALERTS", "text": "hi"}
DIVIDER = [{"type": "divider"}]
META = {"event_type": "alert", "event_payload": {"k": "v"}}


def test_update_changes_in_place_and_keeps_the_rest(bench: Bench) -> None:
    """An edit has the same `ts`, is marked, and keeps metadata unless it has new metadata."""
    ts = bench.post(blocks=DIVIDER, metadata=META)

    body = bench.call("chat.update", channel=bench.channel, ts=ts, text="new", blocks=[])

    (message,) = bench.workspace.messages(bench.channel)
    assert (message.text, message.blocks, message.metadata) == ("new", [], META)
    assert (message.ts, body["text"], body["message"]["edited"]["user"]) == (ts, "new", "U0BOT")
    too_long = bench.call("chat.update", channel=bench.channel, ts=ts, text="x" * 4001)
    assert too_long["error"] == "msg_too_long"


def test_only_own_messages_can_be_changed(bench: Bench) -> None:
    """Not what a person wrote, nor what only one person sees."""
    state = bench.workspace.state
    said = state.put(
        state.channel("C0ALERTS"), MessageKind.POST, Message(state.next_ts(), "U1", "hello")
    )
    shown = bench.call("chat.postEphemeral", **MESSAGE, user="U1")["message_ts"]

    assert bench.call("chat.update", **MESSAGE, ts=said.ts)["error"] == "cant_update_message"
    assert bench.call("chat.update", **MESSAGE, ts=shown)["error"] == "message_not_found"
    delete = {"channel": "C0ALERTS", "ts": said.ts}
    assert bench.call("chat.delete", **delete)["error"] == "cant_delete_message"


def test_history_shows_what_everybody_sees(bench: Bench) -> None:
    """Newest first; no replies but broadcast ones, nothing ephemeral, metadata on request."""
    first = bench.post(metadata=META)
    bench.post(thread_ts=first)
    loud = bench.post(thread_ts=first, reply_broadcast="true")
    bench.call("chat.postEphemeral", **MESSAGE, user="U1")

    body = bench.call("conversations.history", channel="C0ALERTS", include_all_metadata=True)

    assert [m["ts"] for m in body["messages"]] == [loud, first]
    assert body["messages"][0]["subtype"] == "thread_broadcast"
    assert body["messages"][1]["metadata"] == META
    assert body["messages"][1]["reply_count"] == 2
    bare = bench.call("conversations.history", channel="C0ALERTS")["messages"]
    assert "metadata" not in bare[1]


def test_history_comes_in_pages_after_an_instant(bench: Bench) -> None:
    """`oldest` is left out, `limit` cuts, and the cursor goes on."""
    stamps = [bench.post() for _ in range(4)]
    ask = {"channel": "C0ALERTS", "oldest": stamps[0], "limit": "2"}

    page = bench.call("conversations.history", **ask)
    cursor = page["response_metadata"]["next_cursor"]
    rest = bench.call("conversations.history", **ask, cursor=cursor)

    assert [m["ts"] for m in page["messages"]] == [stamps[3], stamps[2]]
    assert ([m["ts"] for m in rest["messages"]], rest["has_more"]) == ([stamps[1]], False)


def test_replies_come_with_their_parent(bench: Bench) -> None:
    """A thread is its parent and the replies, oldest first; a reply's `ts` leads to the thread."""
    first = bench.post()
    second = bench.post(thread_ts=first)
    third = bench.post(thread_ts=second)

    body = bench.call("conversations.replies", channel="C0ALERTS", ts=first)

    assert [m["ts"] for m in body["messages"]] == [first, second, third]
    assert {m["thread_ts"] for m in body["messages"]} == {first}


def test_direct_messages(bench: Bench) -> None:
    """A post to a person opens a channel of its own, whose id the answer has."""
    opened = bench.call("conversations.open", users="U1")["channel"]["id"]
    body = bench.call("chat.postMessage", channel="U1", text="psst")

    assert body["channel"] == opened == "DU1"
    assert bench.call("conversations.open", users="U1")["already_open"]


def test_lookups(bench: Bench) -> None:
    """People, groups, channels and the bot itself can be looked up."""
    ts = bench.post()

    assert bench.call("auth.test")["bot_id"] == "B0LOCAL"
    assert bench.call("users.info", user="U1")["user"]["real_name"] == "Dana Reyes"
    assert bench.call("usergroups.list")["usergroups"][0]["handle"] == "oncall"
    assert bench.call("usergroups.users.list", usergroup="S1")["users"] == ["U1"]
    assert bench.call("conversations.info", channel="C0ALERTS")["channel"]["is_member"]
    link = bench.call("chat.getPermalink", channel="C0ALERTS", message_ts=ts)["permalink"]
    assert link.endswith(ts.replace(".", ""))


def test_a_trigger_opens_one_view_within_three_seconds(bench: Bench) -> None:
    """A trigger id is used up by its first use, and expires after 3 seconds."""
    title = {"type": "plain_text", "text": "Hi"}
    ask = {"view": {"type": "modal", "title": title, "blocks": DIVIDER}}
    grants = bench.workspace.state.grants
    used, late = grants.issue_trigger("U1"), grants.issue_trigger("U1")

    opened = bench.call("views.open", **ask, trigger_id=used)
    bench.at += 3.1

    assert opened["view"]["id"].startswith("V")
    assert bench.call("views.open", **ask, trigger_id=used)["error"] == "exchanged_trigger_id"
    assert bench.call("views.open", **ask, trigger_id=late)["error"] == "expired_trigger_id"
    assert bench.call("views.open", **ask, trigger_id="9")["error"] == "invalid_trigger_id"


def test_the_home_tab_is_guarded_by_its_hash(bench: Bench) -> None:
    """A view that is built on an older one than the current one is refused."""
    ask = {"user_id": "U1", "view": {"type": "home", "blocks": DIVIDER}}
    first = bench.call("views.publish", **ask)["view"]["hash"]

    assert bench.call("views.publish", **ask, hash=first)["ok"]
    assert bench.call("views.publish", **ask, hash=first)["error"] == "hash_conflict"


@pytest.mark.parametrize(
    ("kind", "status", "fate", "posts"),
    [
        (FaultKind.RATE_LIMITED, 429, Fate.ANSWERED, 0),
        (FaultKind.SERVER_ERROR, 500, Fate.ANSWERED, 0),
        (FaultKind.HTML, 503, Fate.ANSWERED, 0),
        (FaultKind.EMPTY, 200, Fate.ANSWERED, 0),
        (FaultKind.LOST, 200, Fate.LOST, 1),
        (FaultKind.CUT, 200, Fate.CUT, 0),
        (FaultKind.SLOW, 200, Fate.ANSWERED, 1),
    ],
)
def test_faults(bench: Bench, kind: FaultKind, status: int, fate: Fate, posts: int) -> None:
    """A fault decides what the bot gets, and whether Slack carries out the call."""
    bench.workspace.fault = lambda method: Fault(kind, 7) if method == "chat.postMessage" else None

    reply = bench.reply("chat.postMessage", **MESSAGE)

    assert (reply.status, reply.fate) == (status, fate)
    assert len(bench.workspace.messages("C0ALERTS")) == posts
    assert bench.call("auth.test")["ok"]


def test_listeners_get_everything_at_once(bench: Bench) -> None:
    """Posts, replies, edits, ephemeral and direct messages, and deletions, as they happen."""
    heard: list[tuple[str, MessageKind]] = []
    bench.workspace.on_message(lambda channel, kind, _message: heard.append((channel.id, kind)))

    ts = bench.post()
    bench.post(thread_ts=ts)
    bench.call("chat.update", **MESSAGE, ts=ts)
    bench.call("chat.postEphemeral", **MESSAGE, user="U1")
    bench.call("chat.postMessage", channel="U1", text="psst")
    bench.call("chat.delete", channel="C0ALERTS", ts=ts)

    kinds = [
        MessageKind.POST,
        MessageKind.REPLY,
        MessageKind.UPDATE,
        MessageKind.EPHEMERAL,
        MessageKind.DIRECT,
        MessageKind.DELETE,
    ]
    assert [kind for _, kind in heard] == kinds
    assert {channel for channel, kind in heard if kind is not MessageKind.DIRECT} == {"C0ALERTS"}


def test_blocks_without_ids_get_some(bench: Bench) -> None:
    """Slack names blocks and elements that the bot did not name."""
    text = {"type": "plain_text", "text": "Go"}
    bench.post(blocks=[{"type": "actions", "elements": [{"type": "button", "text": text}]}])

    (block,) = bench.workspace.messages("C0ALERTS")[0].blocks

    assert block["block_id"]
    assert block["elements"][0]["action_id"]
