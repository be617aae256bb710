from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from bot.core.commands.parse import parse_words
from bot.core.model.access import Verb
from bot.core.model.command import Request
from bot.core.model.observation import (
    Cause,
    Evidence,
    Fault,
    MissingEvidence,
    Phase,
    Scope,
    Severity,
    Stage,
    StatusIncident,
    Verdict,
)
from bot.core.oncall import CallReason, Shift
from bot.core.state.desk import DeskState
from bot.core.state.incident import (
    Acknowledgement,
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    Note,
    NotificationState,
    Resolution,
)
from bot.core.state.outbox import Answer
from bot.core.state.problem import Impact, ProbeProblem
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import Tenants, TenantState
from bot.core.state.timeline import (
    AcknowledgedEntry,
    CorrectedEntry,
    FalseAlarmEntry,
    HandOverEntry,
    JoinedEntry,
    MentionEntry,
    MergedEntry,
    NoteEntry,
    PagedEntry,
    RecoveredEntry,
    ReopenedEntry,
    ResolvedEntry,
    SeverityRaisedEntry,
    SilencedEntry,
    StatusUpdateEntry,
    StillOnItEntry,
    TimelineEntry,
    UnreachedEntry,
    VerdictEntry,
)
from bot.ports import View
from bot.simulator.workspace.blocks import Surface, check
from bot.slack.actions import IncidentValue, MenuValue
from bot.slack.render.answers import render_answer
from bot.slack.render.first_line import state_of
from bot.slack.render.incident import render_incident
from bot.slack.render.timeline import render_timeline_entry

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
    (Evidence("login-5xx", {"text": "login at prod fails with HTTP 503 (5 of 5)"}, 2.0),),
    (Evidence("notice-silent", {"text": "the status page shows nothing"}, -0.2),),
)
STATUS_INCIDENT = StatusIncident(
    "a1", "Login errors", Phase.INVESTIGATING, "We look.", f"{STATUS}/incidents/a1", START, START
)
OPEN = Incident(
    id=7,
    kind=IncidentKind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod",),
    since=START,
    life=IncidentLife(START + 20),
    verdict=VERDICT,
    problems=(ProbeProblem("prod", "login", START, 5, 5, FAULT),),
)
TAKEN = replace(OPEN, life=replace(OPEN.life, acknowledged=Acknowledgement("U1", START + 60)))


def end(by: str = "", merged_into: int | None = None) -> Incident:
    resolution = Resolution(START + 600, by, merged_into=merged_into)
    return replace(OPEN, life=replace(OPEN.life, resolved=resolution))


ENDED = end()


def view(now: float = START + 60) -> View:
    return View(now, RULES, Tenants({"prod": TenantState()}), DeskState(incidents={7: OPEN}))


def text_of(blocks: list[dict[str, Any]]) -> str:
    """Return all texts of the blocks."""
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


def test_the_first_line_has_cause_and_effect() -> None:
    """The message and its notification begin with the same sentence, and the state follows."""
    message = render_incident(OPEN, view(), STATUS)
    line = "Auth0 is down in US-1: all logins to prod fail."

    assert message.blocks[0]["text"]["text"].splitlines() == [
        f":rotating_light: *{line}*",
        "Outage · since <!date^1772445600^{time}|10:00 UTC> (1 min) · almost certainly Auth0",
    ]
    assert message.text == f"{line} [#7]"


def test_what_to_do_and_why_precede_the_buttons() -> None:
    """What to do comes second, then at most three facts, and the buttons."""
    blocks = render_incident(OPEN, view(), STATUS).blocks

    assert blocks[1]["text"]["text"] == (
        "*Do now:* Tell support and users. Change nothing on our side. If the status page is "
        "silent at <!date^1772446500^{time}|10:15 UTC>, open an Auth0 ticket: HTTP 503 "
        "temporarily_unavailable on /oauth/token since 10:00 UTC, acme.us.auth0.com."
    )
    assert blocks[2]["text"]["text"] == "*Why:* login at prod fails with HTTP 503 (5 of 5)"
    assert blocks[3]["type"] == "actions"


