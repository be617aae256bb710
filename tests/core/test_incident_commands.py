from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.alerting.paging import due_at, is_needless, who_to_mention
from bot.core.commands.parse import parse_request
from bot.core.model.access import AuditEntry, CommandOutcome, Person, Verb
from bot.core.model.command import PLAIN_QUESTIONS, Request
from bot.core.model.observation import Fault, Severity, Stage, Target
from bot.core.oncall import EscalationPolicy, EscalationStep, Shift, Shifts
from bot.core.state.incident import IncidentState
from bot.core.state.outbox import (
    Answer,
    AnswerResult,
    Delivery,
    DirectMessage,
    Edit,
    OverrideAnnouncement,
    PagerAction,
    Paging,
    Post,
    Reply,
    SilenceAnnouncement,
)
from bot.core.state.stimulus import (
    CommandReceived,
    Delivered,
    Send,
    ShiftsPolled,
    Started,
    Tick,
)
from bot.core.state.timeline import (
    HandOverEntry,
    MentionEntry,
    PagedEntry,
    ResolvedEntry,
    TimelineEntry,
)

ANN, BEN = "U0ANN", "U0BEN"
PAGER = EscalationPolicy(
    (
        EscalationStep(0, "dm"),
        EscalationStep(300, "next"),
        EscalationStep(600, "pager"),
        EscalationStep(900, "mention"),
    ),
    1,
    1200,
)


def said(steps: Any, since: int = 0) -> list[Any]:
    return [e.body for e in steps.effects[since:] if isinstance(e, Send)]


def told(steps: Any, since: int = 0) -> list[type[TimelineEntry]]:
    return [type(body.entry) for body in said(steps, since) if isinstance(body, Reply)]


def ask(steps: Any, text: str, user: str = ANN, **more: Any) -> AnswerResult:
    """Send a person's command; return the effects."""
    request = Request(
        f"ask {len(steps.effects)}",
        steps.now,
        user=user,
        channel="C1",
        **{"person": Person(user), **more},
    )
    request = parse_request(text, request, steps.desk, steps.rules)
    steps.on_desk(CommandReceived(steps.now, request))
    answers = [body for body in said(steps) if isinstance(body, Answer)]
    result = answers[-1].result
    assert isinstance(result, AnswerResult)
    return result


@pytest.fixture
def down(make: Any) -> Any:
    """A posted outage of prod's login, with a paging policy for critical incidents."""
    steps = make(
        mention="@here",
        policies={Severity.CRITICAL: PAGER},
        contact_points=("pager",),
        on_call=None,
    )
    steps.healthy()
    steps.fail("prod.login", 10)
    steps.on_desk(Delivered(steps.now, 1, "C1", "1.1", "1:post:1"))
    return steps


def later(steps: Any, span_s: float) -> None:
    """Let time pass, with the outage going on and the desk woken."""
    end = steps.now + span_s
    while steps.now < end:
        steps.fail("prod.login", 1)
        steps.on_desk(Tick(steps.now))


def test_acknowledging_stops_the_escalation(down: Any) -> None:
    """The message names who acknowledged; nobody is called any more."""
    later(down, 130)
    result = ask(down, "ack #1 looking at it")
    since = len(down.effects)
    later(down, 4000)

    (incident,) = down.incidents
    assert result == AnswerResult(CommandOutcome.DONE, 1)
    assert (incident.state, incident.acknowledged_by) == (IncidentState.ACKNOWLEDGED, ANN)
    assert [note.text for note in incident.notes] == ["looking at it"]
    assert due_at(incident, down.rules) is None
    assert not {PagedEntry, MentionEntry} & set(told(down, since))


def test_the_second_of_two_people_hears_who_was_first(down: Any) -> None:
    """Both click at once: one acknowledges, the other changes nothing."""
    first, second = ask(down, "ack", ANN), ask(down, "ack", BEN)

    assert (first.outcome, second.outcome) == (CommandOutcome.DONE, CommandOutcome.ALREADY)
    assert down.incidents[0].acknowledged_by == ANN


def test_acknowledging_a_resolved_incident_changes_nothing(down: Any) -> None:
    """Late clicks get an answer, and never reopen it."""
    ask(down, "resolve #1")
    before = down.incidents

    assert ask(down, "ack #1").outcome is CommandOutcome.TOO_LATE
    assert ask(down, "resolve #1").outcome is CommandOutcome.ALREADY
    assert ask(down, "ack #9").outcome is CommandOutcome.NO_SUCH
    assert down.incidents == before


