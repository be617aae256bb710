"""Sends deliveries to Slack, and finds a message whose answer was lost."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bot.core.oncall import DM
from bot.core.state.incident import MessageRef
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
from bot.core.state.timeline import CorrectedEntry, MentionEntry, PagedEntry
from bot.ports import CallFailed
from bot.slack.outbound.answers import NO_UNFURL, send_answer, send_with_fallback
from bot.slack.render.direct_and_pager import render_direct_message
from bot.slack.render.incident import render_incident
from bot.slack.render.report import render_report
from bot.slack.render.silences import render_override, render_silence_change
from bot.slack.render.text import RenderedMessage, mentions
from bot.slack.render.timeline import render_timeline_entry
from bot.slack.web_api import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.ports import View, WebApi

EVENT_TYPE = "auth0_check"
METADATA_KEY = "k"
MAX_TENANTS = 100
"""Tenants named in a call's metadata. Slack has a limit for these that it does not document."""
PAGE_SIZE = 200
"""Slack recommends no more for one answer (Pagination, read 2026-11)."""
MAX_PAGES = 25
"""Of a busier channel we do not know whether it has the message."""
SEARCH_MARGIN_S = 3600.0
"""A channel is searched back to this long before the try: our clock may differ from Slack's."""


class SlackMessenger:
    """The `Messenger` port over Slack's Web API.

    Args:
        api: calls Slack.
        channel: where incidents are posted, an id or a #name.
        channel_ids: the ids of channels that are configured by name, as far as they are known.
        status_link: where the Check Auth0 Status button leads.
    """

    def __init__(
        self,
        api: WebApi,
        *,
        channel: str,
        channel_ids: Mapping[str, str] = MappingProxyType({}),
        status_link: str,
    ) -> None:
        self._api = api
        self._configured_channel = channel
        self._channel_ids = channel_ids
        self._status_link = status_link

    async def send(
        self, delivery: Delivery, view: View, message_ref: MessageRef | None
    ) -> MessageRef | None:
        """Render the delivery as things stand now and send it; see the port."""
        body = delivery.body
        if isinstance(body, Answer):
            await send_answer(self._api, body, view)
            return None
        metadata = {"event_type": EVENT_TYPE, "event_payload": _metadata(delivery, view)}
        if isinstance(body, DirectMessage):
            await self._send_direct(body, view, message_ref, metadata)
            return None
        message = _label_repeat(self._render(body, view), delivery)
        destination = _destination(body, message_ref, self._channel)
        params = {**destination, "metadata": metadata, **NO_UNFURL}
        if isinstance(body, Edit):
            await self._call_with_fallback("chat.update", params, message)
            return None
        sent = await self._call_with_fallback("chat.postMessage", params, message)
        return MessageRef(str(sent["channel"]), str(sent["ts"]))

    async def find(self, delivery: Delivery, message_ref: MessageRef | None) -> MessageRef | None:
        """Search for a message that carries the delivery's key; see the port."""
        channel = message_ref.channel if message_ref else self._channel
        params: dict[str, Any] = {
            "channel": channel,
            "limit": PAGE_SIZE,
            "include_all_metadata": True,
        }
        method = "conversations.history"
        if is_reply := isinstance(delivery.body, Reply) and message_ref is not None:
            method = "conversations.replies"
            params["ts"] = message_ref.ts
        for _ in range(MAX_PAGES):
            page = await self._api.call(method, params)
            messages = page.get("messages", [])
            for message in messages:
                payload = message.get("metadata", {}).get("event_payload", {})
                if payload.get(METADATA_KEY) == delivery.key:
                    return MessageRef(channel, message["ts"])
            params["cursor"] = page.get("response_metadata", {}).get("next_cursor")
            # A channel begins with its newest message, a thread with its oldest.
            is_before = (
                messages and float(messages[-1]["ts"]) < delivery.started_at - SEARCH_MARGIN_S
            )
            if not params["cursor"] or (is_before and not is_reply):
                return None
        raise refusal("too_many_messages")

    @property
    def _channel(self) -> str:
        """Return the channel's id, or its name until Slack has told the id."""
        return self._channel_ids.get(self._configured_channel, self._configured_channel)

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
        mention = mentions(incident.notification.mentioned) if isinstance(body, Post) else ""
        return render_incident(incident, view, self._status_link, mention)

    async def get_permalink(self, message_ref: MessageRef | None) -> str:
        """Return the address of an incident's message; empty if Slack does not give it."""
        if message_ref is None:
            return ""
        params = {"channel": message_ref.channel, "message_ts": message_ref.ts}
        try:
            found = await self._api.call("chat.getPermalink", params)
        except CallFailed:
            return ""
        return str(found["permalink"])

    async def _send_direct(
        self,
        body: DirectMessage,
        view: View,
        message_ref: MessageRef | None,
        metadata: Mapping[str, Any],
    ) -> None:
        """Write to one person. If Slack refuses that, the next step of the escalation follows."""
        opened = await self._api.call("conversations.open", {"users": body.person})
        permalink = await self.get_permalink(message_ref)
        message = render_direct_message(view.desk.incidents[body.incident], view, permalink)
        params = {"channel": opened["channel"]["id"], "metadata": metadata, **NO_UNFURL}
        await self._call_with_fallback("chat.postMessage", params, message)

    async def _call_with_fallback(
        self, method: str, params: dict[str, Any], message: RenderedMessage
    ) -> Mapping[str, Any]:
        return await send_with_fallback(
            message, lambda content: self._api.call(method, {**params, **content})
        )


def _metadata(delivery: Delivery, view: View) -> dict[str, Any]:
    """Return the key by which a search finds the message, and of a call what it is about."""
    payload: dict[str, Any] = {METADATA_KEY: delivery.key}
    if call := delivery.call:
        tenants = view.desk.incidents[call.incident].tenants[:MAX_TENANTS]
        reason = call.reason.value
        payload |= {"incident": call.incident, "tenants": list(tenants), "reason": reason}
    return payload


def _destination(body: Body, message_ref: MessageRef | None, channel: str) -> dict[str, Any]:
    if not isinstance(body, Edit | Reply):
        return {"channel": channel}
    if message_ref is None:
        raise refusal("message_not_found")
    if isinstance(body, Edit):
        return {"channel": message_ref.channel, "ts": message_ref.ts}
    # Shown in the channel as well: an edit notifies nobody, and a thread only who is in it.
    match body.entry:
        case MentionEntry() | CorrectedEntry():
            is_broadcast = True
        case PagedEntry(contact_points=contact_points):
            is_broadcast = DM not in contact_points
        case _:
            is_broadcast = False
    return {
        "channel": message_ref.channel,
        "thread_ts": message_ref.ts,
        "reply_broadcast": is_broadcast,
    }


def _label_repeat(message: RenderedMessage, delivery: Delivery) -> RenderedMessage:
    """Mark a message that may be a double: it is not known whether the first one arrived."""
    if not delivery.is_repeat or isinstance(delivery.body, Edit):
        return message
    text = "Possibly a double: I do not know whether the first one arrived."
    note = {"type": "mrkdwn", "text": text}
    block = {"type": "context", "elements": [note]}
    return RenderedMessage(f"(possible double) {message.text}", [*message.blocks, block])
