"""What the bot meets beside Slack and Auth0: pagers, mail, the status feed, a control endpoint."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.faults.site import HOST, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUTING_KEY = "lab0routing0key00000000000000000"
PAGER, WEBHOOK, MAIL = "pager", "webhook", "mail"
"""The contact points."""
SEVERITIES = frozenset({"critical", "error", "warning", "info"})
MAX_DEDUP_KEY = 255
FEED = """\
<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<id>tag:lab.test,2026:feed</id><title>Status</title><updated>{at}</updated>
<entry><id>tag:lab.test,2026:1</id><title>Dashboard maintenance</title>
<updated>{at}</updated><published>{at}</published>
<content type="html">&lt;p&gt;Resolved - This incident is over.&lt;/p&gt;</content></entry>
</feed>
"""


@dataclass(frozen=True)
class Page:
    """What a contact point accepted."""

    at: float
    """By the loop's clock."""
    contact_point: str
    action: str
    """`trigger`, `acknowledge` or `resolve`; empty where the contact point does not know."""
    text: str


class Outside:
    """All of it at one address. Faults are named `pager`, `webhook`, `feed`, `control`, `ping`."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.pings: list[tuple[float, str]] = []
        """When the bot called its ping address, and the path below it."""
        self.site = Site(self._handle, lambda request: request.path.split("/")[1])

    def configure(self) -> dict[str, Any]:
        """Return the settings that lead here."""
        address = self.site.address
        pagerduty = {"routing_key": ROUTING_KEY, "url": f"http://{address}/{PAGER}"}
        return {
            "notify": [
                {"name": PAGER, "pagerduty": pagerduty},
                {"name": WEBHOOK, "apprise": f"json://{address}/{WEBHOOK}"},
            ],
            "controls": [f"http://{address}/control"],
        }

    def paged(self, contact_point: str, action: str = "trigger") -> list[Page]:
        """Return what a contact point was asked to wake people for; oldest first."""
        wanted = {action, ""}
        return [p for p in self.pages if p.contact_point == contact_point and p.action in wanted]

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        _, name, *rest = request.path.split("/")
        if name == PAGER:
            return self._enqueue(await request.json())
        if name == WEBHOOK:
            body = await request.json()
            text = f"{body['title']}\n{body['message']}"
            self.pages.append(Page(_now(), WEBHOOK, "", text))
        if name == "feed":
            at = datetime(2026, 11, 1, tzinfo=UTC).isoformat()
            return web.Response(text=FEED.format(at=at), content_type="application/atom+xml")
        if name == "ping":
            self.pings.append((_now(), "/".join(rest)))
        return web.json_response({"ok": True})

    def _enqueue(self, event: dict[str, Any]) -> web.StreamResponse:
        """Do as PagerDuty's Events API v2 does (Send an Alert Event, read 2026-11)."""
        errors = list(_find_errors(event))
        if errors:
            answer = {"status": "invalid event", "message": "Event object is invalid"}
            return web.json_response({**answer, "errors": errors}, status=400)
        text = event.get("payload", {}).get("summary", "")
        self.pages.append(Page(_now(), PAGER, event["event_action"], text))
        answer = {"status": "success", "message": "Event processed"}
        return web.json_response({**answer, "dedup_key": event["dedup_key"]}, status=202)


def _find_errors(event: dict[str, Any]) -> Iterator[str]:
    if event.get("routing_key") != ROUTING_KEY:
        yield "Invalid routing key"
    if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
        yield "Event action must be one of: acknowledge, resolve, trigger"
    if not 0 < len(str(event.get("dedup_key", ""))) <= MAX_DEDUP_KEY:
        yield "Dedup key must have 1 to 255 characters"
    if event.get("event_action") == "trigger":
        payload = event.get("payload", {})
        if not payload.get("summary") or not payload.get("source"):
            yield "Payload must have a summary and a source"
        if payload.get("severity") not in SEVERITIES:
            yield "Severity must be one of: critical, error, info, warning"


class MailServer:
    """Takes mail for everybody but the dead recipients, as SMTP servers do."""

    def __init__(self, outside: Outside, dead: frozenset[str]) -> None:
        self.refused: list[float] = []
        """When a mail to a dead recipient was tried."""
        self._outside = outside
        self._dead = dead
        self._server: asyncio.Server | None = None

    async def open(self) -> int:
        """Serve; return the port."""
        self._server = await asyncio.start_server(self._talk, HOST, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop."""
        if self._server:
            self._server.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError), closing(writer):
            writer.write(b"220 mail.lab.test ESMTP\r\n")
            recipient = ""
            while line := (await reader.readline()).decode():
                word, _, rest = line.strip().partition(" ")
                reply = "250 OK"
                match word.upper():
                    case "RCPT":
                        recipient = rest.partition("<")[2].partition(">")[0]
                        if recipient in self._dead:
                            self.refused.append(_now())
                            reply = "550 5.1.1 No such user"
                    case "DATA":
                        writer.write(b"354 End with .\r\n")
                        text = (await reader.readuntil(b"\r\n.\r\n")).decode()
                        self._outside.pages.append(Page(_now(), f"{MAIL}:{recipient}", "", text))
                    case "QUIT":
                        reply = "221 Bye"
                writer.write(f"{reply}\r\n".encode())


def _now() -> float:
    return asyncio.get_running_loop().time()
