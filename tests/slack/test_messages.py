from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.desk_state import DeskState
from bot.core.incident import Entry, EntryKind, Incident, IncidentState, Kind, Trouble
from bot.core.model import (
    Cause,
    Fact,
    Fault,
    Notice,
    Observation,
    Outcome,
    Phase,
    Scope,
    Severity,
    Stage,
    Target,
    Timing,
    Verdict,
)
from bot.core.outbox import Answer
from bot.core.request import Request, Verb
from bot.core.rules import Rules, TenantRules
from bot.core.stimulus import World
from bot.core.tenant_state import TenantState
from bot.ports import View
from bot.simulator.workspace.blocks import Surface, check
from bot.slack.answers import answer
from bot.slack.card import card
from bot.slack.thread import timeline
from bot.slack.wording import escaped, link, mentions, span

START = 1_772_445_600.0
STATUS = "https://status.auth0.com"
RULES = Rules(
    tenants={
        "prod": TenantRules(
            "prod", "acme.us.auth0.com", "US-1", runbook="https://runbooks.example/login"
        )
    }
)
FAULT = Fault(Stage.HTTP, "http_503", 503, "temporarily_unavailable", "Service <!channel> *down*")
VERDICT = Verdict(
    Cause.AUTH0,
    Scope.ENVIRONMENT,
    0.92,
    (Fact("login-5xx", "login at prod fails with HTTP 503 (5 of 5)", 2.0),),
    (Fact("notice-silent", "the status page shows nothing", -0.2),),
)
NOTICE = Notice(
    "a1", "Login errors", Phase.INVESTIGATING, "We look.", f"{STATUS}/incidents/a1", START, START
)
OPEN = Incident(
    id=7,
    kind=Kind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod",),
    since=START,
    opened_at=START + 20,
    verdict=VERDICT,
    troubles=(Trouble("prod", "login", START, 5, 5, FAULT),),
)
ENDED = replace(OPEN, state=IncidentState.RESOLVED, resolved_at=START + 600)


def view(now: float = START + 60) -> View:
    return View(now, RULES, World({"prod": TenantState()}), DeskState(incidents={7: OPEN}))


def said(blocks: list[dict[str, Any]]) -> str:
    """Return all that a person reads in blocks."""
    texts: list[str] = []

    def gather(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("text"), str):
                texts.append(value["text"])
            for child in value.values():
                gather(child)
        elif isinstance(value, list):
            for child in value:
                gather(child)

    gather(blocks)
    return "\n".join(texts)


def test_the_first_line_says_what_is_wrong_and_how_bad() -> None:
    """State, severity, what, where and how much, before anything else."""
    message = card(OPEN, view(), STATUS)

    assert message.blocks[0]["text"]["text"] == (
        ":rotating_light: *FIRING · critical* Login fails at *prod*: "
        "HTTP 503 temporarily_unavailable, 5 of 5 tries"
    )
    assert message.text == (
        "FIRING critical: Login fails at prod: HTTP 503 temporarily_unavailable, 5 of 5 tries. "
        "Verdict: Auth0 (92 %). Since 10:00 UTC [#7]"
    )


def test_the_verdict_comes_second_with_its_facts() -> None:
    """For and against, a line each."""
    assert card(OPEN, view(), STATUS).blocks[1]["text"]["text"].splitlines() == [
        "*Verdict: Auth0* (92 %, this environment)",
        "• for: login at prod fails with HTTP 503 (5 of 5)",
        "• against: the status page shows nothing",
    ]


def test_an_open_incident_has_its_buttons_and_an_ended_one_has_none() -> None:
    """Check Auth0 Status and the runbook are links; a resolved message asks for nothing."""
    (actions,) = [b for b in card(OPEN, view(), STATUS).blocks if b["type"] == "actions"]
    labels = {e["text"]["text"]: e.get("url") for e in actions["elements"]}

    assert labels == {
        "Check Auth0 Status": STATUS,
        "Runbook": "https://runbooks.example/login",
        "Check again": None,
    }
    assert all(block["type"] != "actions" for block in card(ENDED, view(), STATUS).blocks)


def test_a_resolved_message_says_how_long_it_lasted() -> None:
    """In the first line, and in the text that notifications show."""
    message = card(ENDED, view(), STATUS)

    assert message.blocks[0]["text"]["text"] == (
        ":white_check_mark: *RESOLVED* Login at *prod* works again after 10 min"
    )
    assert message.text.startswith("RESOLVED: Login at prod works again after 10 min.")


def test_each_version_of_a_message_has_its_own_block_id() -> None:
    """Slack keeps a button's state by it."""
    ids = {
        block["block_id"]
        for edits in (0, 1)
        for block in card(replace(OPEN, edits=edits), view(), STATUS).blocks
        if block["type"] == "actions"
    }

    assert len(ids) == 2


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("invalid_grant", "password"),
        ("unauthorized_client", "Password grant"),
        ("server_error", "Default Directory"),
        ("mfa_required", "multi-factor"),
        ("requires_verification", "allow list"),
    ],
)
def test_a_mistake_of_the_set_up_names_its_remedy(reason: str, words: str) -> None:
    """What to do stands in the message."""
    trouble = replace(OPEN.troubles[0], fault=Fault(Stage.OAUTH, reason, 403, reason))
    incident = replace(OPEN, troubles=(replace(trouble, is_stopped=True),))
    text = said(card(incident, view(), STATUS).blocks)

    assert words in text
    assert "/auth0-check run prod" in text