def test_three_facts_at_most_with_the_strongest_against() -> None:
    """A fact that speaks strongly against the cause is among them."""
    found = tuple(Evidence(f"rule-{n}", {"text": f"fact {n}"}, 3.0 - n) for n in range(3))
    doubt = Evidence("peers-ok", {"text": "tenants elsewhere work"}, -1.0)
    mixed = replace(VERDICT, evidence_for=found, evidence_against=(doubt,))
    blocks = render_incident(replace(OPEN, verdict=mixed), view(), STATUS).blocks

    assert blocks[2]["text"]["text"] == "*Why:* fact 0 · fact 1 · but tenants elsewhere work"


def test_what_our_network_hides_does_not_fail() -> None:
    """The thread says of a tenant that it cannot be checked, not that it fails."""
    cut_off = replace(OPEN, verdict=replace(VERDICT, cause=Cause.NETWORK))
    entries = (JoinedEntry(AT, ("eu",)), RecoveredEntry(AT, ("eu",)))
    texts = [render_timeline_entry(entry, cut_off, view()).text for entry in entries]

    assert texts == ["I cannot check eu either", "I can check eu again"]


def row(incident: Incident) -> dict[str, str]:
    """Return the labels of a message's buttons, and the value or link of each."""
    found = {}
    for block in render_incident(incident, view(), STATUS).blocks:
        for element in block["elements"] if block["type"] == "actions" else ():
            for one in element.get("options", [element]):
                found[one["text"]["text"]] = one.get("url") or one["value"]
    return found


def test_the_buttons_fit_the_state() -> None:
    """An open incident can be taken, then resolved; a resolved one asks what it was."""
    assert list(row(OPEN)) == [
        "Acknowledge",
        "Check Auth0 Status",
        "Silence…",
        "Runbook",
        "Check again",
        "Escalate",
        "Resolve",
        "Note…",
        "False alarm…",
    ]
    assert next(iter(row(TAKEN))) == "Resolve"
    assert {*row(OPEN)} - {*row(TAKEN)} == {"Acknowledge"}
    assert [*row(ENDED)] == ["What happened", "False alarm…"]
    assert [*row(replace(ENDED, false_alarm="the load test"))] == ["What happened"]


def test_what_buttons_carry_can_be_read_back() -> None:
    """The models that parse clicks can parse each value; links have the right address."""
    carried = row(OPEN)
    links = {label: carried.pop(label) for label in ("Check Auth0 Status", "Runbook")}

    assert links == {"Check Auth0 Status": STATUS, "Runbook": "https://runbooks.example/login"}
    for label in ("Acknowledge", "Silence…"):
        assert IncidentValue.model_validate_json(carried.pop(label)).incident == 7
    choices = [MenuValue.model_validate_json(value) for value in carried.values()]
    assert [choice.verb for choice in choices] == [
        Verb.RUN,
        Verb.ESCALATE,
        Verb.RESOLVE,
        Verb.NOTE,
        Verb.FALSE_ALARM,
    ]
    assert choices[0].tenant == "prod"


def test_who_is_on_call_is_named_only_once_called() -> None:
    """A mention in a new message is a call, and not every alert may call."""
    desk = DeskState(shift=Shift("U9", START - 60, START + 60))
    on_call = replace(view(), desk=desk)
    mentioned = NotificationState(has_mentioned=True)

    assert "<@U9>" not in text_of(render_incident(OPEN, on_call, STATUS).blocks)
    assert "<@U9>" in text_of(
        render_incident(replace(OPEN, notification=mentioned), on_call, STATUS).blocks
    )


def test_the_newest_two_notes_are_shown() -> None:
    """The newest note is first; the older ones are counted."""
    notes = tuple(Note(START + at, "U1", f"note {at}") for at in (1, 2, 3))
    text = text_of(render_incident(replace(OPEN, notes=notes), view(), STATUS).blocks)

    assert text.index("note 3") < text.index("note 2")
    assert "note 1" not in text
    assert "and 1 more" in text


def test_the_marks_of_all_states_differ() -> None:
    """The marks differ in shape, so nobody has to tell red from green."""
    states = [OPEN, TAKEN, ENDED, end(by="U1"), end(merged_into=1)]

    assert len({state_of(incident).mark for incident in states}) == len(states)


def test_a_resolved_message_says_how_long_it_lasted() -> None:
    """The first line says it, and so does the text of the notification."""
    message = render_incident(ENDED, view(), STATUS)

    assert message.blocks[0]["text"]["text"].splitlines()[0] == (
        ":white_check_mark: *Logins to prod work again. They were down for 10 min.*"
    )
    assert message.text == "Logins to prod work again. They were down for 10 min. [#7]"