def test_steps_are_taken_in_their_order_and_again(down: Any) -> None:
    """While nobody acknowledges; then one more round, and then no more.

    If no person is known for a direct message, the channel gets a mention instead.
    """
    later(down, 8000)
    told_by: list[Any] = []
    for body in said(down):
        match body:
            case Paging(action=action):
                told_by.append(action)
            case Reply(entry=PagedEntry() as entry):
                told_by.append(entry.contact_points or entry.mentioned)

    assert told_by.count(PagerAction.TRIGGER) == 2
    assert told_by.count(("@here",)) == 4


def test_the_process_was_stopped_meanwhile(down: Any) -> None:
    """After a stop, overdue steps are taken once, not once a round."""
    later(down, 130)
    since = len(down.effects)
    down.wait(7200)
    for _ in range(3):
        down.on_desk(Tick(down.now))
        down.wait(1)

    assert sum(isinstance(body, Paging) for body in said(down, since)) == 1


def test_a_page_is_followed_by_its_end(down: Any) -> None:
    """Whoever was paged gets the acknowledgement and the end."""
    later(down, 800)
    ask(down, "ack")
    ask(down, "resolve")

    assert [body.action for body in said(down) if isinstance(body, Paging)] == list(PagerAction)


def test_escalating_by_hand_takes_the_next_step(down: Any) -> None:
    """Also after an acknowledgement; after the last step the first one follows."""
    ask(down, "ack")
    for _ in range(len(PAGER.steps)):
        assert ask(down, "escalate").outcome in {CommandOutcome.DONE, CommandOutcome.NOBODY}

    assert [body.contact_point for body in said(down) if isinstance(body, Paging)] == ["pager"]


def test_resolved_by_hand_it_opens_nothing_while_it_still_fails(down: Any) -> None:
    """But it does if something else fails, or after an hour."""
    ask(down, "resolve #1 known, a vendor's ticket is open")
    assert not down.incidents[0].problems[0].is_over
    since = len(down.effects)
    later(down, 1800)
    assert not any(isinstance(body, Post) for body in said(down, since))

    down.fail("prod.wellknown", 10)
    assert any(incident.is_open for incident in down.incidents)


def test_resolved_by_hand_and_recovered(down: Any) -> None:
    """After the recovery the next failure opens an incident."""
    ask(down, "resolve #1")
    for _ in range(40):
        down.wait(20)
        down.see("prod.login")
    assert down.incidents[0].sticky_resolve == ()
    since = len(down.effects)
    down.fail("prod.login", 10)

    assert down.incidents[0].state is IncidentState.RESOLVED
    assert any(isinstance(body, Post) for body in said(down, since))


def test_failing_an_hour_after_resolving(down: Any) -> None:
    """If it still fails an hour after it was resolved by hand, a new incident opens."""
    ask(down, "resolve #1")
    later(down, 3700)

    assert any(incident.is_open for incident in down.incidents)


def test_notes_and_false_alarms_need_words(down: Any) -> None:
    """The report needs the reason, so there must be one; a false alarm is marked once."""
    assert ask(down, "note #1").outcome is CommandOutcome.INVALID
    assert ask(down, "false-alarm #1").outcome is CommandOutcome.INVALID
    assert ask(down, "false-alarm #1 our load test").outcome is CommandOutcome.DONE
    assert ask(down, "false-alarm #1 again").outcome is CommandOutcome.ALREADY
    assert down.incidents[0].false_alarm == "our load test"
    assert down.incidents[0].is_open


def test_in_a_thread_its_incident_is_meant(down: Any) -> None:
    """Without a number; elsewhere the only open one."""
    down.fail("eu.login", 5, Fault(Stage.OAUTH, "access_denied", 403, "access_denied"))
    assert len(down.incidents) == 2

    assert ask(down, "ack").outcome is CommandOutcome.NO_SUCH
    assert ask(down, "ack", thread_ts="1.1") == AnswerResult(CommandOutcome.DONE, 1)


def test_what_people_do_is_audited(down: Any) -> None:
    """Each action leaves an audit entry, refused ones too; questions leave none."""
    ask(down, "ack #1")
    ask(down, "ack #7")
    for verb in (Verb.STATUS, Verb.REPORT, Verb.SILENCES, Verb.ONCALL):
        question = Request(f"look {verb}", down.now, PLAIN_QUESTIONS[verb], user=ANN)
        down.on_desk(CommandReceived(down.now, question))
    lines = [effect for effect in down.effects if isinstance(effect, AuditEntry)]

    assert [(one.user, one.verb, one.outcome) for one in lines] == [
        (ANN, Verb.ACK, CommandOutcome.DONE),
        (ANN, Verb.ACK, CommandOutcome.NO_SUCH),
    ]
    assert down.desk.audit == tuple(lines)


