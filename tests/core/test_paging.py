from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.core.alerting.deliveries import is_needless
from bot.core.alerting.paging import who_to_mention
from bot.core.model.access import CommandOutcome
from bot.core.model.observation import Fault, Severity, Stage
from bot.core.oncall import CallReason, EscalationPolicy, EscalationStep, Shift, Shifts
from bot.core.state.outbox import (
    CalledNow,
    Delivery,
    DirectEdit,
    DirectMessage,
    Edit,
    NobodyReached,
    PagerAction,
    Paging,
    Reply,
)
from bot.core.state.stimulus import CallOverdue, Send, ShiftsPolled, Started, Tick
from bot.core.state.timeline import HandOverEntry, MentionEntry, PagedEntry, UnreachedEntry

ANN, BEN = "U0ANN", "U0BEN"


def paged(steps: Any, since: int = 0) -> list[tuple[str, ...]]:
    """Whom each step of the escalation called, or through what, in this order."""
    bodies = (body for body in steps.bodies(since) if isinstance(body, Reply))
    entries = (body.entry for body in bodies if isinstance(body.entry, PagedEntry))
    return [entry.contact_points or entry.mentioned for entry in entries]


def test_steps_are_taken_in_their_order_and_again(down: Any) -> None:
    """While nobody acknowledges; then one more round, and then no more.

    If no person is known for a direct message, the channel gets a mention instead.
    """
    down.later(8000)
    pages = [body.action for body in down.bodies() if isinstance(body, Paging)]

    assert paged(down) == [("@here",), ("pager",), ("@here",)] * 2
    assert pages == [PagerAction.TRIGGER] * 2


def test_the_process_was_stopped_meanwhile(down: Any) -> None:
    """After a stop, overdue steps are taken once; the next round comes after its whole pause."""
    down.later(130)
    since = len(down.effects)
    down.wait(7200)
    down.on_desk(Tick(down.now))
    assert sorted(paged(down, since)) == [("@here",), ("pager",)]

    since = len(down.effects)
    down.later(1190)
    assert paged(down, since) == []
    down.later(10)
    assert paged(down, since) == [("@here",)]


def test_a_page_is_followed_by_its_end(down: Any) -> None:
    """Whoever was paged gets the acknowledgement and the end."""
    down.later(800)
    down.ask("ack")
    down.ask("resolve anyway")

    assert [body.action for body in down.bodies() if isinstance(body, Paging)] == list(PagerAction)


def test_escalating_by_hand_takes_the_next_step(down: Any) -> None:
    """Also after an acknowledgement; after the last step the first one follows.

    A step that finds nobody (`next` without a rotation) is skipped.
    """
    down.ask("ack")
    since = len(down.effects)
    outcomes = [down.ask("escalate").outcome for _ in range(4)]

    assert outcomes == [CommandOutcome.DONE] * 4
    assert paged(down, since) == [("@here",), ("pager",), ("@here",), ("@here",)]


def test_next_never_calls_the_same_person_twice(make: Any) -> None:
    """Each such step goes to another person; once all were called it calls nobody."""
    steps = [EscalationStep(60.0 * number, "next") for number in (1, 2, 3)]
    rotation = replace(make.rotation, people=("U0CAT", "U0DAN", "U0EVE"))
    made = make(policies={Severity.CRITICAL: EscalationPolicy(tuple(steps))}, on_call=rotation)
    made.healthy()
    made.fail("prod.login", 10)
    made.later(600)
    people = [body.person for body in made.bodies() if isinstance(body, DirectMessage)]

    assert made.incidents[0].notification.mentioned == ("U0CAT",)
    assert people == ["U0DAN", "U0EVE"]


def test_the_thread_says_which_contact_point_did_not_take_a_page(down: Any) -> None:
    """And why, in its own words."""
    down.refusing = {"pager": "HTTP 400: check the routing key"}
    down.later(700)

    entries = [body.entry for body in down.bodies() if isinstance(body, Reply)]
    (said,) = [each for each in entries if getattr(each, "contact_point", "") == "pager"]
    assert said == UnreachedEntry(said.at, "pager", "HTTP 400: check the routing key")
    assert ("pager",) not in paged(down)