def test_each_version_of_a_message_has_its_own_block_id() -> None:
    """Slack keeps a button's state by its block_id."""
    ids = {
        block["block_id"]
        for edits in (0, 1)
        for block in render_incident(
            replace(OPEN, message=IncidentMessage(edits=edits)), view(), STATUS
        ).blocks
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
    """The message says what to do."""
    fault = Fault(Stage.OAUTH, reason, 403, reason)
    problem = ProbeProblem("prod", "login", START, 5, 5, fault, is_stopped=True)
    incident = replace(OPEN, problems=(problem,), verdict=replace(VERDICT, cause=Cause.PROBE))
    text = text_of(render_incident(incident, view(), STATUS).blocks)

    assert words in text
    assert "/auth0-check run prod" in text


def test_an_unclear_verdict_says_what_would_settle_it() -> None:
    """An unclear verdict has no confidence."""
    unclear = replace(VERDICT, cause=Cause.UNCLEAR, settled_by=MissingEvidence.CONTROL)
    text = text_of(render_incident(replace(OPEN, verdict=unclear), view(), STATUS).blocks)

    assert "All logins to prod fail. Cause not clear yet." in text
    assert "to be sure, I would need to know whether another internet site answers" in text


AT = START + 60
HAD = Acknowledgement("U2", AT, Impact.SLOW)
CALL_REASONS = (
    CallReason.BEGUN,
    CallReason.WORSE,
    CallReason.WIDER,
    CallReason.BACK,
    CallReason.FLAPPING,
    CallReason.EXPIRED,
    CallReason.HANDED_OVER,
)
ENTRIES: tuple[TimelineEntry, ...] = (
    VerdictEntry(AT, VERDICT),
    JoinedEntry(AT, ("prod",)),
    RecoveredEntry(AT, ("prod",)),
    SeverityRaisedEntry(AT, Severity.CRITICAL),
    StatusUpdateEntry(AT, STATUS_INCIDENT),
    *(MentionEntry(AT, ("U1",), reason, ("prod",), HAD) for reason in CALL_REASONS),
    CorrectedEntry(AT, VERDICT, Cause.AUTH0, ("U1",)),
    PagedEntry(AT, by="U1"),
    UnreachedEntry(AT, "pager", "why"),
    CorrectedEntry(AT, VERDICT, Cause.AUTH0),
    HandOverEntry(AT),
    AcknowledgedEntry(AT, "U1", "why"),
    AcknowledgedEntry(AT, "U1", "why", "U2"),
    StillOnItEntry(AT, HAD, AT),
    NoteEntry(AT, "U1", "why"),
    FalseAlarmEntry(AT, "U1", "why"),
    SilencedEntry(AT, "U1", "why", AT),
    ResolvedEntry(AT, "U1"),
    MergedEntry(AT),
    ReopenedEntry(AT),
)


def test_every_kind_of_entry_is_tried() -> None:
    """The list above has one of each."""
    assert {type(entry) for entry in ENTRIES} == {*get_args(TimelineEntry)}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.kind)
def test_every_line_of_the_timeline_reads(entry: TimelineEntry) -> None:
    """Every kind of timeline entry has a text."""
    message = render_timeline_entry(entry, OPEN, view())

    assert len(message.text) > 8
    assert check(message.blocks, Surface.MESSAGE, "/blocks") == []


def test_hundreds_of_tenants_fit_into_one_message() -> None:
    """The first two tenants are named, the others counted."""
    names = tuple(f"tenant-{number}" for number in range(500))
    problems = tuple(ProbeProblem(name, "login", START, 5, 5, FAULT) for name in names)
    message = render_incident(replace(OPEN, tenants=names, problems=problems), view(), STATUS)

    assert check(message.blocks, Surface.MESSAGE, "/blocks") == []
    assert "and 498 more" in message.text


@pytest.mark.parametrize("verb", list(Verb))
def test_every_question_has_an_answer(verb: Verb) -> None:
    """Every answer is within Slack's limits and never empty."""
    shown = view()
    request = Request("r", START, words="prod")
    command = parse_words(verb, "prod", request, shown.desk, shown.rules)
    request = replace(request, command=command)
    for is_first in (True, False):
        message = render_answer(Answer(request, is_first=is_first), shown)

        assert message.text
        assert check(message.blocks, Surface.MESSAGE, "/blocks") == []
