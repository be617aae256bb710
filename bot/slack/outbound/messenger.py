"""Sends deliveries to Slack, and finds a message whose answer was lost."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bot.core.alerting.deliveries import people_of
from bot.core.alerting.paging import PERSON_ID_PREFIXES
from bot.core.oncall import DM
from bot.core.state.incident import MessageRef
from bot.core.state.outbox import (
    Answer,
    Body,
    CatchUp,
    CrossPost,
    Delivery,
    DirectBody,
    DirectEdit,
    Edit,
    Greeting,
    NobodyReached,
    OverrideAnnouncement,
    Post,
    Reply,
    ReportDue,
    SilenceAnnouncement,
)
from bot.core.state.timeline import (
    CorrectedEntry,
    DirectEntry,
    MentionEntry,
    NotifyingEntry,
    PagedEntry,
)
from bot.ports import CallFailed, Reason, Refused
from bot.slack.outbound.answers import NO_UNFURL, send_answer
from bot.slack.outbound.own_messages import (
    EVENT_TYPE,
    MAX_PAGES,
    METADATA_KEY,
    OPEN_KEY,
    SEARCH_MARGIN_S,
    payload_of,
    read_pages,
)
from bot.slack.render.direct_and_pager import render_direct_message
from bot.slack.render.incident import render_incident, render_pointer
from bot.slack.render.incident_line import render_catch_up
from bot.slack.render.info import render_greeting
from bot.slack.render.report import render_report
from bot.slack.render.silences import render_override, render_silence_change
from bot.slack.render.text import RenderedMessage, mentions
from bot.slack.render.timeline import IN_DND, USER_INACTIVE, USER_NOT_FOUND, render_timeline_entry
from bot.slack.web_api import SYSTEM, refusal, send_with_fallback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.ports import View, WebApi

log = logging.getLogger(__name__)

CHANNEL_ERRORS = frozenset({"channel_not_found", "is_archived", "not_in_channel"})
"""Nothing can be posted to this channel any more."""
LOOKUP_LIMIT_S = 3.0
"""Real seconds to ask about all people of a call, whether they hear it."""
MAX_TENANTS = 100
"""Tenants named in a call's metadata. Slack has a limit for these that it does not document."""