def test_people_are_mentioned_once_though_the_verdict_turns(steps: Any, make_notice: Any) -> None:
    """To our network, which is a warning, and back to Auth0, which is critical again.

    They are called once more for the tenant that joined while it was ours, and for nothing else.
    """
    steps.rules = replace(steps.rules, mention="@here")
    for _ in range(10):
        steps.fail("prod.login", 1)
        steps.fail("prod.wellknown", 1)
    severities = [steps.incidents[0].severity]
    for _ in range(10):
        for where in ("control.neutral", "eu.login", "prod.login", "prod.wellknown"):
            steps.fail(where, 1, Fault(Stage.TIMEOUT, "connect"))
    severities.append(steps.incidents[0].severity)
    steps.read(steps.rules.tenants["prod"].feed, make_notice(at=steps.now))
    severities.append(steps.incidents[0].severity)
    steps.later(900)

    assert severities == [Severity.CRITICAL, Severity.WARNING, Severity.CRITICAL]
    assert steps.incidents[0].notification.mentioned == ("@here",)
    calls = [effect.call.reason for effect in steps.effects if getattr(effect, "call", None)]
    assert calls == [CallReason.BEGUN, CallReason.CORRECTED, CallReason.WIDER]


def test_a_direct_message_goes_to_who_is_on_call(make: Any) -> None:
    """An override changes the person; at the hand-over the next one gets the open incidents."""
    steps = make(mention="@here", policies={Severity.CRITICAL: make.policy}, on_call=make.rotation)
    steps.ask(f"oncall swap <@{BEN}> 1h", ANN)
    steps.healthy()
    steps.fail("prod.login", 30)
    steps.later(3600)
    people = [body.person for body in steps.bodies() if isinstance(body, DirectMessage)]

    assert people[0] == BEN
    assert HandOverEntry in steps.entries()


def test_a_calendar_that_changed_counts_at_once(make: Any) -> None:
    """Also before the known shift would have ended; so does another configuration."""
    steps = make(calendar_every_s=300.0)
    for person in (ANN, BEN):
        shifts = Shifts(steps.now, (Shift(person, steps.now - 60, steps.now + 3600),))
        steps.on_desk(ShiftsPolled(steps.now, shifts))
        assert who_to_mention(steps.desk, steps.rules) == (person,)

    steps.rules = replace(steps.rules, calendar_every_s=None, mention="@here")
    steps.on_desk(Started(steps.now))
    assert who_to_mention(steps.desk, steps.rules) == ("@here",)


def test_a_calendar_that_cannot_be_read(make: Any) -> None:
    """The shifts of the last good poll stay, with the fault until a poll succeeds."""
    steps = make(calendar_every_s=300.0)
    good = Shifts(1.0, (Shift(ANN, steps.now - 60, steps.now + 3600),))
    steps.on_desk(ShiftsPolled(steps.now, good))
    steps.on_desk(ShiftsPolled(steps.now, Shifts(2.0, fault="HTTP 503")))
    assert steps.desk.shifts == replace(good, fault="HTTP 503")

    steps.on_desk(ShiftsPolled(steps.now, Shifts(3.0)))
    assert steps.desk.shifts == Shifts(3.0)


def test_after_the_last_step_a_manual_escalation_starts_again(down: Any) -> None:
    """With the first step at once and the others at their times, not all together."""
    down.later(8000)
    since = len(down.effects)
    assert down.ask("escalate").outcome is CommandOutcome.DONE
    down.later(250)
    assert down.entries(since).count(PagedEntry) == 1

    down.later(400)
    assert any(isinstance(body, Paging) for body in down.bodies(since))


def test_a_late_page_is_dropped(down: Any) -> None:
    """Once somebody has acknowledged, only a manual escalation calls people."""
    page = Paging(1, "pager", PagerAction.TRIGGER)
    before, after = (Delivery("k", "l", 1, page, down.now + offset) for offset in (-1, 1))
    assert not is_needless(before, down.desk)
    down.ask("ack")
    assert is_needless(before, down.desk)
    assert not is_needless(after, down.desk)
    assert not is_needless(replace(before, body=Edit(1)), down.desk)

    down.ask("resolve anyway")
    assert is_needless(replace(after, body=DirectMessage(1, ANN)), down.desk)


def test_the_first_mention_is_not_repeated_by_a_step(make: Any) -> None:
    """A policy that begins with a mention at once calls its people once, not twice."""
    policy = EscalationPolicy((EscalationStep(0, "mention"), EscalationStep(300, "mention")))
    steps = make(mention="@here", policies={Severity.CRITICAL: policy})
    steps.healthy()
    steps.fail("prod.login", 10)
    steps.later(200)

    assert steps.incidents[0].notification.mentioned == ("@here",)
    assert not {MentionEntry, PagedEntry} & set(steps.entries())