def test_a_muted_incident_is_posted_when_the_silence_ends(make: Any) -> None:
    """It began in a silence: nothing is posted until the silence ends and the outage goes on."""
    steps = make(mention="@here")
    steps.healthy()
    assert ask(steps, "silence prod 30m moving house").outcome is CommandOutcome.DONE
    since = len(steps.effects)
    steps.fail("prod.login", 60)
    assert [body for body in said(steps, since) if not isinstance(body, Answer)] == []

    steps.wait(1500)
    steps.on_desk(Tick(steps.now))
    ended = [body.silence for body in said(steps, since) if isinstance(body, SilenceAnnouncement)]
    assert [silence.suppressed for silence in ended] == [1]
    assert [body for body in said(steps, since) if isinstance(body, Post)] == [Post(1)]
    assert steps.incidents[0].mentioned == () or MentionEntry in told(steps, since)


def test_a_silence_never_swallows_the_end(down: Any) -> None:
    """Whoever was notified of the start is notified of the end; in between nobody is called."""
    ask(down, "silence #1 2h known")
    since = len(down.effects)
    later(down, 1200)
    assert not {PagedEntry, MentionEntry} & set(told(down, since))
    for _ in range(5):
        down.wait(10)
        down.see("prod.login")

    assert ResolvedEntry in told(down, since)
    assert any(isinstance(body, Edit) for body in said(down, since))


def test_ended_by_hand(down: Any) -> None:
    """By its number or by its scope; ending it twice gets an answer."""
    ask(down, "silence staging 2h a test")

    assert ask(down, "unsilence staging", BEN).outcome is CommandOutcome.DONE
    assert ask(down, "unsilence s1").outcome is CommandOutcome.ALREADY
    assert down.desk.silences[1].ended_by == BEN


def test_a_direct_message_goes_to_who_is_on_call(make: Any) -> None:
    """An override changes the person; at the hand-over the next one gets the open incidents."""
    steps = make(mention="@here", policies={Severity.CRITICAL: PAGER}, on_call=make.rotation)
    ask(steps, f"oncall swap <@{BEN}> 1h", ANN)
    steps.healthy()
    steps.fail("prod.login", 30)
    later(steps, 3600)
    people = [body.person for body in said(steps) if isinstance(body, DirectMessage)]

    assert people[0] == BEN
    assert HandOverEntry in told(steps)


def test_who_may_not_is_refused(make: Any) -> None:
    """Each request is checked and audited; guests have no rights."""
    steps = make(access=make.access(acknowledge=(BEN,)))
    steps.healthy()
    steps.fail("prod.login", 10)

    refused = ask(steps, "ack #1", ANN)
    assert (refused.outcome, refused.refused and refused.refused.who) == (
        CommandOutcome.REFUSED,
        (BEN,),
    )
    assert (
        ask(steps, "ack #1", BEN, person=Person(BEN, is_guest=True)).outcome
        is CommandOutcome.REFUSED
    )
    assert ask(steps, "ack #1", BEN).outcome is CommandOutcome.DONE
    assert next(line.outcome for line in steps.desk.audit) is CommandOutcome.REFUSED


def test_a_number_that_is_none_means_nothing(down: Any) -> None:
    """It does not mean the only open incident either, however long the number is."""
    for number in ("#999999999999", "#0", "7" * 10_000):
        assert ask(down, f"ack {number}").outcome is CommandOutcome.NO_SUCH
    assert ask(down, "ack #001").outcome is CommandOutcome.DONE


@pytest.mark.parametrize("said", ["silence ALL 1h a test", "unsilence S1", "unsilence All"])
def test_everything_needs_the_right_to_administer(make: Any, said: str) -> None:
    """However it is written."""
    steps = make(access=make.access(administer=(ANN,)))
    ask(steps, "silence all 2h moving", ANN)

    assert ask(steps, said, BEN).outcome is CommandOutcome.REFUSED
    assert ask(steps, said, ANN).outcome is CommandOutcome.DONE


def test_a_silence_is_ended_by_its_number_first(down: Any) -> None:
    """S1 is not the silence of incident 1, even if S1 has already ended."""
    ask(down, "silence staging 2h a test")
    ask(down, "silence #1 2h known")

    assert ask(down, "unsilence 1").outcome is CommandOutcome.DONE
    assert ask(down, "unsilence 1").outcome is CommandOutcome.ALREADY
    assert [one.id for one in down.desk.active_silences] == [2]
    assert ask(down, "unsilence #1").outcome is CommandOutcome.DONE


@pytest.mark.parametrize("span", ["0m", "99999d", "-1h", "until 25:00"])
def test_nobody_is_put_on_call_for_no_time_or_for_ever(make: Any, span: str) -> None:
    """A typing error would last for centuries."""
    steps = make(on_call=make.rotation)

    assert ask(steps, f"oncall swap {span}").outcome is CommandOutcome.INVALID
    assert steps.desk.overrides == ()


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


