"""What is a call, and where it goes if Slack does not take it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.core.model.observation import Fault, Severity, Stage
from bot.core.model.wall_clock import to_instant, wall_clock
from bot.core.oncall import CallHours, CallReason, CallsWhen, EscalationPolicy, EscalationStep
from bot.core.state.incident import OwnFault, OwnFaultKind, Resolution
from bot.core.state.outbox import Call, DirectMessage, PagerAction, Paging, Post, Reply
from bot.core.state.stimulus import CallOverdue, Delivered, MessageLost, OwnFaultSeen, Send
from bot.core.state.timeline import JoinedEntry, MentionEntry, PagedEntry

STEPS = (
    EscalationStep(180, "mention"),
    EscalationStep(300, "dm"),
    EscalationStep(600, "pager"),
)
POINTS = ("pager", "mail", "sms")
"""The policy names only the first of them."""


def prepare(make: Any, steps: tuple[EscalationStep, ...] = STEPS) -> Any:
    """Return a healthy world, by whose rules the first mention comes 30 s after the alert."""
    made = make(
        mention="@here",
        mention_after_s={"prod": 55.0},
        policies={Severity.CRITICAL: EscalationPolicy(steps)},
        contact_points=POINTS,
        on_call=make.rotation,
    )
    made.healthy()
    return made


@pytest.fixture
def begun(make: Any) -> Any:
    """Prod's login has just opened a critical incident; nothing is posted yet."""
    steps = prepare(make)
    steps.fail("prod.login")
    return steps


def calls(steps: Any) -> list[tuple[type, CallReason, int | None]]:
    return [
        (type(e.body.entry if isinstance(e.body, Reply) else e.body), e.call.reason, e.call.step)
        for e in steps.effects
        if isinstance(e, Send) and e.call
    ]


def first_call(steps: Any) -> Call:
    return Call(1, CallReason.BEGUN, steps.incidents[0].life.opened_at)


def miss(steps: Any, call: Call) -> list[str]:
    """Let Slack not take a call; return who is paged for it."""
    since = len(steps.effects)
    steps.on_desk(CallOverdue(steps.now, call))
    pages = [body for body in steps.bodies(since) if isinstance(body, Paging)]
    assert all(page.action is PagerAction.TRIGGER for page in pages)
    return [page.contact_point for page in pages]


def test_whatever_is_to_wake_people_is_marked_as_a_call(begun: Any) -> None:
    """The alert, the first mention, and each step: of a direct one the message to the person."""
    begun.later(700)

    assert calls(begun) == [
        (Post, CallReason.BEGUN, None),
        (MentionEntry, CallReason.BEGUN, None),
        (PagedEntry, CallReason.UNACKNOWLEDGED, 1),
        (DirectMessage, CallReason.UNACKNOWLEDGED, 2),
        (Paging, CallReason.UNACKNOWLEDGED, 3),
    ]


def test_a_crash_loop_of_the_bot_is_a_call(begun: Any) -> None:
    """It is critical, and its only mention may be the one in its message."""
    since = len(begun.effects)
    begun.on_desk(OwnFaultSeen(begun.now, OwnFault(OwnFaultKind.CRASH_LOOP)))

    sent = [effect for effect in begun.effects[since:] if isinstance(effect, Send)]
    assert [effect.call for effect in sent] == [Call(2, CallReason.BEGUN, begun.now)]


def test_a_warning_calls_nobody(make: Any) -> None:
    """Its message is no call, and neither is a tenant that joins it."""
    steps = prepare(make)
    lost = Fault(Stage.TIMEOUT, "connect")
    for tenants in (("prod.login",), ("prod.login", "eu.login")) * 6:
        for where in ("control.neutral", *tenants):
            steps.fail(where, 1, lost)
    (incident,) = steps.incidents

    assert (incident.severity, incident.tenants) == (Severity.WARNING, ("prod", "eu"))
    assert calls(steps) == []


def test_a_call_goes_to_every_contact_point(begun: Any) -> None:
    """Whether a step names it or not; once for all that was known. The thread says who took it."""
    begun.later(60)

    assert miss(begun, first_call(begun)) == list(POINTS)
    assert miss(begun, first_call(begun)) == []
    assert miss(begun, Call(1, CallReason.BEGUN, begun.now - 30)) == []  # the first mention
    entries = [body.entry for body in begun.bodies() if isinstance(body, Reply)]
    pages = [e.contact_points for e in entries if isinstance(e, PagedEntry) and e.contact_points]
    assert pages == [(name,) for name in POINTS]


def test_the_next_step_pages_again(begun: Any) -> None:
    """A step that comes after a page is a call of its own."""
    begun.later(60)
    miss(begun, first_call(begun))
    begun.later(200)
    (step,) = [e.call for e in begun.effects if isinstance(e, Send) and e.call and e.call.step == 1]

    assert miss(begun, step) == list(POINTS)


