"""Says deliveries in Slack: which method, with what, and how a lost answer is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.incident import Card, EntryKind
from bot.core.outbox import Answer, Delivery, Edit, Post, Reply
from bot.ports import SlackRefused
from bot.slack.answers import answer
from bot.slack.card import card as rendered_card
from bot.slack.rendered import Rendered
from bot.slack.thread import timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.ports import View, WebApi

EVENT_TYPE = "auth0_check"
KEY = "k"
TOO_MUCH = frozenset({"invalid_blocks", "msg_blocks_too_long", "msg_too_long"})
"""Slack would not show the blocks: the text alone says the same."""
RESPONSE_URL_LIFE_S = 1700.0
"""Slack takes answers at a response_url for 30 minutes (Handling user interaction, 2026-11)."""
HISTORY = 100
THREAD = 999
"""Messages looked through for a lost one: the newest of a channel, a whole thread."""


class SlackMessenger:
    """The `Messenger` port over Slack's Web API.

    Args:
        api: calls Slack.
        channel: where incidents are posted, an id or a #name.
        mention: ready-made mark-up that mentions people, or empty.
        status_link: where the Check Auth0 Status button leads.
    """

    def __init__(self, api: WebApi, *, channel: str, mention: str, status_link: str) -> None:
        self._api = api
        self._channel = channel
        self._mention = mention
        self._status_link = status_link

    async def send(self, delivery: Delivery, view: View, card: Card | None) -> Card | None:
        """Say it as the world is now; see the port."""
        body = delivery.body
        if isinstance(body, Answer):
            await self._answer(body, view)
            return None
        message = _labelled(self._rendered(body, view), delivery)
        where = _where(body, card, self._channel)
        method = "chat.update" if isinstance(body, Edit) else "chat.postMessage"
        params = {**where, "metadata": _metadata(delivery.key), **QUIET}
        said = await self._call(method, params, message)
        return Card(str(said["channel"]), str(said["ts"])) if method != "chat.update" else None

    async def find(self, delivery: Delivery, card: Card | None) -> Card | None:
        """Look for a message that carries the delivery's key; see the port."""
        where = card.channel if card else self._channel
        params: dict[str, Any] = {"channel": where, "limit": HISTORY, "include_all_metadata": True}
        method = "conversations.history"
        if isinstance(delivery.body, Reply) and card:
            method, params["ts"], params["limit"] = "conversations.replies", card.ts, THREAD
        found = await self._api.call(method, params)
        for message in found.get("messages", []):
            payload = message.get("metadata", {}).get("event_payload", {})
            if payload.get(KEY) == delivery.key:
                return Card(params["channel"], message["ts"])
        return None

    def _rendered(self, body: Post | Edit | Reply, view: View) -> Rendered:
        incident = view.desk.incidents[body.incident]
        if isinstance(body, Reply):
            mention = self._mention if body.entry.kind is EntryKind.MENTION else ""
            return timeline(body.entry, incident, view.now, mention)
        mention = self._mention if incident.with_mention else ""
        return rendered_card(incident, view, self._status_link, mention)

    async def _call(
        self, method: str, params: dict[str, Any], message: Rendered
    ) -> Mapping[str, Any]:
        try:
            return await self._api.call(
                method, {**params, "text": message.text, "blocks": message.blocks}
            )
        except SlackRefused as refusal:
            if refusal.error not in TOO_MUCH:
                raise
            return await self._api.call(method, {**params, "text": message.text, "blocks": []})

    async def _answer(self, said: Answer, view: View) -> None:
        """Answer by the response_url while it lives, else in the channel."""
        request, message = said.request, answer(said, view)
        content = {"text": message.text, "blocks": message.blocks}
        if request.response_url and view.now - request.at < RESPONSE_URL_LIFE_S:
            kind = "in_channel" if request.share else "ephemeral"
            params = {"response_type": kind, "replace_original": False, **content}
            await self._api.respond(request.response_url, params)
        elif request.share:
            params = {"channel": request.channel, **content, **QUIET}
            await self._api.call("chat.postMessage", params)
        else:
            params = {"channel": request.channel, "user": request.user, **content}
            await self._api.call("chat.postEphemeral", params)


QUIET = {"unfurl_links": False, "unfurl_media": False}


def _where(body: Post | Edit | Reply, card: Card | None, channel: str) -> dict[str, Any]:
    if isinstance(body, Post):
        return {"channel": channel}
    if card is None:
        raise SlackRefused("message_not_found")
    if isinstance(body, Edit):
        return {"channel": card.channel, "ts": card.ts}
    is_loud = body.entry.kind is EntryKind.MENTION
    return {"channel": card.channel, "thread_ts": card.ts, "reply_broadcast": is_loud}


def _metadata(key: str) -> dict[str, Any]:
    return {"event_type": EVENT_TYPE, "event_payload": {KEY: key}}


def _labelled(message: Rendered, delivery: Delivery) -> Rendered:
    """Say of a message that could not be looked for that it may be a double."""
    if not delivery.is_repeat:
        return message
    note = {
        "type": "mrkdwn",
        "text": "Possibly a double: Slack's answer to the first one was lost.",
    }
    block = {"type": "context", "elements": [note]}
    return Rendered(f"(possible double) {message.text}", [*message.blocks, block])