def test_after_the_last_step_a_manual_escalation_starts_again(down: Any) -> None:
    """With the first step at once and the others at their times, not all together."""
    later(down, 8000)
    since = len(down.effects)
    assert ask(down, "escalate").outcome is CommandOutcome.DONE
    later(down, 250)
    assert told(down, since).count(PagedEntry) == 1

    later(down, 400)
    assert any(isinstance(body, Paging) for body in said(down, since))


def test_escalating_a_muted_incident_posts_it(make: Any) -> None:
    """Who escalates wants it known: the message is posted before the page."""
    steps = make(mention="@here", policies={Severity.CRITICAL: PAGER}, contact_points=("pager",))
    steps.healthy()
    ask(steps, "silence prod 2h moving")
    steps.fail("prod.login", 10)
    since = len(steps.effects)

    assert ask(steps, "escalate #1").outcome is CommandOutcome.DONE
    bodies = said(steps, since)
    assert bodies.index(Post(1)) == 0
    assert PagedEntry in told(steps, since)


def test_a_late_page_is_dropped(down: Any) -> None:
    """Once somebody has acknowledged, only a manual escalation calls people."""
    page = Paging(1, "pager", PagerAction.TRIGGER)
    before, after = (Delivery("k", "l", 1, page, down.now + offset) for offset in (-1, 1))
    assert not is_needless(before, down.desk)
    ask(down, "ack")
    assert is_needless(before, down.desk)
    assert not is_needless(after, down.desk)
    assert not is_needless(replace(before, body=Edit(1)), down.desk)

    ask(down, "resolve")
    assert is_needless(replace(after, body=DirectMessage(1, ANN)), down.desk)


def test_no_data_resolved_by_hand_stays_resolved(make: Any) -> None:
    """As long as it lasts; if data is missing again later, an incident opens."""
    steps = make()
    steps.healthy()
    for _ in range(40):
        steps.wait(20)
        steps.see("prod.login", blind="all DNS look-ups hang")
        steps.tick("prod")
    (incident,) = steps.desk.open_incidents
    ask(steps, "resolve our network is being moved")
    for _ in range(20):
        steps.wait(20)
        steps.see("prod.login", blind="all DNS look-ups hang")
        steps.tick("prod")

    assert steps.desk.open_incidents == []
    assert steps.incidents[0].sticky_resolve == (Target("prod", "blind"),)
    assert incident.reopen_count == steps.incidents[0].reopen_count


def test_the_first_mention_is_not_repeated_by_a_step(make: Any) -> None:
    """A policy that begins with a mention at once calls its people once, not twice."""
    policy = EscalationPolicy((EscalationStep(0, "mention"), EscalationStep(300, "mention")))
    steps = make(mention="@here", policies={Severity.CRITICAL: policy})
    steps.healthy()
    steps.fail("prod.login", 10)
    later(steps, 200)

    assert steps.incidents[0].mentioned == ("@here",)
    assert not {MentionEntry, PagedEntry} & set(told(steps))


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
    ask(steps, "ack #1", on_call)
    since = len(steps.effects)
    assert ask(steps, "escalate #1", on_call).outcome is CommandOutcome.DONE

    (direct,) = [body for body in said(steps, since) if isinstance(body, DirectMessage)]
    assert {on_call, direct.person} == {"U0CAT", "U0DAN"}


def test_silences_and_overrides_are_posted_to_the_channel(make: Any) -> None:
    """Nothing is muted without a message; a person put on call gets one."""
    steps = make(on_call=make.rotation)
    ask(steps, "silence prod 2h moving house")
    ask(steps, f"oncall swap <@{BEN}> 4h")
    bodies = [body for body in said(steps) if not isinstance(body, Answer)]

    assert [type(body) for body in bodies] == [SilenceAnnouncement, OverrideAnnouncement]
    assert (bodies[1].shift.person, bodies[1].by) == (BEN, ANN)


def test_severity_decides_whom_it_calls(make: Any) -> None:
    """A warning takes its own steps from the alert on, and mentions nobody by itself."""
    warning = EscalationPolicy((EscalationStep(0, "dm"), EscalationStep(120, "pager")))
    steps = make(
        mention="@here",
        policies={Severity.WARNING: warning, Severity.CRITICAL: PAGER},
        contact_points=("pager",),
        on_call=make.rotation,
    )
    steps.healthy()
    steps.fail("prod.login", 3, Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant"))
    steps.wait(130)
    steps.on_desk(Tick(steps.now))
    (incident,) = steps.incidents

    assert (incident.severity, incident.mentioned) == (Severity.WARNING, ())
    assert sum(isinstance(body, DirectMessage) for body in said(steps)) == 1
    assert [body.contact_point for body in said(steps) if isinstance(body, Paging)] == ["pager"]