def test_a_contact_point_that_a_step_has_just_paged_has_the_call(make: Any) -> None:
    """It is not paged twice for one moment."""
    steps = prepare(make, (EscalationStep(0, "pager"),))
    steps.fail("prod.login")
    steps.later(60)

    assert miss(steps, first_call(steps)) == ["mail", "sms"]


def test_tenants_that_join_are_a_call(begun: Any) -> None:
    """Even where somebody acknowledged what was known before; once in five minutes.

    Whoever joins within two minutes of the first call is only named in the thread.
    """
    begun.later(40)
    begun.ask("ack")
    begun.fail("staging.login")
    assert calls(begun)[2:] == []
    begun.later(130)
    begun.fail("eu.login")
    joined_at = begun.now
    begun.later(200)

    assert calls(begun)[2:] == [(MentionEntry, CallReason.WIDER, None)]
    assert begun.entries().count(JoinedEntry) == 2
    assert begun.incidents[0].life.acknowledged_by
    assert miss(begun, first_call(begun)) == []
    assert miss(begun, Call(1, CallReason.WIDER, joined_at)) == list(POINTS)


@pytest.mark.parametrize(
    "said", ["ack", "resolve anyway", "silence #1 1h known", "silence all 1h a test"]
)
def test_what_people_did_since_wakes_nobody_else(begun: Any, said: str) -> None:
    """Acknowledged, resolved or silenced since the call was decided: nobody is paged."""
    begun.wait(1)
    begun.ask(said)

    assert miss(begun, first_call(begun)) == []


def test_a_call_of_a_merged_incident_goes_on(begun: Any) -> None:
    """The incident that it was merged into is paged; one that is forgotten pages nobody."""
    (first,) = begun.incidents
    life = replace(first.life, resolved=Resolution(begun.now, merged_into=1))
    begun.desk = begun.desk.with_incident(replace(first, id=2, life=life))

    assert miss(begun, Call(2, CallReason.BEGUN, begun.now)) == list(POINTS)
    assert {body.incident for body in begun.bodies() if isinstance(body, Paging)} == {1}
    assert miss(begun, Call(77, CallReason.BEGUN, begun.now)) == []


def test_a_message_that_is_posted_again_is_no_call(begun: Any) -> None:
    """Somebody deleted it: people were called before."""
    begun.on_desk(Delivered(begun.now, 1, "C1", "1.1", "1:post:1"))
    begun.on_desk(MessageLost(begun.now, 1))

    assert [type(body) for body in begun.bodies()].count(Post) == 2
    assert len(calls(begun)) == 1


def with_calls(steps: Any, **calls: CallsWhen) -> Any:
    """Let tenants call people only then."""
    tenants = {
        name: replace(tenant, calls=calls.get(name, tenant.calls))
        for name, tenant in steps.rules.tenants.items()
    }
    steps.rules = replace(steps.rules, tenants=tenants)
    return steps


def test_a_tenant_that_never_calls_is_posted_only(make: Any) -> None:
    """Until one that may call fails as well: then people are called within half a minute."""
    steps = with_calls(make(mention="@here"), staging=CallsWhen.NEVER)
    steps.healthy()
    steps.fail("staging.login", 20)
    assert calls(steps) == []
    assert type(steps.bodies()[0]) is Post

    steps.fail("prod.login", 20)
    assert [reason for _, reason, _ in calls(steps)][:1] == [CallReason.BEGUN]


def test_what_still_fails_when_the_hours_begin_calls_then(make: Any) -> None:
    """Monday at nine, by the clocks of the zone."""
    steps = with_calls(make(mention="@here"), prod=CallsWhen.HOURS)
    zone = "Europe/Berlin"
    steps.rules = replace(steps.rules, call_hours=CallHours(zone=zone))
    steps.now = datetime(2026, 3, 2, 7, 45, tzinfo=UTC).timestamp()
    steps.healthy()
    while wall_clock(steps.now, zone).hour < 9:
        steps.fail("prod.login", 6)
        assert calls(steps) == []
    for _ in range(3):
        steps.fail("prod.login", 6)

    assert [reason for _, reason, _ in calls(steps)] == [CallReason.BEGUN]


@pytest.mark.parametrize(
    ("text", "are_now"),
    [
        ("2026-03-02 08:59", False),
        ("2026-03-02 09:00", True),
        ("2026-03-06 17:59", True),
        ("2026-03-06 18:00", False),
        ("2026-03-07 12:00", False),
        ("2026-03-30 09:00", True),
    ],
)
def test_hours(text: str, *, are_now: bool) -> None:
    """By the wall clock, also after the clocks were changed."""
    zone = "Europe/Berlin"
    at = to_instant(datetime.fromisoformat(text), zone)
    assert CallHours(zone=zone).are_now(at) is are_now