def test_whoever_escalates_does_not_call_themselves(make: Any) -> None:
    """Steps that reach only the person who escalates, or who acknowledged, are skipped."""
    steps = make(
        policies={
            Severity.CRITICAL: EscalationPolicy(
                (EscalationStep(0, "mention"), EscalationStep(60, "dm"), EscalationStep(90, "next"))
            )
        },
        on_call=make.rotation,
    )
    steps.healthy()
    steps.fail("prod.login", 10)
    on_call = steps.desk.shift.person
    steps.ask("ack #1", on_call)
    since = len(steps.effects)
    assert steps.ask("escalate #1", on_call).outcome is CommandOutcome.DONE

    (direct,) = [body for body in steps.bodies(since) if isinstance(body, DirectMessage)]
    assert {on_call, direct.person} == {"U0CAT", "U0DAN"}


def test_severity_decides_whom_it_calls(make: Any) -> None:
    """A warning takes its own steps from the alert on, and mentions nobody by itself."""
    warning = EscalationPolicy((EscalationStep(0, "dm"), EscalationStep(120, "pager")))
    steps = make(
        mention="@here",
        policies={Severity.WARNING: warning, Severity.CRITICAL: make.policy},
        contact_points=("pager",),
        on_call=make.rotation,
    )
    steps.healthy()
    steps.fail("prod.login", 3, Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant"))
    steps.wait(130)
    steps.on_desk(Tick(steps.now))
    (incident,) = steps.incidents

    assert (incident.severity, incident.notification.mentioned) == (Severity.WARNING, ())
    assert sum(isinstance(body, DirectMessage) for body in steps.bodies()) == 1
    assert [body.contact_point for body in steps.bodies() if isinstance(body, Paging)] == ["pager"]


PAGER_AND_MAIL = ("pager", "mail")


def prepare(make: Any, *contacts: str, **given: Any) -> Any:
    """Return an outage about to begin, with a step every five minutes."""
    steps = tuple(EscalationStep(300.0 * n, each) for n, each in enumerate(contacts, start=1))
    given = {"mention": "U0BOSS", "contact_points": PAGER_AND_MAIL, **given}
    made = make(policies={Severity.CRITICAL: EscalationPolicy(steps)}, **given)
    made.healthy()
    return made


def told(steps: Any) -> list[tuple[str, ...]]:
    """Say in which order people were called or not reached, and how."""
    found = []
    for body in steps.bodies():
        match getattr(body, "entry", None):
            case MentionEntry(mentioned=names):
                found.append(("mention", *names))
            case PagedEntry(mentioned=names, contact_points=points):
                found.append((*(points or ("mention",)), *names))
            case UnreachedEntry(contact_point=point, people=names):
                found.append(("not", *((point,) if point else ()), *names))
        if isinstance(body, NobodyReached):
            found.append(("nobody",))
    return found


def test_a_step_that_is_refused_is_passed_over_at_once(make: Any) -> None:
    """The next one follows, then each contact point that is left, and `slack.mention` once."""
    steps = prepare(make, "dm", "pager", on_call=make.rotation)
    on_call = steps.desk.shift.person
    steps.refusing = {on_call: "user_not_found", "pager": "HTTP 400", "mail": "no"}
    steps.fail("prod.login", 10)
    assert told(steps) == []

    steps.later(300)
    assert told(steps) == [
        ("not", on_call),
        ("not", "pager"),
        ("not", "mail"),
        ("mention", "U0BOSS"),
    ]
    assert {*steps.desk.refusals} == {on_call, "pager", "mail"}
    steps.later(3600)
    assert len(told(steps)) == 4


def test_only_what_was_taken_is_said_to_be_done(make: Any) -> None:
    """Until then the thread says nothing of a direct message or of a page."""
    steps = prepare(make, "dm", "pager", on_call=make.rotation)
    steps.is_deaf = True
    steps.fail("prod.login", 10)
    steps.later(700)
    assert told(steps) == []

    steps.is_deaf = False
    for sent in [e for e in steps.effects if isinstance(e, Send) and e.call]:
        steps.step(steps.answer(sent))
    assert told(steps) == [("dm", steps.desk.shift.person), ("pager",)]


def test_whoever_is_in_do_not_disturb_is_not_reached(make: Any) -> None:
    """By a mention as by a message: said each time, and the next step follows at once."""
    steps = prepare(make, "dm", "pager", on_call=make.rotation)
    person = steps.desk.shift.person
    steps.asleep = {person}
    steps.fail("prod.login", 10)

    assert told(steps) == [("not", person), ("not", person), ("pager",)]
    assert steps.incidents[0].notification.nobody_at is None
    assert [*steps.desk.refusals] == [person]


def test_nobody_can_be_reached(make: Any) -> None:
    """That is said in the channel once; the one who is reached in the end takes it back."""
    steps = prepare(make, "pager")
    steps.asleep, steps.refusing = {"U0BOSS"}, {"pager": "HTTP 400", "mail": "no"}
    steps.fail("prod.login", 10)

    assert told(steps)[-1] == ("nobody",)
    assert steps.incidents[0].notification.nobody_at is not None
    steps.later(3600)
    assert told(steps).count(("nobody",)) == 1

    steps.asleep = set()
    steps.ask("escalate", BEN)
    steps.refusing = {}
    steps.ask("escalate", BEN)
    assert steps.incidents[0].notification.nobody_at is None
    assert {*steps.desk.refusals} == {"U0BOSS", "mail"}


def test_nothing_is_said_where_nobody_is_configured(make: Any) -> None:
    """Such an incident is posted, and that is all."""
    steps = prepare(make, mention="", contact_points=())
    steps.fail("prod.login", 10)

    assert told(steps) == []


def test_contact_points_without_any_step_are_for_whom_nothing_else_reaches(make: Any) -> None:
    """Nobody is on call, nobody is mentioned, and no step is configured."""
    steps = prepare(make, mention="")
    steps.fail("prod.login", 10)

    assert told(steps) == [("pager",), ("mail",)]


def test_a_page_that_is_not_taken_in_time_is_passed_over(make: Any) -> None:
    """It is tried further, and what comes of that is said; the other ways are not tried twice."""
    steps = prepare(make, "pager", "mail")
    steps.fail("prod.login", 10)
    steps.is_deaf = True
    steps.later(300)
    (page,) = [e for e in steps.effects if isinstance(e, Send) and isinstance(e.body, Paging)]
    steps.wait(60)
    assert page.call
    steps.on_desk(CallOverdue(steps.now, page.call, "pager"))
    steps.is_deaf = False
    assert told(steps) == [("not", "pager")]
    pages = [body.contact_point for body in steps.bodies() if isinstance(body, Paging)]
    assert pages == ["pager", "mail"]

    steps.step(steps.answer(page))
    assert told(steps)[-1] == ("pager",)


def test_what_nobody_answers_any_more_calls_nobody_else(make: Any) -> None:
    """Somebody acknowledged it before the refusal came."""
    steps = prepare(make, "pager")
    steps.is_deaf = True
    steps.fail("prod.login", 10)
    steps.later(300)
    (page,) = [e for e in steps.effects if isinstance(e, Send) and isinstance(e.body, Paging)]
    steps.ask("ack", ANN)
    steps.refusing = {"pager": "HTTP 400"}
    steps.step(steps.answer(page))

    assert told(steps) == [("not", "pager")]


def test_a_direct_message_is_updated_with_the_incident(make: Any) -> None:
    """Whoever was called sees who has it, and the end; a page has a number of its own."""
    steps = prepare(make, "dm", "pager", "pager", on_call=make.rotation)
    steps.fail("prod.login", 10)
    steps.later(1000)
    (message,) = steps.incidents[0].notification.direct_messages
    since = len(steps.effects)
    steps.ask("ack", ANN)
    steps.ask("resolve 1 anyway", ANN)

    edits = [body for body in steps.bodies(since) if isinstance(body, DirectEdit)]
    assert edits == [DirectEdit(1, message)] * 2
    pages = [body for body in steps.bodies() if isinstance(body, Paging)]
    assert [(page.action, page.number) for page in pages] == [
        (PagerAction.TRIGGER, 1),
        (PagerAction.TRIGGER, 2),
        (PagerAction.ACKNOWLEDGE, 2),
        (PagerAction.RESOLVE, 2),
    ]


def test_an_escalation_by_hand_says_whom_it_calls(make: Any) -> None:
    """By which way; the step that is refused is followed by the next one at once."""
    steps = prepare(make, "dm", "pager", "mail", on_call=make.rotation)
    steps.fail("prod.login", 10)
    steps.ask("ack", ANN)
    steps.wait(1)
    assert steps.ask("escalate", BEN).called == (CalledNow("dm", (steps.desk.shift.person,)),)
    steps.refusing = {"pager": "HTTP 400"}
    assert steps.ask("escalate", BEN).called == (CalledNow("pager"),)

    assert told(steps)[1:] == [("not", "pager"), ("mail",)]
