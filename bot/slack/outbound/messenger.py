"""Says deliveries in Slack: which method, with what, and how a lost answer is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from bot.core.state.incident import MessageRef, TimelineKind
from bot.core.state.outbox import (
    Answer,
    Body,
    Delivery,
    DirectMessage,
    Edit,
    OverrideAnnouncement,
    Post,
    Reply,
    ReportDue,
    SilenceAnnouncement,
)
from bot.ports import SlackDoubt, SlackRefused
from bot.slack.render.answers import render_answer
from bot.slack.render.chart import fallback_blocks
from bot.slack.render.direct_and_pager import render_direct_message
from bot.slack.render.incident import render_incident as rendered_card
from bot.slack.render.report import render_report
from bot.slack.render.silences import render_override, render_silence_change
from bot.slack.render.text import RenderedMessage, mentions
from bot.slack.render.timeline import render_timeline_entry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.ports import View, WebApi

Answered = TypeVar("Answered")
EVENT_TYPE = "auth0_check"
METADATA_KEY = "k"
BLOCK_ERRORS = frozenset({"invalid_blocks", "msg_blocks_too_long", "msg_too_long"})
"""Slack would not show the blocks: the text alone says the same."""
RESPONSE_URL_LIFE_S = 1700.0
"""Slack takes answers at a response_url for 30 minutes (Handling user interaction, 2026-11)."""
HISTORY_LIMIT = 100
THREAD_LIMIT = 999
"""Messages looked through for a lost one: the newest of a channel, a whole thread."""


class SlackMessenger:
    """The `Messenger` port over Slack's Web API.

    Args:
        api: calls Slack.
        channel: where incidents are posted, an id or a #name.
        status_link: where the Check Auth0 Status button leads.
    """

    def __init__(self, api: WebApi, *, channel: str, status_link: str) -> None:
        self._api = api
        self._channel = channel
        self._status_link = status_link

    async def send(
        self, delivery: Delivery, view: View, card: MessageRef | None
    ) -> MessageRef | None:
        """Say it as the world is now; see the port."""
        body = delivery.body
        if isinstance(body, Answer):
            await self._send_answer(body, view)
            return None
        if isinstance(body, DirectMessage):
            await self._send_direct(body, view, card)
            return None
        message = _label_repeat(self._render(body, view), delivery)
        where = _destination(body, card, self._channel)
        method = "chat.update" if isinstance(body, Edit) else "chat.postMessage"
        params = {**where, "metadata": _metadata(delivery.key), **NO_UNFURL}
        said = await self._call_with_fallback(method, params, message)
        return (
            MessageRef(str(said["channel"]), str(said["ts"])) if method != "chat.update" else None
        )

    async def find(self, delivery: Delivery, card: MessageRef | None) -> MessageRef | None:
        """Look for a message that carries the delivery's key; see the port."""
        where = card.channel if card else self._channel
        params: dict[str, Any] = {
            "channel": where,
            "limit": HISTORY_LIMIT,
            "include_all_metadata": True,
        }
        method = "conversations.history"
        if isinstance(delivery.body, Reply) and card:
            method, params["ts"], params["limit"] = "conversations.replies", card.ts, THREAD_LIMIT
        found = await self._api.call(method, params)
        for message in found.get("messages", []):
            payload = message.get("metadata", {}).get("event_payload", {})
            if payload.get(METADATA_KEY) == delivery.key:
                return MessageRef(params["channel"], message["ts"])
        return None

    def _render(self, body: Body, view: View) -> RenderedMessage:
        if isinstance(body, SilenceAnnouncement):
            return render_silence_change(body.silence, view)
        if isinstance(body, OverrideAnnouncement):
            return render_override(body)
        if isinstance(body, ReportDue):
            return render_report(view, body.span_s)
        if not isinstance(body, Post | Edit | Reply):
            raise TypeError(f"{type(body).__name__} is no message of the channel")
        incident = view.desk.incidents[body.incident]
        if isinstance(body, Reply):
            return render_timeline_entry(body.entry, incident, view.now)
        mention = mentions(incident.mentioned) if isinstance(body, Post) else ""
        return rendered_card(incident, view, self._status_link, mention)

    async def get_permalink(self, card: MessageRef | None) -> str:
        """Return the address of an incident's message; empty where Slack does not tell it."""
        if card is None:
            return ""
        try:
            where = {"channel": card.channel, "message_ts": card.ts}
            found = await self._api.call("chat.getPermalink", where)
        except (SlackRefused, SlackDoubt):
            return ""
        return str(found["permalink"])

    async def _send_direct(self, body: DirectMessage, view: View, card: MessageRef | None) -> None:
        """Write to one person. Where that is not allowed it is refused, and the next step comes."""
        opened = await self._api.call("conversations.open", {"users": body.person})
        message = render_direct_message(
            view.desk.incidents[body.incident], view, await self.get_permalink(card)
        )
        await self._call_with_fallback(
            "chat.postMessage", {"channel": opened["channel"]["id"], **NO_UNFURL}, message
        )

    async def _call_with_fallback(
        self, method: str, params: dict[str, Any], message: RenderedMessage
    ) -> Mapping[str, Any]:
        return await _send_with_fallback(
            message, lambda content: self._api.call(method, {**params, **content})
        )

    async def _send_answer(self, said: Answer, view: View) -> None:
        """Answer by the response_url while it lives, else where it was asked."""
        request, message = said.request, render_answer(said, view)
        is_refused = said.result is not None and said.result.refused is not None
        is_shared = request.share and not is_refused  # a refusal names who may, and would call them
        if request.response_url and view.now - request.at < RESPONSE_URL_LIFE_S:
            kind = "in_channel" if is_shared else "ephemeral"
            params = {"response_type": kind, "replace_original": False}
            await _send_with_fallback(
                message,
                lambda content: self._api.respond(request.response_url, {**params, **content}),
            )
            return
        where = {"channel": request.channel}
        if request.thread_ts:
            where["thread_ts"] = request.thread_ts
        if is_shared or request.is_direct:
            await self._call_with_fallback("chat.postMessage", {**where, **NO_UNFURL}, message)
        else:
            await self._call_with_fallback(
                "chat.postEphemeral", {**where, "user": request.user}, message
            )