class SlackMessenger:
    """The `Messenger` port over Slack's Web API.

    Args:
        api: calls Slack.
        channel: the default channel, an id or a #name.
        channel_ids: the ids of channels that are configured by name, as far as they are known.
        status_link: where the Check Auth0 Status button leads.
        broadcasts_calls: whether replies that call people are shown in the channel as well.
    """

    def __init__(
        self,
        api: WebApi,
        *,
        channel: str,
        channel_ids: Mapping[str, str] = MappingProxyType({}),
        status_link: str,
        broadcasts_calls: bool = True,
    ) -> None:
        self._api = api
        self._default_channel = channel
        self._channel_ids = channel_ids
        self._status_link = status_link
        self._broadcasts_calls = broadcasts_calls

    async def send(
        self, delivery: Delivery, view: View, message_ref: MessageRef | None
    ) -> MessageRef | None:
        """Render the delivery as things stand now and send it; see the port."""
        body = delivery.body
        if isinstance(body, Answer):
            await send_answer(self._api, body, view)
            return None
        metadata = {"event_type": EVENT_TYPE, "event_payload": _metadata(delivery, view)}
        if isinstance(body, DirectBody):
            return await self._send_direct(body, view, message_ref, metadata)
        message = _label_repeat(await self._render(delivery, view, message_ref), delivery)
        params = {"metadata": metadata, **NO_UNFURL}
        if isinstance(body, Edit | Reply):
            params |= self._destination(delivery, body, message_ref)
        else:
            params["channel"] = self._channel_of(body)
        method = "chat.update" if isinstance(body, Edit) else "chat.postMessage"
        try:
            sent = await self._call_with_fallback(method, params, message)
        except Refused as refused:
            default = self._id_of(self._default_channel)
            if refused.code not in CHANNEL_ERRORS or params["channel"] == default:
                raise
            log.warning("cannot post to %s: %s", params["channel"], refused.code)
            if isinstance(body, Edit | Reply):  # the message is then posted again
                raise Refused(refused.system, Reason.MESSAGE_LOST, refused.code) from None
            if isinstance(body, CrossPost):
                return None
            sent = await self._call_with_fallback(method, {**params, "channel": default}, message)
        return None if isinstance(body, Edit) else MessageRef(sent["channel"], sent["ts"])

    async def find(self, delivery: Delivery, message_ref: MessageRef | None) -> MessageRef | None:
        """Search for a message that carries the delivery's key; see the port."""
        is_reply = isinstance(delivery.body, Reply) and not _is_group_call(delivery)
        thread = message_ref if is_reply else None
        own = message_ref.channel if message_ref and isinstance(delivery.body, Reply) else ""
        channel = own or self._channel_of(delivery.body)
        if channel.startswith("#"):  # Slack searches no channel by its name
            raise Refused(SYSTEM, Reason.UNAVAILABLE, "channel_id_unknown")
        oldest = delivery.created_at - SEARCH_MARGIN_S
        async for number, messages in read_pages(self._api, channel, thread):
            for message in messages:
                if payload_of(message).get(METADATA_KEY) == delivery.key:
                    return MessageRef(channel, message["ts"])
            # A channel begins with its newest message, a thread with its oldest.
            if not thread and messages and float(messages[-1]["ts"]) < oldest:
                return None
            if number == MAX_PAGES:
                raise refusal("too_many_messages")
        return None

    async def find_unreached(self, names: tuple[str, ...], now: float) -> dict[str, str]:
        """Return which people Slack notifies of nothing now, and why. Never raises.

        Whatever Slack answers, the call was sent: a failure here must not repeat it.
        """
        people = [name for name in names if name[:1] in PERSON_ID_PREFIXES]
        asked = (_find_why_unreached(self._api, person, now) for person in people)
        try:
            async with asyncio.timeout(LOOKUP_LIMIT_S):
                found = await asyncio.gather(*asked)
        except TimeoutError:
            return {}
        return {person: why for person, why in zip(people, found, strict=True) if why}

    def _destination(
        self, delivery: Delivery, body: Edit | Reply, message_ref: MessageRef | None
    ) -> dict[str, Any]:
        if message_ref is None:
            raise refusal("message_not_found")
        if isinstance(body, Edit):
            return {"channel": message_ref.channel, "ts": message_ref.ts}
        if _is_group_call(delivery):
            return {"channel": message_ref.channel}
        # Shown in the channel as well: an edit notifies nobody, and a thread only who is in it.
        match body.entry:
            case CorrectedEntry():
                is_broadcast = True
            case MentionEntry():
                is_broadcast = self._broadcasts_calls and delivery.call is not None
            case PagedEntry(contact_points=contact_points):
                is_call = delivery.call is not None or bool({*contact_points} - {DM})
                is_broadcast = self._broadcasts_calls and is_call
            case _:
                is_broadcast = False
        return {
            "channel": message_ref.channel,
            "thread_ts": message_ref.ts,
            "reply_broadcast": is_broadcast,
        }

    def _channel_of(self, body: Body) -> str:
        match body:
            case (
                Post(channel=own)
                | SilenceAnnouncement(channel=own)
                | CrossPost(channel=own)
                | NobodyReached(channel=own)
                | CatchUp(channel=own)
                | Greeting(channel=own)
            ):
                return self._id_of(own or self._default_channel)
            case _:
                return self._id_of(self._default_channel)

    def _id_of(self, channel: str) -> str:
        """Return a channel's id, or its name until Slack has told the id."""
        return self._channel_ids.get(channel, channel)

    async def _render(
        self, delivery: Delivery, view: View, message_ref: MessageRef | None
    ) -> RenderedMessage:
        body = delivery.body
        if not isinstance(body, Post | Edit | Reply | CrossPost | NobodyReached):
            return _render_for_channel(body, view)
        incident = view.desk.incidents[body.incident]
        if isinstance(body, CrossPost | NobodyReached):
            return render_pointer(body, incident, view, await self.get_permalink(message_ref))
        if isinstance(body, Reply):
            is_call = _is_group_call(delivery)
            permalink = await self.get_permalink(message_ref) if is_call else None
            return render_timeline_entry(body.entry, incident, view, permalink)
        people = people_of(delivery, incident)
        return render_incident(incident, view, self._status_link, mentions(people))

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
        body: DirectBody,
        view: View,
        message_ref: MessageRef | None,
        metadata: Mapping[str, Any],
    ) -> MessageRef:
        """Write to one person, or update what was written; returns where it is.

        If Slack refuses a message, the next step of the escalation follows.
        """
        params: dict[str, Any] = {"metadata": metadata, **NO_UNFURL}
        if isinstance(body, DirectEdit):
            method = "chat.update"
            params |= {"channel": body.message.channel, "ts": body.message.ts}
        else:
            method = "chat.postMessage"
            opened = await self._api.call("conversations.open", {"users": body.person})
            params["channel"] = opened["channel"]["id"]
        permalink = await self.get_permalink(message_ref)
        incident = view.desk.incidents[body.incident]
        entry = body.entry if isinstance(body, DirectEntry) else None
        message = render_direct_message(incident, view, permalink, entry)
        sent = await self._call_with_fallback(method, params, message)
        return MessageRef(params["channel"], sent["ts"])

    async def _call_with_fallback(
        self, method: str, params: dict[str, Any], message: RenderedMessage
    ) -> Mapping[str, Any]:
        return await send_with_fallback(
            message, lambda content: self._api.call(method, {**params, **content})
        )