def test_an_unclear_verdict_says_what_would_settle_it() -> None:
    """Instead of a confidence that nobody should trust."""
    unclear = replace(VERDICT, cause=Cause.UNCLEAR, settle="a neutral host")
    text = said(card(replace(OPEN, verdict=unclear), view(), STATUS).blocks)

    assert "*Verdict: unclear*\n" in text
    assert "would settle it: a neutral host" in text


@pytest.mark.parametrize("kind", list(EntryKind))
def test_every_line_of_the_timeline_reads(kind: EntryKind) -> None:
    """No kind of line is left without words."""
    entry = Entry(START + 60, kind, OPEN.troubles[0], VERDICT, NOTICE, Severity.CRITICAL)
    message = timeline(entry, OPEN, START + 60, "<!here>")

    assert len(message.text) > 8
    assert check(message.blocks, Surface.MESSAGE, "/blocks") == []


hostile = st.text(min_size=0, max_size=400) | st.sampled_from(
    [
        "<!channel> <@U1> <https://evil.example|https://status.auth0.com>",
        "a" * 5000,
        "\u202e\u0000\ufeff*bold* ~gone~ `code` ```block```",
        "&lt;!here&gt; &amp;",
        "@here @channel",
    ]
)
MARK_UP = ("<!channel", "<!here", "<@U", "<https://evil")


@given(title=hostile, text=hostile, description=hostile)
def test_foreign_text_is_harmless_and_within_the_limits(
    title: str, text: str, description: str
) -> None:
    """It mentions nobody, links nowhere, and never makes Slack refuse the message."""
    notice = replace(NOTICE, title=title, text=text)
    trouble = replace(OPEN.troubles[0], fault=replace(FAULT, description=description))
    incident = replace(OPEN, notices=(notice,) * 3, troubles=(trouble,) * 10)
    entry = Entry(START, EntryKind.NOTICE, notice=notice)
    for message in (card(incident, view(), STATUS), timeline(entry, incident, START + 60)):
        assert check(message.blocks, Surface.MESSAGE, "/blocks") == []
        assert not any(mark in said(message.blocks) + message.text for mark in MARK_UP)
        assert 0 < len(message.text) <= 4000


@given(hostile)
def test_escaped_text_has_no_mark_up_left(text: str) -> None:
    """Nothing in it can be read as Slack's own."""
    assert not set("<>") & set(escaped(text))


def test_hundreds_of_tenants_fit_into_one_message() -> None:
    """The first five are named, the others counted."""
    names = tuple(f"tenant-{number}" for number in range(500))
    troubles = tuple(Trouble(name, "login", START, 5, 5, FAULT) for name in names)
    message = card(replace(OPEN, tenants=names, troubles=troubles), view(), STATUS)

    assert check(message.blocks, Surface.MESSAGE, "/blocks") == []
    assert "and 495 more" in message.text


@pytest.mark.parametrize("verb", list(Verb))
def test_every_question_has_an_answer(verb: Verb) -> None:
    """Short, within Slack's limits, and never empty."""
    request = Request("r", START, verb, argument="prod")
    for is_first in (True, False):
        message = answer(Answer(request, is_first=is_first), view())

        assert message.text
        assert check(message.blocks, Surface.MESSAGE, "/blocks") == []


def test_the_result_of_a_run_tells_every_look() -> None:
    """What failed, what is well, what we could not see, what was left out, what is missing."""
    seen = (
        Observation(Target("prod", "login"), START, Outcome.FAILED, 0.4, FAULT),
        Observation(
            Target("prod", "wellknown"), START, Outcome.OK, 0.2, timings=(Timing("dns", 0.01),)
        ),
        Observation(Target("control", "neutral"), START, Outcome.NO_DATA, blind="lag"),
    )
    left, missing = (Target("prod", "custom"),), (Target("prod", "second"),)
    request = Request("r", START, Verb.RUN)
    told = answer(
        Answer(request, is_first=False, seen=seen, left_out=left, missing=missing), view()
    )
    lines = told.blocks[1]["text"]["text"].splitlines()

    assert told.text.startswith("1 of 3 looks failed")
    assert [line.split(":")[1] for line in lines] == [
        "red_circle",
        "large_green_circle",
        "grey_question",
        "grey_question",
        "grey_question",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (90061, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_span_is_said_in_two_units(seconds: float, words: str) -> None:
    """More would not help anybody."""
    assert span(seconds) == words


def test_only_our_own_kind_of_link_is_made() -> None:
    """An address that is not plain https becomes its label alone."""
    assert link("https://status.auth0.com/a?b=1&c=2", "x") == (
        "<https://status.auth0.com/a?b=1&amp;c=2|x>"
    )
    assert link("javascript:alert(1)", "x") == "x"
    assert link("https://a|b", "x") == "x"


def test_people_and_groups_are_mentioned_by_their_ids() -> None:
    """As Slack wants it, each in its own form."""
    assert mentions("@here, U123, S45") == "<!here> <@U123> <!subteam^S45>"
    assert mentions(None) == ""