async def _send_with_fallback(
    message: RenderedMessage, send: Callable[[dict[str, Any]], Awaitable[Answered]]
) -> Answered:
    """Send it; where Slack does not take the blocks, with plainer ones, at last with none."""
    *richer, last = fallback_blocks(message.blocks)
    for blocks in richer:
        try:
            return await send({"text": message.text, "blocks": blocks})
        except SlackRefused as refusal:
            if refusal.error not in BLOCK_ERRORS:
                raise
    return await send({"text": message.text, "blocks": last})


BROADCAST_KINDS = frozenset({TimelineKind.MENTION, TimelineKind.PAGED})
"""Told in the channel as well: an edit notifies nobody, and a thread only who is in it."""
NO_UNFURL = {"unfurl_links": False, "unfurl_media": False}


def _destination(body: Body, card: MessageRef | None, channel: str) -> dict[str, Any]:
    if not isinstance(body, Edit | Reply):
        return {"channel": channel}
    if card is None:
        raise SlackRefused("message_not_found")
    if isinstance(body, Edit):
        return {"channel": card.channel, "ts": card.ts}
    is_loud = body.entry.kind in BROADCAST_KINDS and "dm" not in body.entry.contact_points
    return {"channel": card.channel, "thread_ts": card.ts, "reply_broadcast": is_loud}


def _metadata(key: str) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {METADATA_KEY: key}}


def _label_repeat(message: RenderedMessage, delivery: Delivery) -> RenderedMessage:
    """Say of a message that could not be looked for that it may be a double."""
    if not delivery.is_repeat:
        return message
    note = {
        "type": "mrkdwn",
        "text": "Possibly a double: Slack's answer to the first one was lost.",
    }
    block = {"type": "context", "elements": [note]}
    return RenderedMessage(f"(possible double) {message.text}", [*message.blocks, block])
