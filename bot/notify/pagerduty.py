"""PagerDuty's Events API v2.

https://developer.pagerduty.com/docs/events-api-v2-overview (read 2026-11). An event with the key of
an open alert adds to it, and acknowledging or resolving an alert that is not open does nothing: so
each event may be sent again.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bot.core.model.fault import describe_fault, parse_wait_s
from bot.core.model.observation import Stage
from bot.core.state.outbox import PagerAction
from bot.http import HttpRequest
from bot.ports import CallFailed, Doubt, Reason, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.core.state.outbox import PagerMessage
    from bot.http import Fetch, HttpResult

SYSTEM = "PagerDuty"
PATH = "/v2/enqueue"
TIMEOUT_S = 10.0
SUMMARY_CHARS = 1024
"""Characters: PagerDuty's limit (Send an Alert Event, read 2026-11)."""
COMPONENT_CHARS = 255
"""Characters: our own limit, for hundreds of tenants. A whole event may have 512 KB."""
MAX_RETRY_AFTER_S = 999.0
"""A pager message cannot wait for longer than that."""
RETRY_AFTER_S = 30.0
"""After a 429 that names no time: PagerDuty's advice (Events API Rate Limits, read 2026-11)."""
ACCEPTED, INVALID, TOO_MANY, BROKEN = 202, 400, 429, 500
UNSENT_STAGES = frozenset({Stage.DNS, Stage.CONNECT, Stage.TLS})
"""A failure in these stages came before the event was sent."""


class PagerDutyNotifier:
    """A `Notifier` that opens an alert for each page, and acknowledges and resolves it.

    An alert that is open or acknowledged notifies nobody anew: so each page about an incident has a
    key of its own, and the alert of the one before is resolved. The end resolves all of them.

    Args:
        fetch: sends the requests.
        routing_key: the integration key, a secret.
        url: `https://events.pagerduty.com`, or that of another region.
        source: the name of this bot; another bot has incidents with the same numbers.
        status_link: Auth0's status page.
    """

    def __init__(
        self, fetch: Fetch, *, routing_key: str, url: str, source: str, status_link: str
    ) -> None:
        self._fetch = fetch
        self._routing_key = routing_key
        self._url = url + PATH
        self._source = source
        self._status_link = status_link

    async def notify(self, message: PagerMessage) -> None:
        """Send the events of one page; see the port."""
        number = message.number
        match message.action:
            case PagerAction.TRIGGER:
                await self._send(message, number, self._alert(message))
                if number > 1:
                    await self._replace(message, number - 1)
            case PagerAction.ACKNOWLEDGE:
                await self._send(message, number)
            case PagerAction.RESOLVE:
                for each in range(number, 0, -1):
                    await self._send(message, each)

    async def _replace(self, message: PagerMessage, number: int) -> None:
        """Resolve an alert that a new one replaces; the end does so too, should this fail.

        The event has a payload, as Alertmanager's have, for the line in the alert's log.
        """
        title = f"Called again, by a new alert: {message.title}"
        closing = replace(message, action=PagerAction.RESOLVE, title=title)
        with suppress(CallFailed):
            await self._send(closing, number, self._alert(closing))

    async def _send(
        self, message: PagerMessage, number: int, alert: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        key = f"{self._source}-{message.incident}" + (f"-{number}" if number > 1 else "")
        event = {
            "routing_key": self._routing_key,
            "dedup_key": key,
            "event_action": message.action.value,
            **alert,
        }
        reply = await self._fetch(
            HttpRequest(url=self._url, json=event, timeout_s=TIMEOUT_S, cap=0)
        )
        if reply.status != ACCEPTED:
            raise _failure(reply)

    def _alert(self, message: PagerMessage) -> dict[str, Any]:
        links = {"Auth0 status": self._status_link, "Slack": message.link}
        return {
            "payload": {
                "summary": _cut(message.title, SUMMARY_CHARS),
                "source": self._source,
                "severity": message.severity.value,
                "component": _cut(", ".join(message.tenants), COMPONENT_CHARS),
                "custom_details": message.details,
            },
            "links": [{"href": href, "text": text} for text, href in links.items() if href],
            "client": "auth0-check",
        }


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _failure(reply: HttpResult) -> Refused | Doubt:
    """Return what a reply other than 202 means; PagerDuty documents 400, 429 and 5xx."""
    if not reply.status:
        error = describe_fault(reply.fault) if reply.fault else reply.no_data_reason
        is_unsent = reply.fault is not None and reply.fault.stage in UNSENT_STAGES
        return Refused(SYSTEM, Reason.UNREACHABLE, error) if is_unsent else Doubt(SYSTEM, error)
    error = f"HTTP {reply.status}"
    if reply.status == INVALID:
        return Refused(SYSTEM, Reason.REJECTED, f"{error}: check the routing key")
    if reply.status == TOO_MANY:
        wait_s = parse_wait_s(reply.headers.get("retry-after", ""))
        if wait_s is None or wait_s > MAX_RETRY_AFTER_S:
            wait_s = RETRY_AFTER_S
        return Refused(SYSTEM, Reason.RATE_LIMITED, error, wait_s)
    if reply.status >= BROKEN:
        return Doubt(SYSTEM, error)
    return Refused(SYSTEM, Reason.UNAVAILABLE, error)