def _metadata(delivery: Delivery, view: View) -> dict[str, Any]:
    """Return the key by which a search finds the message, and of a call what it is about."""
    payload: dict[str, Any] = {METADATA_KEY: delivery.key}
    if isinstance(delivery.body, Post | Edit):
        payload[OPEN_KEY] = view.desk.incidents[delivery.body.incident].is_open
    if call := delivery.call:
        tenants = view.desk.incidents[call.incident].tenants[:MAX_TENANTS]
        reason = call.reason.value
        payload |= {"incident": call.incident, "tenants": list(tenants), "reason": reason}
    return payload


def _render_for_channel(body: Body, view: View) -> RenderedMessage:
    match body:
        case SilenceAnnouncement(silence=silence):
            return render_silence_change(silence, view)
        case OverrideAnnouncement():
            return render_override(body)
        case ReportDue(span_s=span_s):
            return render_report(view, span_s)
        case CatchUp(incidents=numbers):
            return render_catch_up(numbers, view)
        case Greeting():
            return render_greeting(body)
        case _:
            raise TypeError(f"{type(body).__name__} is no message of a channel")


def _is_group_call(delivery: Delivery) -> bool:
    """Tell whether a call mentions others than single people: it is no reply.

    It is not known whether a reply notifies a user group, or `@here`.
    """
    entry = delivery.body.entry if isinstance(delivery.body, Reply) else None
    if not delivery.call or not isinstance(entry, NotifyingEntry):
        return False
    return any(name[:1] not in PERSON_ID_PREFIXES for name in entry.mentioned)


def _label_repeat(message: RenderedMessage, delivery: Delivery) -> RenderedMessage:
    """Mark a message that may be a double: it is not known whether the first one arrived."""
    if not delivery.is_repeat or isinstance(delivery.body, Edit):
        return message
    text = "Possibly a double: I do not know whether the first one arrived."
    note = {"type": "mrkdwn", "text": text}
    block = {"type": "context", "elements": [note]}
    return RenderedMessage(f"(possible double) {message.text}", [*message.blocks, block])


async def _find_why_unreached(api: WebApi, person: str, now: float) -> str:
    """Return a code; empty as well where Slack does not tell, as without a scope."""
    with suppress(CallFailed, LookupError, TypeError):
        try:
            if (await api.call("users.info", {"user": person}))["user"]["deleted"]:
                return USER_INACTIVE
        except (Refused, LookupError) as error:
            if isinstance(error, Refused) and error.code == USER_NOT_FOUND:
                return error.code
        dnd = await api.call("dnd.info", {"user": person})
        span = dnd["next_dnd_start_ts"], dnd["next_dnd_end_ts"]
        return IN_DND if dnd["dnd_enabled"] and span[0] <= now < span[1] else ""
    return ""
