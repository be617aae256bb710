"""Finds the bot's own messages again: deleted ones, copies, and those that nobody updates."""

from __future__ import annotations

import logging
import re
from itertools import count
from typing import TYPE_CHECKING, Any

from bot.core.state.incident import MessageRef
from bot.ports import CallFailed, Reason, Refused
from bot.slack.render.incident import render_abandoned, render_copy
from bot.slack.web_api import send_with_fallback

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from bot.core.state.outbox import Delivery
    from bot.ports import Clock, View, WebApi
    from bot.slack.render.text import RenderedMessage

log = logging.getLogger(__name__)

EVENT_TYPE = "auth0_check"
METADATA_KEY = "k"
NO_KEY = {"event_type": EVENT_TYPE, "event_payload": {METADATA_KEY: ""}}
"""Of a message that no search must find."""
OPEN_KEY = "open"
"""In the metadata of an incident's message: whether the incident is open."""
PAGE_SIZE = 200
"""Slack recommends no more for one answer (Pagination, read 2026-11)."""
MAX_PAGES = 25
"""Of a busier channel we do not know whether it has the message."""
MAX_PAGES_ABANDONED = 3
"""Of each channel. An open alert that is older than so many messages is out of sight."""
_LEAD = re.compile(r"(?:\(possible double\) )?(?:<\S+> )*")
"""What precedes the first line of an incident's message: whom it mentions."""
OLD_OPEN = ("FIRING", "ACKNOWLEDGED")
"""How 0.1.0 began the message of an open incident."""
SEARCH_MARGIN_S = 3600.0
"""A channel is searched back to this long before a message was due: our clock may be wrong."""
CHECK_MESSAGES_S = 15.0
MAX_MESSAGES = 50
"""Of the newest open incidents: Slack allows hundreds of these calls a minute."""
COPIES_AFTER_S = 120.0
"""A message whose answer was lost may show later than the search for it, and after a second one."""


async def read_pages(
    api: WebApi, channel: str, thread: MessageRef | None = None
) -> AsyncIterator[tuple[int, list[Any]]]:
    """Yield the messages of a channel or a thread, page by page, with the page's number."""
    params: dict[str, Any] = {"channel": channel, "limit": PAGE_SIZE}
    params["include_all_metadata"] = True
    method = "conversations.history"
    if thread:
        method = "conversations.replies"
        params["ts"] = thread.ts
    for number in count(1):
        page = await api.call(method, params)
        yield number, page.get("messages", [])
        params["cursor"] = page.get("response_metadata", {}).get("next_cursor")
        if not params["cursor"]:
            return


def payload_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what the bot noted in a message; nothing if it is not the bot's."""
    metadata = message.get("metadata", {})
    is_ours = metadata.get("event_type") == EVENT_TYPE
    return metadata.get("event_payload", {}) if is_ours else {}


async def mark_abandoned(
    api: WebApi, channels: Iterable[str], view: Callable[[], View], before: float
) -> None:
    """Mark the open incidents that a lost database knew, and take their buttons away.

    Args:
        api: Slack.
        channels: the ids of those that are searched.
        view: returns which messages are those of known incidents.
        before: messages that are newer than this are our own.
    """
    for channel in dict.fromkeys(channels):
        try:
            found = await _find_open_posts(api, channel, before)
            refs = [incident.message.ref for incident in view().desk.incidents.values()]
            abandoned = [ref for ref in found if ref not in refs]
            for ref in abandoned:
                await _retire(api, ref, render_abandoned(found[ref]))
        except CallFailed as error:
            log.warning("cannot look for open alerts of an earlier database: %s", error)
            continue
        if abandoned:
            line = "the database is new; %s has %d open alert(s) of an earlier one, now marked"
            log.warning(line, channel, len(abandoned))


async def _find_open_posts(api: WebApi, channel: str, before: float) -> dict[MessageRef, str]:
    """Return the texts of the incidents that were open when they were last updated."""
    found: dict[MessageRef, str] = {}
    async for number, messages in read_pages(api, channel):
        for message in messages:
            text = _LEAD.sub("", str(message.get("text", "")), count=1)
            payload = payload_of(message)
            is_old = bool(payload) and text.startswith(OLD_OPEN)
            if payload.get(OPEN_KEY, is_old) and float(message["ts"]) < before:
                found[MessageRef(channel, message["ts"])] = text
        if number == MAX_PAGES_ABANDONED:
            break
    return found


async def watch_messages(
    api: WebApi,
    clock: Clock,
    view: Callable[[], View],
    update: Callable[[int], None],
    repeated: dict[int, Delivery],
) -> None:
    """Let what people delete be posted again, and mark copies. Never ends.

    Args:
        api: Slack.
        clock: the time.
        view: returns where the messages of incidents are.
        update: updates an incident's message. If it was deleted, that fails, and it is posted anew.
        repeated: the posts that were sent more than once, by incident; emptied here.
    """
    while True:
        await clock.sleep(CHECK_MESSAGES_S)
        await _find_deleted(api, view(), update)
        for number, delivery in tuple(repeated.items()):
            incident = view().desk.incidents.get(number)
            if clock.now() - delivery.started_at >= COPIES_AFTER_S:
                del repeated[number]
                if incident and incident.message.ref:
                    await _mark_copies(api, delivery, number, incident.message.ref)


async def _find_deleted(api: WebApi, view: View, update: Callable[[int], None]) -> None:
    """Slack tells of deletions only whoever may read the channel; but it is asked by everybody."""
    for incident in view.desk.open_incidents[-MAX_MESSAGES:]:
        if ref := incident.message.ref:
            try:
                await _get_permalink(api, ref)
            except Refused as refused:
                if refused.reason is Reason.MESSAGE_LOST:
                    update(incident.id)
            except CallFailed:
                return


async def _mark_copies(api: WebApi, delivery: Delivery, incident: int, ref: MessageRef) -> None:
    """Mark the other messages of a post, and take their buttons away."""
    try:
        copies = []
        async for number, messages in read_pages(api, ref.channel):
            ours = (m for m in messages if payload_of(m).get(METADATA_KEY) == delivery.key)
            copies += [MessageRef(ref.channel, m["ts"]) for m in ours if m["ts"] != ref.ts]
            oldest = delivery.created_at - SEARCH_MARGIN_S
            if not messages or float(messages[-1]["ts"]) < oldest or number == MAX_PAGES:
                break
        if copies:
            message = render_copy(incident, await _get_permalink(api, ref))
            for copy in copies:
                await _retire(api, copy, message)
            log.warning("marked %d further message(s) of %s", len(copies), delivery.key)
    except CallFailed as error:
        log.warning("cannot look for copies of %s: %s", delivery.key, error)


async def _get_permalink(api: WebApi, ref: MessageRef) -> str:
    params = {"channel": ref.channel, "message_ts": ref.ts}
    return str((await api.call("chat.getPermalink", params)).get("permalink", ""))


async def _retire(api: WebApi, ref: MessageRef, message: RenderedMessage) -> None:
    """Replace a message by its last words."""
    params = {"channel": ref.channel, "ts": ref.ts, "metadata": NO_KEY}
    await send_with_fallback(
        message, lambda content: api.call("chat.update", {**params, **content})
    )
