"""What is a call, and where it goes if Slack does not take it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.commands.parse import parse_request
from bot.core.model.access import Person
from bot.core.model.command import Request
from bot.core.model.observation import Fault, Severity, Stage
from bot.core.oncall import CallReason, EscalationPolicy, EscalationStep
from bot.core.state.outbox import (
    Call,
    DirectMessage,
    PagerAction,
    Paging,
    Post,
    Reply,
)
from bot.core.state.stimulus import CallOverdue, CommandReceived, Delivered, MessageLost, Send, Tick
from bot.core.state.timeline import JoinedEntry, MentionEntry, PagedEntry

STEPS = (
    EscalationStep(180, "mention"),
    EscalationStep(300, "dm"),
    EscalationStep(600, "pager"),
)
POINTS = ("pager", "mail", "sms")
"""The policy names only the first of them."""


def prepare(make: Any, **given: Any) -> Any:
    """Return steps by which the first mention comes 30 s after the alert."""
    steps = make(
        mention="@here",
        mention_after_s={"prod": 55.0},
        policies={Severity.CRITICAL: EscalationPolicy(STEPS)},
        contact_points=POINTS,
        on_call=make.rotation,
        **given,
    )
    steps.healthy()
    return steps


@pytest.fixture
def down(make: Any) -> Any:
    """Prod's login has just opened a critical incident."""
    steps = prepare(make)
    steps.fail("prod.login")
    return steps


def go_on(steps: Any, span_s: float) -> None:
    """Let time pass while the outage goes on."""
    for _ in range(int(span_s / 5)):
        steps.fail("prod.login", 1)
        steps.on_desk(Tick(steps.now))


def calls(steps: Any) -> list[tuple[type, CallReason, int | None]]:
    return [
        (type(e.body.entry if isinstance(e.body, Reply) else e.body), e.call.reason, e.call.step)
        for e in steps.effects
        if isinstance(e, Send) and e.call
    ]


def miss(steps: Any, call: Call) -> list[str]:
    """Let Slack not take a call; return who is paged for it."""
    effects = steps.on_desk(CallOverdue(steps.now, call))
    pages = [e.body for e in effects if isinstance(e, Send) and isinstance(e.body, Paging)]
    assert all(page.action is PagerAction.TRIGGER for page in pages)
    return [page.contact_point for page in pages]


def ask(steps: Any, text: str) -> None:
    request = Request(text, steps.now, user="U0ANN", person=Person("U0ANN"))
    request = parse_request(text, request, steps.desk, steps.rules)
    steps.on_desk(CommandReceived(steps.now, request))


def begun(steps: Any) -> Call:
    return Call(1, CallReason.BEGUN, steps.incidents[0].opened_at)


def test_whatever_is_to_wake_people_is_marked_as_a_call(down: Any) -> None:
    """The alert, the first mention, and each step: of a direct one the message to the person."""
    go_on(down, 700)

    assert calls(down) == [
        (Post, CallReason.BEGUN, None),
        (MentionEntry, CallReason.BEGUN, None),
        (PagedEntry, CallReason.UNACKNOWLEDGED, 1),
        (DirectMessage, CallReason.UNACKNOWLEDGED, 2),
        (Paging, CallReason.UNACKNOWLEDGED, 3),
    ]


def test_a_warning_calls_nobody(make: Any) -> None:
    """Its message is no call, and neither is a tenant that joins it."""
    steps = prepare(make)
    lost = Fault(Stage.TIMEOUT, "connect")
    for place in range(12):
        for where in ("control.neutral", "prod.login", *(("eu.login",) if place > 5 else ())):
            steps.fail(where, 1, lost)
    assert {(i.severity, i.tenants) for i in steps.incidents} == {
        (Severity.WARNING, ("prod", "eu"))
    }

    assert calls(steps) == []


def test_a_call_goes_to_every_contact_point(down: Any) -> None:
    """Whether a step names it or not, in one line of the thread; once for all that was known."""
    go_on(down, 60)

    assert miss(down, begun(down)) == list(POINTS)
    assert miss(down, begun(down)) == []
    assert miss(down, Call(1, CallReason.BEGUN, down.now - 30)) == []  # the first mention
    entries = [e.body.entry for e in down.effects if isinstance(e, Send) and type(e.body) is Reply]
    assert [e.contact_points for e in entries if isinstance(e, PagedEntry)] == [POINTS]


def test_the_next_step_pages_again(down: Any) -> None:
    """A step that comes after a page is a call of its own."""
    go_on(down, 60)
    miss(down, begun(down))
    go_on(down, 200)

    step = next(e.call for e in down.effects if isinstance(e, Send) and e.call and e.call.step == 1)
    assert miss(down, step) == list(POINTS)


def test_a_contact_point_that_a_step_has_just_paged_has_the_call(make: Any) -> None:
    """It is not paged twice for one moment."""
    steps = prepare(make)
    steps.rules.policies[Severity.CRITICAL] = EscalationPolicy((EscalationStep(0, "pager"),))
    steps.fail("prod.login")
    go_on(steps, 60)

    assert miss(steps, begun(steps)) == ["mail", "sms"]


def test_a_tenant_that_joins_is_a_call(down: Any) -> None:
    """Even where somebody acknowledged what was known before; once in five minutes."""
    ask(down, "ack")
    down.fail("staging.login")
    joined_at = down.now
    down.fail("eu.login")

    assert [call for call in calls(down) if call[1] is CallReason.WIDER] == [
        (JoinedEntry, CallReason.WIDER, None)
    ]
    assert miss(down, begun(down)) == []
    assert miss(down, Call(1, CallReason.WIDER, joined_at)) == list(POINTS)


@pytest.mark.parametrize("said", ["ack", "resolve", "silence #1 1h known", "silence all 1h a test"])
def test_who_acted_since_wakes_nobody_else(down: Any, said: str) -> None:
    """Acknowledged, resolved or silenced since the call was decided: nobody is paged."""
    call = begun(down)
    down.wait(1)
    ask(down, said)

    assert miss(down, call) == []


def test_a_call_of_a_merged_incident_goes_on(down: Any) -> None:
    """The incident that it was merged into is paged; one that is forgotten pages nobody."""
    other = replace(down.incidents[0], id=2, merged_into=1, resolved_at=down.now)
    down.desk = down.desk.with_incident(other)

    effects = down.on_desk(CallOverdue(down.now, Call(2, CallReason.BEGUN, down.now)))
    sent = [effect.body for effect in effects if isinstance(effect, Send)]

    assert {body.incident for body in sent if isinstance(body, Paging)} == {1}
    assert miss(down, Call(77, CallReason.BEGUN, down.now)) == []


def test_a_message_that_is_posted_again_is_no_call(down: Any) -> None:
    """Somebody deleted it: people were called before."""
    down.on_desk(Delivered(down.now, 1, "C1", "1.1", "1:post:1"))
    before = len(calls(down))
    down.on_desk(MessageLost(down.now, 1))

    assert len(calls(down)) == before
