"""The real bot notifies people, with a fast clock: whom, in which order, and until when."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.app.clock import SystemClock
from bot.simulator.workspace.model import Fault, FaultKind, User
from bot.simulator.workspace.workspace import no_fault
from bot.slack.actions import ACKNOWLEDGE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bot.simulator.workspace.model import Message
    from tests.live.conftest import Child, Town

SPEED = 60.0
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ROUND_S = 340.0
"""After PagerDuty the first step would come again if nobody acknowledged the incident."""
CHANNEL = "C0ALERTS"
ROUTING_KEY = "canary0routing0key00000000000000"
STEPS = [
    {"after": "30s", "tell": "dm"},
    {"after": "450s", "tell": "next"},
    {"after": "480s", "tell": "pagerduty"},
]
CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:1
DTSTART:{yesterday}
DTEND:{tomorrow}
SUMMARY:On call
ATTENDEE:mailto:anna@acme.example
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART:{tomorrow}
DTEND:{later}
SUMMARY:On call: Ben
END:VEVENT
END:VCALENDAR
"""


@dataclass
class Outside:
    """PagerDuty, and a calendar in which Anna (U1) is on call today and Ben (U2) tomorrow."""

    events: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def enqueue(self, request: web.Request) -> web.Response:
        self.events.append(await request.json())
        return web.json_response({"status": "success"}, status=202)

    async def calendar(self, _: web.Request) -> web.Response:
        now = datetime.now(UTC)  # noqa: TID251 - as the calendar's own clock
        days = {"yesterday": -1, "tomorrow": 1, "later": 2}
        dates = {name: f"{now + timedelta(n):%Y%m%dT%H%M%SZ}" for name, n in days.items()}
        return web.Response(text=CALENDAR.format(**dates))

    @property
    def actions(self) -> list[str]:
        return [event["event_action"] for event in self.events]


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    found = Outside()
    app = web.Application()
    app.router.add_post("/v2/enqueue", found.enqueue)
    app.router.add_get("/canary-calendar", found.calendar)
    async with TestServer(app) as server:
        found.url = f"http://127.0.0.1:{server.port}"
        yield found


@pytest.fixture
def failing() -> str:
    """A full outage, which is critical and notifies people."""
    return "prod.login"


@dataclass
class Duty:
    """A town with an on-call rotation, and the bot that notifies its people."""

    town: Town
    outside: Outside
    start: Callable[..., Any] = field(repr=False)
    clock: SystemClock

    def write(self, **sections: Any) -> str:
        tenant = self.town.config["tenants"][0]
        calendar = {
            "url": f"{self.outside.url}/canary-calendar",
            "every": "60s",
            "people": {"anna@acme.example": "U1", "Ben": "U2"},
        }
        pagerduty = {"routing_key": ROUTING_KEY, "url": self.outside.url}
        given: dict[str, Any] = {
            "tenants": [tenant | {"probe": {"every": "20s"}}],
            "thresholds": {"fail_count": 3, "window": 5, "recover_count": 2, "mention_after": "0s"},
            "feed": {"every": "60s"},
            "oncall": {"calendar": calendar},
            "escalation": {"critical": STEPS, "repeat": 1, "every": "300s"},
            "notify": [{"name": "pagerduty", "pagerduty": pagerduty}],
            "access": {"acknowledge": ["S1", "U2"], "administer": ["U1"]},
        }
        return self.town.write(**given | sections)

    @asynccontextmanager
    async def bot(self, config: str) -> AsyncIterator[tuple[Child, str]]:
        """Run a bot; yield it with its admin listener's address once it is connected to Slack."""
        arguments = (config, str(SPEED), str(self.clock.now()))
        async with self.start(*arguments, module="tests.live.fast") as child:
            admin = "http://" + (await child.says(r"admin_listen: listening on (\S+)"))[1]
            await child.says("Connected to Slack")
            yield child, admin

    async def strike(self, admin: str) -> None:
        """Begin the outage once the bot has seen healthy targets and read who is on call."""
        for target in ("prod.login", "calendar"):
            while f'outcome="ok",target="{target}"' not in await metrics(admin):
                await self.clock.sleep(10.0)
        self.town.world.is_down = True

    def direct(self, user: str) -> list[Message]:
        """Return a person's direct messages."""
        channels = [c for c in self.town.workspace.state.channels if c.partner == user]
        return [m for c in channels for m in c.messages.values() if not m.only_for]


@pytest.fixture
def duty(town: Town, outside: Outside, auth0_check: Callable[..., Any]) -> Duty:
    return Duty(town, outside, auth0_check, SystemClock(SPEED))


async def metrics(admin: str) -> str:
    async with ClientSession() as session, session.get(f"{admin}/metrics") as answer:
        return await answer.text()


