"""Hostile or machine-made requests: each gets an answer that can be shown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from bot.core.commands.parse import VERBS, parse_words
from bot.core.model.access import Person, Verb
from bot.core.model.command import Request
from bot.core.state.outbox import Answer, Delivery, Reply
from bot.core.state.rules import TenantRules
from bot.core.state.stimulus import CommandReceived, Send
from bot.ports import View
from bot.simulator.workspace.blocks import Surface, check
from bot.slack.render.answers import render_answer
from bot.slack.render.incident import render_incident
from bot.slack.render.timeline import render_timeline_entry
from bot.store.store import DESK_JSON, decode, encode, encode_delivery

NAMES = ("status", "until", "all", "7", "1h", "swap", "S1")
"""Tenants that somebody named like words of the grammar."""
WORDS = (
    "",
    "x" * 10_000,
    "#999999999999",
    "7" * 10_000,
    "-1",
    "#-1 x",
    "#1 " + "<!channel> <@U0ANN> *_~`&lt; " * 300,
    "#1 \u202e\u0000\ud800 \U0001f4a5\u200d\n\r\t",
    "\u0661 \u00bd \u2460",
    "all -5m because",
    "all until 25:00 because",
    "all until 24:00 because",
    "all 99999d because",
    "all 1h",
    "prod until",
    "prod until tomorrow",
    "prod until tomorrow mon 09:00 x",
    "7 1h a tenant or an incident",
    "until until 10:00 a tenant",
    "1h 1h a tenant",
    "S1 1h a tenant",
    "%s {incident} {0.__class__}",
    "swap <@U0BEN> 0m",
    "swap <@U0BEN|ben> until 02:30",
    "swap <!here> 1h",
    "swap swap swap",
    "*/../../etc/passwd",
)
ZONES = ("Europe/Berlin", "", "Mars/Olympus", "../../etc/passwd", "z" * 5000, "\0")


@pytest.fixture
def steps(make: Any) -> Any:
    tenants = {name: TenantRules(name, f"{name.lower()}.auth0.com") for name in ("prod", *NAMES)}
    made = make(tenants=tenants, mention="@here", on_call=make.rotation)
    made.healthy()
    made.fail("prod.login", 10)
    return made


def view_of(steps: Any) -> View:
    return View(steps.now, steps.rules, steps.world, steps.desk)


@pytest.mark.parametrize("verb", [*VERBS, Verb.UNKNOWN])
def test_each_is_answered(steps: Any, verb: Verb) -> None:
    """For any argument, the answer fits into Slack, mentions nobody, and is stored."""
    for number, words in enumerate(WORDS):
        person = Person("U0ANN", ZONES[number % len(ZONES)])
        request = Request(f"{number}", steps.now, user="U0ANN", person=person)
        command = parse_words(verb, words, request, steps.desk, steps.rules)
        request = replace(request, command=command, words=words)
        since = len(steps.effects)
        steps.on_desk(CommandReceived(steps.now, request))
        sends = [effect for effect in steps.effects[since:] if isinstance(effect, Send)]
        bodies = [send.body for send in sends if isinstance(send.body, Answer)]
        assert [body.request.id for body in bodies if body.is_first] == [str(number)]
        for send in sends:
            encode_delivery(Delivery(send.key, send.lane, 1, send.body, steps.now))
        for body in bodies:
            shown = render_answer(body, view_of(steps))
            assert check(shown.blocks, Surface.MESSAGE) == []
            assert "<!channel" not in shown.text + without_values(shown.blocks)
        verify_told(steps, [send.body for send in sends])
    decode(DESK_JSON, encode(steps.desk), "desk")


def without_values(blocks: list[Any]) -> str:
    """All that people see of blocks: what buttons carry is not shown."""
    return re.sub("'value': '[^']*'", "", str(blocks))


def verify_told(steps: Any, bodies: list[Any]) -> None:
    incident = steps.desk.incidents[1]
    lines = [
        render_timeline_entry(b.entry, incident, view_of(steps))
        for b in bodies
        if isinstance(b, Reply)
    ]
    for shown in (
        *lines,
        render_incident(incident, view_of(steps), "https://status.auth0.com", ""),
    ):
        assert check(shown.blocks, Surface.MESSAGE) == []
        assert "<!channel" not in shown.text + str(shown.blocks)