async def test_an_outage_escalates_until_somebody_acknowledges(duty: Duty) -> None:
    """Who is on call, after a kill who is next, then PagerDuty; a click ends it there, too."""
    town, outside = duty.town, duty.outside
    config = duty.write()
    async with duty.bot(config) as (child, admin):
        await duty.strike(admin)
        await town.until(lambda: duty.direct("U1"))
        await town.until(lambda: not unsent(duty))  # a kill before would double the message
        await child.kill()
    assert not duty.direct("U2")

    async with duty.bot(config) as (child, admin):
        # Half a real second lies between the two steps, and each goes its own way.
        await town.until(lambda: outside.events and duty.direct("U2"))
        (called,) = duty.direct("U2")
        await town.server.people.click("U2", "DU2", called.ts, ACKNOWLEDGE)
        await town.until(lambda: "acknowledge" in outside.actions)
        await duty.clock.sleep(ROUND_S)
        counted = await metrics(admin)
        town.world.is_down = False
        await town.until(lambda: "resolve" in outside.actions)

    assert outside.actions == ["trigger", "acknowledge", "resolve"]
    assert {event["dedup_key"] for event in outside.events} == {"auth0-check-prod-1"}
    assert [len(duty.direct(user)) for user in ("U1", "U2")] == [1, 1]
    assert 'escalation_steps_total{tell="pagerduty"} 1.0' in counted
    assert 'pages_total{outcome="sent",way="pagerduty"} 2.0' in counted
    assert 'pager_messages_total{contact_point="pagerduty",outcome="sent"} 2.0' in counted
    log = "\n".join(child.lines)
    assert "incident=1 step=dm notified=U2 by=" in log
    assert "incident=1 page=trigger contact_point=pagerduty outcome=sent" in log
    for line in (
        r"watching 1 .* again, \d+ s after the last check",
        "acknowledged .* by=U2",
        "resolved .* by=$",
    ):
        assert re.search(line, log, re.MULTILINE)
    assert "canary" not in log


def unsent(duty: Duty) -> list[tuple[str]]:
    """Return the direct messages that the store does not yet hold as sent."""
    with closing(sqlite3.connect(duty.town.config["database"])) as database:
        query = (
            "SELECT key FROM outbox WHERE key LIKE '%:direct:%' AND status NOT IN ('sent', 'dead')"
        )
        found: list[tuple[str]] = database.execute(query).fetchall()
        return found


async def test_what_people_do_is_checked_and_recorded(duty: Duty) -> None:
    """A guest's click and that of a member without the right are refused; the audit has each."""
    town = duty.town
    town.workspace.state.people.append(User("U99", "guest", "Guest", is_guest=True))
    async with duty.bot(duty.write(escalation={})) as (child, admin):
        await town.command("health", user="U9")
        await duty.strike(admin)
        await town.until(town.said)
        for user in ("U99", "U9", "U1"):
            await town.server.people.click(user, CHANNEL, town.said()[0].ts, ACKNOWLEDGE)
        await town.command("silence prod 2h a canary reason", user="U1")
        await town.command("audit", user="U9")
        await town.command("audit", user="U1")
        await town.until(lambda: len(town.said("U1")) == len(town.said("U9")) == 3)
        counted = await metrics(admin)
        town.world.is_down = False
        await town.until(lambda: "work again" in town.said()[0].text)

    assert "guests cannot use me" in town.said("U99")[0].text
    assert "Those who may: <!subteam^S1>, <@U2>" in town.said("U9")[1].text
    assert "Those who may: <@U1>" in town.said("U9")[2].text
    (trail,) = [said.text for said in town.said("U1") if "What people did" in said.text]
    assert "<@U1> silence prod 2h a canary reason: done" in trail
    assert trail.index("<@U1> ack #1") < trail.index("<@U9> ack #1") < trail.index("<@U99> ack #1")
    assert deeds(duty) == [
        ("U99", "ack", "refused"),
        ("U9", "ack", "refused"),
        ("U1", "ack", "done"),
        ("U1", "silence", "done"),
        ("U9", "audit", "refused"),
        ("U1", "audit", "done"),
    ]
    assert "silences_running 1.0" in counted
    log = "\n".join(child.lines)
    assert "incident=1 state=open" in log  # Bolt quiets the logger that has its app's name
    assert "user=U99 verb=ack incident= outcome=refused" in log
    assert "silence=1 state=active scope=tenant name=prod by=U1 until=" in log
    assert "canary" not in log


def deeds(duty: Duty) -> list[tuple[str, ...]]:
    """Return who asked for what, with the outcome, from the store."""
    with closing(sqlite3.connect(duty.town.config["database"])) as database:
        rows = database.execute("SELECT body FROM audit ORDER BY id").fetchall()
    lines = [json.loads(body) for (body,) in rows]
    return [(line["user"], line["verb"], line["outcome"]) for line in lines]


async def test_while_slack_does_not_answer(duty: Duty) -> None:
    """PagerDuty is notified although no step is due; the channel once Slack is back."""
    town, outside = duty.town, duty.outside
    escalation = {"critical": [{"after": "1h", "tell": "pagerduty"}]}
    async with duty.bot(duty.write(escalation=escalation)) as (_, admin):
        town.workspace.fault = lambda _: Fault(FaultKind.CUT)
        await duty.strike(admin)
        await town.until(lambda: outside.events)
        town.workspace.fault = no_fault
        await town.until(town.said)
    (event,) = outside.events
    assert [link["text"] for link in event["links"]] == ["Auth0 status"]
    assert " fail" in event["payload"]["summary"]


async def test_maintenance_and_the_report(duty: Duty) -> None:
    """A failure during maintenance alerts nobody; the report comes when it is due."""
    town, outside = duty.town, duty.outside
    duty.clock = SystemClock(SPEED, START.timestamp())
    window = {"once": f"{START - timedelta(hours=1):%Y-%m-%d %H:%M}", "lasts": "2h"}
    sections = {
        "maintenance": [window | {"reason": "an upgrade"}],
        "report": {"every": f"{START + timedelta(minutes=4):%H:%M}"},
    }
    async with duty.bot(duty.write(**sections)) as (child, admin):
        await duty.strike(admin)
        await child.says("incident=1 state=open")
        await town.until(town.said)

    (report,) = town.said()
    assert report.text.startswith("Report of the last")
    assert not outside.events
    assert not duty.direct("U1")
